"""A session as the index finds it and the journal holds it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from extproc.audit.export.exchange import Session
from extproc.audit.frame import Fault, Record
from extproc.audit.index.query import Found
from extproc.audit.index.search import Index
from extproc.audit.reader import Joined, JournalFault, record_at

PAGE = 200
_GONE = (Fault.ERASED, Fault.RETIRED)
_STRUCTURE = ("hold", "vote")


class NoSession(LookupError):
    """No session, or more than one, starts so. The message says which."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """What is exported, and what it is called: `key` names the session, or the one decision."""

    key: str
    session: Session


def gather(state: Path, index: Index, start: str) -> Gathered:
    """The session whose key starts so, or else the one action whose decision does. Raises NoSession and IndexUnusable;
    reading the session raises JournalFault."""
    sessions = index.session(start) if start else []
    if len(sessions) == 1:
        of = _Of(state, index, sessions[0].key)
        return Gathered(of.key, Session(f"session {of.key}", of.exchanges, of.others, of.gone))
    if sessions:
        raise NoSession(f"several sessions start with {start!r}: {', '.join(row.key for row in sessions)}")
    actions = index.decision(start) if start else []
    if len(actions) == 1:
        one = _One(state, index, actions[0])
        return Gathered(actions[0].decision, Session(f"decision {actions[0].decision}", one.exchanges, one.others))
    if actions:
        raise NoSession(f"several decisions start with {start!r}: {', '.join(row.decision for row in actions)}")
    raise NoSession(f"no session or decision starts with {start!r}; `holdpoint sessions list` shows what there is")


@dataclass(frozen=True, slots=True)
class _Of:
    state: Path
    index: Index
    key: str

    def exchanges(self) -> Iterator[Joined]:
        for found in self._found():
            joined = _join(self.state, self.index, found)
            if joined is not None:
                yield joined

    def others(self) -> Iterator[Record]:
        seen: set[tuple[str, int]] = set()
        for place in self.index.events("session", self.key):
            seen.add(place)
            yield from _beside(self.state, place)
        for found in self._found():
            for place in self.index.events("decision", found.decision):
                if place not in seen:
                    yield from _beside(self.state, place)

    def gone(self) -> int:
        """Actions whose record retention took."""
        return sum(_at(self.state, found.place) is None for found in self._found())

    def _found(self) -> Iterator[Found]:
        after: int | None = 0
        while after is not None:
            page = self.index.exchanges(self.key, after, PAGE)
            yield from page.rows
            after = page.next


@dataclass(frozen=True, slots=True)
class _One:
    state: Path
    index: Index
    found: Found

    def exchanges(self) -> Iterator[Joined]:
        joined = _join(self.state, self.index, self.found)
        if joined is not None:
            yield joined

    def others(self) -> Iterator[Record]:
        for place in self.index.events("decision", self.found.decision):
            yield from _beside(self.state, place)


def _join(state: Path, index: Index, found: Found) -> Joined | None:
    decision = _at(state, found.place)
    if decision is None:
        return None
    waited = [_at(state, place) for place in index.events("hold", found.hold)] if found.hold else []
    known = [record for record in waited if record is not None]
    return Joined(
        decision,
        None if found.delivery is None else _at(state, found.delivery),
        [record for record in known if record.kind == "hold"],
        [record for record in known if record.kind == "vote"],
    )


def _beside(state: Path, place: tuple[str, int]) -> Iterator[Record]:
    """A record that is no part of an exchange: holds and votes come with theirs."""
    record = _at(state, place)
    if record is not None and record.kind not in _STRUCTURE:
        yield record


def _at(state: Path, place: tuple[str, int]) -> Record | None:
    stream, offset = place
    try:
        return record_at(state / "journal" / stream, offset)
    except JournalFault as error:
        if error.fault in _GONE:
            return None
        raise
