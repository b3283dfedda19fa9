"""What one principal's expensive requests do to another's small ones: `python -m bench.fairness`, or a part of `bench`.

The patient principal sends small requests one after the other, and its latency is measured while nobody else is there
and while an eager one keeps eight connections busy with what costs the engine most, in turn.
"""

import asyncio
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson
import uvloop

from bench import cases
from bench.cases import Payload
from bench.children import BenchFailed, Child, python
from bench.figures import percentile
from bench.gateway import DOMAIN, Gateway, Identity, configure
from bench.http1 import read
from bench.tables import aligned

PARALLEL = 8
HEAD = ("while another sends", "requests", "p50 ms", "p99 ms", "× quiet", "not answered")
_QUIET = "nothing"
_PATIENCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class FairnessLine:
    """The patient principal's requests while the other sends `attack`; `ratio` is that of the p99 to the quiet one.
    `refused` counts those that were not answered by the upstream."""

    attack: str
    requests: int
    p50_ms: float
    p99_ms: float
    ratio: float
    refused: int

    def cells(self) -> tuple[str, ...]:
        """As a row under HEAD."""
        return (
            self.attack, f"{self.requests:,}", f"{self.p50_ms:.2f}", f"{self.p99_ms:.2f}", f"{self.ratio:.1f}",
            str(self.refused),
        )  # fmt: skip


def attacks() -> dict[str, bytes]:
    """What the eager principal sends, without its headers: the request line, an empty line, the body."""
    return {
        "a path of 14,000 segments": b"GET %b" % (b"/a" * 14_000),
        "a path of 256 segments": b"GET %b" % (b"/a" * 256),
        "JSON of 24,000 members": b"POST /x\n" + orjson.dumps({str(i): i for i in range(24_000)}),
        "JSON of 49,000 numbers": b"POST /x\n" + orjson.dumps(list(range(49_000))),
        "text of 500 kB like a form": b"POST /x\n" + b"_method a=;" * 45_000,
    }


def measure(seconds: float, rounds: int, say: Callable[[str], None]) -> list[FairnessLine]:
    """One gateway, all attacks, each of the rounds a quiet time and one of each. Raises BenchFailed."""
    say("fairness: another's requests while one attacks")
    identity = Identity()
    latencies: dict[str, list[float]] = {name: [] for name in (_QUIET, *attacks())}
    refused = dict.fromkeys(latencies, 0)
    with tempfile.TemporaryDirectory(prefix="hp-") as folder:
        upstream = python("bench.upstream")
        try:
            gateway = Gateway(configure(Path(folder), identity, int(upstream.line()), 2))
            try:
                small = cases.request(Payload.HEADS, DOMAIN, identity.token("patient"))
                _ask(gateway.port, small, 0.5)
                for _ in range(rounds):
                    for name in latencies:
                        with _attacked(gateway.port, attacks().get(name), identity.token("eager")):
                            took, failed = _ask(gateway.port, small, seconds)
                        latencies[name] += took
                        refused[name] += failed
            finally:
                gateway.stop()
        finally:
            upstream.stop()
    quiet = percentile(sorted(latencies[_QUIET]), 0.99)
    return [_line(name, took, quiet, refused[name]) for name, took in latencies.items()]


def _line(attack: str, took: list[float], quiet: float, refused: int) -> FairnessLine:
    took = sorted(took)
    p99 = percentile(took, 0.99)
    return FairnessLine(attack, len(took), percentile(took, 0.5), p99, p99 / quiet, refused)


def _ask(port: int, request: bytes, seconds: float) -> tuple[list[float], int]:
    """Milliseconds of each request, sent one after the other for so long, and how many were not answered with 200."""
    took, failed = [], 0
    until = time.perf_counter() + seconds
    with socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE_SECONDS) as connection:
        while (began := time.perf_counter()) < until:
            connection.sendall(request)
            data = b""
            while (answer := read(data)) is None:
                received = connection.recv(65536)
                if not received:
                    raise BenchFailed("fairness: the connection ended within an answer")
                data += received
            took.append((time.perf_counter() - began) * 1000)
            failed += answer.status != 200
    return took, failed


@contextmanager
def _attacked(port: int, attack: bytes | None, token: str) -> Iterator[None]:
    """While it lasts, and once each connection had an answer, the eager principal is at work, in its own process."""
    if attack is None:
        yield
        return
    line, _, body = attack.partition(b"\n")
    kind = b"text/plain" if body.startswith(b"_") else b"application/json"
    head = f"host: {Payload.BODIES}.{DOMAIN}\r\nauthorization: Bearer {token}\r\n".encode()
    if body:
        head += b"content-type: %b\r\ncontent-length: %d\r\n" % (kind, len(body))
    with tempfile.NamedTemporaryFile() as request:
        request.write(b"%b HTTP/1.1\r\n%b\r\n%b" % (line, head, body))
        request.flush()
        eager = Child([sys.executable, "-m", "bench.fairness", str(port), request.name])
        try:
            eager.line()
            yield
        finally:
            eager.stop()


async def _attack(port: int, request: bytes) -> None:
    begun = asyncio.Semaphore(0)

    async def one() -> None:
        while True:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                while True:
                    writer.write(request)
                    data = b""
                    while read(data) is None:
                        data += (received := await reader.read(65536))
                        if not received:
                            raise ConnectionError
                    begun.release()
            except ConnectionError:
                continue
            finally:
                writer.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(PARALLEL):
            group.create_task(one())
        for _ in range(PARALLEL):
            await begun.acquire()
        print("begun", flush=True)


def main() -> None:
    """Measure and print; with a port and a file, be the eager principal until stopped."""
    if len(sys.argv) == 3:
        uvloop.run(_attack(int(sys.argv[1]), Path(sys.argv[2]).read_bytes()))
        return
    found = measure(3.0, 3, lambda text: print(text, file=sys.stderr, flush=True))
    print(aligned(HEAD, [line.cells() for line in found]))


if __name__ == "__main__":
    main()
