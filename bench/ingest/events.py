"""Realistic security events, the same for the same seed: as NDJSON, as rows for COPY, and as syslog lines."""

import datetime
import json
import random
import uuid

# Types with severity, how often, and what is said.
KINDS = [
    ("authn_login_success", "low", 40, "Signed in with a password"),
    ("authn_login_fail", "medium", 25, "Wrong password"),
    ("authz_fail", "medium", 8, "Only administrators may do this"),
    ("excess_rate_limit_exceeded", "high", 5, "Too many failed sign-ins from this network"),
    ("session_expired", "low", 12, "Signed out"),
    ("sensitive_read", "medium", 6, "Read 1,000 messages within five minutes"),
    ("authz_admin", "low", 3, "Called security:getSecurityEvents"),
    ("authn_token_reuse", "critical", 1, "A refresh token was used a second time"),
]
SOURCES = ["urn:attune:api:3210", "urn:attune:api:3211", "https://proxy.clinic.example/nginx", "urn:clinic:vpn"]
FUNCTIONS = ["auth:signIn", "messages:list", "messages:send", "security:getSecurityEvents", "users:search"]


def uuid7(milliseconds, randomness):
    bits = randomness.getrandbits(74)
    return uuid.UUID(int=milliseconds << 80 | 7 << 76 | (bits >> 62) << 64 | 2 << 62 | bits & (1 << 62) - 1)


def events(count, seed, now):
    """Yields `count` events of the hour before `now` (seconds since 1970), a little out of order, as dictionaries."""
    randomness = random.Random(seed)
    users = [uuid7(1_700_000_000_000 + index, randomness) for index in range(5000)]
    weights = [kind[2] for kind in KINDS]
    for index in range(count):
        kind = randomness.choices(KINDS, weights)[0]
        milliseconds = int((now - 3600 + 3600 * index / count) * 1000) + randomness.randrange(-500, 500)
        event = {
            "id": str(uuid7(milliseconds, randomness)),
            "source": randomness.choice(SOURCES),
            "timestamp": milliseconds,
            "type": kind[0],
            "severity": kind[1],
            "ip": f"198.51.{randomness.randrange(100)}.{randomness.randrange(1, 255)}",
            "details": kind[3],
            "function": randomness.choice(FUNCTIONS),
            "requestId": f"{randomness.getrandbits(64):016x}",
        }
        if randomness.random() < 0.7:
            event["userId"] = str(randomness.choice(users))
        yield event


def ndjson(event):
    return json.dumps(event, separators=(",", ":")) + "\n"


def row(event, randomness):
    """A line for COPY in text format: what the daemon makes of the event, without the key."""
    context = json.dumps({"function": event["function"], "requestId": event["requestId"]}, separators=(",", ":"))
    metadata = json.dumps({"details": event["details"], "source": event["source"], "context": context}, separators=(",", ":"))
    moment = datetime.datetime.fromtimestamp(event["timestamp"] / 1000, datetime.timezone.utc).isoformat()
    fields = [
        str(uuid7(event["timestamp"], randomness)), moment, event["type"], event["severity"], event.get("userId", "\\N"),
        event["ip"], metadata.replace("\\", "\\\\")]
    return "\t".join(fields) + "\n"


def syslog(event):
    """RFC 5424, with a newline at its end."""
    moment = datetime.datetime.fromtimestamp(event["timestamp"] / 1000, datetime.timezone.utc).isoformat(timespec="milliseconds")
    port = 1024 + int(event["requestId"][:4], 16) % 60000
    return (
        f"<38>1 {moment} gate.clinic.example sshd 4711 - - "
        f"Failed password for invalid user u{event['requestId'][:5]} from {event['ip']} port {port} ssh2\n")
