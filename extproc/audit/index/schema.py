"""The index's file: its tables, and how it is opened, found damaged and thrown away."""

import os
import re
import sqlite3
from contextlib import suppress
from pathlib import Path

VERSION = 2
CACHE_KIB = 16_384
BUSY_SECONDS = 5.0

_TABLES = """
CREATE TABLE stream
    (id INTEGER PRIMARY KEY, name TEXT UNIQUE, genesis TEXT, offset INTEGER, seq INTEGER, hash TEXT, fault TEXT);
CREATE TABLE due (what TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE action (
    id INTEGER PRIMARY KEY, stream INTEGER, offset INTEGER, decision TEXT, session TEXT, principal TEXT, target TEXT,
    verb TEXT, resource TEXT, effect INTEGER, outcome TEXT, hold TEXT, trace TEXT, claim TEXT, status INTEGER,
    delivery_stream INTEGER, delivery INTEGER
);
CREATE UNIQUE INDEX action_place ON action (stream, offset);
CREATE INDEX action_decision ON action (decision);
CREATE INDEX action_session ON action (session) WHERE session IS NOT NULL;
CREATE TABLE policy (policy TEXT, action INTEGER, PRIMARY KEY (policy, action)) WITHOUT ROWID;
CREATE INDEX policy_action ON policy (action);
CREATE TABLE event (
    id INTEGER PRIMARY KEY, stream INTEGER, offset INTEGER, kind TEXT, what TEXT, who TEXT, target TEXT, hold TEXT,
    decision TEXT, session TEXT
);
CREATE UNIQUE INDEX event_place ON event (stream, offset);
CREATE INDEX event_kind ON event (kind, id);
CREATE INDEX event_hold ON event (hold) WHERE hold IS NOT NULL;
CREATE INDEX event_decision ON event (decision) WHERE decision IS NOT NULL;
CREATE INDEX event_session ON event (session) WHERE session IS NOT NULL;
CREATE TABLE body
    (address TEXT, decision TEXT, lane TEXT, PRIMARY KEY (address, decision, lane)) WITHOUT ROWID;
CREATE INDEX body_decision ON body (decision);
CREATE TABLE session (
    key TEXT PRIMARY KEY, principal TEXT, name TEXT, source TEXT, first INTEGER, last INTEGER, opened INTEGER,
    closed INTEGER, allowed INTEGER, masked INTEGER, held INTEGER, blocked INTEGER
) WITHOUT ROWID;
CREATE INDEX session_last ON session (last);
CREATE INDEX session_principal ON session (principal, last);
CREATE TABLE session_target (session TEXT, target TEXT, PRIMARY KEY (session, target)) WITHOUT ROWID;
CREATE VIRTUAL TABLE words USING fts5 (
    tags, said, request, response, columnsize = 0, tokenize = "unicode61 remove_diacritics 2 tokenchars '\ue000'"
);
"""

_MADE = frozenset(re.findall(r"CREATE (?:UNIQUE |VIRTUAL )?(?:TABLE|INDEX) (\w+)", _TABLES))


class Unfit(Exception):
    """The file is no index of this release: damaged, of another version, or none at all."""


def open_writer(path: Path) -> sqlite3.Connection:
    """The index for its one writer, made where there is none. Raises Unfit, OSError and sqlite3.Error."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(mode=0o600)
    # One thread at a time uses it, but not always the same one.
    db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        # The last commits that a power cut takes are made again from the journal.
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        # What is forgotten is gone from the file.
        db.execute("PRAGMA secure_delete = ON")
        if _version(db) == 0 and db.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,):
            db.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {VERSION}; COMMIT")
        _fit(db)
    except BaseException as error:
        db.close()
        if damaged(error):
            raise Unfit(f"{path}: {error}") from error
        raise
    return db


def open_reader(path: Path) -> sqlite3.Connection:
    """The index for reading, by any thread, one at a time. Raises Unfit, OSError and sqlite3.Error."""
    path.stat()  # SQLite's own words for a file that is missing do not say so.
    address = f"{path.absolute().as_uri()}?mode=rw"
    db = sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA query_only = ON")
        _fit(db)
    except BaseException as error:
        db.close()
        if damaged(error):
            raise Unfit(f"{path}: {error}") from error
        raise
    return db


def identity(path: Path) -> tuple[int, int] | None:
    """Which file the path leads to (device, inode), or None."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def discard(path: Path) -> None:
    """Delete the index. Raises OSError."""
    for suffix in ("-wal", "-shm", ""):
        with suppress(FileNotFoundError):
            os.unlink(f"{path}{suffix}")


def damaged(error: BaseException) -> bool:
    """Whether an error says that the file itself is not what it should be."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return isinstance(error, Unfit)
    # The full-text index says in the words of an SQL error that its tables are not as it made them.
    lost = code & 0xFF == sqlite3.SQLITE_ERROR and "vtable" in str(error)
    return lost or code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _fit(db: sqlite3.Connection) -> None:
    version = _version(db)
    if version != VERSION:
        raise Unfit(f"version {version}, expected {VERSION}")
    there = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE sql IS NOT NULL")}
    if missing := _MADE - there:
        raise Unfit(f"without {', '.join(sorted(missing))}")
    db.execute("SELECT rowid FROM words LIMIT 1").fetchone()


def _version(db: sqlite3.Connection) -> int:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    return int(version)
