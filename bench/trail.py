"""What the audit trail costs, each step in a process of its own: appending, verifying, indexing, searching.

`python -m bench.trail STEP` does one on the state folder that standard input names, and prints what it took.
"""

import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path

import orjson

from bench.children import python
from bench.exchanges import APART, BEGAN, RARE, exchanges, principal, trace
from bench.figures import percentile
from extproc.audit import keys
from extproc.audit.index import Index, Indexer, Query
from extproc.audit.journal import FileJournal
from extproc.audit.keys import PublicKeys
from extproc.audit.reader import size, streams
from extproc.audit.verify import verify

STREAM = "worker-0"
_SECONDS = 1800.0
_REPEATS = 40


@dataclass(frozen=True, slots=True)
class Given:
    """What a step is told: the state folder, and how many records are to be in it."""

    state: str
    records: int


@dataclass(frozen=True, slots=True)
class Cost:
    """What a step took for so many records: seconds by the clock and of CPU, and the most memory its process had.
    `bytes` is what it left on the disk, or read."""

    records: int
    bytes: int
    seconds: float
    cpu_seconds: float
    peak_bytes: int

    @property
    def rate(self) -> float:
        """Records a second and core."""
        return self.records / self.cpu_seconds

    @property
    def cpu_us(self) -> float:
        """µs of CPU a record."""
        return self.cpu_seconds / self.records * 1e6


@dataclass(frozen=True, slots=True)
class Search:
    """A question, how many rows its page had, and how long it took."""

    question: str
    rows: int
    p50_ms: float
    p95_ms: float


@dataclass(frozen=True, slots=True)
class Trail:
    """All of it. `steps` by name, in order."""

    steps: dict[str, Cost]
    searches: list[Search]


def append(given: Given) -> Cost:
    """Write the journal, sealed as a gateway's is, with its usual sync."""
    state = Path(given.state)
    signer = keys.make(state / "audit.key", state / "audit.pub")
    times = count()
    journal = FileJournal(
        state / "journal" / STREAM, STREAM, lambda: BEGAN + next(times) * APART / 2, signer=signer
    )  # fmt: skip
    pairs = given.records // 2
    # Making the records is no part of writing them.
    made = _spent(lambda: sum(1 for _ in exchanges(pairs)))
    peak = _Watch()
    for decision, delivery in exchanges(pairs):
        journal.append("decision", decision)
        journal.append("delivery", delivery)
    journal.close()
    seconds, cpu = peak.spent()
    return Cost(pairs * 2, _bytes(state), seconds - made[0], cpu - made[1], _peak_bytes())


def check(given: Given) -> Cost:
    """Verify it: frames, chain, seals."""
    state, watch = Path(given.state), _Watch()
    report = verify(state, keys=PublicKeys.load([state / "audit.pub"]), processes=1)
    seconds, cpu = watch.spent()
    if not report.ok:
        raise SystemExit(f"the journal that was written is not whole: {report.document()}")
    return Cost(given.records, _bytes(state), seconds, cpu, _peak_bytes())


def index(given: Given) -> Cost:
    """Make the search index from nothing."""
    watch, indexer = _Watch(), Indexer(Path(given.state))
    while indexer.step():
        pass
    indexer.close()
    seconds, cpu = watch.spent()
    left = sum(file.stat().st_size for file in Path(given.state).glob("index.db*"))
    return Cost(given.records, left, seconds, cpu, _peak_bytes())


def questions(records: int) -> Iterator[tuple[str, Callable[[int], Query]]]:
    """What people ask, each with the query of its n-th time: no two are alike where that is possible."""
    pairs = records // 2
    yield "the newest of everything", lambda n: Query()
    yield "of one principal", lambda n: Query(principal=principal(n * 7))
    yield "of one target, blocked", lambda n: Query(target="crm", effect="block")
    yield "of one policy", lambda n: Query(policy="http.destructive_methods")
    yield "of one trace", lambda n: Query(trace=trace(n * pairs // _REPEATS))
    yield "of one decision", lambda n: Query(decision=f"{n * pairs // _REPEATS:024x}")
    yield "a common word", lambda n: Query(words=("invoices",))
    yield "a rare word", lambda n: Query(words=(RARE,))
    yield "two words, a principal", lambda n: Query(words=("customers", "page*"), principal=principal(n * 7))
    yield "the oldest of a principal", lambda n: Query(principal=principal(n * 7), until="2026-09-21T15:30:00Z")
    yield "a word that is not there", lambda n: Query(words=("xyzzy",))


def search(given: Given) -> list[Search]:
    """Ask each question often."""
    reading = Index(Path(given.state))
    found = []
    for question, query in questions(given.records):
        took, rows = [], 0
        for n in range(_REPEATS):
            began = time.perf_counter()
            rows = len(reading.actions(query(n)).rows)
            took.append((time.perf_counter() - began) * 1000)
        took.sort()
        found.append(Search(question, rows, percentile(took, 0.50), percentile(took, 0.95)))
    reading.close()
    return found


def measure(state: Path, records: int, say: Callable[[str], None]) -> Trail:
    """All steps, one after the other, each in a fresh process. Raises BenchFailed."""
    line = orjson.dumps(asdict(Given(str(state), records))) + b"\n"
    steps: dict[str, Cost] = {}
    for name in STEPS:
        say(f"the trail: {name}, {records:,} records")
        steps[name] = Cost(**orjson.loads(_run(name, line)))
    say("the trail: searching")
    return Trail(steps, [Search(**one) for one in orjson.loads(_run("search", line))])


def _run(step: str, line: bytes) -> bytes:
    child = python("bench.trail", step, accept_input=True)
    try:
        child.tell(line)
        return child.line(_SECONDS)
    finally:
        child.stop()


class _Watch:
    """Time of the clock and of this process's CPU, all threads, since it was made."""

    def __init__(self) -> None:
        self._began, self._cpu = time.perf_counter(), time.process_time()

    def spent(self) -> tuple[float, float]:
        return time.perf_counter() - self._began, time.process_time() - self._cpu


def _spent(work: Callable[[], object]) -> tuple[float, float]:
    watch = _Watch()
    work()
    return watch.spent()


def _bytes(state: Path) -> int:
    return sum(size(folder) for folder in streams(state))


def _peak_bytes() -> int:
    """The most memory that this process had. `ru_maxrss` would count whoever started it, until its exec."""
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "VmHWM":
            return int(value.split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


STEPS: dict[str, Callable[[Given], Cost]] = {"append": append, "verify": check, "index": index}


def main() -> None:
    """Do the step that the argument names on what the first line says."""
    given = Given(**orjson.loads(sys.stdin.buffer.readline()))
    done = search(given) if sys.argv[1] == "search" else STEPS[sys.argv[1]](given)
    sys.stdout.buffer.write(orjson.dumps(done) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
