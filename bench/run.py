"""One run: everything started, checked, measured in interleaved rounds, counted in the journal, and stopped."""

import contextlib
import os
import socket
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from bench import cases, load
from bench.cases import ROWS, Options, Payload, Row, Way
from bench.children import BenchFailed, Child, python
from bench.clock import Pids
from bench.envoys import Bare
from bench.gateway import DOMAIN, Gateway, Identity, configure
from bench.http1 import Answer, read
from bench.stages import Given, Stages

Say = Callable[[str], None]
_CHECK_SECONDS = 10.0
_STAGES_SECONDS = 180.0
# The gauge covers the last whole second, so a shorter cell could be shown the lag of the one before it.
_LAG_CELL_SECONDS = 1.5


@dataclass(frozen=True, slots=True)
class Sample:
    """One cell of one round. `lag_seconds` is None where it was not measured."""

    row: Row
    connections: int
    round: int
    result: load.Result
    lag_seconds: float | None


@dataclass(frozen=True, slots=True)
class Run:
    """All samples, the requests that were checked against the journal, by target, and the worst loop lag:
    before the first request, and in all.

    `taken_for_aborted` counts deliveries whose record says that the client left, though it had the whole answer."""

    samples: tuple[Sample, ...]
    recorded: dict[str, int]
    taken_for_aborted: int
    lag_before_seconds: float
    worst_lag_seconds: float


class Bench:
    """What is measured, started."""

    def __init__(self, folder: Path, options: Options) -> None:
        self._stack = contextlib.ExitStack()
        self.sent: Counter[str] = Counter()
        try:
            self._start(folder, options)
        except BaseException:
            self._stack.close()
            raise

    def _start(self, folder: Path, options: Options) -> None:
        self.upstream = self._keep(python("bench.upstream"))
        self._load = self._keep(python("bench.load", accept_input=True))
        identity = Identity()
        self._token = identity.token()
        settings = configure(folder, identity, int(self.upstream.line()), options.workers)
        self.config = settings.file
        self.gateway = Gateway(settings)
        self._stack.callback(self.gateway.stop)
        self.bare: dict[Way, Bare] = {}
        for way, processors in ((Way.PLAIN, False), (Way.CONTINUE, True)):
            self.bare[way] = Bare(settings, folder / way, processors=processors)
            self._stack.callback(self.bare[way].stop)

    def _keep(self, child: Child) -> Child:
        self._stack.callback(child.stop)
        return child

    def stop(self) -> None:
        """End every process."""
        self._stack.close()

    def _where(self, row: Row) -> Gateway | Bare:
        return self.gateway if row.way is Way.HOLDPOINT else self.bare[row.way]

    def check(self, row: Row) -> Answer:
        """Send one request and look at its answer closely; returns the answer that all others must equal. Raises
        BenchFailed."""
        request = cases.request(row.payload, DOMAIN, self._token)
        with socket.create_connection(("127.0.0.1", self._where(row).port), timeout=_CHECK_SECONDS) as connection:
            connection.sendall(request)
            data = b""
            while (answer := read(data)) is None:
                received = connection.recv(65536)
                if not received:
                    raise BenchFailed(f"{row.label}: the connection ended within the answer")
                data += received
        self._count(row, 1)
        if found := cases.faults(row, answer.status, answer.saw, answer.body):
            raise BenchFailed(f"{row.label}: {'; '.join(found)}")
        return answer

    def measure(self, row: Row, connections: int, options: Options, expected: Answer) -> load.Result:
        """One cell. Raises BenchFailed for any answer that is not the expected one."""
        where = self._where(row)
        pids: Pids = {**where.pids, "upstream": [self.upstream.pid]}
        cell = load.Cell(
            where.port,
            cases.request(row.payload, DOMAIN, self._token),
            expected.body,
            expected.saw,
            connections,
            options.seconds,
            options.warm_seconds,
            options.most_requests,
            pids,
        )
        self._load.tell(load.pack(cell))
        result = load.Result(**orjson.loads(self._load.line()))
        if result.wrong or not result.latencies_us:
            raise BenchFailed(f"{row.label}, {connections} connections: {result.wrong or 'no answer in the window'}")
        self._count(row, result.sent)
        return result

    def _count(self, row: Row, requests: int) -> None:
        if row.way is Way.HOLDPOINT:
            self.sent[row.payload.value] += requests

    def check_journal(self) -> int:
        """Each request has its decision and its delivery in the journal, and each body its masks. Returns how many
        deliveries are taken for aborted. Raises BenchFailed."""
        found = self.gateway.recorded(self.sent.total())
        for target, sent in self.sent.items():
            expected = {"decision": sent, "delivery": sent}
            if target == Payload.BODIES:
                expected |= {"masked-request": sent, "masked-response": sent}
            for kind, count in expected.items():
                if found[kind, target] != count:
                    raise BenchFailed(f"{target}: {sent} requests, and {found[kind, target]} of {kind} in the journal")
        return sum(found["aborted", target] for target in self.sent)


@contextlib.contextmanager
def started(options: Options) -> Iterator[Bench]:
    """Everything started in a folder that goes away afterwards. Raises BenchFailed."""
    # Unix sockets have short paths.
    with tempfile.TemporaryDirectory(prefix="hp-") as folder:
        bench = Bench(Path(folder), options)
        try:
            yield bench
        finally:
            bench.stop()


def rounds(bench: Bench, options: Options, say: Say) -> Run:
    """Measure, row by row in every round, so that noise hits all alike. Raises BenchFailed."""
    lag_before = bench.gateway.loop_lag()[1]
    expected = {row: bench.check(row) for row in ROWS}
    samples = []
    for number in range(options.rounds):
        say(f"round {number + 1} of {options.rounds}")
        for connections in options.connections:
            for row in ROWS:
                result = bench.measure(row, connections, options, expected[row])
                lag = None
                if row.way is Way.HOLDPOINT and options.seconds >= _LAG_CELL_SECONDS:
                    lag = bench.gateway.loop_lag()[0]
                samples.append(Sample(row, connections, number, result, lag))
    worst = bench.gateway.loop_lag()[1]
    aborted = bench.check_journal()
    return Run(tuple(samples), dict(bench.sent), aborted, lag_before, worst)


def stages(bench: Bench) -> Stages:
    """Measure a worker's steps on what Envoy sends to the processor that only continues. Raises BenchFailed."""
    for payload in Payload:
        bench.check(Row(Way.CONTINUE, payload))
    given = Given(str(bench.config), bench.gateway.pids["opa"][0], bench.bare[Way.CONTINUE].exchanges())
    with tempfile.TemporaryDirectory(prefix="hp-") as metrics:
        child = python("bench.stages", accept_input=True, env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": metrics})
        try:
            child.tell(orjson.dumps(asdict(given)) + b"\n")
            return Stages(**orjson.loads(child.line(_STAGES_SECONDS)))
        finally:
            child.stop()
