"""What people read of the trail: sessions, exchanges and recorded bodies, each by those who may.

The control API and the command line share it. What is found is found in the index; what is told is read in the journal.
"""

import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from extproc.audit.attributes import part
from extproc.audit.bodies.folder import BodyUnreadable
from extproc.audit.bodies.heads import TYPES
from extproc.audit.bodies.places import Bodies
from extproc.audit.frame import Record
from extproc.audit.index import Events, Found, Index, Page, Query, SessionRow
from extproc.audit.index.rows import PAYLOAD
from extproc.audit.objects import ObjectStoreError
from extproc.audit.reader import Joined, JournalFault, record_at, size, streams
from extproc.audit.shipper import trace_of
from extproc.domain.ports import Journal
from extproc.domain.principal import Principal

LANES = ("request", "response")
PIECE = 100
"""Actions of a session that are looked up at a time."""
_LOOK_SECONDS = 0.05


class Role(StrEnum):
    """What somebody may do with the trail."""

    LIST = "list"
    READ = "read"
    EXPORT = "export"
    ADMINISTER = "administer"


EVERY_ROLE = frozenset(Role)


class NotAllowed(Exception):
    """The reader has not the role. The message says which one it takes."""


class NotFound(LookupError):
    """There is no such session, decision or body, or more than one. The message says what would be right."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads, and what they may."""

    principal: Principal
    roles: Collection[Role]

    def need(self, role: Role) -> None:
        """Raises NotAllowed."""
        if role not in self.roles:
            raise NotAllowed(
                f"this takes the role {role.value!r} (audit.roles); yours: {', '.join(self.roles) or 'none'}"
            )


@dataclass(frozen=True, slots=True)
class Exchange:
    """A decision with what became of it, and what of its bodies was salvaged after a crash."""

    joined: Joined
    recordings: tuple[Record, ...]
    session: str | None
    trace: str

    def lanes(self) -> dict[str, dict[str, Any]]:
        """What is known of the body of each lane: the members of the delivery's `bodies`, or of a `recording`."""
        delivery = self.joined.delivery
        found = {} if delivery is None else {lane: part(delivery.body, "bodies", lane) for lane in LANES}
        for record in self.recordings:
            lane = record.body.get("lane")
            if isinstance(lane, str) and lane in LANES:
                found[lane] = {**found.get(lane, {}), **record.body}
        # What a crash left says nothing of what it is; the protocol does.
        of_type = TYPES.get(str(part(self.joined.decision.body, "action").get("protocol")))
        known = {} if of_type is None else {"type": of_type}
        return {lane: {**known, **said} for lane, said in found.items() if said}

    def document(self) -> dict[str, Any]:
        """The shape that the API gives."""
        return {
            **self.joined.document(),
            "session_key": self.session,
            "trace_id": self.trace,
            "recorded": self.lanes(),
        }


class Library:
    """Reads one state folder. Thread-safe. `journal` takes the records of readings. Every method raises NotAllowed,
    NotFound, IndexUnusable, JournalFault, and sqlite3.Error where the shipper's file is damaged."""

    def __init__(self, state: Path, index: Index, bodies: Bodies, journal: Journal) -> None:
        self._state, self._index, self._bodies, self._journal = state, index, bodies, journal

    def sessions(self, reader: Reader, query: Query) -> Page[SessionRow]:
        """The sessions with an action that fits, newest first."""
        return self._index.sessions(_allowed(reader, query))

    def decisions(self, reader: Reader, query: Query) -> Page[Exchange]:
        """The exchanges of the decisions that fit, newest first."""
        page = self._index.actions(_allowed(reader, query))
        return Page(tuple(e for e in (self._exchange(reader, row) for row in page.rows) if e is not None), page.next)

    def events(self, reader: Reader, query: Events) -> Page[Record]:
        """The other records that fit, newest first."""
        reader.need(Role.LIST)
        page = self._index.happened(query)
        return Page(tuple(self._records(page.rows)), page.next)

    def session(self, reader: Reader, start: str) -> SessionRow:
        """The one session whose key starts so."""
        reader.need(Role.LIST)
        found = self._index.session(start.lower()) if start else []
        if len(found) != 1:
            raise NotFound(_which("session", start, [row.key for row in found]))
        return found[0]

    def exchanges(self, reader: Reader, session: str, after: int = 0, limit: int | None = None) -> Page[Exchange]:
        """A page of a session's exchanges, oldest first; `session` is its whole key, `after` the `next` of the page
        before."""
        reader.need(Role.LIST)
        page = self._index.exchanges(session, after, limit or PIECE)
        return Page(tuple(e for e in (self._exchange(reader, row) for row in page.rows) if e is not None), page.next)

    def all_exchanges(self, reader: Reader, session: str) -> Iterator[Exchange]:
        """All of a session's exchanges, oldest first, in bounded memory."""
        after: int | None = 0
        while after is not None:
            page = self.exchanges(reader, session, after)
            yield from page.rows
            after = page.next

    def others(self, reader: Reader, session: str) -> Iterator[Record]:
        """A session's other records: that it opened and closed, and what was salvaged of it."""
        reader.need(Role.LIST)
        return self._records(self._index.events("session", session))

    def exchange(self, reader: Reader, start: str) -> Exchange:
        """The one exchange whose decision's id starts so."""
        reader.need(Role.LIST)
        found = self._index.decision(start.lower()) if start else []
        if len(found) > 1:
            raise NotFound(_which("decision", start, [row.decision for row in found]))
        exchange = self._exchange(reader, found[0]) if found else None
        if exchange is None:
            raise NotFound(_which("decision", start, []))
        return exchange

    def body(self, reader: Reader, decision: str, address: str) -> Iterator[bytes]:
        """The content of a recorded body, of the exchange with this whole id. That it is read is in the journal before
        there is a first byte. Raises BodyUnreadable, ObjectStoreError and OSError, while it is read too, and
        JournalUnwritable, and then nothing was given."""
        reader.need(Role.READ)
        lane = {body: lane for lane, body in self._index.lanes(decision).items()}.get(address)
        if lane is None:
            if self._named(reader, decision, address):
                raise NotFound("it was deleted; `holdpoint audit list --kind body-deleted` says when and why")
            raise NotFound(f"no body {address[:80]!a} was recorded of decision {decision[:80]!a}")
        pieces = self._bodies.open(address)
        first = next(pieces, b"")
        found = self._index.decision(decision)
        self._journal.append(
            "reading",
            {
                "at": _now(),
                "what": "body",
                "by": reader.principal.document(),
                "session": found[0].session if found else None,
                "decision": decision,
                "lane": lane,
                "address": address,
            },
        )
        return _chained(first, pieces)

    def search(self, reader: Reader, query: Query) -> None:
        """Record that words are looked for in bodies, where they are: what is found tells of the body. To be called
        first. Raises JournalUnwritable."""
        if query.words and _allowed(reader, query).bodies:
            by, words = reader.principal.document(), list(query.words)
            self._journal.append("reading", {"at": _now(), "what": "words", "by": by, "words": words})

    def settle(self, reader: Reader, seconds: float) -> None:
        """Wait until the index knows what is in the journal now, as far as it can be read; so long at most. Raises
        OSError."""
        reader.need(Role.LIST)
        ends, deadline = {folder.name: size(folder) for folder in streams(self._state)}, time.monotonic() + seconds
        while time.monotonic() < deadline:
            known = self._index.progress()
            places = ((end, *known.get(stream, (0, None))) for stream, end in ends.items())
            if all(offset >= end or fault is not None for end, offset, fault in places):
                return
            time.sleep(_LOOK_SECONDS)

    def behind(self) -> int:
        """Bytes of the journal that the index does not know yet. Raises OSError."""
        known = self._index.progress()
        return sum(max(0, size(folder) - known.get(folder.name, (0, None))[0]) for folder in streams(self._state))

    def _exchange(self, reader: Reader, found: Found) -> Exchange | None:
        """The exchange as the journal has it; None where its decision was erased meanwhile."""
        try:
            decision = _shown(reader, self._record(found.place))
        except JournalFault as error:
            if error.fault.value in _GONE:
                return None
            raise
        delivery = list(self._records([] if found.delivery is None else [found.delivery]))
        waited = list(self._records(self._index.events("hold", found.hold))) if found.hold else []
        recordings = list(self._records(self._index.events("decision", found.decision)))
        joined = Joined(
            decision,
            delivery[0] if delivery else None,
            [record for record in waited if record.kind == "hold"],
            [record for record in waited if record.kind == "vote"],
        )
        kept = tuple(record for record in recordings if record.kind == "recording")
        return Exchange(joined, kept, found.session, trace_of(self._state, decision))

    def _named(self, reader: Reader, decision: str, address: str) -> bool:
        """Whether the action's records name this body, be it there or not."""
        found = [self._exchange(reader, row) for row in self._index.decision(decision) if row.decision == decision]
        recorded = [part(one.document(), "recorded") for one in found if one is not None]
        return any(part(lanes, lane).get("address") == address for lanes in recorded for lane in lanes)

    def _records(self, places: Iterable[tuple[str, int]]) -> Iterator[Record]:
        """The records at these places that are there still."""
        for place in places:
            try:
                yield self._record(place)
            except JournalFault as error:
                if error.fault.value not in _GONE:
                    raise

    def _record(self, place: tuple[str, int]) -> Record:
        stream, offset = place
        return record_at(self._state / "journal" / stream, offset)


_GONE = ("erased", "retired")
UNREADABLE = (BodyUnreadable, ObjectStoreError, OSError)
"""What reading a body raises that can't be read."""


def _allowed(reader: Reader, query: Query) -> Query:
    """What they may ask of it: whoever finds words in bodies reads them, a letter at a time. Raises NotAllowed."""
    reader.need(Role.LIST)
    return replace(query, bodies=query.bodies and Role.READ in reader.roles)


def _shown(reader: Reader, decision: Record) -> Record:
    """The decision's record as they may see it: without how the request's body begins, for those who may read none."""
    if Role.READ in reader.roles:
        return decision
    action = part(decision.body, "action")
    summary = {name: value for name, value in part(action, "summary").items() if name not in PAYLOAD}
    if "llm" in summary:
        summary["llm"] = {name: value for name, value in part(summary, "llm").items() if name != "prompt"}
    return replace(decision, body={**decision.body, "action": {**action, "summary": summary}})


def session_document(row: SessionRow) -> dict[str, Any]:
    """The shape that the API gives of a session."""
    issuer, _, subject = row.principal.partition(" ")
    return {
        "id": row.key,
        "principal": {"issuer": issuer, "subject": subject},
        "session": row.name,
        "source": row.source,
        "first": row.first,
        "last": row.last,
        "closed": row.closed,
        "actions": sum(row.counts),
        **dict(zip(("allowed", "masked", "held", "blocked"), row.counts, strict=True)),
        "targets": list(row.targets),
        "newest": None if row.newest is None else found_document(row.newest),
    }


def event_document(record: Record) -> dict[str, Any]:
    """The shape that the API gives of a record that is no decision and no delivery."""
    return {
        "at": record.at,
        "kind": record.kind,
        "body": record.body,
        "audit": {"stream": record.stream, "seq": record.seq, "hash": record.hash},
    }


def found_document(row: Found) -> dict[str, Any]:
    """The shape that the API gives of an action in a list."""
    return {
        "decision": row.decision,
        "at": row.at,
        "target": row.target,
        "verb": row.verb,
        "resource": row.resource,
        "effect": row.effect.name.lower(),
        "outcome": row.outcome,
        "status": row.status,
        "hold": row.hold,
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _chained(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _which(what: str, start: str, several: list[str]) -> str:
    if several:
        return f"several {what}s start with {start[:80]!a}: {', '.join(several)}; give more of it"
    return f"no {what} in the index starts with {start[:80]!a}; `holdpoint sessions list` shows what there is"
