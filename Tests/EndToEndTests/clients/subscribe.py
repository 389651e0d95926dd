"""Usage: subscribe.py URL TOKEN PATH ARGUMENTS [PATH ARGUMENTS …]
Subscribes with the stock client and prints a JSON line for each result: {"path", "value"} or {"path", "error", "data"}.
"""
import asyncio
import json
import sys

from convex import ConvexClient

url, token, *queries = sys.argv[1:]


async def follow(client, path, arguments):
    subscription = client.subscribe(path, json.loads(arguments))
    while True:
        try:
            result = {"value": await subscription.__anext__()}
        except Exception as error:
            result = {"error": str(error), "data": getattr(error, "data", None)}
        print(json.dumps({"path": path, **result}), flush=True)


async def main():
    client = ConvexClient(url)
    client.set_auth(token)
    await asyncio.gather(*(follow(client, *query) for query in zip(queries[::2], queries[1::2])))


asyncio.run(main())
