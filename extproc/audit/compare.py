"""What a trace store holds against what the journal says was shipped to it.

Memory is bounded by one span on either side: what is expected is in a database of its own while it is compared.
"""

import contextlib
import json
import sqlite3
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from extproc.audit.attributes import Attributes
from extproc.audit.otlp import Stored
from extproc.audit.placement import Context
from extproc.audit.replay import Perhaps, Progress, Replay, Told
from extproc.audit.spans import Event, Kind, Span

SERVICE, SCOPE = "holdpoint", "holdpoint.audit"
_KINDS = {Kind.INTERNAL: 1, Kind.SERVER: 2, Kind.CLIENT: 3}
_ERROR = 2
_SCHEMA = """
CREATE TABLE span
    (trace TEXT, id TEXT, form BLOB, seen INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (trace, id)) WITHOUT ROWID;
CREATE TABLE perhaps (id TEXT PRIMARY KEY) WITHOUT ROWID;
"""

Query = Callable[[str], Iterator[Stored]]
"""Gives what the store has of a trace id, in any order; nothing for one that it does not know. Raises
StoreUnreachable."""


class StoreUnreachable(Exception):
    """The trace store can't be asked. The message says which and why."""


@dataclass(frozen=True, slots=True)
class Missing:
    """A span that was shipped and is not there."""

    told: Told


@dataclass(frozen=True, slots=True)
class Altered:
    """A span that is not as it was shipped; `changes` says what differs, one text each."""

    told: Told
    changes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unexpected:
    """A span in one of the gateway's traces that should not be there: no record tells it, or (`copies` > 1) it is
    there so many times, each as it should be."""

    stored: Stored
    copies: int = 1

    @property
    def harmless(self) -> bool:
        """Whether nothing is wrong with it but that it was sent again to a store that keeps each."""
        return self.copies > 1


@dataclass(frozen=True, slots=True)
class Compared:
    """Comes last: how many spans were expected, in how many traces."""

    spans: int
    traces: int


Finding = Missing | Altered | Unexpected | Compared


def compare(
    state: Path, query: Query, since: int = 0, progress: Progress = lambda what, done, total: None
) -> Iterator[Finding]:
    """What differs, of records written at `since` (nanoseconds since the epoch) or later. Records that are not
    shipped yet are not missed. The journal and a copy of `shipper.db` are read, and nothing is written in `state`.
    Traces of which the journal knows nothing are not looked for.

    Raises OSError, sqlite3.Error, JournalFault and ReplayFault for the state, StoreUnreachable for the store."""
    if not (state / "shipper.db").exists():
        yield Compared(0, 0)
        return
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="holdpoint-")))
        replay = stack.enter_context(contextlib.closing(Replay(state, folder, progress)))
        scratch = stack.enter_context(contextlib.closing(_Scratch(folder / "compare.db")))
        scratch.fill(replay.spans(), since)
        yield from _compared(scratch, query, (max(since, replay.begins), replay.ends), progress)


def _compared(scratch: "_Scratch", query: Query, between: tuple[int, int], progress: Progress) -> Iterator[Finding]:
    spans, total = scratch.counts()
    for done, trace in enumerate(scratch.each_trace()):
        progress("traces compared", done, total)
        for stored in query(trace):
            if stored.service == SERVICE or stored.scope == SCOPE:
                yield from _against(scratch, trace, stored, between)
        for told in scratch.unseen(trace):
            yield Missing(told)
    progress("traces compared", total, total)
    yield Compared(spans, total)


def _against(scratch: "_Scratch", trace: str, stored: Stored, between: tuple[int, int]) -> Iterator[Finding]:
    known, told, seen = scratch.see(trace, stored.id)
    if told is None:
        # What is older may be of a record that is retired, what is newer of one that was written since.
        if not known and between[0] <= stored.end <= between[1]:
            yield Unexpected(stored)
        return
    changes = differences(told.span, stored)
    if changes:
        yield Altered(told, changes)
    elif seen > 1:
        yield Unexpected(stored, seen)


def differences(span: Span, stored: Stored) -> tuple[str, ...]:
    """How a stored span differs from what was sent, apart from what stores may change: the order of attributes, times
    below a microsecond, and lists, which some keep as JSON text."""
    pairs: list[tuple[str, object, object]] = [
        ("name", span.name, stored.name),
        ("kind", _KINDS[span.kind], stored.kind),
        ("parent", span.parent or "", stored.parent),
        ("start", span.start // 1000, stored.start // 1000),
        ("end", span.end // 1000, stored.end // 1000),
        ("status", _ERROR if span.error is not None else 0, stored.status),
        ("status message", span.error or "", stored.message),
        ("link", [(span.link.trace_id, span.link.span_id)] if span.link else [], list(stored.links)),
        ("events", len(span.events), len(stored.events)),
    ]
    changes = [_said(what, sent, found) for what, sent, found in pairs if sent != found]
    changes += _attributes("attribute", span.attributes, stored.attributes)
    happened = sorted(stored.events, key=lambda event: (event.at, event.name))
    for sent, found in zip(sorted(span.events, key=lambda event: (event.at, event.name)), happened, strict=False):
        if (sent.name, sent.at // 1000) != (found.name, found.at // 1000):
            changes.append(_said("event", f"{sent.name} at {sent.at}", f"{found.name} at {found.at}"))
        changes += _attributes(f"event {sent.name}, attribute", sent.attributes, found.attributes)
    return tuple(changes)


def _attributes(what: str, sent: Attributes, found: Mapping[str, Any]) -> list[str]:
    names = [name for name in {**sent, **found} if not _same(sent.get(name), found.get(name))]
    return [_said(f"{what} {name}", sent.get(name), found.get(name)) for name in names]


def _same(sent: object, found: object) -> bool:
    if isinstance(sent, tuple):
        if isinstance(found, str):
            with contextlib.suppress(ValueError):
                found = json.loads(found)
        return list(sent) == found
    return type(sent) is type(found) and sent == found


def _said(what: str, sent: object, found: object) -> str:
    return f"{what}: sent {_short(sent)}, found {_short(found)}"


def _short(value: object) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 120 else f"{text[:119]}…"


class _Scratch:
    """The expected spans, on disk while they are compared."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        # Gone with the comparison: nothing of it has to outlive a crash.
        self._db.execute("PRAGMA journal_mode=OFF")
        self._db.execute("PRAGMA synchronous=OFF")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Let it go."""
        self._db.close()

    def fill(self, found: Iterator[Told | Perhaps], since: int) -> None:
        """Note all spans; those of records before `since` without their form, which is then not compared."""
        self._db.execute("BEGIN")
        for one in found:
            if isinstance(one, Perhaps):
                self._db.execute("INSERT OR IGNORE INTO perhaps VALUES (?)", (one.id,))
            else:
                form = _packed(one) if one.at >= since else None
                self._db.execute(
                    "INSERT OR REPLACE INTO span (trace, id, form) VALUES (?, ?, ?)",
                    (one.span.trace_id, one.span.id, form),
                )
        self._db.execute("COMMIT")

    def counts(self) -> tuple[int, int]:
        """How many spans there are to compare, and in how many traces."""
        found = self._db.execute("SELECT count(*), count(DISTINCT trace) FROM span WHERE form IS NOT NULL").fetchone()
        return int(found[0]), int(found[1])

    def each_trace(self) -> Iterator[str]:
        """The ids of traces with spans to compare."""
        return (row[0] for row in self._db.execute("SELECT DISTINCT trace FROM span WHERE form IS NOT NULL"))

    def see(self, trace: str, span: str) -> tuple[bool, Told | None, int]:
        """Whether anything is known of a span, what it should be, and how many times it was seen with this one."""
        self._db.execute("UPDATE span SET seen = seen + 1 WHERE trace = ? AND id = ?", (trace, span))
        row = self._db.execute("SELECT form, seen FROM span WHERE trace = ? AND id = ?", (trace, span)).fetchone()
        if row is None:
            return self._db.execute("SELECT 1 FROM perhaps WHERE id = ?", (span,)).fetchone() is not None, None, 0
        return True, None if row[0] is None else _unpacked(row[0]), int(row[1])

    def unseen(self, trace: str) -> Iterator[Told]:
        """The spans of a trace that were not seen."""
        found = "SELECT form FROM span WHERE trace = ? AND seen = 0 AND form IS NOT NULL"
        return (_unpacked(row[0]) for row in self._db.execute(found, (trace,)))


def _packed(told: Told) -> bytes:
    return zlib.compress(orjson.dumps(told), 1)


def _unpacked(form: bytes) -> Told:
    told = orjson.loads(zlib.decompress(form))
    span = told.pop("span")
    span["kind"], span["attributes"] = Kind(span["kind"]), _tuples(span["attributes"])
    span["link"] = Context(**span["link"]) if span["link"] else None
    span["events"] = [Event(e["name"], e["at"], _tuples(e["attributes"])) for e in span["events"]]
    return Told(Span(**span), **told)


def _tuples(attributes: dict[str, Any]) -> Attributes:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in attributes.items()}
