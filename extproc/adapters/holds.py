"""Holds in SQLite: one file, many processes, one order of changes.

- Every change is one BEGIN IMMEDIATE transaction, so two processes never decide on the same reading.
- synchronous=FULL: with NORMAL a power cut may take back the last commits, and a used approval would be usable again.
- Times come from SQLite, read inside the transaction. (Not unixepoch('subsec'): before SQLite 3.42 that is NULL.)
- One thread owns the connection; the event loop never waits for the disk.
"""

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Self, TypeVar

from extproc.adapters import holds_table as table
from extproc.approvals import machine
from extproc.approvals.ports import AdmissionRule, Change, HoldsUnavailable, Page, Question, Standing
from extproc.domain.hold import Hold, HoldState

BUSY_SECONDS = 2.0
POLL_SECONDS = 0.05

T = TypeVar("T")


class SqliteHolds:
    """The HoldStore over a SQLite file. Belongs to one event loop; `close` it there."""

    def __init__(self, path: Path, clock: Callable[[], float] | None = None) -> None:
        """Nothing is opened yet: see `open`. `clock` stands in for the store's own time in tests."""
        self._path = path
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="holds")
        self._connection: sqlite3.Connection | None = None
        self._waiters: dict[str, set[asyncio.Future[None]]] = {}
        self._poller: asyncio.Task[None] | None = None
        self._version: int | None = None
        self._closed = False

    @classmethod
    async def open(cls, path: Path, clock: Callable[[], float] | None = None) -> Self:
        """Open the file, making it (mode 0600) and its tables where they are missing. Raises HoldsUnavailable."""
        store = cls(path, clock)
        try:
            await store._in_thread(store._connect)
        except HoldsUnavailable:
            store._thread.shutdown(wait=False)
            raise
        return store

    async def close(self) -> None:
        """Let go of the file. Those who still wait get HoldsUnavailable."""
        if self._poller is not None:
            self._poller.cancel()
        self._fail(HoldsUnavailable(f"{self._path}: closed"))
        await self._in_thread(self._disconnect)
        self._closed = True
        self._thread.shutdown()

    async def admit(self, question: Question, window_seconds: float, keep: int, rule: AdmissionRule) -> Hold:
        """See HoldStore."""

        def work(db: sqlite3.Connection, now: float) -> tuple[Hold, ...]:
            standings = table.read_same(db, question)
            admission = rule(standings, table.tally(db, question, now, window_seconds), now)
            askers = {s.hold.id: s.askers for s in standings}
            for hold in admission.ended:
                table.update(db, Standing(hold, askers[hold.id]), now)
            given = admission.standing
            if given.hold.id in askers:
                table.update(db, given, now)
            else:
                table.insert(db, given)
                table.forget_more(db, question.asker, now, window_seconds, keep)
            return given.hold, *admission.ended

        hold, *ended = await self._write(work)
        self._wake(*ended)
        return hold

    async def change(self, hold_id: str, change: Change) -> Hold:
        """See HoldStore."""

        def work(db: sqlite3.Connection, now: float) -> Hold:
            before = table.read(db, hold_id)
            after = change(before, now)
            if after != before:
                table.update(db, after, now)
                known = len(before.hold.votes)
                for vote in after.hold.votes[known:]:
                    table.insert_vote(db, hold_id, vote)
            return machine.at(after.hold, now)

        hold = await self._write(work)
        self._wake(hold)
        return hold

    async def get(self, hold_id: str) -> Hold:
        """See HoldStore."""
        hold, _ = await self._look(hold_id)
        return hold

    async def find(self, state: HoldState | None, groups: frozenset[str] | None, after: str | None, limit: int) -> Page:
        """See HoldStore."""

        def work() -> Page:
            db, now = self._db(), self._now()
            standings, more = table.read_page(db, state, groups, after, now, limit)
            return Page(tuple(machine.at(s.hold, now) for s in standings), more)

        return await self._in_thread(work)

    async def expire_due(self, keep_seconds: float, witness: Callable[[Sequence[Hold]], None]) -> tuple[Hold, ...]:
        """See HoldStore."""

        def due() -> bool:
            return table.has_due(self._db(), self._now(), keep_seconds)

        def work(db: sqlite3.Connection, now: float) -> tuple[Hold, ...]:
            standings = table.read_unnoted(db, now)
            expired = tuple(machine.at(s.hold, now) for s in standings)
            for standing, hold in zip(standings, expired, strict=True):
                table.update(db, Standing(hold, standing.askers), now)
                table.note(db, hold)
            table.forget(db, now - keep_seconds)
            if expired:
                witness(expired)
            return expired

        if not await self._in_thread(due):
            return ()
        expired = await self._write(work)
        self._wake(*expired)
        return expired

    async def wait(self, hold_id: str, timeout: float) -> Hold:
        """See HoldStore. Changes of this process wake at once, those of others within POLL_SECONDS."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while True:
            # Registered before the look: a change after the look finds the waiter, one before it is seen by it.
            changed: asyncio.Future[None] = loop.create_future()
            self._waiters.setdefault(hold_id, set()).add(changed)
            try:
                if self._poller is None or self._poller.done():
                    self._poller = asyncio.create_task(self._poll())
                hold, now = await self._look(hold_id)
                left = deadline - loop.time()
                if hold.state is not HoldState.PENDING or left <= 0:
                    return hold
                await asyncio.wait({changed}, timeout=min(left, max(hold.expires_at - now, POLL_SECONDS)))
                if changed.done():
                    changed.result()
            finally:
                waiting = self._waiters[hold_id]
                waiting.discard(changed)
                if not waiting:
                    del self._waiters[hold_id]

    async def _poll(self) -> None:
        """While anyone waits, ask SQLite whether another connection has committed, and only then look at holds."""

        def left_pending(waiting: tuple[str, ...]) -> tuple[str, ...]:
            db = self._db()
            (version,) = db.execute("PRAGMA data_version").fetchone()
            if version == self._version:
                return ()
            self._version = version
            pending = {i for (i,) in db.execute("SELECT id FROM holds WHERE state = 'pending'")}
            return tuple(i for i in waiting if i not in pending)

        try:
            while self._waiters:
                await asyncio.sleep(POLL_SECONDS)
                for hold_id in await self._in_thread(partial(left_pending, tuple(self._waiters))):
                    self._wake_id(hold_id)
        except HoldsUnavailable as error:
            self._fail(error)

    def _wake(self, *holds: Hold) -> None:
        for hold in holds:
            if hold.state is not HoldState.PENDING:
                self._wake_id(hold.id)

    def _wake_id(self, hold_id: str) -> None:
        for future in self._waiters.get(hold_id, ()):
            if not future.done():
                future.set_result(None)

    def _fail(self, error: HoldsUnavailable) -> None:
        for future in [f for waiting in self._waiters.values() for f in waiting if not f.done()]:
            future.set_exception(error)

    async def _look(self, hold_id: str) -> tuple[Hold, float]:
        def work() -> tuple[Hold, float]:
            now = self._now()
            return machine.at(table.read(self._db(), hold_id).hold, now), now

        return await self._in_thread(work)

    async def _write(self, work: Callable[[sqlite3.Connection, float], T]) -> T:
        def transaction() -> T:
            db = self._db()
            db.execute("BEGIN IMMEDIATE")
            try:
                result = work(db, self._now())
                db.execute("COMMIT")
            except BaseException:
                # Some errors (disk full) have rolled back already.
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
            return result

        return await self._in_thread(transaction)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        def guarded() -> T:
            try:
                return work()
            except sqlite3.Error as error:
                raise table.unavailable(self._path, error) from error
            except (OSError, ValueError) as error:
                raise HoldsUnavailable(f"{self._path}: {error}") from error

        if self._closed:
            raise HoldsUnavailable(f"{self._path}: closed")
        return await asyncio.get_running_loop().run_in_executor(self._thread, guarded)

    # Everything below runs in the store's thread.

    def _now(self) -> float:
        if self._clock is not None:
            return self._clock()
        (now,) = self._db().execute("SELECT (julianday('now') - 2440587.5) * 86400.0").fetchone()
        return float(now)

    def _db(self) -> sqlite3.Connection:
        if self._connection is None:
            raise HoldsUnavailable(f"{self._path}: not open")
        return self._connection

    def _connect(self) -> None:
        # Made here for its mode. An existing file is not opened: closing it would drop the locks SQLite holds on it.
        with contextlib.suppress(FileExistsError):
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        db = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            db.row_factory = sqlite3.Row
            table.use_wal(db, BUSY_SECONDS)
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA foreign_keys = ON")
            db.execute("BEGIN IMMEDIATE")
            table.migrate(db)
            db.execute("COMMIT")
        except BaseException:
            db.close()
            raise
        self._connection = db

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
