"""`python -m bench.postgres.relay PORT`: what it costs to carry bytes between a proxy and the server in Python, on the
loop that workers use, and to look at none of them. Says which port it listens on."""

import asyncio
import sys
from functools import partial
from typing import cast

import uvloop


class _Side(asyncio.Protocol):
    """One side of a connection: what comes goes to the other side, as it comes."""

    def __init__(self, port: int | None = None, other: asyncio.Transport | None = None) -> None:
        """`port` of the server for a client's side; the server's has the client's as `other`."""
        self._port = port
        self._other = other
        self._early: list[bytes] = []
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        if self._port is not None:
            # Always a stream transport here; uvloop's own is no subclass of asyncio.Transport.
            self._task = asyncio.ensure_future(self._connect(self._port, cast(asyncio.Transport, transport)))

    async def _connect(self, port: int, client: asyncio.Transport) -> None:
        loop = asyncio.get_running_loop()
        self._other, _ = await loop.create_connection(lambda: _Side(other=client), "127.0.0.1", port)
        self._other.writelines(self._early)

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        if self._other is None:
            self._early.append(data)
        else:
            self._other.write(data)

    def connection_lost(self, error: Exception | None) -> None:
        """See asyncio."""
        if self._other is not None:
            self._other.close()


async def serve(port: int) -> None:
    """Until it is killed."""
    server = await asyncio.get_running_loop().create_server(partial(_Side, port), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
