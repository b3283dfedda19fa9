"""Which trace a record belongs to. Pure: who owns a trace id is asked of the caller.

A trace id that a client claims is only a claim: the first principal that uses it owns it, and only the owner's actions
become children in it. Anybody else's action goes to a trace of its own and carries a link. Without a claim, one
session of one principal is one trace. So the address of a record's trace follows from the record and the owners.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Any

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?", re.ASCII)
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


class Placed(StrEnum):
    """How a trace was chosen."""

    TRACEPARENT = "traceparent"
    SESSION = "session"
    RECORD = "record"


@dataclass(frozen=True, slots=True)
class Context:
    """A span somewhere: 32 and 16 lower-case hex digits."""

    trace_id: str
    span_id: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a span goes. `parent` is the claimed span where the trace is its principal's own; `link` is the claimed
    one where it is not."""

    trace_id: str
    method: Placed
    parent: Context | None = None
    link: Context | None = None


def parse_traceparent(text: object) -> Context | None:
    """The context in a W3C `traceparent` (Trace Context, section 3.2), or None where it is not one. Its flags say
    whether the client samples; the audit always does."""
    match = _TRACEPARENT.fullmatch(text) if isinstance(text, str) and len(text) <= 512 else None
    if match is None or match[1] == "ff" or (match[1] == "00" and match[4] is not None):
        return None
    if not match[2].strip("0") or not match[3].strip("0"):
        return None
    return Context(match[2], match[3])


def claimed(body: Mapping[str, Any]) -> Context | None:
    """The context that the client of a decision's record claims, if any."""
    trace = body.get("trace")
    return parse_traceparent(trace.get("traceparent")) if isinstance(trace, Mapping) else None


def principal_key(body: Mapping[str, Any]) -> str:
    """Issuer and subject of a record's principal as one text; empty for a record without one."""
    principal = body.get("principal")
    if not isinstance(principal, Mapping) or not principal.get("subject"):
        return ""
    return f"{principal.get('issuer')} {principal['subject']}"


def place(body: Mapping[str, Any], record_hash: str, owner: Callable[[str], str | None]) -> Place:
    """Where the span of this record goes. `owner` gives the principal key that owns a trace id, or None for nobody
    yet: the asker becomes the owner, and the caller must keep that."""
    claim, who = claimed(body), principal_key(body)
    if claim is not None and who:
        known = owner(claim.trace_id)
        if known is None or known == who:
            return Place(claim.trace_id, Placed.TRACEPARENT, parent=claim)
    session = body.get("session")
    if who and isinstance(session, str) and session:
        return Place(derive("session", who, session), Placed.SESSION, link=claim)
    return Place(derive("record", record_hash), Placed.RECORD, link=claim)


def derive(*parts: str) -> str:
    """A trace id that follows from these texts: 32 hex digits."""
    return sha256("\0".join(("holdpoint", *parts)).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def span_id(record_hash: str, part: str = "") -> str:
    """The id of a record's span, or of a named part of it: 16 hex digits that follow from the record's hash."""
    return sha256(f"{record_hash}/{part}".encode()).hexdigest()[:16]


def trace_address(jaeger: str | None, trace_id: str) -> str:
    """Where a person reads this trace; `jaeger` is the base of its page, such as http://127.0.0.1:16686. Without one,
    the bare id."""
    if jaeger is None:
        return trace_id
    return f"{jaeger.rstrip('/')}/trace/{trace_id}"


def nanoseconds(at: str) -> int:
    """Record time as nanoseconds since the epoch. Raises ValueError for what is not RFC 3339 with an offset."""
    moment = datetime.fromisoformat(at)
    if moment.tzinfo is None:
        raise ValueError(f"{at!r}: expected a time with an offset")
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000
