"""What happened between two times, for auditors: counts from one reading of the journal, in memory that does not grow
with it."""

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

from extproc.audit.attributes import part, rows
from extproc.audit.export.exchange import LANES, counts, text
from extproc.audit.frame import Erased, Record
from extproc.audit.reader import JournalFault, entries, streams
from extproc.audit.segments import Folder
from extproc.audit.spans import verdict

MOST_NAMES, MOST_ROWS, MOST_OPEN, MOST_WAITS = 10_000, 1_000, 100_000, 65_536
"""Names that are counted apart, rows that are listed, actions and holds that are followed, and waits that the median is
taken of. What goes beyond is counted together, and said."""
OTHERS = "(others)"
_OURS = frozenset(
    {"genesis", "segment", "journal-opened", "journal-repaired", "seal", "checkpoint", "session", "tunnel"}
)
_CHANGES = frozenset({"policy", "config", "token", "password", "freeze", "target"})
_READINGS = frozenset({"reading", "export"})


class Tally(Counter[str]):
    """Counts by name. Once there are very many names, new ones are counted together."""

    def add(self, name: str, n: int = 1) -> None:
        """Count one more, or `n`."""
        self[name if name in self or len(self) < MOST_NAMES else OTHERS] += n

    def top(self, n: int = 20) -> list[tuple[str, int]]:
        """The most frequent, ties by name."""
        return sorted(self.items(), key=lambda item: (-item[1], item[0]))[:n]


@dataclass(slots=True)
class Act:
    """Something that a person or the gateway did and that changes or shows what is kept."""

    at: str
    kind: str
    what: str
    by: str
    about: str


@dataclass(slots=True)
class Rows:
    """The first of many, and how many there were."""

    first: list[Act] = field(default_factory=list)
    total: int = 0

    def add(self, act: Act) -> None:
        """One more."""
        self.total += 1
        if len(self.first) < MOST_ROWS:
            self.first.append(act)


@dataclass(slots=True)
class Period:
    """The figures. `since` and `until` are record times, empty for the journal's own ends; `until` is excluded."""

    since: str = ""
    until: str = ""
    records: int = 0
    erased: int = 0
    first: str = ""
    last: str = ""
    actions: dict[str, Tally] = field(default_factory=dict)
    """By target: allowed, held, blocked, masked (of the actions, those in which a value was)."""
    blocked_by_policy: Tally = field(default_factory=Tally)
    blocked_by_principal: Tally = field(default_factory=Tally)
    blocked_why: Tally = field(default_factory=Tally)
    unenforced: Tally = field(default_factory=Tally)
    turned_away: Tally = field(default_factory=Tally)
    holds: Tally = field(default_factory=Tally)
    """By state that was reached."""
    approved_by: Tally = field(default_factory=Tally)
    denied_by: Tally = field(default_factory=Tally)
    masked: Tally = field(default_factory=Tally)
    masked_lanes: Tally = field(default_factory=Tally)
    outcomes: Tally = field(default_factory=Tally)
    alarms: Tally = field(default_factory=Tally)
    revisions: Tally = field(default_factory=Tally)
    changes: Rows = field(default_factory=Rows)
    readings: Rows = field(default_factory=Rows)
    acts: Rows = field(default_factory=Rows)
    faults: list[str] = field(default_factory=list)
    """Places where a stream can't be read on."""
    repaired: Rows = field(default_factory=Rows)
    lost: int = 0
    """Actions whose worker started anew before their end was recorded."""
    open: int = 0
    """Actions that have no end yet."""
    waits: list[float] = field(default_factory=list)
    """Seconds from a hold's opening to its answer by people; at most MOST_WAITS."""

    @property
    def total(self) -> Counter[str]:
        """Actions by effect, over all targets."""
        return sum((Counter(tally) for tally in self.actions.values()), Counter())

    @property
    def median_wait(self) -> float | None:
        """Seconds; None where nobody was waited for."""
        return median(self.waits) if self.waits else None


def period(state: Path, since: str = "", until: str = "") -> Period:
    """Read the journal once. Raises OSError; where a stream can't be read on, `faults` says so and the others go on."""
    reading = _Reading(Period(since, until))
    tails = [reading.tail(folder) for folder in streams(state)]
    for record in heapq.merge(*tails, key=lambda record: record.at):
        reading.take(record)
    reading.close()
    return reading.found


class _Reading:
    """One reading under way: the figures, and what waits for its end."""

    def __init__(self, found: Period) -> None:
        self.found = found
        self._granted: dict[str, str] = {}
        self._pending: dict[str, str] = {}

    def tail(self, folder: Path) -> Iterator[Record]:
        """A stream's records of the period."""
        found = self.found
        try:
            for entry in entries(folder, _begin(folder, found.since)):
                if isinstance(entry, Erased):
                    # Its time is gone with it. What retention took is counted where the record says so.
                    found.erased += 1
                elif found.since <= entry.at and (not found.until or entry.at < found.until):
                    yield entry
        except JournalFault as error:
            found.faults.append(str(error))

    def take(self, record: Record) -> None:
        """Count one record."""
        found = self.found
        found.records += 1
        found.first, found.last = found.first or record.at, record.at
        take = getattr(self, f"_{record.kind}", None)
        if record.kind in ("decision", "delivery", "hold", "vote", "refusal", "alarm") and take is not None:
            take(record)
        elif record.kind == "journal-opened":
            self._lose(record.stream)
        elif record.kind == "journal-repaired":
            found.repaired.add(_act(record))
        elif record.kind in _CHANGES:
            found.changes.add(_act(record))
        elif record.kind in _READINGS:
            found.readings.add(_act(record))
        elif record.kind not in _OURS:
            found.acts.add(_act(record))

    def close(self) -> None:
        """The end of the period."""
        self.found.open = len(self._granted)

    def _decision(self, record: Record) -> None:
        found, body = self.found, record.body
        said, outcome = part(body, "decision"), verdict(body)
        effect = text(said.get("effect")) or "?"
        target = self._target(body)
        held = bool(body.get("hold")) and effect != "block"
        # What led nowhere was refused without policies.
        if (revision := text(said.get("revision"))) not in ("", "none"):
            found.revisions.add(revision)
        target.add("held" if held or effect == "hold" else {"allow": "allowed", "block": "blocked"}.get(effect, effect))
        for reason in rows(said.get("reasons")):
            if reason.get("mode") == "shadow" and reason.get("effect") != "allow":
                found.unenforced.add(text(reason.get("policy")) or "?")
            elif effect == "block" and reason.get("effect") == "block":
                found.blocked_by_policy.add(text(reason.get("policy")) or "?")
                found.blocked_why.add(f"{reason.get('policy')}: {reason.get('message')}")
        if effect == "block":
            found.blocked_by_principal.add(_who(body))
        decision = text(said.get("id"))
        if outcome == "granted" and len(self._granted) < MOST_OPEN:
            self._granted[decision] = record.stream

    def _delivery(self, record: Record) -> None:
        found, body = self.found, record.body
        found.outcomes.add((text(body.get("outcome")) or "?").partition(":")[0])
        self._granted.pop(text(body.get("decision")), None)
        any_masked = False
        for lane in LANES:
            for kind, n in counts(part(body, "masked", lane)).items():
                found.masked.add(kind, n)
                found.masked_lanes.add(lane, n)
                any_masked = True
        if any_masked:
            self._target(body).add("masked")

    def _hold(self, record: Record) -> None:
        body = record.body
        state, hold = text(body.get("state")) or "?", text(body.get("hold"))
        if state == "pending":
            # One hold may be joined by several requests; it is one all the same.
            if hold not in self._pending:
                self.found.holds.add(state)
            if len(self._pending) < MOST_OPEN:
                self._pending.setdefault(hold, record.at)
            return
        self.found.holds.add(state)
        opened = self._pending.pop(hold, None)
        if opened is not None and state in ("approved", "denied") and len(self.found.waits) < MOST_WAITS:
            self.found.waits.append(_seconds(opened, record.at))

    def _vote(self, record: Record) -> None:
        who = text(part(record.body, "approver").get("subject")) or "?"
        (self.found.approved_by if record.body.get("approve") is True else self.found.denied_by).add(who)

    def _refusal(self, record: Record) -> None:
        more = record.body.get("more")
        n = more if isinstance(more, int) and not isinstance(more, bool) and more > 0 else 1
        self.found.turned_away.add(text(record.body.get("code")) or "?", n)

    def _alarm(self, record: Record) -> None:
        self.found.alarms.add(text(record.body.get("code")) or "?")

    def _lose(self, stream: str) -> None:
        gone = [decision for decision, of in self._granted.items() if of == stream]
        self.found.lost += len(gone)
        for decision in gone:
            del self._granted[decision]

    def _target(self, body: Mapping[str, Any]) -> Tally:
        name = text(part(body, "target").get("name")) or "(none)"
        actions = self.found.actions
        known = actions.get(name)
        if known is None:
            known = actions.setdefault(name if len(actions) < MOST_NAMES else OTHERS, Tally())
        return known


def _begin(folder: Path, since: str) -> int:
    """The byte of the stream from which on its records may be of the period: the last segment that begins before it."""
    if not since:
        return 0
    with Folder(folder) as opened:
        bases = opened.bases()
    for base in reversed(bases):
        first = next(entries(folder, base), None)
        if isinstance(first, Record) and first.at < since:
            return base
    return 0


def _act(record: Record) -> Act:
    body = record.body
    what = text(body.get("what")) or text(body.get("state")) or record.kind
    about = next((_about(body[name]) for name in _ABOUT if body.get(name)), "")
    return Act(record.at, record.kind, what, _by(body), about)


_ABOUT = ("revision", "target", "principal", "subject", "name", "session", "decision", "address", "targets", "file")


def _about(value: object) -> str:
    if isinstance(value, Mapping):
        value = value.get("name") or value.get("subject") or ""
    return (", ".join(map(str, value)) if isinstance(value, list) else str(value))[:200]


def _by(body: Mapping[str, Any]) -> str:
    by = body.get("by")
    return text(by) or text(part(body, "by").get("subject"))


def _who(body: Mapping[str, Any]) -> str:
    return text(part(body, "principal").get("subject")) or "?"


def _seconds(opened: str, ended: str) -> float:
    try:
        return max(0.0, (datetime.fromisoformat(ended) - datetime.fromisoformat(opened)).total_seconds())
    except ValueError:
        return 0.0
