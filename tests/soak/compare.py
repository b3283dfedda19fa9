"""What the upstream got and what the clients were told, held against the journal. `compare` is pure."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from extproc.audit.frame import Record
from extproc.audit.reader import records, streams
from tests.soak.plan import REFUSED, Kind

_NUMBER = re.compile(r"/(?:items|reports|slow)/(\d+)")
_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request's head at the upstream, nanoseconds since the epoch."""

    method: str
    at_ns: int


@dataclass(slots=True)
class Received:
    """The upstream's file."""

    arrivals: dict[int, list[Arrival]] = field(default_factory=lambda: defaultdict(list))
    leaks: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Told:
    """What a client made of its request: its kind, and the status or what else became of it (see tests.soak.load)."""

    kind: Kind
    outcome: str


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision's record, of a request of ours."""

    id: str
    effect: str
    granted: bool
    method: str
    at: str


@dataclass(slots=True)
class Trail:
    """The journal: decisions by the number in their path, and their deliveries. `recorded` counts records by kind."""

    decisions: dict[int, list[Decided]] = field(default_factory=lambda: defaultdict(list))
    deliveries: Counter[str] = field(default_factory=Counter)
    recorded: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Comparison:
    """What was compared, what is wrong (by rule, with numbers of requests), and what is merely worth knowing."""

    compared: dict[str, int]
    violations: dict[str, list[int]]
    known: dict[str, int]

    def lines(self) -> Iterator[str]:
        """The violations, for people."""
        for rule, numbers in self.violations.items():
            shown = ", ".join(map(str, numbers[:_EXAMPLES]))
            yield f"{rule}: {len(numbers)} (requests {shown}{', …' if len(numbers) > _EXAMPLES else ''})"


def read_received(file: Path) -> Received:
    """The upstream's file. Raises OSError and ValueError."""
    found = Received()
    with file.open() as lines:
        for line in lines:
            number, method, at = line.split()
            if method == "leak":
                found.leaks.add(int(number))
            else:
                found.arrivals[int(number)].append(Arrival(method, int(at)))
    return found


def read_told(file: Path) -> dict[int, Told]:
    """The clients' file, by number. Raises OSError and ValueError."""
    with file.open() as lines:
        return {int(number): Told(Kind(kind), outcome) for number, kind, outcome in map(str.split, lines)}


def read_trail(state: Path) -> Trail:
    """The journal of a stopped gateway. Raises JournalFault."""
    return trail(record for stream in streams(state) for record in records(stream))


def trail(found: Iterable[Record]) -> Trail:
    """What there is to know of these records."""
    made = Trail()
    for record in found:
        made.recorded[record.kind] += 1
        if record.kind == "delivery":
            made.deliveries[str(record.body["decision"])] += 1
        elif record.kind == "decision" and (number := _NUMBER.match(record.body["action"]["resource"])):
            body = record.body
            decided = Decided(
                body["decision"]["id"],
                body["decision"]["effect"],
                body["outcome"] == "granted",
                body["action"]["verb"],
                record.at,
            )
            made.decisions[int(number[1])].append(decided)
    return made


def compare(received: Received, told: Mapping[int, Told], journal: Trail) -> Comparison:
    """Hold the three against each other."""
    wrong: dict[str, list[int]] = defaultdict(list)
    for number, arrivals in received.arrivals.items():
        for rule in _arrived(arrivals, journal.decisions.get(number, ()), told.get(number)):
            wrong[rule].append(number)
    for number, one in told.items():
        for rule in _answered(one, number in received.arrivals, journal.decisions.get(number, ())):
            wrong[rule].append(number)
    wrong["the secret reached the upstream"] += sorted(received.leaks)
    for number, decided in journal.decisions.items():
        if any(journal.deliveries[d.id] > 1 for d in decided):
            wrong["more than one delivery of one decision"].append(number)
    granted = [d for decided in journal.decisions.values() for d in decided if d.granted]
    return Comparison(
        {
            "requests at the upstream": sum(map(len, received.arrivals.values())),
            "answers at clients": len(told),
            "decisions": sum(map(len, journal.decisions.values())),
            "deliveries": journal.deliveries.total(),
            "records": journal.recorded.total(),
        },
        {rule: sorted(numbers) for rule, numbers in wrong.items() if numbers},
        {
            "granted, and not at the upstream": sum(
                len(received.arrivals.get(n, ())) < sum(d.granted for d in decided)
                for n, decided in journal.decisions.items()
            ),
            "granted, and how it ended is not known": sum(not journal.deliveries[d.id] for d in granted),
        },
    )


def _arrived(arrivals: Sequence[Arrival], decided: Sequence[Decided], told: Told | None) -> Iterator[str]:
    """Rules that a request at the upstream breaks."""
    granted = [d for d in decided if d.granted]
    if not granted:
        yield "at the upstream, and no decision in the journal lets it pass"
    elif len(arrivals) > len(granted):
        yield "at the upstream more often than it was decided"
    elif min(_ns(d.at) for d in granted) > min(a.at_ns for a in arrivals):
        yield "at the upstream before its decision was written"
    elif any(a.method != d.method for a in arrivals for d in granted):
        yield "at the upstream with another method than was decided"
    if told is not None and told.kind in REFUSED:
        yield "at the upstream, and policy refuses its kind"


def _answered(told: Told, arrived: bool, decided: Sequence[Decided]) -> Iterator[str]:
    """Rules that a client's answer breaks."""
    if told.outcome == "hung":
        yield "a client was left without an answer"
    if told.outcome == "wrong":
        yield "a client got an answer that is not its own, or unmasked"
    if told.outcome == "200" and not arrived:
        yield "answered 200, and the upstream never had it"
    if told.outcome == "403" and told.kind is Kind.BLOCKED and not any(d.effect == "block" for d in decided):
        yield "refused by policy, and that is not in the journal"
    if told.kind is Kind.STRANGER and decided:
        yield "nobody known, and yet decided on"


def _ns(at: str) -> int:
    """Nanoseconds since the epoch of a record's time (UTC, microseconds)."""
    moment = datetime.fromisoformat(at)
    return int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1000
