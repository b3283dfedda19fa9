"""What keeping costs a request: by how soon records are forced to the disk, and by how much is kept of bodies."""

import contextlib
import socket
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import orjson

from bench import cases, load
from bench.cases import Options, Payload, Row, Way
from bench.children import BenchFailed, Child, python
from bench.figures import percentile
from bench.gateway import DOMAIN, Gateway, Identity, configure
from bench.http1 import Answer, read
from extproc.domain.decision import Recording

_ROW = Row(Way.HOLDPOINT, Payload.BODIES)
_CONNECTIONS = (1, 8)
_CHECK_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Keeping:
    """One way of keeping: `audit.sync`, and `record.bodies` of the target that is asked."""

    sync: str
    bodies: Recording


CELLS = (
    Keeping("20ms", Recording.METADATA),
    Keeping("1ms", Recording.METADATA),
    Keeping("0s", Recording.METADATA),
    Keeping("20ms", Recording.HEAD),
    Keeping("20ms", Recording.FULL),
)
"""The first is what the others are compared with."""


@dataclass(frozen=True, slots=True)
class KeepingLine:
    """Medians over the rounds; `ratio`, `added_*` and `cpu_ratio` compare with the first of CELLS in the same round.
    `cpu_us` is that of the workers for one request, `beside_us` that of the processes no request waits for."""

    keeping: Keeping
    connections: int
    requests: int
    rate: float
    ratio: float
    p50_ms: float
    added_p50_ms: float
    p99_ms: float
    added_p99_ms: float
    cpu_us: float
    cpu_ratio: float
    beside_us: float


@dataclass(frozen=True, slots=True)
class KeepingSample:
    """One cell of one round."""

    keeping: Keeping
    connections: int
    result: load.Result

    @property
    def rate(self) -> float:
        """Requests a second."""
        return len(self.result.latencies_us) / self.result.seconds

    def at(self, share: float) -> float:
        """The latency below which that share lies, in milliseconds."""
        return percentile(sorted(self.result.latencies_us), share) / 1000

    def cpu_us(self, part: str) -> float:
        """µs of a part's CPU for one request."""
        return self.result.cpu_us.get(part, 0.0) / len(self.result.latencies_us)


class Keepers:
    """A gateway for each sync, with a target for each way of recording; one upstream and one client for all."""

    def __init__(self, stack: contextlib.ExitStack, folder: Path, options: Options) -> None:
        self._load = _kept(stack, python("bench.load", accept_input=True))
        self._upstream = _kept(stack, python("bench.upstream"))
        identity, port = Identity(), int(self._upstream.line())
        self._token = identity.token()
        self._gateways: dict[str, Gateway] = {}
        self._sent: Counter[Keeping] = Counter()
        for sync in dict.fromkeys(cell.sync for cell in CELLS):
            inner = folder / sync
            inner.mkdir()
            audit = f"otlp: null, sync: {sync}"
            self._gateways[sync] = Gateway(configure(inner, identity, port, options.workers, audit, tuple(Recording)))
            stack.callback(self._gateways[sync].stop)

    def _request(self, keeping: Keeping) -> bytes:
        usual = cases.request(Payload.BODIES, DOMAIN, self._token)
        return usual.replace(f"host: {Payload.BODIES}.".encode(), f"host: {keeping.bodies}.".encode(), 1)

    def check(self, keeping: Keeping) -> Answer:
        """One request, looked at closely; its answer is what all others must equal. Raises BenchFailed."""
        where = ("127.0.0.1", self._gateways[keeping.sync].port)
        with socket.create_connection(where, timeout=_CHECK_SECONDS) as connection:
            connection.sendall(self._request(keeping))
            data = b""
            while (answer := read(data)) is None:
                received = connection.recv(65536)
                if not received:
                    raise BenchFailed(f"{keeping}: the connection ended within the answer")
                data += received
        self._sent[keeping] += 1
        if found := cases.faults(_ROW, answer.status, answer.saw, answer.body):
            raise BenchFailed(f"{keeping}: {'; '.join(found)}")
        return answer

    def measure(self, keeping: Keeping, connections: int, options: Options, expected: Answer) -> KeepingSample:
        """One cell. Raises BenchFailed for any answer that is not the expected one."""
        gateway = self._gateways[keeping.sync]
        cell = load.Cell(
            gateway.port,
            self._request(keeping),
            expected.body,
            expected.saw,
            connections,
            options.seconds,
            options.warm_seconds,
            options.most_requests,
            gateway.pids,
        )
        self._load.tell(load.pack(cell))
        result = load.Result(**orjson.loads(self._load.line()))
        if result.wrong or not result.latencies_us:
            raise BenchFailed(f"{keeping}, {connections} connections: {result.wrong or 'no answer in the window'}")
        self._sent[keeping] += result.sent
        return KeepingSample(keeping, connections, result)

    def check_journal(self) -> None:
        """Each request has its decision and its delivery. Raises BenchFailed."""
        recorded = {
            sync: gateway.recorded(sum(sent for keeping, sent in self._sent.items() if keeping.sync == sync))
            for sync, gateway in self._gateways.items()
        }
        for keeping, sent in self._sent.items():
            for kind in ("decision", "delivery"):
                found = recorded[keeping.sync][kind, keeping.bodies.value]
                if found != sent:
                    raise BenchFailed(f"{keeping}: {sent} requests, and {found} of {kind} in the journal")


@contextlib.contextmanager
def keepers(options: Options) -> Iterator[Keepers]:
    """All of it started, in a folder that goes away afterwards. Raises BenchFailed."""
    with tempfile.TemporaryDirectory(prefix="hp-") as folder, contextlib.ExitStack() as stack:
        yield Keepers(stack, Path(folder), options)


def measure(options: Options, say: Callable[[str], None]) -> list[KeepingLine]:
    """All cells in every round, so that noise hits all alike. Raises BenchFailed."""
    samples = []
    with keepers(options) as running:
        expected = {keeping: running.check(keeping) for keeping in CELLS}
        for number in range(options.rounds):
            say(f"ways of keeping: round {number + 1} of {options.rounds}")
            for connections in _CONNECTIONS:
                samples += [running.measure(k, connections, options, expected[k]) for k in CELLS]
        running.check_journal()
    return lines(samples)


def lines(samples: Sequence[KeepingSample]) -> list[KeepingLine]:
    """The lines, in the order of CELLS. Pure."""
    found = []
    for keeping in CELLS:
        for connections in _CONNECTIONS:
            mine = [s for s in samples if (s.keeping, s.connections) == (keeping, connections)]
            usual = [s for s in samples if (s.keeping, s.connections) == (CELLS[0], connections)]
            if mine:
                found.append(_line(keeping, connections, mine, usual))
    return found


def _line(
    keeping: Keeping, connections: int, mine: Sequence[KeepingSample], usual: Sequence[KeepingSample]
) -> KeepingLine:
    pairs = list(zip(mine, usual, strict=True))
    return KeepingLine(
        keeping,
        connections,
        sum(len(s.result.latencies_us) for s in mine),
        median(s.rate for s in mine),
        median(s.rate / u.rate for s, u in pairs),
        median(s.at(0.50) for s in mine),
        median(s.at(0.50) - u.at(0.50) for s, u in pairs),
        median(s.at(0.99) for s in mine),
        median(s.at(0.99) - u.at(0.99) for s, u in pairs),
        median(s.cpu_us("python") for s in mine),
        median(s.cpu_us("python") / u.cpu_us("python") for s, u in pairs),
        median(s.cpu_us("beside") for s in mine),
    )


def _kept(stack: contextlib.ExitStack, child: Child) -> Child:
    stack.callback(child.stop)
    return child
