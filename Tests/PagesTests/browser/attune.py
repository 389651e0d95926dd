"""What scenarios do beside the pages: other people's calls over HTTP, reported events, a worker of their own."""
import json
import os
import random
import secrets
import signal
import socket
import subprocess
import time
import urllib.request
from dataclasses import dataclass

URL = os.environ["PAGES_URL"]
PASSWORD = "correct horse battery"


@dataclass
class Person:
    name: str
    email: str
    token: str
    id: str
    password: str = PASSWORD

    def call(self, kind, path, **arguments):
        return call(kind, path, arguments, self.token)

    def send(self, content, recipient):
        return self.call("mutation", "messages:send", content=content, recipientId=recipient.id)


def post(url, body, token=None):
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=30) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def call(kind, path, arguments, token=None):
    """Calls a function, and gives its value."""
    answer = post(f"{URL}/api/{kind}", {"path": path, "args": [arguments], "format": "convex_encoded_json"}, token)
    assert answer["status"] == "success", answer
    return answer["value"]


def enter(email, password, **params):
    params = {"email": email, "password": password, **params}
    return call("action", "auth:signIn", {"provider": "password", "params": params})["tokens"]["token"]


def sign_up(name, account_type=None) -> Person:
    """Makes an account; its address is new each time."""
    email = f"{secrets.token_hex(6)}@example.org"
    more = {"accountType": account_type} if account_type else {}
    token = enter(email, PASSWORD, flow="signUp", name=name, **more)
    return Person(name, email, token, call("query", "auth:getCurrentUser", {}, token)["_id"])


def administrator() -> Person:
    email, password = os.environ["PAGES_ADMIN_EMAIL"], os.environ["PAGES_ADMIN_PASSWORD"]
    token = enter(email, password, flow="signIn")
    user = call("query", "auth:getCurrentUser", {}, token)
    return Person(user["name"], email, token, user["_id"], password)


def report(**event):
    """Reports a security event to the ingestor."""
    with open(os.environ["ATTUNE_DATA_DIR"] + "/ingest-token") as file:
        token = file.read().strip()
    post(os.environ["PAGES_INGEST_URL"] + "/v1/events", event, token)


def free_port():
    """Below the ports that the system gives to connections: one of them might take it before the worker does."""
    while True:
        port = random.randrange(10_000, 32_000)
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


class Worker:
    """One more worker of the installation, on a port of its own, which can be stopped and started."""

    def __init__(self):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = None

    def start(self):
        # Tokens are good on all workers that have the same site URL.
        environment = os.environ | {"ATTUNE_PORT": str(self.port), "ATTUNE_SITE_URL": URL}
        self.process = subprocess.Popen([os.environ["PAGES_WORKER"]], env=environment, stdout=subprocess.DEVNULL)

    def wait(self):
        """Waits until it answers."""
        while True:
            assert self.process.poll() is None, "the worker has ended"
            try:
                with urllib.request.urlopen(self.url + "/health/ready", timeout=30):
                    return
            except OSError:
                # Nobody listens yet, or it says that it is not ready.
                time.sleep(0.05)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()
