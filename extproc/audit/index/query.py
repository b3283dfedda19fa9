"""What the index is asked, and what it answers: newest first, a page at a time. Pure."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from extproc.audit.index.rows import MARK, SLOTS, Shown, micros, tag

LIMIT = 50
MOST = 1000
"""Rows of a page, unless told, and at most."""
LAST = 2**63 - 1
Row = TypeVar("Row")
_WORD = re.compile(r"\w", re.UNICODE)


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for; None and () ask for nothing. All of it must hold of one action.

    `principal` is a subject, or "issuer subject"; `effect` a name of Shown, in lower case; `since` and `until` RFC 3339
    (from, and before); `trace` 32 hex digits; `decision` the start of an id; `session` a whole key; `words` are found
    in what was asked for, in the reasons, and in bodies where these may be searched: each one whole, or its beginning
    where it ends with *; one with spaces is a phrase. Without `bodies` these are not looked at. `before` is the `next`
    of an earlier page."""

    principal: str | None = None
    target: str | None = None
    effect: str | None = None
    policy: str | None = None
    since: str | None = None
    until: str | None = None
    trace: str | None = None
    decision: str | None = None
    session: str | None = None
    hold: str | None = None
    words: tuple[str, ...] = ()
    bodies: bool = True
    limit: int = LIMIT
    before: int | None = None


@dataclass(frozen=True, slots=True)
class Events:
    """Which records other than decisions and their deliveries are looked for; None asks for nothing.

    `kinds` are kinds of records; `principal` is the subject, or "issuer subject", of who did it or whose it was; the
    rest is as in Query."""

    kinds: tuple[str, ...]
    principal: str | None = None
    target: str | None = None
    since: str | None = None
    until: str | None = None
    decision: str | None = None
    hold: str | None = None
    limit: int = LIMIT
    before: int | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """One action. `place` and `delivery` are (stream, offset); `id` is its `before`."""

    id: int
    at: str
    place: tuple[str, int]
    delivery: tuple[str, int] | None
    decision: str
    session: str | None
    principal: str
    target: str
    verb: str
    resource: str
    effect: Shown
    outcome: str
    hold: str | None
    status: int | None


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One session. Times are RFC 3339; `counts` are of its actions, by Shown; `closed` is None where nobody said so, or
    something came after it. `newest` is the newest action, of those that were looked for; None where there is none."""

    key: str
    principal: str
    name: str
    source: str
    first: str
    last: str
    closed: str | None
    counts: tuple[int, ...]
    targets: tuple[str, ...]
    newest: Found | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Rows, newest first. `next` asks for the page after it; None at the end."""

    rows: tuple[Row, ...]
    next: int | None


PLACES = "JOIN stream s ON s.id = a.stream LEFT JOIN stream d ON d.id = a.delivery_stream"
FOUND = (
    "a.id, s.name, a.offset, d.name, a.delivery, a.decision, a.session, a.principal, a.target, a.verb, a.resource, "
    "a.effect, a.outcome, a.hold, a.status"
)
SESSION = "key, principal, name, source, first, last, opened, closed, allowed, masked, held, blocked"


def match(query: Query) -> str:
    """What the full-text index is asked: facts and words, all of which must be there. Empty where nothing is asked."""
    facts = (
        ("p" if " " in (query.principal or "") else "u", query.principal),
        ("t", query.target),
        ("e", query.effect.upper() if query.effect is not None else None),
        ("y", query.policy),
        ("r", query.trace.lower() if query.trace is not None else None),
        ("s", query.session),
        ("h", query.hold),
    )
    asked = [f'"{tag(kind, value)}"' for kind, value in facts if value is not None]
    # In the columns of text: facts are no words.
    within = "{said request response}" if query.bodies else "{said}"
    return " AND ".join([*asked, *(f"{within} : {term}" for word in query.words for term in _term(word))])


def _term(word: str) -> Iterator[str]:
    """A word or phrase of a person, in the language of the full-text index; nothing for one without a letter."""
    text = word.replace(MARK, " ").replace("\0", " ").encode("utf-8", "replace").decode()
    start = text.endswith("*")
    text = text.rstrip("*").replace('"', " ")
    if _WORD.search(text.replace("_", " ")):
        yield f'"{text}"' + (" *" if start else "")


def select(query: Query, limit: int) -> tuple[str, Sequence[object]]:
    """The statement for the actions that fit, newest first."""
    sought = match(query)
    words = "words w JOIN action a ON a.id = w.rowid" if sought else "action a"
    # Of the few with an id that starts so, the newest are soon found; among all in order of time they are not.
    row = "w.rowid" if sought else "a.id" if query.decision is None else "+a.id"
    since, until = between(query)
    where, given = [f"{row} >= ?", f"{row} < ?"], [since, until]
    values: list[object] = [*given]
    if sought:
        where.insert(0, "words MATCH ?")
        values.insert(0, sought)
    if query.decision is not None:
        where.append("a.decision >= ? AND a.decision < ?")
        values += starting(query.decision)
    sql = f"SELECT {FOUND} FROM {words} {PLACES} WHERE {' AND '.join(where)} ORDER BY {row} DESC LIMIT ?"
    return sql, (*values, limit)


def select_events(query: Events, limit: int) -> tuple[str, Sequence[object]]:
    """The statement for the ids and places of the events that fit, newest first."""
    where = [f"e.kind IN ({', '.join('?' * len(query.kinds))})", "e.id >= ?", "e.id < ?"]
    values: list[object] = [*query.kinds, *between(query)]
    # A subject alone is what follows the issuer, in which there is no space.
    who = "e.who" if " " in (query.principal or "") else "substr(e.who, instr(e.who, ' ') + 1)"
    for column, value in ((who, query.principal), ("e.target", query.target), ("e.hold", query.hold)):
        if value is not None:
            where.append(f"{column} = ?")
            values.append(value)
    if query.decision is not None:
        where.append("e.decision >= ? AND e.decision < ?")
        values += starting(query.decision)
    sql = f"SELECT e.id, s.name, e.offset FROM event e JOIN stream s ON s.id = e.stream WHERE {' AND '.join(where)}"
    return f"{sql} ORDER BY e.id DESC LIMIT ?", (*values, limit)


def between(query: Query | Events) -> tuple[int, int]:
    """The ids of rows that fit the times and the page asked for: from the first up to the second."""
    since = 0 if query.since is None else micros(query.since) * SLOTS
    until = LAST if query.until is None else micros(query.until) * SLOTS
    return since, min(until, LAST if query.before is None else query.before)


def starting(start: str) -> tuple[str, str]:
    """The texts that start so lie from the first of these up to the second."""
    return start, f"{start}\U0010ffff"


def only_sessions(query: Query) -> bool:
    """Whether nothing is asked that only actions can answer."""
    asked = replace(query, principal=None, since=None, until=None, session=None, bodies=True, limit=LIMIT, before=None)
    return asked == Query() and (query.principal is None or " " in query.principal)
