"""What a few kinds of records say about others, taken from them as short rows while a segment is checked. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeGuard

from extproc.audit import acts
from extproc.audit.crowd import kind_of
from extproc.audit.frame import Record

Row = tuple[Any, ...]
"""A table of facts.py and its columns."""

NAMING = frozenset({b"delivery", b"recording"})
"""Kinds whose rows are `Sift.bodies_of`."""
TAKING = "postgres-"
"""How the names of the streams of workers begin that connections are handed over to."""

_ADDRESS = re.compile(rb'"address":"([0-9a-f]{64})"')
ACTS = acts.KINDS | {"checkpoint", "journal-opened"}


@dataclass(frozen=True, slots=True)
class Sift:
    """Which rows are wanted. `acts` of the streams in which such acts are written; `decisions` from that time on
    (RFC 3339), for the access log's sake; `bodies` wherever a record names one."""

    acts: bool = False
    seals: bool = False
    bodies: bool = False
    log: bool = False
    decisions: str = ""

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of records that may have any."""
        wanted = (
            (ACTS, self.acts),
            ({"seal"}, self.seals),
            ({"delivery", "recording"}, self.bodies),
            ({"refusal", "alarm", "tunnel"}, self.log),
            ({"decision", "session", "journal-opened"}, bool(self.decisions)),
        )
        return frozenset(kind for kinds, yes in wanted if yes for kind in kinds)

    def may(self, kind: str, payload: bytes) -> bool:
        """Whether it is worth while to read this payload, of one of the kinds."""
        if kind == "decision":
            return payload[7:34] >= self.decisions.encode()
        return True

    @staticmethod
    def bodies_of(payload: bytes, stream: str, seq: int, offset: int) -> list[Row]:
        """What a record of kind `delivery` or `recording` names. It is not read as JSON: there is one for each action,
        and no text in it can hold quotes that are not escaped."""
        return [("body", found.decode(), stream, seq, offset) for found in _ADDRESS.findall(payload)]

    def rows(self, record: Record) -> Iterator[Row]:
        """What such a record says."""
        body, place = record.body, (record.stream, record.seq, record.offset)
        match record.kind:
            case "seal":
                yield ("seal", *place, record.at, record.prev, body)
            case "decision":
                said = body.get("decision")
                yield ("decision", str(said.get("id")) if isinstance(said, dict) else "")
                yield from _joined(record)
            case "session":
                yield from _joined(record)
            case "refusal" | "alarm" | "tunnel":
                yield from _told(record)
                yield from _turned_away(record)
            case _:
                yield from _acts(record)


def _told(record: Record) -> Iterator[Row]:
    log = record.body.get("log")
    if isinstance(log, dict) and _is_number(log.get("offset")):
        first, last = log["offset"], log.get("last")
        kind = kind_of(record.kind, record.body) if _is_number(last) else None
        yield ("told", str(log.get("file")), first, last if kind else first, "\n".join(kind) if kind else "")


def _joined(record: Record) -> Iterator[Row]:
    """A connection that a worker took: what it decided on it first of all, or that it began."""
    body, act = record.body, record.body.get("action")
    begins = isinstance(act, dict) and act.get("verb") == "CONNECT"
    if record.stream.startswith(TAKING) and (begins or body.get("what") == "opened"):
        yield ("joined", str(body.get("request")))


def _turned_away(record: Record) -> Iterator[Row]:
    """A connection that a worker turned away, or how many more of the same kind."""
    body = record.body
    if record.stream.startswith(TAKING):
        yield ("joined", str(body.get("request")))
        if _is_number(body.get("more")):
            yield ("counted", body["more"])


def _acts(record: Record) -> Iterator[Row]:
    body, place = record.body, (record.stream, record.seq, record.offset)
    match record.kind:
        case "checkpoint":
            yield ("checkpoint", *place, record.at, body)
        case "journal-opened":
            yield ("opened", record.stream, record.at)
        case kind if kind in acts.KINDS:
            yield ("act", *place, kind, body, tuple(_excused(record)))


def _excused(record: Record) -> Iterator[Row]:
    body = record.body
    match record.kind:
        case "retired":
            # The record says which was the last to go; the table has what the first one left has to be.
            last = body.get("seq")
            first = last + 1 if _is_number(last) else None
            base = body.get("base") if _is_number(body.get("base")) else None
            yield ("retired", str(body.get("stream")), base, first, str(body.get("hash")))
            yield ("gone", str(body.get("to")))
        case "erased":
            for pair in _list(body.get("ranges")):
                if isinstance(pair, list) and len(pair) == 2 and all(_is_number(number) for number in pair):
                    yield ("announced", str(body.get("stream")), *pair)
        case "body-deleted":
            for address in _list(body.get("addresses")):
                yield ("deleted", str(address))


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _is_number(value: object) -> TypeGuard[int]:
    """Whether it is a number that the tables can hold."""
    return isinstance(value, int) and 0 <= value < (1 << 63) - 1
