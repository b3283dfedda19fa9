"""Writes rows into the index. Everything here happens inside a transaction of the caller's."""

import sqlite3
import sys
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from extproc.audit.frame import Record
from extproc.audit.index.rows import LANES, Action, Delivery, Event, Kept, Session, Shown, read, session_of, tag

Row = TypeVar("Row", Action, Event)
Texts = Callable[[Kept], str]
"""The text of a body that may be searched; empty where it has none or is gone."""

_ACTION = f"INSERT INTO action VALUES ({', '.join('?' * 17)})"
_EVENT = f"INSERT INTO event VALUES ({', '.join('?' * 10)})"
_SESSION = """
INSERT INTO session VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET
    first = min(first, excluded.first), last = max(last, excluded.last),
    opened = min(ifnull(opened, excluded.opened), ifnull(excluded.opened, opened)),
    closed = max(ifnull(closed, excluded.closed), ifnull(excluded.closed, closed)),
    source = iif(source = '', excluded.source, source),
    allowed = allowed + excluded.allowed, masked = masked + excluded.masked,
    held = held + excluded.held, blocked = blocked + excluded.blocked
"""
_WITHIN = "stream = ? AND offset >= ? AND offset < ?"
_COLUMN = {lane: lane for lane in LANES}
_COUNTS = ("allowed", "masked", "held", "blocked")


@dataclass(frozen=True, slots=True)
class Cursor:
    """Everything of a stream before byte `offset` is indexed; `hash` is that of the last record before it. `fault` says
    why what is behind it can't be read, if so."""

    stream: str
    genesis: str
    offset: int
    seq: int
    hash: str
    fault: str | None = None


@dataclass(slots=True)
class Batch:
    """The rows of some records of one stream, joined as far as they belong together; `texts` counts the bodies whose
    words are wanted."""

    actions: dict[str, Action] = field(default_factory=dict)
    deliveries: list[Delivery] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    sessions: dict[str, Session] = field(default_factory=dict)
    texts: int = 0

    def add(self, record: Record) -> None:
        """Take one record."""
        rows = read(record)
        self.texts += sum(kept.index for kept in rows.bodies)
        if isinstance(rows, Delivery):
            action = self.actions.get(rows.decision)
            if action is None:
                self.deliveries.append(rows)
            else:
                _join(action, rows)
            return
        of = session_of(record)
        if of is not None:
            of = _merged(self.sessions.setdefault(of.key, of), of)
        if isinstance(rows, Event):
            self.events.append(rows)
            return
        self.actions[rows.decision] = rows
        if of is not None:
            of.targets.add(rows.target)


class Writer:
    """The index's one writer. `texts` gives the words of bodies."""

    def __init__(self, db: sqlite3.Connection, texts: Texts) -> None:
        self._db, self._texts = db, texts

    def cursors(self) -> dict[str, Cursor]:
        """How far each stream is indexed."""
        rows = self._db.execute("SELECT name, genesis, offset, seq, hash, fault FROM stream WHERE genesis IS NOT NULL")
        return {row[0]: Cursor(*row) for row in rows}

    def move(self, to: Cursor) -> None:
        """Note how far a stream is indexed."""
        self._db.execute(
            "UPDATE stream SET genesis = ?, offset = ?, seq = ?, hash = ?, fault = ? WHERE id = ?",
            (to.genesis, to.offset, to.seq, to.hash, to.fault, self.number(to.stream)),
        )

    def number(self, stream: str) -> int:
        """The number that stands for a stream in rows."""
        self._db.execute("INSERT OR IGNORE INTO stream (name) VALUES (?)", (stream,))
        return int(self._db.execute("SELECT id FROM stream WHERE name = ?", (stream,)).fetchone()[0])

    def write(self, stream: str, batch: Batch) -> None:
        """Write a batch of a stream. What is there already stays as it is."""
        number = self.number(stream)
        actions = self._new("action", number, list(batch.actions.values()))
        events = self._new("event", number, batch.events)
        counts = {key: [0, 0, 0, 0] for key in batch.sessions}
        for action in actions:
            if action.session is not None:
                counts[action.session][action.effect] += 1
        self._insert("action", _ACTION, actions, lambda action: _action_row(action, number))
        self._insert("event", _EVENT, events, lambda event: _event_row(event, number))
        self._db.executemany(
            "INSERT INTO words (rowid, tags, said, request, response) VALUES (?, ?, ?, ?, ?)",
            sorted((action.id, action.tags, action.text, *self._said(action)) for action in actions),
        )
        self._db.executemany(
            "INSERT OR IGNORE INTO policy VALUES (?, ?)",
            [(policy, action.id) for action in actions for policy in action.policies],
        )
        self._db.executemany(_SESSION, [_session_row(s, counts[s.key]) for s in batch.sessions.values()])
        self._db.executemany(
            "INSERT OR IGNORE INTO session_target VALUES (?, ?)",
            [(s.key, target) for s in batch.sessions.values() for target in s.targets],
        )
        kept: list[Action | Event | Delivery] = [*actions, *events, *batch.deliveries]
        self._db.executemany(
            "INSERT OR IGNORE INTO body VALUES (?, ?, ?)",
            [(body.address, of.decision or "", body.lane) for of in kept for body in of.bodies],
        )
        for delivery in batch.deliveries:
            self._deliver(delivery, number)
        for event in events:
            if event.decision and event.bodies:
                self._learn(event.decision, event.bodies)

    def forget(self, ranges: Iterable[tuple[str, int, int]]) -> bool:
        """Forget the records whose frames begin in these bytes: (stream, from, to). Whether any was there."""
        by_stream = defaultdict[int, list[tuple[int, int]]](list)
        for stream, begin, end in ranges:
            by_stream[self.number(stream)].append((begin, end))
        gone, sessions = False, set[str]()
        for number, within in by_stream.items():
            for begin, end in within:
                gone |= self._forget((number, begin, end), sessions)
            gone |= self._forget_deliveries(number, sorted(within))
        # Once each: a session may have records in very many ranges.
        for key in sessions:
            self._recount(key)
        return gone

    def forget_bodies(self, addresses: Iterable[str]) -> bool:
        """Forget the words of bodies, and that they were kept. Whether any was there."""
        gone = [self._forget_body(address) for address in addresses]
        return any(gone)

    def _forget_body(self, address: str) -> bool:
        found = self._db.execute("SELECT decision, lane FROM body WHERE address = ?", (address,)).fetchall()
        for decision, lane in found:
            self._db.execute(
                f"UPDATE words SET {_COLUMN[lane]} = '' WHERE rowid IN (SELECT id FROM action WHERE decision = ?)",
                (decision,),
            )
        self._db.execute("DELETE FROM body WHERE address = ?", (address,))
        return bool(found)

    def _forget(self, at: tuple[int, int, int], sessions: set[str]) -> bool:
        """One range; `sessions` gets those that lose something."""
        gone = self._db.execute(f"SELECT id, decision, session FROM action WHERE {_WITHIN}", at).fetchall()
        events = self._db.execute(f"SELECT session FROM event WHERE {_WITHIN}", at).fetchall()
        self._db.executemany("DELETE FROM words WHERE rowid = ?", [(row,) for row, *_ in gone])
        self._db.executemany("DELETE FROM policy WHERE action = ?", [(row,) for row, *_ in gone])
        self._db.executemany("DELETE FROM body WHERE decision = ?", [(decision,) for _, decision, _ in gone])
        self._db.execute(f"DELETE FROM action WHERE {_WITHIN}", at)
        self._db.execute(f"DELETE FROM event WHERE {_WITHIN}", at)
        sessions.update(key for *_, key in (*gone, *events) if key is not None)
        return bool(gone or events)

    def _forget_deliveries(self, number: int, ranges: list[tuple[int, int]]) -> bool:
        """Those of actions that stay. There is no order of deliveries to look them up in: all are looked at, once."""
        bounds = (number, ranges[0][0], max(end for _, end in ranges))
        late = []
        for row, delivery in self._db.execute(
            "SELECT id, delivery FROM action WHERE delivery_stream = ? AND delivery >= ? AND delivery < ?", bounds
        ):
            place = bisect_right(ranges, (delivery, sys.maxsize)) - 1
            if place >= 0 and delivery < ranges[place][1]:
                late.append((row,))
        self._db.executemany("UPDATE action SET delivery_stream = NULL, delivery = NULL WHERE id = ?", late)
        return bool(late)

    def _new(self, table: str, number: int, rows: list[Row]) -> list[Row]:
        """Those that are not there yet. A cursor moves with its rows, so that is all of them but after a mishap."""
        if not rows:
            return rows
        between = (number, rows[0].place[1], rows[-1].place[1])
        found = self._db.execute(f"SELECT offset FROM {table} WHERE stream = ? AND offset BETWEEN ? AND ?", between)
        known = {offset for (offset,) in found}
        return [row for row in rows if row.place[1] not in known] if known else rows

    def _insert(self, table: str, sql: str, rows: list[Row], values: Callable[[Row], Sequence[object]]) -> None:
        self._db.execute("SAVEPOINT rows")
        try:
            self._db.executemany(sql, map(values, rows))
        except sqlite3.IntegrityError:
            # Records of one microsecond that have one slot: rare enough to look for a free one each.
            self._db.execute("ROLLBACK TO rows")
            for row in rows:
                while self._db.execute(f"SELECT 1 FROM {table} WHERE id = ?", (row.id,)).fetchone():
                    row.id += 1
                self._db.execute(sql, values(row))
        self._db.execute("RELEASE rows")

    def _deliver(self, delivery: Delivery, number: int) -> None:
        """What became of an action that was written before."""
        found = self._db.execute(
            "SELECT id, session, effect FROM action WHERE decision = ?", (delivery.decision,)
        ).fetchone()
        if found is None:
            return
        row, session, effect = found
        after = Shown.MASK if delivery.masked and effect == Shown.ALLOW else Shown(effect)
        self._db.execute(
            "UPDATE action SET effect = ?, outcome = ?, status = ?, delivery_stream = ?, delivery = ? WHERE id = ?",
            (after, delivery.outcome, delivery.status, number, delivery.place[1], row),
        )
        if after != effect:
            tags = (tag("e", Shown(effect).name), tag("e", after.name), row)
            self._db.execute("UPDATE words SET tags = replace(tags, ?, ?) WHERE rowid = ?", tags)
            moved = f"{_COUNTS[effect]} = {_COUNTS[effect]} - 1, {_COUNTS[after]} = {_COUNTS[after]} + 1"
            self._db.execute(f"UPDATE session SET {moved} WHERE key = ?", (session,))
        self._learn(delivery.decision, delivery.bodies)

    def _learn(self, decision: str, bodies: Sequence[Kept]) -> None:
        """Words of bodies of an action that was written before."""
        for kept in bodies:
            said = self._texts(kept) if kept.index else ""
            if said:
                self._db.execute(
                    f"UPDATE words SET {_COLUMN[kept.lane]} = {_COLUMN[kept.lane]} || char(10) || ? WHERE rowid IN "
                    "(SELECT id FROM action WHERE decision = ?)",
                    (said, decision),
                )

    def _said(self, action: Action) -> tuple[str, str]:
        said = {"request": action.begins, "response": ""}
        for kept in action.bodies:
            text = self._texts(kept) if kept.index else ""
            if text:
                # As `_learn` adds what is told later.
                said[kept.lane] += f"\n{text}"
        return said["request"], said["response"]

    def _recount(self, key: str) -> None:
        """What a session is after some of its records were forgotten."""
        counts = [0, 0, 0, 0]
        for effect, n in self._db.execute("SELECT effect, count(*) FROM action WHERE session = ? GROUP BY 1", (key,)):
            counts[effect] = n
        ids = "SELECT id FROM action WHERE session = ?1 UNION ALL SELECT id FROM event WHERE session = ?1"
        first, last = self._db.execute(f"SELECT min(id), max(id) FROM ({ids})", (key,)).fetchone()
        if first is None:
            self._db.execute("DELETE FROM session WHERE key = ?", (key,))
            self._db.execute("DELETE FROM session_target WHERE session = ?", (key,))
            return
        self._db.execute(
            "UPDATE session SET first = ?, last = ?, allowed = ?, masked = ?, held = ?, blocked = ? WHERE key = ?",
            (first, last, *counts, key),
        )


def _join(action: Action, delivery: Delivery) -> None:
    action.status, action.outcome, action.delivery = delivery.status, delivery.outcome, delivery.place
    action.bodies += delivery.bodies
    if delivery.masked and action.effect is Shown.ALLOW:
        action.effect = Shown.MASK


def _merged(known: Session, of: Session) -> Session:
    known.first, known.last = min(known.first, of.first), max(known.last, of.last)
    known.opened = of.opened if known.opened is None else known.opened
    known.closed = of.closed if of.closed is not None else known.closed
    known.source = known.source or of.source
    return known


def _action_row(action: Action, number: int) -> Sequence[object]:
    delivery = (None, None) if action.delivery is None else (number, action.delivery[1])
    return (
        action.id, number, action.place[1], action.decision, action.session, action.principal, action.target,
        action.verb, action.resource, action.effect, action.outcome, action.hold, action.trace, action.claim,
        action.status, *delivery,
    )  # fmt: skip


def _event_row(event: Event, number: int) -> Sequence[object]:
    return (
        event.id, number, event.place[1], event.kind, event.what, event.who, event.target, event.hold,
        event.decision, event.session,
    )  # fmt: skip


def _session_row(s: Session, counts: Sequence[int]) -> Sequence[object]:
    return s.key, s.principal, s.name, s.source, s.first, s.last, s.opened, s.closed, *counts
