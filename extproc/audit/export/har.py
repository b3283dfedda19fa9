"""HAR 1.2 of a session, for browsers' developer tools and whatever else reads it.

http://www.softwareishard.com/blog/har-12-spec/ is the format. What the journal does not hold is written as the format
writes what is not known: -1 for sizes and times, nothing for headers. What we add is in `comment`, for people, and in
`_holdpoint`, for programs (names that begin with an underscore are anybody's).
"""

from base64 import b64encode
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

import orjson

import extproc
from extproc.audit.bodies.heads import POSTGRES
from extproc.audit.dialogue.postgres import messages
from extproc.audit.export.exchange import Bodies, BodyGone, Exchange, Lane, Session, read

MOST_BYTES = 8 << 20
"""Of one body in a HAR; what is longer is cut, and the content's comment says so."""
UNKNOWN = -1
_JSON = "application/json"
_PHRASES = {status.value: status.phrase for status in HTTPStatus}


def har(session: Session, bodies: Bodies) -> Iterator[bytes]:
    """The document in pieces: one exchange is in memory at a time."""
    creator = {"name": "holdpoint", "version": extproc.__version__}
    opening = {"version": "1.2", "creator": creator, "comment": f"{session.name}, as Holdpoint recorded it"}
    yield b'{"log":' + orjson.dumps(opening)[:-1] + b',"entries":['
    between = b"\n"
    for joined in session.exchanges():
        yield between + orjson.dumps(entry(read(joined), bodies))
        between = b",\n"
    yield b"\n]}}\n"


def entry(exchange: Exchange, bodies: Bodies) -> dict[str, Any]:
    """One entry."""
    timings = _timings(exchange)
    status, lane = exchange.status or 0, exchange.response
    return {
        "startedDateTime": exchange.started,
        "time": sum(took for took in timings.values() if took >= 0),
        "request": {
            "method": exchange.verb,
            "url": exchange.url,
            "httpVersion": "unknown",
            "cookies": [],
            "headers": _headers(exchange.request),
            "queryString": [
                {"name": name, "value": value} for name, value in parse_qsl(exchange.query, keep_blank_values=True)
            ],
            **_posted(exchange, bodies),
            "headersSize": UNKNOWN,
            "bodySize": _size(exchange.request),
        },
        "response": {
            "status": status,
            "statusText": _PHRASES.get(status, exchange.answered),
            "httpVersion": "unknown",
            "cookies": [],
            "headers": _headers(lane),
            "content": _content(exchange, bodies),
            "redirectURL": "",
            "headersSize": UNKNOWN,
            "bodySize": _size(lane),
            **({} if exchange.status is not None or exchange.answered else {"comment": "no response is recorded"}),
        },
        "cache": {},
        "timings": {
            **timings,
            "comment": "blocked: policy and people; wait: all the rest, which isn't told apart",
        },
        "comment": _comment(exchange),
        "_holdpoint": {
            "decision": exchange.decision,
            "effect": exchange.effect,
            "outcome": exchange.outcome,
            "revision": exchange.revision,
            **({"statement": exchange.statement} if exchange.statement else {}),
            "reasons": list(exchange.reasons),
            "masked": exchange.masked,
            "hold": exchange.hold,
            "approvers": [vote.who for vote in exchange.votes if vote.approve],
        },
    }


def _timings(exchange: Exchange) -> dict[str, float]:
    """Milliseconds, -1 for what does not apply."""
    blocked, total = exchange.waited, exchange.duration
    wait = 0 if total is None else max(0, total - blocked)
    return {
        "blocked": blocked / 1000 if blocked else UNKNOWN,
        "dns": UNKNOWN,
        "connect": UNKNOWN,
        "ssl": UNKNOWN,
        "send": 0,
        "wait": wait / 1000,
        "receive": 0,
    }


def _headers(lane: Lane) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in lane.headers]


def _size(lane: Lane) -> int:
    return UNKNOWN if lane.passed is None else lane.passed


def _posted(exchange: Exchange, bodies: Bodies) -> dict[str, Any]:
    lane = exchange.request
    if not lane.passed:
        return {}
    data, comment = _bytes(lane, bodies)
    if lane.type == POSTGRES:
        return {"postData": {"mimeType": _JSON, "params": [], **_spoken(exchange, "request", data, comment)}}
    try:
        text = data.decode()
    except UnicodeDecodeError:
        # The format has no way to carry bytes here; this is what others do.
        text, comment = b64encode(data).decode(), f"{comment}; in base64".removeprefix("; ")
    posted: dict[str, Any] = {"mimeType": lane.type or "application/octet-stream", "params": [], "text": text}
    return {"postData": posted | ({"comment": comment} if comment else {})}


def _content(exchange: Exchange, bodies: Bodies) -> dict[str, Any]:
    lane = exchange.response
    data, comment = _bytes(lane, bodies)
    if lane.type == POSTGRES:
        size = max(0, _size(lane))
        return {"size": size, "mimeType": _JSON, **_spoken(exchange, "response", data, comment)}
    content: dict[str, Any] = {"size": max(0, _size(lane)), "mimeType": lane.type or "x-unknown"}
    if data:
        try:
            content["text"] = data.decode()
        except UnicodeDecodeError:
            content |= {"text": b64encode(data).decode(), "encoding": "base64"}
    return content | ({"comment": comment} if comment else {})


def _spoken(exchange: Exchange, lane: str, data: bytes, comment: str) -> dict[str, str]:
    """Messages of a protocol that has no text, as a document that has."""
    text = orjson.dumps(messages(data, lane, exchange.columns), option=orjson.OPT_INDENT_2).decode("utf-8", "replace")
    said = "PostgreSQL's messages, written as JSON"
    return {"text": text, "comment": f"{said}; {comment}" if comment else said}


def _bytes(lane: Lane, bodies: Bodies) -> tuple[bytes, str]:
    """What was kept of a body, as far as it goes into a HAR, and what is to be said of it."""
    if lane.address is None:
        return b"", f"not kept: recorded as {lane.mode}" if lane.passed else ""
    data = bytearray()
    try:
        for piece in bodies.content(lane.address):
            data += piece[: MOST_BYTES - len(data)]
            if len(data) >= MOST_BYTES:
                break
    except BodyGone as error:
        return b"", f"not here: {error}"
    if lane.passed is not None and len(data) < lane.passed:
        return bytes(data), f"the first {len(data)} of {lane.passed} bytes"
    return bytes(data), ""


def _comment(exchange: Exchange) -> str:
    """In a line: what was decided, why, by whom, and what was masked."""
    enforced = [r for r in exchange.reasons if r.get("mode") != "shadow"]
    parts = [f"{exchange.effect} ({exchange.outcome})"]
    parts += [f"{r.get('policy')}: {r.get('message')}" for r in enforced]
    parts += [f"{'approved' if vote.approve else 'denied'} by {vote.who}: {vote.reason}" for vote in exchange.votes]
    parts += [
        f"masked in the {lane}: " + ", ".join(f"{kind} {n}" for kind, n in sorted(kinds.items()))
        for lane, kinds in exchange.masked.items()
        if kinds
    ]
    return "; ".join(parts)
