"""The index, for reading. What it gives are places in the journal; records are read there."""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from extproc.audit.index import schema
from extproc.audit.index.indexer import INDEX
from extproc.audit.index.query import (
    FOUND,
    LAST,
    LIMIT,
    MOST,
    PLACES,
    SESSION,
    Events,
    Found,
    Page,
    Query,
    SessionRow,
    between,
    match,
    only_sessions,
    select,
    select_events,
    starting,
)
from extproc.audit.index.rows import Shown, rfc3339

SCANNED = 20_000
"""Actions that are looked at for one page of sessions: it may be shorter than asked for, and says where it stopped."""


class IndexUnusable(Exception):
    """There is no index, or it is being made again. The message says what to do."""


class Index:
    """The index, for reading. Thread-safe. Every method raises IndexUnusable."""

    def __init__(self, state: Path) -> None:
        self._path = state / INDEX
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._let_go()

    def actions(self, query: Query) -> Page[Found]:
        """The actions that fit."""
        most = max(1, min(query.limit, MOST))
        with self._reading() as db:
            rows = tuple(_found(row) for row in db.execute(*select(query, most + 1)))
        return Page(rows[:most], rows[most - 1].id if len(rows) > most else None)

    def happened(self, query: Events) -> Page[tuple[str, int]]:
        """The places of the events that fit."""
        most = max(1, min(query.limit, MOST))
        with self._reading() as db:
            rows = db.execute(*select_events(query, most + 1)).fetchall()
        places = tuple((str(stream), int(offset)) for _, stream, offset in rows[:most])
        return Page(places, int(rows[most - 1][0]) if len(rows) > most else None)

    def sessions(self, query: Query) -> Page[SessionRow]:
        """The sessions of actions that fit, each once, by its newest such action; without anything but times and a
        principal to look for, those with no action too."""
        most = max(1, min(query.limit, MOST))
        with self._reading() as db:
            if only_sessions(query):
                return _plain_sessions(db, query, most)
            seen: dict[str, Found] = {}
            scanned, last = 0, query.before
            for row in db.execute(*select(query, SCANNED)):
                found = _found(row)
                key, scanned = found.session, scanned + 1
                if key is not None and key not in seen and not _shown_before(db, query, key):
                    if len(seen) == most:
                        return Page(_with(db, seen), last)
                    seen[key] = found
                last = found.id
            return Page(_with(db, seen), last if scanned == SCANNED else None)

    def session(self, start: str) -> list[SessionRow]:
        """The sessions whose key starts so; ten at most."""
        with self._reading() as db:
            rows = db.execute(f"SELECT {SESSION} FROM session WHERE key >= ? AND key < ? LIMIT 10", starting(start))
            return [_session(db, row) for row in rows.fetchall()]

    def decision(self, start: str) -> list[Found]:
        """The actions whose decision's id starts so; ten at most."""
        return list(self.actions(Query(decision=start, limit=10)).rows)

    def exchanges(self, session: str, after: int = 0, limit: int = LIMIT) -> Page[Found]:
        """A session's actions, oldest first, from behind the row `after`."""
        sql = f"SELECT {FOUND} FROM action a {PLACES} WHERE a.session = ? AND a.id > ? ORDER BY a.id LIMIT ?"
        with self._reading() as db:
            rows = tuple(_found(row) for row in db.execute(sql, (session, after, limit + 1)))
        return Page(rows[:limit], rows[limit - 1].id if len(rows) > limit else None)

    def events(self, of: str, value: str) -> list[tuple[str, int]]:
        """The places of records other than decisions and their deliveries, oldest first. `of` says of what: a hold, a
        decision or a session (by its key), or a kind."""
        sql = f"SELECT s.name, e.offset FROM event e JOIN stream s ON s.id = e.stream WHERE {_OF[of]} = ? ORDER BY e.id"
        with self._reading() as db:
            return [(str(stream), int(offset)) for stream, offset in db.execute(sql, (value,))]

    def lanes(self, decision: str) -> dict[str, str]:
        """The addresses of what was kept of an action's bodies, by lane."""
        with self._reading() as db:
            rows = db.execute("SELECT lane, address FROM body WHERE decision = ?", (decision,))
            return {str(lane): str(address) for lane, address in rows}

    def bodies(self, address: str) -> list[tuple[str, str]]:
        """Where a body is from: (decision, lane). The same content has one address."""
        with self._reading() as db:
            rows = db.execute("SELECT decision, lane FROM body WHERE address = ?", (address,))
            return [(str(decision), str(lane)) for decision, lane in rows]

    def progress(self) -> dict[str, tuple[int, str | None]]:
        """How far each stream is indexed: its byte, and why not further where it can't be read."""
        with self._reading() as db:
            rows = db.execute("SELECT name, ifnull(offset, 0), fault FROM stream")
            return {str(name): (int(offset), fault) for name, offset, fault in rows}

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                if self._db is None or schema.identity(self._path) != self._identity:
                    self._let_go()
                    self._db = schema.open_reader(self._path)
                    self._identity = schema.identity(self._path)
                yield self._db
            except FileNotFoundError:
                self._let_go()
                raise IndexUnusable(f"{self._path}: there is no index yet; a running gateway makes it") from None
            except (sqlite3.Error, schema.Unfit, OSError) as error:
                self._let_go()
                if not isinstance(error, schema.Unfit) and schema.damaged(error):
                    self._give_up()
                raise IndexUnusable(
                    f"{self._path}: {error}; a running gateway makes it again (`holdpoint sessions index`)"
                ) from error

    def _give_up(self) -> None:
        """Delete what is damaged in a place that its writer may never look at: it makes another then."""
        if schema.identity(self._path) == self._identity:
            schema.discard(self._path)

    def _let_go(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None


_OF = {"hold": "e.hold", "decision": "e.decision", "session": "e.session", "kind": "e.kind"}


def _plain_sessions(db: sqlite3.Connection, query: Query, most: int) -> Page[SessionRow]:
    since, until = between(query)
    # A session that went on after `until` had been there before; one page ends where the next begins, by `last`.
    where, values = ["last >= ?", "last < ?", "first < ?"], [since, query.before or LAST, until]
    asked: list[object] = [*values]
    for name, value in (("principal", query.principal), ("key", query.session)):
        if value is not None:
            where.append(f"{name} = ?")
            asked.append(value)
    sql = f"SELECT {SESSION} FROM session WHERE {' AND '.join(where)} ORDER BY last DESC LIMIT ?"
    rows = db.execute(sql, (*asked, most + 1)).fetchall()
    return Page(tuple(_session(db, row) for row in rows[:most]), rows[most - 1][5] if len(rows) > most else None)


def _shown_before(db: sqlite3.Connection, query: Query, session: str) -> bool:
    """Whether an earlier page had this session: it has an action that fits and is newer than this page's."""
    if query.before is None:
        return False
    earlier = replace(query, session=session, before=None)
    sought, (_, until) = match(earlier), between(earlier)
    sql = "SELECT 1 FROM words WHERE words MATCH ? AND rowid >= ? AND rowid < ? LIMIT 1"
    return db.execute(sql, (sought, query.before, until)).fetchone() is not None


def _with(db: sqlite3.Connection, seen: dict[str, Found]) -> tuple[SessionRow, ...]:
    rows = []
    for key, newest in seen.items():
        row = db.execute(f"SELECT {SESSION} FROM session WHERE key = ?", (key,)).fetchone()
        if row is not None:
            rows.append(replace(_session(db, row), newest=newest))
    return tuple(rows)


def _session(db: sqlite3.Connection, row: Sequence[object]) -> SessionRow:
    key, principal, name, source, first, last, _, closed, *counts = row
    of = f"SELECT {FOUND} FROM action a {PLACES} WHERE a.session = ? ORDER BY a.id DESC LIMIT 1"
    newest = db.execute(of, (key,)).fetchone()
    targets = db.execute("SELECT target FROM session_target WHERE session = ? ORDER BY 1 LIMIT 64", (key,))
    return SessionRow(
        str(key),
        str(principal),
        str(name),
        str(source),
        rfc3339(int(str(first))),
        rfc3339(int(str(last))),
        rfc3339(int(str(closed))) if closed is not None and closed == last else None,
        tuple(int(str(n)) for n in counts),
        tuple(str(target) for (target,) in targets),
        None if newest is None else _found(newest),
    )


def _found(row: Sequence[object]) -> Found:
    (
        id_, stream, offset, delivery_stream, delivery, decision, session, principal, target, verb, resource, effect,
        outcome, hold, status,
    ) = row  # fmt: skip
    return Found(
        id_, rfc3339(id_), (stream, offset), None if delivery is None else (delivery_stream, delivery),  # type: ignore[arg-type]
        decision, session, principal, target, verb, resource, Shown(effect), outcome, hold, status,  # type: ignore[arg-type]
    )  # fmt: skip
