"""Agent tokens, passwords and freezes in SQLite: written by the control process, known by heart in every worker."""

import asyncio
import contextlib
import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self, TypeVar

from extproc.access.model import AgentToken, Freeze, Password
from extproc.access.ports import AccessUnavailable
from extproc.access.register import Register
from extproc.access.store import Ledger
from extproc.adapters import access_keys
from extproc.adapters import access_table as table
from extproc.adapters.sqlite import Database, connect, connect_reader, guard, identity, replaced
from extproc.domain.principal import Principal

log = logging.getLogger(__name__)

POLL_SECONDS = 0.2
STALE_SECONDS = 2.0

T = TypeVar("T")


def prepare(database: Path, keys: Path) -> None:
    """Make the database and the keys that sign tokens (`keys` is their folder) where they are missing: once, when the
    gateway starts, and never by a process that comes back. Raises AccessUnavailable, also where keys are there and
    the database is gone or empty: who was frozen would be free."""

    def work() -> None:
        first = not access_keys.exist(keys)
        if not first and not database.exists():
            raise AccessUnavailable(f"{database} is missing, and keys/tokens.key is not; {table.FORM.repair}")
        connect(database, table.FORM, create=first).close()
        access_keys.ensure_token_keys(keys)

    guard(database, table.FORM, work)


class SqliteAccess:
    """The AccessStore over a SQLite file. Belongs to one event loop; `close` it there."""

    def __init__(self, path: Path, clock: Callable[[], float] | None = None) -> None:
        """Nothing is opened yet: see `open`. `clock` stands in for the store's own time in tests."""
        self._database = Database(path, table.FORM, clock)

    @classmethod
    async def open(cls, path: Path, clock: Callable[[], float] | None = None) -> Self:
        """Open the file that `prepare` made. Raises AccessUnavailable."""
        store = cls(path, clock)
        await store._database.open(create=False)
        return store

    async def close(self) -> None:
        """Let go of the file."""
        await self._database.close()

    async def change(self, work: Callable[[Ledger, float], T]) -> T:
        """See AccessStore."""
        return await self._database.write(lambda db, now: work(table.Rows(db), now))

    async def freezes(self) -> tuple[Freeze, ...]:
        """See AccessStore."""
        return await self._database.read(lambda db, now: table.Rows(db).freezes())

    async def register(self) -> tuple[Register, float]:
        """See AccessStore."""
        return await self._database.read(lambda db, now: (table.Rows(db).register(), now))


class AccessList:
    """The Standing of a worker, from memory. A thread asks five times a second whether the file has changed. What was
    last known counts for two seconds after the last time that this could be asked, then nothing is known; a file that
    was deleted, replaced, cut or damaged can't be asked."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing is read yet: see `open`. `clock` gives seconds, and is for tests."""
        self._path = path
        self._clock = clock
        self._register = Register({}, ())
        self._seen = float("-inf")
        self._fault = f"{path}: not read yet"
        self._reader: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._content: tuple[int, int] | None = None
        self._version: int | None = None
        self._callbacks: list[Callable[[], None]] = []
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="access", daemon=True)

    @classmethod
    def open(cls, path: Path, clock: Callable[[], float] = time.monotonic) -> Self:
        """Read the file and start watching it; blocks for milliseconds. Raises AccessUnavailable."""
        known = cls(path, clock)
        try:
            known.look()
        except AccessUnavailable:
            known._drop()
            raise
        known._thread.start()
        return known

    def close(self) -> None:
        """Stop watching. Nobody is known from then on."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()
        self._drop()
        self._fault, self._seen = f"{self._path}: closed", float("-inf")

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call `callback` on the running loop after each change of who counts. Call it there."""
        loop = asyncio.get_running_loop()

        def tell() -> None:
            # A loop that has ended has nobody left to tell.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(callback)

        self._callbacks.append(tell)

    def token(self, token_id: str) -> AgentToken | None:
        """See Standing."""
        return self._current().token(token_id)

    def password(self, password_id: str) -> Password | None:
        """See Standing."""
        return self._current().password(password_id)

    def frozen(self, principal: Principal) -> Freeze | None:
        """See Standing."""
        return self._current().frozen(principal)

    def _current(self) -> Register:
        if self._clock() - self._seen > STALE_SECONDS:
            raise AccessUnavailable(self._fault)
        return self._register

    def _watch(self) -> None:
        fine = True
        while not self._closing.wait(POLL_SECONDS):
            try:
                changed = self.look()
            except AccessUnavailable as error:
                self._drop()
                self._fault = str(error)
                if fine:
                    log.error("access: %s", error)
                fine = False
                continue
            if not fine:
                log.info("access: %s can be read again", self._path)
            fine = True
            if changed:
                for tell in self._callbacks:
                    tell()

    def look(self) -> bool:
        """Look once, as the thread does; says whether anything has changed. Raises AccessUnavailable."""
        return guard(self._path, table.FORM, self._look)

    def _look(self) -> bool:
        asked = self._clock()
        if self._identity not in (None, identity(self._path)):
            raise AccessUnavailable(replaced(self._path))
        if self._reader is None or self._content != self._size_and_time():
            # A checkpoint moved pages into the file, or somebody else wrote to it: what SQLite remembers of it may not
            # be what is there.
            self._drop()
            self._content, self._version = self._size_and_time(), None
            self._reader = connect_reader(self._path, table.FORM)
        (version,) = self._reader.execute("PRAGMA data_version").fetchone()
        changed = False
        if version != self._version:
            self._reader.execute("BEGIN")
            register = table.Rows(self._reader).register()
            self._reader.execute("COMMIT")
            changed = register != self._register
            self._register, self._version = register, version
        found = identity(self._path)
        if self._identity is None:
            self._identity = found
        elif self._identity != found:
            raise AccessUnavailable(replaced(self._path))
        self._seen = asked
        return changed

    def _size_and_time(self) -> tuple[int, int]:
        found = self._path.stat()
        return found.st_size, found.st_mtime_ns

    def _drop(self) -> None:
        if self._reader is not None:
            with contextlib.suppress(sqlite3.Error):
                self._reader.close()
            self._reader = None
