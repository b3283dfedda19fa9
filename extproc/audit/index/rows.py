"""What the index keeps of a record. Pure: a record in, rows out.

A row's `id` is its time, so that "newest first" and "from when to when" are what the database's own order gives:
microseconds since the epoch times 256, plus a slot that keeps records of the same microsecond apart.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum
from functools import lru_cache
from hashlib import sha256
from typing import Any
from zlib import crc32

from extproc.audit.attributes import rows
from extproc.audit.frame import Record
from extproc.audit.placement import claimed, derive, principal_key

SLOTS = 256
LANES = ("request", "response")
PAYLOAD = ("body", "statement", "values")
"""Members of an action's summary that are the start of what was sent: for those who may read bodies."""
LONGEST_RESOURCE = 512
LONGEST_TEXT = 16_384
"""Characters of a record's resource that are shown in lists, and of its texts that are searched."""

MARK = "\ue000"
"""Begins a word that stands for a fact (a principal, a target ...) rather than for text. No text has it: it is taken
out of whatever is indexed and whatever is asked for."""

_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_MICROSECOND = timedelta(microseconds=1)
_HEX = re.compile(r"[0-9a-f]{1,64}")


class Shown(IntEnum):
    """An action's effect as people read it: one that was allowed and in which something was masked is MASK."""

    ALLOW = 0
    MASK = 1
    HOLD = 2
    BLOCK = 3


@dataclass(slots=True)
class Kept:
    """The body of one lane as a delivery or a salvage names it; `index` says that its words may be searched."""

    lane: str
    address: str
    type: str = ""
    coding: str = ""
    index: bool = False


@dataclass(slots=True)
class Action:
    """A decision, and what is known of its delivery. `place` is (stream, offset), of the delivery too. `text` is what
    is searched of it, and `begins` what the record has of the request's body: found as words of the body are."""

    place: tuple[str, int]
    id: int
    decision: str
    session: str | None
    principal: str
    target: str
    verb: str
    resource: str
    effect: Shown
    outcome: str
    hold: str | None
    trace: str
    claim: str | None
    policies: tuple[str, ...]
    text: str
    begins: str
    status: int | None = None
    delivery: tuple[str, int] | None = None
    bodies: list[Kept] = field(default_factory=list)

    @property
    def tags(self) -> str:
        """The facts that it is found by, as words."""
        subject = self.principal.partition(" ")[2]
        found = [tag("p", self.principal), tag("u", subject), tag("t", self.target), tag("e", self.effect.name)]
        if self.hold and self.effect is not Shown.HOLD:
            # One that somebody approved was held all the same.
            found.append(tag("e", Shown.HOLD.name))
        found += [tag("y", policy) for policy in self.policies]
        optional = (("s", self.session), ("h", self.hold), ("r", self.trace), ("r", self.claim))
        return " ".join([*found, *(tag(kind, value) for kind, value in optional if value)])


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of an action."""

    place: tuple[str, int]
    id: int
    decision: str
    status: int | None
    outcome: str
    masked: bool
    bodies: tuple[Kept, ...]


@dataclass(slots=True)
class Event:
    """Any other record: what kind it is of, what happened, and whom and what it is about."""

    place: tuple[str, int]
    id: int
    kind: str
    what: str
    who: str
    target: str
    hold: str | None
    decision: str | None
    session: str | None
    bodies: tuple[Kept, ...] = ()


@dataclass(slots=True)
class Session:
    """One connection of one principal. Times are row ids; the counts are of actions, by Shown."""

    key: str
    principal: str
    name: str
    source: str
    first: int
    last: int
    opened: int | None = None
    closed: int | None = None
    counts: list[int] = field(default_factory=lambda: [0, 0, 0, 0])
    targets: set[str] = field(default_factory=set)


def read(record: Record) -> Action | Delivery | Event:
    """The rows of one record."""
    if record.kind == "decision" and isinstance(_part(record.body, "decision").get("id"), str):
        return _action(record)
    if record.kind == "delivery" and isinstance(record.body.get("decision"), str):
        return _delivery(record)
    return _event(record)


def row_id(record: Record) -> int:
    """The id that a record's row has, unless another's has it already."""
    slot = (crc32(record.stream.encode("utf-8", "surrogatepass")) + record.seq) % SLOTS
    return micros(record.at) * SLOTS + slot


def session_of(record: Record) -> Session | None:
    """The session that a record belongs to, as far as this record tells; None for one of no session."""
    key = session_key(record.body)
    if key is None:
        return None
    at = row_id(record)
    source = record.body.get("source")
    address = _part(record.body, "source").get("address") or (source if isinstance(source, str) else "")
    name, who = str(record.body["session"]), principal_key(record.body)
    session = Session(key, who, name, str(address), at, at)
    if record.kind == "session":
        session.opened = at if record.body.get("what") == "opened" else None
        session.closed = at if record.body.get("what") == "closed" else None
    return session


def session_key(body: Mapping[str, Any]) -> str | None:
    """The key of a record's session (16 hex digits), or None for a record of no principal's session."""
    who, session = principal_key(body), body.get("session")
    if not who or not isinstance(session, str) or not session:
        return None
    return _key(who, session)


@lru_cache(8192)
def _key(who: str, session: str) -> str:
    return sha256(f"{who}\0{session}".encode("utf-8", "surrogatepass")).hexdigest()[:16]


def micros(at: str) -> int:
    """Record time as microseconds since the epoch; 0 for what is not a time. Never negative."""
    try:
        moment = datetime.fromisoformat(at)
        return max(0, (moment - _EPOCH) // _MICROSECOND)
    except (ValueError, TypeError, OverflowError):
        return 0


def rfc3339(row: int) -> str:
    """A row id as the time that it stands for."""
    moment = _EPOCH + (row // SLOTS) * _MICROSECOND
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@lru_cache(8192)
def tag(kind: str, value: str) -> str:
    """The word that stands for a fact: `kind` is one letter."""
    return f"{MARK}{kind}{sha256(value.encode('utf-8', 'surrogatepass')).hexdigest()[:20]}"


def plain(text: str) -> str:
    """Text as it is indexed: without marks, and such as UTF-8 can carry."""
    return text if text.isascii() else text.replace(MARK, " ").encode("utf-8", "replace").decode()


def _action(record: Record) -> Action:
    body = record.body
    said, asked, target = _part(body, "decision"), _part(body, "action"), _part(body, "target")
    who, session, claim = principal_key(body), body.get("session"), claimed(body)
    # As in placement.place, for the two traces that it chooses between.
    named = who and isinstance(session, str) and session
    trace = derive("session", who, str(session)) if named else derive("record", record.hash)
    effect, reasons = said.get("effect"), rows(said.get("reasons"))
    return Action(
        place=(record.stream, record.offset),
        id=row_id(record),
        decision=str(said["id"]),
        session=session_key(body),
        principal=plain(who),
        target=plain(str(target.get("name") or "")),
        verb=plain(str(asked.get("verb") or ""))[:64],
        resource=plain(str(asked.get("resource") or ""))[:LONGEST_RESOURCE],
        effect={"allow": Shown.ALLOW, "hold": Shown.HOLD}.get(str(effect), Shown.BLOCK),
        outcome=plain(str(body.get("outcome") or "")),
        hold=_text(body.get("hold")),
        trace=trace,
        claim=claim.trace_id if claim is not None else None,
        policies=tuple(dict.fromkeys(plain(r["policy"]) for r in reasons if isinstance(r.get("policy"), str))),
        text=_words(body, reasons),
        begins=_begins(_part(asked, "summary")),
        bodies=list(_bodies(body)),
    )


def _delivery(record: Record) -> Delivery:
    body, status = record.body, record.body.get("status")
    counts = [n for lane in _part(body, "masked").values() if isinstance(lane, dict) for n in lane.values()]
    return Delivery(
        place=(record.stream, record.offset),
        id=row_id(record),
        decision=str(body["decision"]),
        status=status if isinstance(status, int) else None,
        outcome=plain(str(body.get("outcome") or "")),
        masked=any(counts),
        bodies=tuple(_bodies(body)),
    )


def _event(record: Record) -> Event:
    body = record.body
    by, target = _part(body, "by"), body.get("target")
    who = principal_key(body) or principal_key({"principal": _part(body, "approver") or by})
    bodies: tuple[Kept, ...] = ()
    if record.kind == "recording":
        found = _kept(str(body.get("lane")), body)
        bodies = () if found is None else (found,)
    what = next((body[name] for name in ("what", "code", "state") if isinstance(body.get(name), str)), "")
    return Event(
        place=(record.stream, record.offset),
        id=row_id(record),
        kind=record.kind,
        what=plain(str(what))[:128],
        who=plain(who),
        target=plain(str(_part(body, "target").get("name") or (target if isinstance(target, str) else "") or "")),
        hold=_text(body.get("hold")),
        decision=_text(body.get("decision")),
        session=session_key(body),
        bodies=bodies,
    )


def _words(body: Mapping[str, Any], reasons: list[dict[str, Any]]) -> str:
    """The texts of an action that are searched."""
    asked = _part(body, "action")
    found = [asked.get("verb"), asked.get("resource"), _part(body, "principal").get("subject")]
    summary = _part(asked, "summary")
    apart = {**dict.fromkeys(PAYLOAD), "llm": {**_part(summary, "llm"), "prompt": None}}
    found += [_part(body, "target").get("name"), *_texts({**summary, **apart})]
    found += [reason.get(name) for reason in reasons for name in ("message", "code", "policy")]
    return plain("\n".join(text for text in found if isinstance(text, str)))[:LONGEST_TEXT]


def _begins(summary: Mapping[str, Any]) -> str:
    found = _texts([*(summary.get(name) for name in PAYLOAD), _part(summary, "llm").get("prompt")])
    return plain("\n".join(found))[:LONGEST_TEXT]


def _texts(value: object) -> Iterator[str]:
    """Every text in a document."""
    todo = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            todo.extend(reversed(list(item.values())))
        elif isinstance(item, list):
            todo.extend(reversed(item))


def _bodies(body: Mapping[str, Any]) -> Iterator[Kept]:
    """What a record's `bodies` says is kept."""
    for lane in LANES:
        kept = _kept(lane, _part(_part(body, "bodies"), lane))
        if kept is not None:
            yield kept


def _kept(lane: str, said: Mapping[str, Any]) -> Kept | None:
    address = said.get("address")
    if lane not in LANES or not isinstance(address, str) or not _HEX.fullmatch(address):
        return None
    coding, kind = said.get("coding"), said.get("type")
    return Kept(lane, address, str(kind or ""), str(coding or ""), said.get("index") is True)


def _text(value: object) -> str | None:
    return plain(value) if isinstance(value, str) and value else None


def _part(body: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The object of this name, or an empty one. As attributes.part, for what was just read from JSON: much is."""
    value = body.get(name)
    return value if type(value) is dict else {}
