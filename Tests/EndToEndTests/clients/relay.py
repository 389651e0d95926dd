"""Usage: relay.py PORT OTHER_PORT
Relays connections to PORT of this machine, as a reverse proxy does. SIGUSR1 cuts them, and sends later ones to OTHER_PORT.
Prints JSON lines: {"listening": port} first, and {"target": port} for each connection.
"""
import asyncio
import json
import signal
import sys

targets = [int(port) for port in sys.argv[1:]]
writers = set()


async def copy(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def relay(reader, writer):
    print(json.dumps({"target": targets[0]}), flush=True)
    upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", targets[0])
    pair = {writer, upstream_writer}
    writers.update(pair)
    await asyncio.gather(copy(reader, upstream_writer), copy(upstream_reader, writer))
    writers.difference_update(pair)


def switch():
    targets.reverse()
    for writer in writers:
        writer.transport.abort()


async def main():
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, switch)
    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    print(json.dumps({"listening": server.sockets[0].getsockname()[1]}), flush=True)
    await server.serve_forever()


asyncio.run(main())
