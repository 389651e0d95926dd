"""Usage: send.py URL http|http-repeating|socket TOKEN RECIPIENT PREFIX
Sends messages one after another until it is killed, and prints a JSON line for each attempt: {"acknowledged"} or
{"refused", "error"}, each with the content. Contents are PREFIX and a number. `http-repeating` sends what was refused again,
with the same clientMessageId; the others never do, so that each content is sent once as far as the program knows.
"""
import itertools
import json
import sys
import time

from convex import ConvexClient
from convex.http_client import ConvexHttpClient

url, transport, token, recipient, prefix = sys.argv[1:]
client = ConvexClient(url) if transport == "socket" else ConvexHttpClient(url)
client.set_auth(token)


def is_acknowledged(content):
    arguments = {"content": content, "recipientId": recipient}
    if transport == "http-repeating":
        arguments["clientMessageId"] = content
    try:
        client.mutation("messages:send", arguments)
    except Exception as error:
        print(json.dumps({"refused": content, "error": str(error)}), flush=True)
        time.sleep(0.02)  # As an application would: not as fast as it can.
        return False
    print(json.dumps({"acknowledged": content}), flush=True)
    return True


for number in itertools.count():
    while not is_acknowledged(f"{prefix} {number}") and transport == "http-repeating":
        pass
