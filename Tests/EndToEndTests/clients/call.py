"""Usage: call.py URL http|socket TOKEN query|mutation|action PATH ARGUMENTS
Calls one function with the stock client and prints one JSON line: {"value"} or {"error", "data"}. TOKEN may be empty.
"""
import json
import sys

from convex import ConvexClient
from convex.http_client import ConvexHttpClient

url, transport, token, kind, path, arguments = sys.argv[1:]
client = ConvexHttpClient(url) if transport == "http" else ConvexClient(url)
if token:
    client.set_auth(token)
try:
    answer = {"value": getattr(client, kind)(path, json.loads(arguments))}
except Exception as error:
    answer = {"error": str(error), "data": getattr(error, "data", None)}
print(json.dumps(answer), flush=True)
