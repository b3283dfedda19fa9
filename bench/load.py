"""The load generator: a closed loop over kept-alive HTTP/1.1 connections, in a process of its own.

Each connection has one request under way and sends the next when the answer is whole, so rates and latencies are those
of a given number of patient clients. Every answer is compared with the one that was checked before. A cell ends by time
or by count, and its window leaves the warm-up out; the CPU clocks are read at the window's two edges.
"""

import asyncio
import base64
import faulthandler
import sys
import time
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, cast

import orjson
import uvloop

from bench import clock
from bench.http1 import Answer, Malformed, read

_PATIENCE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Cell:
    """What to do: `request` bytes to `port` of the loopback over so many connections. `expected` is the right body,
    `saw` the right value of the upstream's header. `pids` are the processes whose CPU time counts."""

    port: int
    request: bytes
    expected: bytes
    saw: str
    connections: int
    seconds: float
    warm_seconds: float
    most_requests: int
    pids: clock.Pids


@dataclass(slots=True)
class Result:
    """What came of it. `sent` counts the warm-up too; `latencies_us` are of the window alone, as `cpu_us` (sums by
    part, the client's own under `client`) and `seconds` are. `wrong` says what the first wrong answer was."""

    sent: int = 0
    seconds: float = 0.0
    latencies_us: list[float] = field(default_factory=list)
    cpu_us: dict[str, float] = field(default_factory=dict)
    wrong: str = ""


class _Connection(asyncio.Protocol):
    def __init__(self, load: "_Load") -> None:
        self._load = load
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._sent_ns = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self._next()

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        try:
            answer = read(self._buffer)
        except Malformed as error:
            self._load.fail(str(error))
            return
        if answer is None:
            return
        self._load.took((time.perf_counter_ns() - self._sent_ns) / 1000, answer)
        self._buffer = b""
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.left(f"a connection ended early: {exc or 'closed by Envoy'}")

    def close(self) -> None:
        """Close it, whatever is under way."""
        if self._transport is not None:
            self._transport.abort()

    def _next(self) -> None:
        if self._transport is None:
            return
        if self._load.over:
            self._transport.close()
            return
        self._sent_ns = time.perf_counter_ns()
        self._transport.write(self._load.cell.request)


def _same(connection: _Connection) -> _Connection:
    return connection


class _Load:
    """One cell under way."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.result = Result()
        self.over = False
        self._counting = False
        self._connections = [_Connection(self) for _ in range(cell.connections)]
        self._open = cell.connections
        self._enough = asyncio.Event()
        self._done = asyncio.Event()

    def took(self, micros: float, answer: Answer) -> None:
        """One answer is whole."""
        self.result.sent += 1
        if answer.status != 200 or answer.body != self.cell.expected or answer.saw != self.cell.saw:
            self.fail(f"status {answer.status}, the upstream saw {answer.saw!r}, body {answer.body[:400]!r}")
        if self._counting:
            self.result.latencies_us.append(micros)
        if self.result.sent >= self.cell.most_requests:
            self._enough.set()

    def fail(self, why: str) -> None:
        """Something is wrong: the cell is worth nothing."""
        self.result.wrong = self.result.wrong or why
        self._enough.set()

    def left(self, why: str) -> None:
        """A connection is gone."""
        self._open -= 1
        if not self.over:
            self.fail(why)
        if self._open <= 0:
            self._done.set()

    async def _wait(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._enough.wait(), seconds)
        except TimeoutError:
            return

    async def run(self) -> Result:
        loop = asyncio.get_running_loop()
        cell, result = self.cell, self.result
        async with asyncio.timeout(_PATIENCE_SECONDS):
            for connection in self._connections:
                await loop.create_connection(partial(_same, connection), "127.0.0.1", cell.port)
        await self._wait(cell.warm_seconds)
        before, own, started = clock.read(cell.pids), time.process_time(), time.perf_counter()
        self._counting = True
        await self._wait(cell.seconds)
        self._counting = False
        result.seconds = time.perf_counter() - started
        result.cpu_us = {part: (spent - before[part]) * 1e6 for part, spent in clock.read(cell.pids).items()}
        result.cpu_us["client"] = (time.process_time() - own) * 1e6
        self.over = True
        try:
            await asyncio.wait_for(self._done.wait(), 0.0 if result.wrong else _PATIENCE_SECONDS)
        except TimeoutError:
            result.wrong = result.wrong or f"{self._open} answers did not come within {_PATIENCE_SECONDS:g} s"
            for connection in self._connections:
                connection.close()
            await self._done.wait()
        return result


async def run(cell: Cell) -> Result:
    """Measure one cell. What went wrong is in the result."""
    return await _Load(cell).run()


def pack(cell: Cell) -> bytes:
    """A cell as one line for `python -m bench.load`."""
    document = asdict(cell)
    for name in ("request", "expected"):
        document[name] = base64.b64encode(document[name]).decode()
    return orjson.dumps(document) + b"\n"


def unpack(line: bytes) -> Cell:
    """The other direction."""
    document: dict[str, Any] = orjson.loads(line)
    for name in ("request", "expected"):
        document[name] = base64.b64decode(document[name])
    return Cell(**document)


def main() -> None:
    """Serve cells from standard input, one a line, results as lines on standard output, until the input ends."""
    for line in sys.stdin.buffer:
        cell = unpack(line)
        # Every wait has a bound of its own; should one not hold, the process ends and says where it was.
        faulthandler.dump_traceback_later(cell.warm_seconds + cell.seconds + 3 * _PATIENCE_SECONDS, exit=True)
        result = uvloop.run(run(cell))
        faulthandler.cancel_dump_traceback_later()
        sys.stdout.buffer.write(orjson.dumps(asdict(result)) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
