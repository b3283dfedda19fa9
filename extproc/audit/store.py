"""What the shipper must remember, in `shipper.db`: how far it got, what still waits, and who owns which trace.

Deleting the file loses no record: everything is sent again, under the same ids."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS cursor (stream TEXT PRIMARY KEY, genesis TEXT, offset INTEGER, seq INTEGER, hash TEXT);
CREATE TABLE IF NOT EXISTS pending
    (decision TEXT PRIMARY KEY, stream TEXT, offset INTEGER, at INTEGER, state TEXT) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS pending_state ON pending (state, at);
CREATE TABLE IF NOT EXISTS owner (trace TEXT PRIMARY KEY, principal TEXT, at INTEGER) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS owner_at ON owner (at);
CREATE TABLE IF NOT EXISTS waited (stream TEXT, offset INTEGER, hold TEXT, at INTEGER, PRIMARY KEY (stream, offset));
CREATE INDEX IF NOT EXISTS waited_hold ON waited (hold);
CREATE TABLE IF NOT EXISTS hold_trace (hold TEXT PRIMARY KEY, trace TEXT, at INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS access_log
    (id INTEGER PRIMARY KEY CHECK (id = 1), file TEXT, offset INTEGER, journal INTEGER);
"""


class Wait(StrEnum):
    """A decision whose delivery is not shipped: still awaited, given up, or given up and told as unknown."""

    WAITING = "waiting"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Cursor:
    """Everything of a stream before byte `offset` is shipped or waits in `pending`. `seq` and `hash` are those of the
    last record before it; `genesis` is the hash of the stream's first."""

    stream: str
    genesis: str
    offset: int
    seq: int
    hash: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """A decision that waits for its delivery: its record is at `offset` of `stream`; `at` is in nanoseconds."""

    decision: str
    stream: str
    offset: int
    at: int
    state: Wait


@dataclass(frozen=True, slots=True)
class LogPosition:
    """How far the access log was read: the file's identity, and the byte after the last line. Whatever the gateway
    stream holds from byte `journal` on was written after this was noted."""

    file: str
    offset: int
    journal: int


class Store:
    """The database. One writer; with `readonly` it may be opened beside it. Raises sqlite3.Error."""

    def __init__(self, path: Path, readonly: bool = False) -> None:
        if readonly:
            self._db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
            return
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        # One thread at a time uses it, but not always the same one.
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        # Losing the last commits in a power cut means sending spans again, which is what at least once allows.
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Let the database go."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or nothing."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def cursors(self) -> dict[str, Cursor]:
        """All cursors, by stream."""
        rows = self._db.execute("SELECT stream, genesis, offset, seq, hash FROM cursor")
        return {row[0]: Cursor(*row) for row in rows}

    def move(self, cursors: Iterable[Cursor]) -> None:
        """Note how far streams are shipped."""
        values = [(c.stream, c.genesis, c.offset, c.seq, c.hash) for c in cursors]
        self._db.executemany("INSERT OR REPLACE INTO cursor VALUES (?, ?, ?, ?, ?)", values)

    def waiting(self, decision: str) -> Waiting | None:
        """The decision's row, if it waits or was given up."""
        row = self._db.execute(
            "SELECT decision, stream, offset, at, state FROM pending WHERE decision = ?", (decision,)
        ).fetchone()
        return _waiting(row) if row else None

    def given_up(self, limit: int) -> list[Waiting]:
        """Some of the decisions that are given up and not told yet."""
        rows = self._db.execute(
            "SELECT decision, stream, offset, at, state FROM pending WHERE state = ? ORDER BY at LIMIT ?",
            (Wait.EXPIRED.value, limit),
        )
        return [_waiting(row) for row in rows]

    def keep_waiting(self, rows: Iterable[Waiting]) -> None:
        """Insert or replace rows."""
        values = [(w.decision, w.stream, w.offset, w.at, w.state.value) for w in rows]
        self._db.executemany("INSERT OR REPLACE INTO pending VALUES (?, ?, ?, ?, ?)", values)

    def settle(self, decisions: Iterable[str]) -> None:
        """These decisions are shipped with their deliveries."""
        self._db.executemany("DELETE FROM pending WHERE decision = ?", [(d,) for d in decisions])

    def give_up_before(self, at: int) -> None:
        """Give up decisions older than this."""
        self._db.execute(
            "UPDATE pending SET state = ? WHERE state = ? AND at < ?", (Wait.EXPIRED.value, Wait.WAITING.value, at)
        )

    def give_up_stream(self, stream: str, offset: int) -> None:
        """Give up a stream's decisions before this byte: their writer is gone."""
        self._db.execute(
            "UPDATE pending SET state = ? WHERE state = ? AND stream = ? AND offset < ?",
            (Wait.EXPIRED.value, Wait.WAITING.value, stream, offset),
        )

    def owner(self, trace: str) -> str | None:
        """The principal key that owns this trace id, or None."""
        row = self._db.execute("SELECT principal FROM owner WHERE trace = ?", (trace,)).fetchone()
        return None if row is None else str(row[0])

    def own(self, owners: Iterable[tuple[str, str, int]]) -> None:
        """Note (trace id, principal key, nanoseconds); the first owner stays, later use keeps it from ageing out."""
        self._db.executemany(
            "INSERT INTO owner VALUES (?, ?, ?) ON CONFLICT (trace) DO UPDATE SET at = max(at, excluded.at)", owners
        )

    def waited(self, hold: str, limit: int) -> list[tuple[str, int]]:
        """Where the hold and vote records of this hold are: (stream, offset)."""
        rows = self._db.execute("SELECT stream, offset FROM waited WHERE hold = ? ORDER BY at LIMIT ?", (hold, limit))
        return [(str(stream), int(offset)) for stream, offset in rows]

    def note_waited(self, rows: Iterable[tuple[str, int, str, int]]) -> None:
        """Note (stream, offset, hold, nanoseconds)."""
        self._db.executemany("INSERT OR REPLACE INTO waited VALUES (?, ?, ?, ?)", rows)

    def hold_trace(self, hold: str) -> str | None:
        """The trace that the hold's action went to, if it is known."""
        row = self._db.execute("SELECT trace FROM hold_trace WHERE hold = ?", (hold,)).fetchone()
        return None if row is None else str(row[0])

    def note_hold_trace(self, rows: Iterable[tuple[str, str, int]]) -> None:
        """Note (hold, trace id, nanoseconds); the first stays."""
        self._db.executemany("INSERT OR IGNORE INTO hold_trace VALUES (?, ?, ?)", rows)

    def forget_before(self, at: int) -> None:
        """Drop owners, holds and told decisions older than this: what bounds the file."""
        self._db.execute("DELETE FROM owner WHERE at < ?", (at,))
        self._db.execute("DELETE FROM waited WHERE at < ?", (at,))
        self._db.execute("DELETE FROM hold_trace WHERE at < ?", (at,))
        self._db.execute("DELETE FROM pending WHERE state = ? AND at < ?", (Wait.UNKNOWN.value, at))

    def log_position(self) -> LogPosition | None:
        """How far the access log was read."""
        row = self._db.execute("SELECT file, offset, journal FROM access_log").fetchone()
        return LogPosition(*row) if row else None

    def set_log_position(self, at: LogPosition) -> None:
        """Note how far the access log was read."""
        self._db.execute("INSERT OR REPLACE INTO access_log VALUES (1, ?, ?, ?)", (at.file, at.offset, at.journal))


def _waiting(row: tuple[str, str, int, int, str]) -> Waiting:
    decision, stream, offset, at, state = row
    return Waiting(decision, stream, offset, at, Wait(state))
