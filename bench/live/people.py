"""The users of the seed, their access tokens, and the files that tell the load who its sockets are."""

import base64
import hashlib
import json
import time
import uuid

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

PAGE = 20


def seeded_id(number):
    return uuid.UUID(f"{number:032d}")


def type_id(prefix, number):
    """The id in Attune's API: the prefix and 26 digits of base 32."""
    alphabet = "0123456789abcdefghjkmnpqrstvwxyz"
    value = seeded_id(number).int
    return prefix + "_" + "".join(alphabet[value >> shift & 31] for shift in range(125, -5, -5))


class Tokens:
    """Signs in users of the seed, as `attune token` does: ten thousand runs of a program would take too long."""

    def __init__(self, data_folder, issuer):
        pem = (data_folder / "keys/signing-0001.pem").read_bytes()
        self.key = serialization.load_pem_private_key(pem, password=None)
        self.issuer = issuer
        numbers = self.key.public_key().public_numbers()
        exponent, modulus = (
            self.encode(number.to_bytes((number.bit_length() + 7) // 8, "big")) for number in (numbers.e, numbers.n))
        thumbprint = hashlib.sha256(f'{{"e":"{exponent}","kty":"RSA","n":"{modulus}"}}'.encode()).digest()
        self.header = {"alg": "RS256", "kid": self.encode(thumbprint), "typ": "JWT"}

    @staticmethod
    def encode(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    def of(self, user):
        now = int(time.time())
        claims = {
            "iss": self.issuer, "sub": f"{type_id('user', user)}|{type_id('session', user)}", "aud": "convex", "iat": now,
            "exp": now + 3600, "jti": str(uuid.uuid4()),
        }
        content = ".".join(self.encode(json.dumps(part).encode()) for part in (self.header, claims))
        return content + "." + self.encode(self.key.sign(content.encode(), padding.PKCS1v15(), hashes.SHA256()))


def account(token, query, arguments, user=None):
    """A line of the load's file of accounts; with `user` one who sends messages."""
    fields = [token, query, json.dumps(arguments, separators=(",", ":"))]
    if user is None:
        return "\t".join(fields + [""] * 4)
    other = user + 1 if user % 2 else user - 1
    conversation = (user + 1) // 2
    fields += [str(seeded_id(conversation)), str(seeded_id(user)), str(seeded_id(other)), type_id("user", other)]
    return "\t".join(fields)


def member(token, user):
    """Watches the conversation, and sends messages to it."""
    arguments = {
        "conversationId": type_id("conversation", (user + 1) // 2), "paginationOpts": {"numItems": PAGE, "cursor": None}}
    return account(token, "messages:list", arguments, user)


def watcher(token, user):
    """Watches a profile."""
    return account(token, "users:getProfile", {"userId": type_id("user", user)})
