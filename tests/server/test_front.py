"""How a connection that Envoy hands over comes in: its head first, and nobody without one."""

import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest
import uvloop

from extproc.protocols.handover import ALIVE, UNIQUE_ID
from extproc.server.terminator import front
from extproc.server.terminator.front import Front
from extproc.server.terminator.proxy_v2 import SIGNATURE, Announced, Endpoint

ENDS = bytes([192, 0, 2, 7, 198, 51, 100, 1]) + struct.pack("!HH", 50_000, 5432)
BODY = ENDS + struct.pack("!BH", UNIQUE_ID, 1) + b"n"
HEAD = SIGNATURE + b"\x21\x11" + struct.pack("!H", len(BODY)) + BODY
LOCAL = SIGNATURE + b"\x20\x00\x00\x00"
SAID = Announced(Endpoint("192.0.2.7", 50_000), Endpoint("198.51.100.1", 5432), ((UNIQUE_ID, b"n"),))


class Echo(asyncio.Protocol):
    """Gives back what came, in capitals, and keeps it."""

    def __init__(self) -> None:
        self.received = b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is here."""
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        assert self.transport is not None
        self.received += data
        self.transport.write(data.upper())


class Wire(asyncio.Transport):
    """A transport that keeps what is done to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.protocol: asyncio.BaseProtocol | None = None
        self.done: list[str] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep it."""
        self.written += bytes(data)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Keep it."""
        self.protocol = protocol

    def is_closing(self) -> bool:
        """Whether it was ended."""
        return bool(self.done)

    def close(self) -> None:
        """Keep that it was."""
        self.done.append("close")

    def abort(self) -> None:
        """Keep that it was."""
        self.done.append("abort")


Outcome = tuple[list[Announced], bytes, bytes, list[str]]


async def came(pieces: list[bytes]) -> Outcome:
    """What comes of these bytes: what was announced, what was served, what was answered, how it ended."""
    said: list[Announced] = []
    served = Echo()

    def accept(announced: Announced) -> asyncio.Protocol:
        said.append(announced)
        return served

    wire = Wire()
    beginning = Front(accept)
    beginning.connection_made(wire)
    for piece in pieces:
        current = wire.protocol or beginning
        assert isinstance(current, asyncio.Protocol)
        current.data_received(piece)
    beginning.connection_lost(None)
    return said, served.received, wire.written, wire.done


CASES = [
    (HEAD + b"hello", ([SAID], b"hello", b"HELLO", [])),
    (HEAD, ([SAID], b"", b"", [])),
    (HEAD + HEAD, ([SAID], HEAD, HEAD.upper(), [])),
    (LOCAL, ([], b"", ALIVE, ["close"])),
    (LOCAL + b"more", ([], b"", ALIVE, ["close"])),
    (b"\x00\x00\x00\x08\x04\xd2\x16/", ([], b"", b"", ["abort"])),
    (HEAD[:16] + b"\0", ([], b"", b"", [])),
    (SIGNATURE + b"\x21\x00\x00\x00" + b"hello", ([], b"", b"", ["abort"])),
]


@pytest.mark.parametrize(("data", "expected"), CASES, ids=range(len(CASES)))
def test_however_it_is_cut(data: bytes, expected: Outcome) -> None:
    """Health is answered, a head is handed on with what follows, and anything else is cut off, wherever it is cut."""

    async def cut_everywhere() -> None:
        assert await came([data]) == expected
        assert await came([data[i : i + 1] for i in range(len(data))]) == expected
        for cut in range(len(data)):
            assert await came([data[:cut], data[cut:]]) == expected

    asyncio.run(cut_everywhere())


def test_nobody_is_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that never says whose it is ends by itself, and one that did does not."""
    monkeypatch.setattr(front, "_HEAD_SECONDS", 0.0)

    class Ending(Wire):
        """Tells when it is cut off."""

        def __init__(self) -> None:
            super().__init__()
            self.ended = asyncio.Event()

        def abort(self) -> None:
            """Keep that it was."""
            super().abort()
            self.ended.set()

    async def wait() -> None:
        silent, said = Ending(), Wire()
        Front(lambda announced: Echo()).connection_made(silent)
        served = Front(lambda announced: Echo())
        served.connection_made(said)
        served.data_received(HEAD)
        await asyncio.wait_for(silent.ended.wait(), 20)
        assert (silent.done, said.done) == (["abort"], [])

    asyncio.run(wait())


Stop = Callable[[], Awaitable[None]]


class Recording:
    """A terminator that keeps what it is asked to do."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.served: list[Echo] = []

    def accept(self, announced: Announced) -> asyncio.Protocol:
        """Serve one."""
        self.done.append(announced.unique_id)
        self.served.append(Echo())
        return self.served[-1]

    async def drain(self, seconds: float) -> None:
        """End all."""
        self.done.append(f"drain {seconds}")
        for echo in self.served:
            if echo.transport is not None:
                echo.transport.close()


@asynccontextmanager
async def serving(path: Path, terminator: Recording, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stop]:
    """`serve` on this socket, without what needs a gateway; gives what stops it and waits until it has."""

    class Records:
        def close(self) -> None:
            terminator.done.append("records closed")

    class Gate:
        records = Records()

    stop, ready = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def nothing(*_: object) -> AsyncIterator[None]:
        ready.set()
        yield

    monkeypatch.setattr(front, "kept_up", nothing)
    task = asyncio.create_task(front.serve(terminator, Gate(), None, path, stop))  # type: ignore[arg-type]

    async def end() -> None:
        stop.set()
        await task

    await ready.wait()
    yield end
    await end()


@pytest.mark.parametrize("runner", [asyncio.run, uvloop.run])
def test_a_real_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runner: Callable[..., None]) -> None:
    """Connections come in on a socket that is the gateway's user's alone; when told to stop it takes no more, lets the
    terminator end what is open, and only then closes the records."""
    path, terminator = tmp_path / "p.sock", Recording()

    async def use() -> None:
        async with serving(path, terminator, monkeypatch) as end:
            reader, writer = await asyncio.open_unix_connection(str(path))
            writer.write(HEAD + b"hello")
            assert await reader.readexactly(5) == b"HELLO"
            asking, asks = await asyncio.open_unix_connection(str(path))
            asks.write(LOCAL)
            assert await asking.read() == ALIVE
            asks.close()
            assert os.stat(path).st_mode & 0o777 == 0o600
            await end()
            assert await reader.read() == b""
            writer.close()
            with pytest.raises(OSError), socket.socket(socket.AF_UNIX) as late:
                late.connect(str(path))

    runner(use())
    assert terminator.done == ["n", "drain 5.0", "records closed"]
