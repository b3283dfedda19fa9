"""A SQLite file that several processes share, with one order of changes.

- Every change is one BEGIN IMMEDIATE transaction, so two processes never decide on the same reading.
- synchronous=FULL: with NORMAL a power cut may take back the last commits.
- Times come from SQLite, read inside the transaction. (Not unixepoch('subsec'): before SQLite 3.42 that is NULL.)
- One thread owns the connection; the event loop never waits for the disk.
- The path must lead to the file that was opened: who goes on with a deleted or replaced one sees other things than
  the processes beside it.
"""

import asyncio
import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

BUSY_SECONDS = 2.0

T = TypeVar("T")
Work = Callable[[sqlite3.Connection, float], T]


@dataclass(frozen=True, slots=True)
class Form:
    """What a file holds: its name for people, its schema (statements ended by semicolons) and that schema's version;
    `unavailable` makes the exception that is raised wherever the file can't be used, `repair` says what to do about
    a file that is not whole. `migrations` lead from a version to the next, as statements like the schema's; whoever
    opens a file of an earlier version to write brings it up to this one."""

    name: str
    version: int
    schema: str
    unavailable: Callable[[str], Exception]
    repair: str
    migrations: Mapping[int, str] = field(default_factory=dict)


class Database:
    """One file, opened. Belongs to one event loop; `close` it there. Every method raises `form.unavailable`."""

    def __init__(self, path: Path, form: Form, clock: Callable[[], float] | None = None) -> None:
        """Nothing is opened yet: see `open`. `clock` stands in for the store's own time in tests."""
        self._path, self._form, self._clock = path, form, clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=path.stem)
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._closed = False

    async def open(self, *, create: bool = True) -> None:
        """Open the file; with `create`, make it (mode 0600) and its tables where they are missing."""

        def work() -> None:
            self._connection = connect(self._path, self._form, create=create)
            self._identity = identity(self._path)

        try:
            await self._in_thread(work)
        except BaseException:
            self._thread.shutdown(wait=False)
            raise

    async def close(self) -> None:
        """Let go of the file; closing twice is no fault."""

        def work() -> None:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

        if not self._closed:
            await self._in_thread(work)
            self._closed = True
            self._thread.shutdown()

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Call `work` in the store's thread, outside a transaction."""
        return await self._in_thread(lambda: work(self._db()))

    async def read(self, work: Work[T]) -> T:
        """What `work` makes of one state of the file and the store's time, in seconds since the epoch."""
        return await self._in_thread(lambda: self._transaction("BEGIN", work))

    async def write(self, work: Work[T]) -> T:
        """The same, and it may change the file. What it raises undoes its changes."""
        return await self._in_thread(lambda: self._transaction("BEGIN IMMEDIATE", work))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        if self._closed:
            raise self._form.unavailable(f"{self._path}: closed")
        return await asyncio.get_running_loop().run_in_executor(self._thread, guard, self._path, self._form, work)

    # Everything below runs in the store's thread.

    def _transaction(self, begin: str, work: Work[T]) -> T:
        db = self._db()
        db.execute(begin)
        try:
            result = work(db, self._now(db))
            db.execute("COMMIT")
        except BaseException:
            # Some errors (disk full) have rolled back already.
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        return result

    def _now(self, db: sqlite3.Connection) -> float:
        if self._clock is not None:
            return self._clock()
        (now,) = db.execute("SELECT (julianday('now') - 2440587.5) * 86400.0").fetchone()
        return float(now)

    def _db(self) -> sqlite3.Connection:
        if self._connection is None:
            raise self._form.unavailable(f"{self._path}: not open")
        if identity(self._path) != self._identity:
            raise self._form.unavailable(replaced(self._path))
        return self._connection


def guard(path: Path, form: Form, work: Callable[[], T]) -> T:
    """What `work` returns. What the file does to it becomes `form.unavailable`, in words for the operator."""
    try:
        return work()
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        hint = ""
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            hint = f"; {form.repair}"
        elif code == sqlite3.SQLITE_FULL:
            hint = "; free space on its file system"
        raise form.unavailable(f"{path}: {error}{hint}") from error
    except (OSError, ValueError) as error:
        raise form.unavailable(f"{path}: {error}") from error


def identity(path: Path) -> tuple[int, int]:
    """Which file a path leads to: device and inode. Raises OSError."""
    found = path.stat()
    return found.st_dev, found.st_ino


def replaced(path: Path) -> str:
    """What to say about a path that leads to another file than the one that was opened."""
    return (
        f"{path}: another file is there than the one that was opened; put that one back, or restart the gateway to go "
        "on with what is there now"
    )


def connect(path: Path, form: Form, *, create: bool) -> sqlite3.Connection:
    """A connection that may write. Only with `create` is a file made, or an empty one given its tables. Raises
    sqlite3.Error, OSError and ValueError."""
    if create:
        # Made here for its mode. An existing file is not opened: closing it would drop the locks SQLite holds on it.
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    db = _opened(path)
    try:
        _use_wal(db)
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("BEGIN IMMEDIATE")
        _migrate(db, form, create)
        db.execute("COMMIT")
    except BaseException:
        db.close()
        raise
    return db


def connect_reader(path: Path, form: Form) -> sqlite3.Connection:
    """A connection to a file that is there and whole, for reading; may be closed by another thread than its own.
    Raises sqlite3.Error, OSError and ValueError."""
    db = _opened(path, check_same_thread=False)
    try:
        db.execute("PRAGMA query_only = ON")
        if (version := _version(db)) != form.version:
            raise ValueError(_other_schema(form, version))
        (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise ValueError(f"{found}; {form.repair}")
    except BaseException:
        db.close()
        raise
    return db


def _opened(path: Path, check_same_thread: bool = True) -> sqlite3.Connection:
    path.stat()  # SQLite's own words for a file that is missing do not say so.
    db = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=check_same_thread,
    )
    db.row_factory = sqlite3.Row
    return db


def _use_wal(db: sqlite3.Connection) -> None:
    # Turning it on takes a lock that the busy handler doesn't wait for; at a first start several processes try.
    deadline = time.monotonic() + BUSY_SECONDS
    mode = None
    while mode is None:
        try:
            (mode,) = db.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
    if mode != "wal":
        raise ValueError(f"SQLite offers journal mode {mode} here; WAL is needed (a local file system)")


def _migrate(db: sqlite3.Connection, form: Form, create: bool) -> None:
    version = _version(db)
    while version in form.migrations:
        _execute(db, form.migrations[version])
        version += 1
        db.execute(f"PRAGMA user_version = {version}")
    if version == form.version:
        return
    if not create or version != 0 or db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
        raise ValueError(_other_schema(form, version))
    _execute(db, form.schema)
    db.execute(f"PRAGMA user_version = {form.version}")


def _execute(db: sqlite3.Connection, statements: str) -> None:
    """Inside the transaction, which `executescript` would end."""
    for statement in statements.split(";"):
        db.execute(statement)


def _version(db: sqlite3.Connection) -> int:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    return int(version)


def _other_schema(form: Form, version: int) -> str:
    return f"schema version {version}, expected {form.version}: not {form.name} of this release; {form.repair}"
