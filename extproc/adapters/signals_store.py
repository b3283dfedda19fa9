"""`signals.db`: what the watcher publishes for the workers, and what it goes on from. One writer, many readers.

Everything in it follows from the journals, so it is never repaired: a file that is damaged or of another schema is
made anew, and the journals are read again from their start."""

import os
import sqlite3
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import orjson

from extproc.audit.signals.figures import State
from extproc.audit.store import Cursor
from extproc.domain.json import JSON

SCHEMA_VERSION = 1
BUSY_SECONDS = 2.0

_SCHEMA = """
CREATE TABLE cursor (stream TEXT PRIMARY KEY, genesis TEXT, offset INTEGER, seq INTEGER, hash TEXT) STRICT;
CREATE TABLE state (key TEXT PRIMARY KEY, state BLOB NOT NULL) STRICT;
CREATE TABLE document (key TEXT PRIMARY KEY, revision INTEGER NOT NULL, document BLOB NOT NULL) STRICT;
CREATE INDEX document_revision ON document (revision);
CREATE TABLE told (
    id INTEGER PRIMARY KEY CHECK (id = 1), as_of REAL NOT NULL, revision INTEGER NOT NULL, generation INTEGER NOT NULL
) STRICT;
"""


class SignalsStore:
    """The watcher's side. Raises sqlite3.Error and OSError; after an error the file is as it was."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = path
        try:
            self._db = _open(path)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            _remove(path)
            self._db = _open(path)
        self._file = path.stat()
        # A generation is told from every other, so that readers know when to forget what they have.
        row = self._db.execute("SELECT revision, generation FROM told").fetchone()
        self._revision, self._generation = (int(row[0]), int(row[1])) if row else (0, time.time_ns())

    def cursors(self) -> dict[str, Cursor]:
        """How far each stream was counted."""
        rows = self._db.execute("SELECT stream, genesis, offset, seq, hash FROM cursor")
        return {row[0]: Cursor(*row) for row in rows}

    def states(self) -> list[tuple[str, State]]:
        """What the figures are made of, as of the cursors."""
        return [(key, orjson.loads(state)) for key, state in self._db.execute("SELECT key, state FROM state")]

    def publish(self, documents: Mapping[str, Mapping[str, JSON]], gone: Iterable[str], as_of: float | None) -> None:
        """Tell the readers. `as_of` is when every journal was read to its end, None where that is not so now."""
        if not os.path.samestat(self._file, self._path.stat()):
            raise OSError(f"{self._path}: another file has this name now")
        gone = list(gone)
        self._revision += 1
        self._generation += bool(gone)
        rows = [(key, self._revision, orjson.dumps(document)) for key, document in documents.items()]
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.executemany("DELETE FROM document WHERE key = ?", [(key,) for key in gone])
            self._db.executemany("DELETE FROM state WHERE key = ?", [(key,) for key in gone])
            self._db.executemany("INSERT OR REPLACE INTO document VALUES (?, ?, ?)", rows)
            self._db.execute(
                "INSERT INTO told VALUES (1, coalesce(?, 0.0), ?, ?) ON CONFLICT (id) DO UPDATE SET"
                " as_of = coalesce(?, as_of), revision = excluded.revision, generation = excluded.generation",
                (as_of, self._revision, self._generation, as_of),
            )
            self._db.execute("COMMIT")
        except BaseException:
            self._back()
            raise

    def keep(self, states: Mapping[str, State], cursors: Iterable[Cursor]) -> None:
        """Note figures together with the positions that they are of, so that no record is ever counted twice."""
        rows = [(key, orjson.dumps(state)) for key, state in states.items()]
        places = [(c.stream, c.genesis, c.offset, c.seq, c.hash) for c in cursors]
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.executemany("INSERT OR REPLACE INTO state VALUES (?, ?)", rows)
            self._db.executemany("INSERT OR REPLACE INTO cursor VALUES (?, ?, ?, ?, ?)", places)
            self._db.execute("COMMIT")
        except BaseException:
            self._back()
            raise

    def close(self) -> None:
        """Let the file go."""
        self._db.close()

    def _back(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")


def _open(path: Path) -> sqlite3.Connection:
    path.touch(mode=0o600)
    # One thread at a time uses it, but not always the same one.
    db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        if version != SCHEMA_VERSION:
            _make(db)
    except BaseException:
        db.close()
        raise
    return db


def _make(db: sqlite3.Connection) -> None:
    """Empty tables, in place of whatever another release left: readers keep the file open."""
    db.execute("BEGIN IMMEDIATE")
    for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        quoted = '"' + name.replace('"', '""') + '"'
        db.execute(f"DROP TABLE {quoted}")
    for statement in _SCHEMA.split(";"):
        db.execute(statement)
    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    db.execute("COMMIT")


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
