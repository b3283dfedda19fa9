"""The upstream: writes down each request before it answers, in a file of its own that no fault touches.

A line of the file is `<number> <method> <nanoseconds since the epoch>`, written when a request's head arrives, or
`<number> leak 0` when the secret came with it.
"""

import asyncio
import os
import re
import signal
import sys
import time
from pathlib import Path

import uvloop

from bench.http1 import length
from tests.soak.plan import CARD, LARGE, SECRET

_REQUEST = re.compile(rb"([A-Z]+) /(items|reports|slow)/(\d+)[^ ]* HTTP/1\.1\r\n")
_SLOW_SECONDS = 0.3
_LAST_CHUNK = b"0\r\n\r\n"


class Upstream(asyncio.Protocol):
    """One connection of Envoy's, which never pipelines."""

    def __init__(self, log: int) -> None:
        self._log = log
        self._transport: asyncio.WriteTransport | None = None
        self._buffer = b""
        self._begun: tuple[bytes, bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # uvloop's own class

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0 or self._transport is None:
            return
        if self._begun is None:
            found = _REQUEST.match(self._buffer)
            if found is None:
                self._transport.abort()
                return
            method, what, number = found.groups()
            self._begun = what, number
            self._note(b"%s %s %d\n" % (number, method, time.time_ns()))
        head, body = self._buffer[: end + 2], self._buffer[end + 4 :]
        size = length(head)
        chunked = b"\r\ntransfer-encoding: chunked\r\n" in head.lower()
        if (body.endswith(_LAST_CHUNK)) if chunked else len(body) >= (size or 0):
            what, number = self._begun
            if SECRET.encode() in self._buffer:
                self._note(b"%s leak 0\n" % number)
            self._buffer, self._begun = b"", None
            if what == b"slow":
                asyncio.get_running_loop().call_later(_SLOW_SECONDS, self._reply, what, number)
            else:
                self._reply(what, number)

    def _note(self, line: bytes) -> None:
        os.write(self._log, line)

    def _reply(self, what: bytes, number: bytes) -> None:
        note = b"y" * LARGE if what == b"reports" else b"a note"
        body = b'{"item": %s, "card": "%s", "note": "%s"}' % (number, CARD.encode(), note)
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(head + body)


async def _main(log: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    # It ends with whoever started it, however that ended.
    loop.add_reader(sys.stdin.fileno(), stop.set)
    server = await loop.create_server(lambda: Upstream(log), "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await stop.wait()


def main() -> None:
    """Listen on a free port of the loopback, print it, serve until SIGTERM or the end of the input."""
    log = os.open(Path(sys.argv[1]), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    uvloop.run(_main(log))


if __name__ == "__main__":
    main()
