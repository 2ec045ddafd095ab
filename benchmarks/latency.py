"""A proxy on loopback that delays every request: ``python -m benchmarks.latency PORT MILLISECONDS``.

It works on connections and does not parse HTTP: data from clients arrives later, data from the server passes at once.
Prints its own port and serves until it is killed.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

_PIECE = 1 << 18


async def _late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    last = loop.time()
    while data := await reader.read(_PIECE):
        last = max(last, loop.time() + seconds)  # in order, though timers need not be
        loop.call_at(last, writer.write, data)
    loop.call_at(loop.time() + seconds, writer.close)


async def _at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_PIECE):
        writer.write(data)
        await writer.drain()
    writer.close()


async def _serve(port: int, seconds: float) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port, limit=_PIECE)
        passing: list[Any] = [_late(reader, back, seconds), _at_once(there, writer)]
        await asyncio.gather(*passing, return_exceptions=True)

    server = await asyncio.start_server(connected, "127.0.0.1", 0, limit=_PIECE)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2]) / 1000))
