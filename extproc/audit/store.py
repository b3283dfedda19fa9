"""What the shipper must remember, in `shipper.db`: how far it got, what still waits, and who owns which trace.

All of it but the place in the access log follows from the records before the cursors. Deleting the file loses no
record: everything is sent again, the same to the byte."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

FORM = 2
_DERIVED = ("cursor", "pending", "owner", "waited", "hold_trace")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS cursor (stream TEXT PRIMARY KEY, genesis TEXT, offset INTEGER, seq INTEGER, hash TEXT);
CREATE TABLE IF NOT EXISTS pending
    (decision TEXT PRIMARY KEY, stream TEXT, offset INTEGER, at INTEGER, own INTEGER, state TEXT) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS pending_state ON pending (state, at);
CREATE INDEX IF NOT EXISTS pending_stream ON pending (stream, offset);
CREATE TABLE IF NOT EXISTS owner (trace TEXT PRIMARY KEY, principal TEXT, since INTEGER, at INTEGER) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS owner_at ON owner (at);
CREATE TABLE IF NOT EXISTS waited (stream TEXT, offset INTEGER, hold TEXT, at INTEGER, PRIMARY KEY (stream, offset));
CREATE INDEX IF NOT EXISTS waited_hold ON waited (hold, at);
CREATE INDEX IF NOT EXISTS waited_at ON waited (at);
CREATE TABLE IF NOT EXISTS hold_trace (hold TEXT PRIMARY KEY, trace TEXT, at INTEGER) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS hold_trace_at ON hold_trace (at);
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
    """A decision that waits for its delivery: its record is at `offset` of `stream`; `at` is in nanoseconds. `own`
    says that the trace it claims was its principal's own."""

    decision: str
    stream: str
    offset: int
    at: int
    own: bool
    state: Wait


@dataclass(frozen=True, slots=True)
class LogPosition:
    """How far the access log was read: the file's identity, and the byte after the last line. Whatever the gateway
    stream holds from byte `journal` on was written after this was noted."""

    file: str
    offset: int
    journal: int


class Store:
    """The database. One writer; with `readonly` it may be opened beside it. Times are nanoseconds. Raises
    sqlite3.Error."""

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
        (form,) = self._db.execute("PRAGMA user_version").fetchone()
        if form != FORM:
            for table in _DERIVED:
                self._db.execute(f"DROP TABLE IF EXISTS {table}")
        self._db.executescript(_SCHEMA)
        self._db.execute(f"PRAGMA user_version={FORM}")

    def close(self) -> None:
        """Let the database go."""
        self._db.close()

    def copy(self, path: Path) -> "Store":
        """A database of its own with what this one holds now. The file at `path` must not be in use."""
        with sqlite3.connect(path) as other:
            self._db.backup(other)
        other.close()
        return Store(path)

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

    def shipped(self) -> dict[str, int]:
        """For each stream the byte before which nothing is needed any more: all of it is sent."""
        needed = self._db.execute("SELECT stream, min(offset) FROM pending WHERE state != ? GROUP BY stream", (_TOLD,))
        oldest = dict(needed.fetchall())
        return {name: min(cursor.offset, oldest.get(name, cursor.offset)) for name, cursor in self.cursors().items()}

    def waiting(self, decision: str) -> Waiting | None:
        """The decision's row, if it waits or was given up."""
        row = self._db.execute(f"{_ROWS} WHERE decision = ?", (decision,)).fetchone()
        return _waiting(row) if row else None

    def all_waiting(self) -> Iterator[Waiting]:
        """Every row, by decision."""
        return map(_waiting, self._db.execute(f"{_ROWS} ORDER BY decision"))

    def given_up(self, limit: int) -> list[Waiting]:
        """Some of the decisions that are given up and not told yet."""
        found = self._db.execute(f"{_ROWS} WHERE state = ? ORDER BY at LIMIT ?", (Wait.EXPIRED.value, limit))
        return [_waiting(row) for row in found]

    def keep_waiting(self, row: Waiting) -> None:
        """Insert or replace a row."""
        values = (row.decision, row.stream, row.offset, row.at, row.own, row.state.value)
        self._db.execute("INSERT OR REPLACE INTO pending VALUES (?, ?, ?, ?, ?, ?)", values)

    def settle(self, decision: str) -> None:
        """This decision is shipped with its delivery."""
        self._db.execute("DELETE FROM pending WHERE decision = ?", (decision,))

    def give_up_before(self, stream: str, at: int) -> None:
        """Give up a stream's decisions that are older than this."""
        self._db.execute(
            "UPDATE pending SET state = ? WHERE state = ? AND stream = ? AND at < ?",
            (Wait.EXPIRED.value, Wait.WAITING.value, stream, at),
        )

    def untold(self) -> int | None:
        """The time of the oldest decision that waits or is given up and not told yet."""
        (at,) = self._db.execute(
            "SELECT min(at) FROM (SELECT min(at) AS at FROM pending WHERE state = ?"
            " UNION ALL SELECT min(at) FROM pending WHERE state = ?)",
            (Wait.WAITING.value, Wait.EXPIRED.value),
        ).fetchone()
        return None if at is None else int(at)

    def give_up_stream(self, stream: str, offset: int) -> None:
        """Give up a stream's decisions before this byte: their writer is gone."""
        self._db.execute(
            "UPDATE pending SET state = ? WHERE state = ? AND stream = ? AND offset < ?",
            (Wait.EXPIRED.value, Wait.WAITING.value, stream, offset),
        )

    def owner(self, trace: str, since: int = 0) -> str | None:
        """The principal key that owns this trace id, or None. Whose last use is before `since` owns it no more."""
        row = self._db.execute("SELECT principal FROM owner WHERE trace = ? AND at >= ?", (trace, since)).fetchone()
        return None if row is None else str(row[0])

    def own(self, trace: str, principal: str, at: int) -> None:
        """Note that its owner used a trace id. Another principal than before begins to own it."""
        self._db.execute(
            "INSERT INTO owner VALUES (?1, ?2, ?3, ?3) ON CONFLICT (trace) DO UPDATE SET at = max(at, ?3),"
            " since = CASE WHEN principal = ?2 THEN since ELSE ?3 END, principal = ?2",
            (trace, principal, at),
        )

    def waited(self, hold: str, since: int, until: int, limit: int) -> list[tuple[str, int]]:
        """Where the first hold and vote records of this hold in that time are: (stream, offset)."""
        found = self._db.execute(
            "SELECT stream, offset FROM waited WHERE hold = ? AND at BETWEEN ? AND ?"
            " ORDER BY at, stream, offset LIMIT ?",
            (hold, since, until, limit),
        )
        return [(str(stream), int(offset)) for stream, offset in found]

    def note_waited(self, stream: str, offset: int, hold: str, at: int) -> None:
        """Note where a record of a hold is."""
        self._db.execute("INSERT OR REPLACE INTO waited VALUES (?, ?, ?, ?)", (stream, offset, hold, at))

    def hold_trace(self, hold: str, since: int) -> str | None:
        """The trace that the hold's action went to, if it is known and not older."""
        row = self._db.execute("SELECT trace FROM hold_trace WHERE hold = ? AND at >= ?", (hold, since)).fetchone()
        return None if row is None else str(row[0])

    def note_hold_trace(self, hold: str, trace: str, at: int, since: int) -> None:
        """Note the trace of a hold's action; the first stays, unless it is older than `since`."""
        self._db.execute(
            "INSERT INTO hold_trace VALUES (?1, ?2, ?3)"
            " ON CONFLICT (hold) DO UPDATE SET trace = ?2, at = ?3 WHERE hold_trace.at < ?4",
            (hold, trace, at, since),
        )

    def give_up_all_before(self, at: int) -> None:
        """Give up decisions of all streams that are older than this."""
        self._db.execute(
            "UPDATE pending SET state = ? WHERE state = ? AND at < ?", (Wait.EXPIRED.value, Wait.WAITING.value, at)
        )

    def forget_before(self, at: int) -> None:
        """Drop owners, holds and told decisions older than this: what bounds the file."""
        self._db.execute("DELETE FROM owner WHERE at < ?", (at,))
        self._db.execute("DELETE FROM waited WHERE at < ?", (at,))
        self._db.execute("DELETE FROM hold_trace WHERE at < ?", (at,))
        self._db.execute("DELETE FROM pending WHERE state = ? AND at < ?", (_TOLD, at))

    def begin_again(self, at: int) -> None:
        """Keep only what follows from records before `at`: the cursors are back where no record was read."""
        self._db.execute("DELETE FROM cursor")
        self._db.execute("DELETE FROM owner WHERE since >= ?", (at,))
        self._db.execute("DELETE FROM waited WHERE at >= ?", (at,))
        self._db.execute("DELETE FROM hold_trace WHERE at >= ?", (at,))
        self._db.execute("DELETE FROM pending WHERE at >= ?", (at,))

    def log_position(self) -> LogPosition | None:
        """How far the access log was read."""
        row = self._db.execute("SELECT file, offset, journal FROM access_log").fetchone()
        return LogPosition(*row) if row else None

    def set_log_position(self, at: LogPosition) -> None:
        """Note how far the access log was read."""
        self._db.execute("INSERT OR REPLACE INTO access_log VALUES (1, ?, ?, ?)", (at.file, at.offset, at.journal))


def _waiting(row: tuple[str, str, int, int, int, str]) -> Waiting:
    decision, stream, offset, at, own, state = row
    return Waiting(decision, stream, offset, at, bool(own), Wait(state))


_ROWS = "SELECT decision, stream, offset, at, own, state FROM pending"
_TOLD = Wait.UNKNOWN.value
