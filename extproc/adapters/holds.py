"""Holds in SQLite: one file, many processes, one order of changes.

How the file is used is in `sqlite`; a power cut that took back a commit would make a used approval usable again.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Self

from extproc.adapters import holds_table as table
from extproc.adapters.sqlite import Database
from extproc.approvals import machine
from extproc.approvals.ports import AdmissionRule, Change, HoldsUnavailable, Page, Question, Standing
from extproc.domain.hold import Hold, HoldState
from extproc.domain.principal import Principal

POLL_SECONDS = 0.05


class SqliteHolds:
    """The HoldStore over a SQLite file. Belongs to one event loop; `close` it there."""

    def __init__(self, path: Path, clock: Callable[[], float] | None = None) -> None:
        """Nothing is opened yet: see `open`. `clock` stands in for the store's own time in tests."""
        self._path = path
        self._database = Database(path, table.FORM, clock)
        self._waiters: dict[str, set[asyncio.Future[None]]] = {}
        self._poller: asyncio.Task[None] | None = None
        self._version: int | None = None

    @classmethod
    async def open(cls, path: Path, clock: Callable[[], float] | None = None) -> Self:
        """Open the file, making it (mode 0600) and its tables where they are missing. Raises HoldsUnavailable."""
        store = cls(path, clock)
        await store._database.open()
        return store

    async def close(self) -> None:
        """Let go of the file. Those who still wait get HoldsUnavailable."""
        if self._poller is not None:
            self._poller.cancel()
        self._fail(HoldsUnavailable(f"{self._path}: closed"))
        await self._database.close()

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

        hold, *ended = await self._database.write(work)
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

        hold = await self._database.write(work)
        self._wake(hold)
        return hold

    async def get(self, hold_id: str) -> Hold:
        """See HoldStore."""
        hold, _ = await self._look(hold_id)
        return hold

    async def find(self, state: HoldState | None, groups: frozenset[str] | None, after: str | None, limit: int) -> Page:
        """See HoldStore."""

        def work(db: sqlite3.Connection, now: float) -> Page:
            standings, more = table.read_page(db, state, groups, after, now, limit)
            return Page(tuple(machine.at(s.hold, now) for s in standings), more)

        return await self._database.read(work)

    async def expire_due(self, keep_seconds: float, witness: Callable[[Sequence[Hold]], None]) -> tuple[Hold, ...]:
        """See HoldStore."""

        def due(db: sqlite3.Connection, now: float) -> bool:
            return table.has_due(db, now, keep_seconds)

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

        if not await self._database.read(due):
            return ()
        expired = await self._database.write(work)
        self._wake(*expired)
        return expired

    async def cancel_of(
        self, whose: Callable[[Principal], bool], witness: Callable[[Sequence[Hold]], None]
    ) -> tuple[Hold, ...]:
        """See HoldStore."""

        def due(db: sqlite3.Connection, now: float) -> list[Standing]:
            return [s for s in table.read_live(db, now) if whose(s.hold.principal)]

        def work(db: sqlite3.Connection, now: float) -> tuple[Hold, ...]:
            standings = due(db, now)
            cancelled = tuple(machine.withdraw(s.hold, now) for s in standings)
            for standing, hold in zip(standings, cancelled, strict=True):
                table.update(db, Standing(hold, standing.askers), now)
            if cancelled:
                witness(cancelled)
            return cancelled

        # Most often there is nothing to do, and looking takes no lock.
        if not await self._database.read(due):
            return ()
        cancelled = await self._database.write(work)
        self._wake(*cancelled)
        return cancelled

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

        def left_pending(waiting: tuple[str, ...], db: sqlite3.Connection) -> tuple[str, ...]:
            (version,) = db.execute("PRAGMA data_version").fetchone()
            if version == self._version:
                return ()
            self._version = version
            pending = {i for (i,) in db.execute("SELECT id FROM holds WHERE state = 'pending'")}
            return tuple(i for i in waiting if i not in pending)

        try:
            while self._waiters:
                await asyncio.sleep(POLL_SECONDS)
                for hold_id in await self._database.run(partial(left_pending, tuple(self._waiters))):
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
        return await self._database.read(lambda db, now: (machine.at(table.read(db, hold_id).hold, now), now))
