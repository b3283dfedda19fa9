"""The clients, in a process of their own: some connections, each asking again and again until told to stop.

Standard input has one line of JSON (`Given`), and its end is the order to stop. Progress goes out as lines of JSON;
what became of each request into a file: `<number> <kind> <status>`, the status 0 where the connection broke, and
`left`, `hung` or `wrong` where the client left on purpose, had no answer in time, or had one that is not its own.
"""

import asyncio
import os
import sys
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson
import uvloop

from bench.http1 import Answer, Malformed, read
from tests.soak.plan import CARD, Ask, Kind, ask

PATIENCE_SECONDS = 60.0
_LEAVES_SECONDS = 0.004
_FIRST_REST_SECONDS, _LONGEST_REST_SECONDS = 0.05, 1.0
_NEWS_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Given:
    """What to do. `tokens` are those of the principals; `rate` is requests a second of all connections together, 0 for
    as many as there can be."""

    port: int
    seed: int
    connections: int
    rate: float
    tokens: list[str]
    results: str


@dataclass(slots=True)
class News:
    """How far it is: requests by what became of them, and whether that was all."""

    answers: dict[str, int]
    done: bool = False


class Clients:
    """All connections."""

    def __init__(self, given: Given) -> None:
        self._given = given
        self._answers: Counter[str] = Counter()
        self._next = 1
        self._stop = asyncio.Event()
        self._results = os.open(Path(given.results), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    async def run(self) -> None:
        """Until the input ends, and every request under way has."""
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), self._stop.set)
        news = asyncio.create_task(self._tell())
        async with asyncio.TaskGroup() as group:
            for _ in range(self._given.connections):
                group.create_task(self._client())
        news.cancel()
        self._say(done=True)

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(_NEWS_SECONDS)
            self._say()

    def _say(self, done: bool = False) -> None:
        sys.stdout.buffer.write(orjson.dumps(News(dict(self._answers), done)) + b"\n")
        sys.stdout.buffer.flush()

    async def _client(self) -> None:
        pause = self._given.connections / self._given.rate if self._given.rate else 0.0
        rest = _FIRST_REST_SECONDS
        connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        while not self._stop.is_set():
            wanted = ask(self._given.seed, self._next)
            self._next += 1
            if connection is None:
                connection = await self._connect()
            outcome = "0" if connection is None else await self._ask(wanted, *connection)
            os.write(self._results, f"{wanted.number} {wanted.kind} {outcome}\n".encode())
            self._answers[outcome] += 1
            if connection is not None and (outcome == "0" or not outcome.isdigit()):
                connection[1].transport.abort()
                connection = None
            # What is refused for a fault is asked again soon, but not as fast as it is refused.
            failed = outcome == "0" or outcome.startswith("5")
            await self._rest(rest if failed else pause)
            rest = min(rest * 2, _LONGEST_REST_SECONDS) if failed else _FIRST_REST_SECONDS
        if connection is not None:
            connection[1].close()

    async def _rest(self, seconds: float) -> None:
        if seconds:
            try:
                await asyncio.wait_for(self._stop.wait(), seconds)
            except TimeoutError:
                return

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        try:
            return await asyncio.open_connection("127.0.0.1", self._given.port)
        except OSError:
            return None

    async def _ask(self, wanted: Ask, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                writer.write(wanted.wire(self._given.tokens[wanted.principal]))
                if wanted.kind is Kind.LEAVES:
                    await asyncio.sleep(_LEAVES_SECONDS)
                    return "left"
                return _judged(wanted, await _answer(reader))
        except TimeoutError:
            return "hung"
        except Malformed:
            return "wrong"
        except OSError:
            return "0"


async def _answer(reader: asyncio.StreamReader) -> Answer | None:
    """The answer, or None where the connection ended before it was whole. Raises OSError."""
    data = b""
    while (answer := read(data)) is None:
        received = await reader.read(1 << 18)
        if not received:
            return None
        data += received
    return answer


def _judged(wanted: Ask, answer: Answer | None) -> str:
    if answer is None:
        return "0"
    if CARD.encode() in answer.body:
        return "wrong"
    mine = b'"item": %d,' % wanted.number in answer.body or b'"item":%d,' % wanted.number in answer.body
    return "wrong" if answer.status == 200 and not mine else str(answer.status)


def pack(given: Given) -> bytes:
    """The line for `python -m tests.soak.load`."""
    return orjson.dumps(asdict(given)) + b"\n"


def main() -> None:
    """Do what the first line says until the input ends."""
    given = Given(**orjson.loads(sys.stdin.buffer.readline()))
    uvloop.run(Clients(given).run())


if __name__ == "__main__":
    main()
