"""What workers know by heart: how soon, and when they know nothing any more."""

import asyncio
import multiprocessing
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from extproc.access.check import check
from extproc.access.ports import AccessUnavailable
from extproc.adapters.access import STALE_SECONDS, AccessList, prepare
from extproc.domain.identity import IdentityRefused, Why
from extproc.domain.principal import Kind, Principal
from tests.access import making
from tests.access.making import IDP, Store, bot, unseen

EVE = Principal(IDP, "eve", Kind.HUMAN)
BOB = Principal(IDP, "bob", Kind.HUMAN)
SPAWN = multiprocessing.get_context("spawn")


class Ticks:
    """A monotonic clock that tests set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def listed(path: Path, clock: Callable[[], float] | None = None) -> Iterator[AccessList]:
    """A list that a thread keeps; with a clock, one that only looks when the test says so."""
    if clock is None:
        known = AccessList.open(path)
    else:
        known = AccessList(path, clock)
        known.look()
    try:
        yield known
    finally:
        known.close()


async def until(known: AccessList, reached: Callable[[], bool], change: asyncio.Event) -> None:
    """Wait for changes until something is so."""
    async with asyncio.timeout(30):
        while not reached():
            await change.wait()
            change.clear()


def test_changes_of_another_process_arrive_and_are_told(folder: Path) -> None:
    """Issued, revoked, frozen, thawed: each wakes the loop, and the list then knows."""

    async def run() -> None:
        async with Store(folder) as s:
            with listed(s.path) as known:
                change = asyncio.Event()
                known.on_change(change.set)
                assert known.token("0" * 16) is None
                writer = SPAWN.Process(target=making.issue_many, args=(folder, "other", 1))
                writer.start()
                await change.wait()
                ((token, _),) = await s.access.tokens()
                await until(known, lambda: known.token(token.id) == token, change)
                await asyncio.to_thread(writer.join, 60)
                check(bot(token), known, 0.0)
                revoked, _ = await s.access.revoke(token.id, unseen)
                await until(known, lambda: known.token(token.id) == revoked, change)
                with pytest.raises(IdentityRefused) as refused:
                    check(bot(token), known, 0.0)
                assert refused.value.why is Why.REVOKED
                freeze = await s.frozen("EVE", IDP)
                await until(known, lambda: known.frozen(EVE) == freeze, change)
                assert known.frozen(BOB) is None
                await s.access.unfreeze("EVE", IDP, unseen)
                await until(known, lambda: known.frozen(EVE) is None, change)
            with pytest.raises(AccessUnavailable, match="closed"):
                known.frozen(EVE)

    asyncio.run(run())


def test_only_changes_are_told(folder: Path) -> None:
    """A look that finds what was known says so, whoever wrote what else."""

    async def run() -> None:
        async with Store(folder) as s:
            with listed(s.path, Ticks()) as known:
                assert known.look() is False
                await s.frozen("eve")
                assert known.look() is True
                assert known.look() is False
                with sqlite3.connect(s.path) as db:
                    db.execute("CREATE TABLE other (x)")
                db.close()
                assert known.look() is False

    asyncio.run(run())


def gone(path: Path) -> None:
    """Delete the file."""
    path.rename(path.with_suffix(".away"))


def copied(path: Path) -> None:
    """Put a copy in its place: it may be an old one."""
    path.rename(path.with_suffix(".away"))
    shutil.copy(path.with_suffix(".away"), path)


def fresh(path: Path) -> None:
    """Put an empty one in its place: nobody is frozen in it."""
    path.rename(path.with_suffix(".away"))
    other = path.parent / "other"
    other.mkdir()
    Store(other)
    prepare(other / "access.db", other / "keys")
    (other / "access.db").rename(path)


@pytest.mark.parametrize("loss", [gone, copied, fresh])
def test_a_file_that_is_gone_or_another_one(folder: Path, loss: Callable[[Path], None]) -> None:
    """After two seconds nobody is let in; never is somebody free who was frozen. The file's return ends that."""

    async def run() -> None:
        async with Store(folder) as s:
            await s.frozen("eve")
        ticks = Ticks()
        with listed(s.path, ticks) as known:
            loss(s.path)
            with pytest.raises(AccessUnavailable):
                known.look()
            assert known.frozen(EVE) is not None
            ticks.now += STALE_SECONDS + 0.1
            with pytest.raises(AccessUnavailable):
                known.look()
            for ask in (lambda: known.frozen(EVE), lambda: known.frozen(BOB), lambda: known.token("0" * 16)):
                with pytest.raises(AccessUnavailable):
                    ask()
            s.path.with_suffix(".away").rename(s.path)
            assert known.look() is False
            assert known.frozen(EVE) is not None

    asyncio.run(run())


def cut(path: Path) -> None:
    """Cut the file short."""
    os.truncate(path, 100)


def scribble(path: Path) -> None:
    """Write over all of its pages but the first's head."""
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(100)
        file.write(b"\xff" * (size - 100))


def locked(path: Path) -> None:
    """Hold a lock that readers wait for until they give up."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA locking_mode = EXCLUSIVE")
    db.execute("BEGIN EXCLUSIVE")
    HELD.append(db)


HELD: list[sqlite3.Connection] = []


@pytest.mark.parametrize("damage", [cut, scribble])
def test_a_file_that_is_damaged_in_place(folder: Path, damage: Callable[[Path], None]) -> None:
    """What SQLite remembers of it does not hide the damage."""

    async def run() -> None:
        async with Store(folder) as s:
            for i in range(50):
                await s.frozen(f"eve-{i}")
        with listed(s.path, Ticks()) as known:
            before = s.path.stat()
            damage(s.path)
            os.utime(s.path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
            with pytest.raises(AccessUnavailable, match=r"backup|schema"):
                known.look()
        with pytest.raises(AccessUnavailable):
            AccessList.open(s.path)

    asyncio.run(run())


def test_a_file_that_is_locked(folder: Path) -> None:
    """A list can't be opened over a lock, and an open one does not go on without looking."""

    async def run() -> None:
        async with Store(folder) as s:
            await s.frozen("eve")
        locked(s.path)
        with pytest.raises(AccessUnavailable, match="locked"):
            AccessList.open(s.path)
        HELD.pop().close()
        with listed(s.path) as known:
            assert known.frozen(EVE) is not None

    asyncio.run(run())


def test_what_nobody_looked_at_for_long_is_not_known(folder: Path) -> None:
    """The clock decides, not the thread: one that hangs says nothing."""

    async def run() -> None:
        async with Store(folder) as s:
            ticks = Ticks()
            with listed(s.path, ticks) as known:
                ticks.now += STALE_SECONDS
                assert known.frozen(EVE) is None
                ticks.now += 0.1
                with pytest.raises(IdentityRefused) as refused:
                    check(EVE, known, 0.0)
                assert refused.value.why is Why.UNAVAILABLE

    asyncio.run(run())


def test_a_row_that_does_not_read_back(folder: Path) -> None:
    """Half of who counts is nobody known."""

    async def run() -> None:
        async with Store(folder) as s:
            await s.issued()
            with listed(s.path, Ticks()) as known:
                with sqlite3.connect(s.path) as db:
                    db.execute("UPDATE tokens SET groups = '\"admins\"'")
                db.close()
                with pytest.raises(AccessUnavailable, match="list of names"):
                    known.look()

    asyncio.run(run())


def test_a_list_of_nothing(folder: Path) -> None:
    """It makes no file."""
    with pytest.raises(AccessUnavailable, match="No such file"):
        AccessList.open(folder / "access.db")
    assert list(folder.iterdir()) == []
