"""`retention.db`: what is on legal hold, what is about to go, and what was purged.

Several processes use it. What goes is chosen and noted in one transaction, together with the legal holds as they are at
that moment: a hold is placed either before, and then what it keeps is not chosen, or after, and comes too late for it.
"""

import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from extproc.audit.retention.rules import Keep, LegalHold, Selects
from extproc.domain.json import Document

FILE = "retention.db"
VERSION = 1
BUSY_SECONDS = 10.0
_TABLES = """
CREATE TABLE generation (id INTEGER PRIMARY KEY CHECK (id = 1), n INTEGER);
INSERT INTO generation VALUES (1, 0);
CREATE TABLE hold (id TEXT PRIMARY KEY, at TEXT, by TEXT, reason TEXT, selects TEXT) WITHOUT ROWID;
CREATE TABLE purge
    (id TEXT PRIMARY KEY, at TEXT, by TEXT, reason TEXT, query TEXT, decisions INTEGER, bodies INTEGER, kept INTEGER,
     places TEXT, receipt TEXT) WITHOUT ROWID;
CREATE TABLE purged (purge TEXT, address TEXT, decision TEXT, PRIMARY KEY (purge, address, decision)) WITHOUT ROWID;
CREATE TABLE going (address TEXT PRIMARY KEY, purge TEXT, unless_since REAL) WITHOUT ROWID;
CREATE INDEX going_purge ON going (purge);
CREATE TABLE segment
    (stream TEXT, origin TEXT, base INTEGER, holds INTEGER, summary TEXT, PRIMARY KEY (stream, base)) WITHOUT ROWID;
CREATE TABLE target (name TEXT PRIMARY KEY, records REAL, bodies REAL) WITHOUT ROWID;
CREATE TABLE seen (id INTEGER PRIMARY KEY CHECK (id = 1), at REAL);
"""


class HoldsChanged(Exception):
    """A legal hold was placed or lifted meanwhile: look again."""


class UnknownHold(Exception):
    """There is no such legal hold."""


@dataclass(frozen=True, slots=True)
class Purge:
    """One purge: who wanted it and why, what was searched for, and how many decisions it is about, bodies it deletes,
    and bodies a legal hold keeps. `places` are those of its records so far; `receipt` is None until it is done."""

    id: str
    at: str
    by: Mapping[str, Any]
    reason: str
    query: Document
    decisions: int
    bodies: int
    kept: int
    places: Sequence[Document] = ()
    receipt: Mapping[str, Any] | None = None


class RetentionStore:
    """The database, opened, and made where it is missing. Thread-safe. Raises sqlite3.Error and OSError."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        self._path, self._lock = path, threading.RLock()
        self._identity = _identity(path)
        self._db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            _use_wal(self._db)
            # With NORMAL a power cut may take a legal hold back.
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA secure_delete = ON")
            with self._transaction() as db:
                (version,) = db.execute("PRAGMA user_version").fetchone()
                if version == 0:
                    for statement in _TABLES.split(";"):
                        db.execute(statement)
                    db.execute(f"PRAGMA user_version = {VERSION}")
                elif version != VERSION:
                    raise sqlite3.DatabaseError(f"{path}: schema version {version}, expected {VERSION}")
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        """Let the file go."""
        with self._lock:
            self._db.close()

    # Legal holds.

    def holds(self) -> tuple[int, list[LegalHold]]:
        """Those that are placed, oldest first, and their generation: it changes with each that is placed or lifted."""
        with self._transaction("BEGIN") as db:
            rows = db.execute("SELECT id, at, by, reason, selects FROM hold ORDER BY at, id").fetchall()
            return _generation(db), [_hold(row) for row in rows]

    def place(self, hold: LegalHold) -> bool:
        """Keep what it selects from now on; False where it is placed already."""
        values = (hold.id, hold.at, json.dumps(hold.by), hold.reason, json.dumps(hold.selects.document()))
        with self._transaction() as db:
            if db.execute("INSERT OR IGNORE INTO hold VALUES (?, ?, ?, ?, ?)", values).rowcount == 0:
                return False
            db.execute("UPDATE generation SET n = n + 1")
        return True

    def lift(self, hold_id: str) -> LegalHold:
        """Keep it no longer; the hold as it was. Raises UnknownHold."""
        with self._transaction() as db:
            row = db.execute("SELECT id, at, by, reason, selects FROM hold WHERE id = ?", (hold_id,)).fetchone()
            if row is None:
                raise UnknownHold(hold_id)
            db.execute("DELETE FROM hold WHERE id = ?", (hold_id,))
            db.execute("UPDATE generation SET n = n + 1")
        return _hold(row)

    @contextmanager
    def unchanged(self, generation: int) -> Iterator[None]:
        """No legal hold is placed or lifted while this lasts, which must be short. Raises HoldsChanged."""
        with self._transaction() as db:
            if _generation(db) != generation:
                raise HoldsChanged
            yield

    # What is about to go.

    def let_go(self, addresses: Iterable[str], generation: int, unless_since: float) -> None:
        """Note bodies whose time is over; they stay where they are recorded again at `unless_since` (seconds since the
        epoch) or later. Raises HoldsChanged."""
        with self.unchanged(generation):
            rows = [(address, "", unless_since) for address in addresses]
            self._db.executemany("INSERT OR IGNORE INTO going VALUES (?, ?, ?)", rows)

    def purge(self, purge: Purge, uses: Iterable[tuple[str, str]], generation: int) -> None:
        """Note a purge and the bodies that go with it: (address, decision), once for each decision that named one.
        Raises HoldsChanged."""
        with self.unchanged(generation):
            self._db.execute(
                "INSERT INTO purge VALUES (?, ?, ?, ?, ?, ?, ?, ?, '[]', NULL)",
                (
                    *(purge.id, purge.at, json.dumps(purge.by), purge.reason, json.dumps(purge.query)),
                    *(purge.decisions, purge.bodies, purge.kept),
                ),
            )
            self._db.executemany("INSERT INTO purged VALUES (?, ?, ?)", ((purge.id, *use) for use in uses))
            self._db.execute(
                # What goes by age goes by the purge now, whatever its age; what goes by an earlier purge stays there.
                "INSERT INTO going SELECT DISTINCT address, purge, NULL FROM purged WHERE purge = ? "
                "ON CONFLICT (address) DO UPDATE SET purge = excluded.purge, unless_since = NULL "
                "WHERE going.purge = ''",
                (purge.id,),
            )

    def purges(self, open_only: bool = False) -> list[Purge]:
        """All purges, or those that are not done; oldest first."""
        where = "WHERE receipt IS NULL" if open_only else ""
        with self._lock:
            rows = self._db.execute(f"SELECT * FROM purge {where} ORDER BY at, id")  # noqa: S608 - words of our own
            return [_purge(row) for row in rows]

    def find_purge(self, purge_id: str) -> Purge | None:
        """The purge of that id."""
        with self._lock:
            row = self._db.execute("SELECT * FROM purge WHERE id = ?", (purge_id,)).fetchone()
            return None if row is None else _purge(row)

    def purged(self, purge_id: str) -> dict[str, list[str]]:
        """The bodies that a purge deletes, and the decisions that named each."""
        found: dict[str, list[str]] = {}
        with self._lock:
            rows = self._db.execute("SELECT address, decision FROM purged WHERE purge = ?", (purge_id,))
            for address, decision in rows:
                found.setdefault(address, []).append(decision)
        return found

    def going(self, purge_id: str, limit: int) -> list[tuple[str, float | None]]:
        """Some of the bodies that go by this purge, or with "" by age; each with its `unless_since`."""
        with self._lock:
            rows = self._db.execute(
                "SELECT address, unless_since FROM going WHERE purge = ? ORDER BY address LIMIT ?", (purge_id, limit)
            )
            return rows.fetchall()

    def left(self, purge_id: str) -> int:
        """How many bodies of a purge are still to go."""
        with self._lock:
            (n,) = self._db.execute("SELECT count(*) FROM going WHERE purge = ?", (purge_id,)).fetchone()
        return int(n)

    def gone(self, addresses: Iterable[str]) -> None:
        """They are deleted."""
        with self._transaction() as db:
            db.executemany("DELETE FROM going WHERE address = ?", [(address,) for address in addresses])

    def note(self, purge_id: str, places: Sequence[Document]) -> None:
        """Where a purge's records are."""
        with self._transaction() as db:
            db.execute("UPDATE purge SET places = ? WHERE id = ?", (json.dumps(places), purge_id))

    def done(self, purge_id: str, receipt: Document) -> None:
        """Keep a purge's receipt. The list of what went is in it."""
        with self._transaction() as db:
            db.execute("UPDATE purge SET receipt = ? WHERE id = ?", (json.dumps(receipt), purge_id))
            db.execute("DELETE FROM purged WHERE purge = ?", (purge_id,))

    # What is known of the time, of segments and targets.

    def seen(self) -> float | None:
        """What the clock was when it was looked at last, in seconds since the epoch; None where it never was."""
        with self._lock:
            row = self._db.execute("SELECT at FROM seen").fetchone()
        return None if row is None else float(row[0])

    def see(self, now: float) -> None:
        """Note what the clock is."""
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO seen VALUES (1, ?)", (now,))

    def summary(self, stream: str, origin: str, base: int) -> tuple[int, dict[str, Any]] | None:
        """What was noted of a segment, and the generation of holds that it was noted with."""
        with self._lock:
            row = self._db.execute(
                "SELECT holds, summary FROM segment WHERE stream = ? AND origin = ? AND base = ?",
                (stream, origin, base),
            ).fetchone()
        return None if row is None else (int(row[0]), json.loads(row[1]))

    def summarize(self, stream: str, origin: str, base: int, holds: int, summary: Document) -> None:
        """Note it."""
        with self._transaction() as db:
            values = (stream, origin, base, holds, json.dumps(summary))
            db.execute("INSERT OR REPLACE INTO segment VALUES (?, ?, ?, ?, ?)", values)

    def forget_segments(self, stream: str, origin: str, before: int) -> None:
        """Forget those of a stream that begin before a byte, and those of another stream of that name."""
        with self._transaction() as db:
            sql = "DELETE FROM segment WHERE stream = ? AND (base < ? OR origin != ?)"
            db.execute(sql, (stream, before, origin))

    def targets(self, now: Mapping[str, Keep]) -> dict[str, Keep]:
        """How long what belongs to each target is kept, among them those that are configured no longer: as long as when
        they last were."""
        with self._transaction() as db:
            values = [(name, keep.records, keep.bodies) for name, keep in now.items()]
            db.executemany("INSERT OR REPLACE INTO target VALUES (?, ?, ?)", values)
            rows = db.execute("SELECT name, records, bodies FROM target").fetchall()
        return {name: Keep(records, bodies) for name, records, bodies in rows}

    @contextmanager
    def _transaction(self, begin: str = "BEGIN IMMEDIATE") -> Iterator[sqlite3.Connection]:
        with self._lock:
            if _identity(self._path) != self._identity:
                # A hold that is placed in a file that nobody else has would keep nothing.
                raise sqlite3.OperationalError(
                    f"{self._path}: another file is there than the one that was opened; restart the gateway"
                )
            self._db.execute(begin)
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                # Some errors (disk full) have rolled back already.
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise


def _use_wal(db: sqlite3.Connection) -> None:
    """It takes a lock that SQLite does not wait for: at a first start several processes try."""
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL").fetchone()
            return
        except sqlite3.OperationalError:
            if time.monotonic() > until:
                raise
        time.sleep(0.01)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _generation(db: sqlite3.Connection) -> int:
    (n,) = db.execute("SELECT n FROM generation").fetchone()
    return int(n)


def _hold(row: Sequence[str]) -> LegalHold:
    hold_id, at, by, reason, selects = row
    return LegalHold(hold_id, at, json.loads(by), reason, Selects.parse(json.loads(selects)))


def _purge(row: Sequence[Any]) -> Purge:
    purge_id, at, by, reason, query, decisions, bodies, kept, places, receipt = row
    return Purge(
        purge_id,
        at,
        json.loads(by),
        reason,
        json.loads(query),
        decisions,
        bodies,
        kept,
        json.loads(places),
        None if receipt is None else json.loads(receipt),
    )
