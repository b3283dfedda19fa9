"""The upstream: answers at once, and says in a header whether the request's body had a secret in it."""

import asyncio
import signal
import sys

import uvloop

from bench.cases import SAW, SECRETS, response_body, small_body
from bench.http1 import length


def _answer(saw: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{SAW}: {saw}\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


_SMALL = _answer("clean", small_body())
_LARGE = {found: _answer("secret" if found else "clean", response_body()) for found in (True, False)}
_SECRETS = tuple(secret.encode() for secret in SECRETS)
_LAST_CHUNK = b"0\r\n\r\n"


class Upstream(asyncio.Protocol):
    """One connection of Envoy's, which never pipelines."""

    def __init__(self) -> None:
        self._transport: asyncio.WriteTransport | None = None
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # uvloop's own class

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0 or self._transport is None:
            return
        head, body = self._buffer[: end + 2], self._buffer[end + 4 :]
        if head.startswith(b"GET "):
            self._reply(_SMALL)
            return
        size = length(head)
        if (len(body) >= size) if size is not None else body.endswith(_LAST_CHUNK):
            self._reply(_LARGE[any(secret in body for secret in _SECRETS)])

    def _reply(self, answer: bytes) -> None:
        self._buffer = b""
        if self._transport is not None:
            self._transport.write(answer)


async def _main() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = await loop.create_server(Upstream, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await stop.wait()


def main() -> None:
    """Listen on a free port of the loopback, print it, serve until SIGTERM."""
    uvloop.run(_main())


if __name__ == "__main__":
    main()
