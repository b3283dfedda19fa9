"""Cells: pgbench and COPY over each way, in turn in every round, so that noise hits all alike."""

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import clock
from bench.children import BenchFailed
from bench.clock import Pids
from bench.postgres.cases import COPY, READ, Mode, Options, Way
from bench.postgres.gateways import Held
from bench.postgres.servers import Envoy, PgBouncer, Relay, Server, binary, run

Say = Callable[[str], None]
_TPS = re.compile(r"tps = ([\d.]+) \(without initial")
_DONE = re.compile(r"transactions actually processed: (\d+)")
_FAILED = re.compile(r"failed transactions: (\d+)")
_TIME = re.compile(r"Time: ([\d.]+) ms")
_WARM_TRANSACTIONS = 50


@dataclass(frozen=True, slots=True)
class Sample:
    """One cell of one round: transactions a second, and CPU µs of each by part."""

    way: Way
    mode: Mode
    clients: int
    round: int
    rate: float
    cpu_us: dict[str, float]


@dataclass(frozen=True, slots=True)
class CopySample:
    """One COPY out of one round: the table's bytes a second, in MB, and CPU seconds by part."""

    way: Way
    round: int
    rate: float
    cpu_seconds: dict[str, float]


@dataclass(frozen=True, slots=True)
class Ways:
    """Everything started: by way, where it is and the processes that stand in it."""

    dsn: dict[Way, str]
    pids: dict[Way, Pids]
    table_bytes: int


@contextmanager
def started() -> Iterator[Ways]:
    """All ways, in folders that go away afterwards. Raises BenchFailed."""
    with ExitStack() as end:
        folder = Path(end.enter_context(tempfile.TemporaryDirectory(prefix="hp-")))
        server = Server()
        end.callback(server.stop)
        bouncer = PgBouncer(server)
        end.callback(bouncer.stop)
        envoy = Envoy(server, folder / "envoy")
        end.callback(envoy.stop)
        relay = Relay(server)
        end.callback(relay.stop)
        relaying = Envoy(server, folder / "relaying", relay)
        end.callback(relaying.stop)
        asked = Held(server, folder / "asked", Way.ASKED)
        end.callback(asked.stop)
        remembering = Held(server, folder / "remembering", Way.REMEMBERED, Way.LEAN)
        end.callback(remembering.stop)
        held = {Way.ASKED: asked, Way.REMEMBERED: remembering, Way.LEAN: remembering}
        dsn = {Way.DIRECT: server.dsn, Way.ENVOY: envoy.dsn, Way.RELAY: relaying.dsn, Way.PGBOUNCER: bouncer.dsn}
        pids: dict[Way, Pids] = {Way.DIRECT: {}, Way.ENVOY: envoy.pids, Way.PGBOUNCER: bouncer.pids}
        pids[Way.RELAY] = {**relaying.pids, **relay.pids}
        dsn |= {way: gateway.dsn(way) for way, gateway in held.items()}
        pids |= {way: gateway.pids for way, gateway in held.items()}
        copied = run([binary("psql"), "-X", "-q", "-d", server.dsn, "-c", COPY])
        yield Ways(dsn, pids, len(copied))


def rounds(ways: Ways, options: Options, say: Say) -> tuple[list[Sample], list[CopySample]]:
    """Measure. Raises BenchFailed for any transaction that fails."""
    samples, copies = [], []
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(READ)
        script.flush()
        for way in Way:
            for mode in options.modes:
                _pgbench(ways, way, mode, 1, ["-t", str(_WARM_TRANSACTIONS)], script.name)
        for number in range(options.rounds):
            say(f"round {number + 1} of {options.rounds}")
            for mode in options.modes:
                for clients in options.clients:
                    for way in Way:
                        found = _pgbench(ways, way, mode, clients, ["-T", str(options.seconds)], script.name)
                        samples.append(Sample(way, mode, clients, number, *found))
            for way in Way:
                copies += [CopySample(way, number, *_copy(ways, way)) for _ in range(options.copies)]
    return samples, copies


def _pgbench(
    ways: Ways, way: Way, mode: Mode, clients: int, much: list[str], script: str
) -> tuple[float, dict[str, float]]:
    before = clock.read(ways.pids[way])
    said = run([binary("pgbench"), "-n", "-M", mode, "-f", script, "-c", str(clients), *much, ways.dsn[way]])
    spent = {part: seconds - before[part] for part, seconds in clock.read(ways.pids[way]).items()}
    rate, done, failed = _TPS.search(said), _DONE.search(said), _FAILED.search(said)
    if rate is None or done is None or (failed is not None and failed[1] != "0"):
        raise BenchFailed(f"{way}, {mode}, {clients} clients: pgbench said {said[-500:]}")
    return float(rate[1]), {part: seconds * 1e6 / int(done[1]) for part, seconds in spent.items()}


def _copy(ways: Ways, way: Way) -> tuple[float, dict[str, float]]:
    before = clock.read(ways.pids[way])
    said = run([binary("psql"), "-X", "-d", ways.dsn[way], "-c", r"\timing on", "-o", "/dev/null", "-c", COPY])
    spent = {part: seconds - before[part] for part, seconds in clock.read(ways.pids[way]).items()}
    took = _TIME.search(said)
    if took is None:
        raise BenchFailed(f"{way}: COPY said {said[-500:]}")
    return ways.table_bytes / 1e6 / (float(took[1]) / 1000), spent
