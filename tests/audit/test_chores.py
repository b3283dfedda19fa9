"""Chores take turns; one that fails does not hold up the others."""

import asyncio
import threading

import pytest

from extproc.audit import chores


class Counting:
    """A chore with so many steps to do, which fails at some of its calls."""

    name = "counting"

    def __init__(self, steps: int, failing: frozenset[int] = frozenset(), done: asyncio.Event | None = None) -> None:
        self.left, self.failing, self.calls, self.closed = steps, failing, 0, False
        self.threads: set[int] = set()
        self._done, self._loop = done, asyncio.get_running_loop()

    def step(self) -> bool:
        """See chores.Chore."""
        self.threads.add(threading.get_ident())
        self.calls += 1
        if self.calls in self.failing:
            raise OSError("no")
        self.left -= 1
        if self.left == 0 and self._done is not None:
            self._loop.call_soon_threadsafe(self._done.set)
        return self.left > 0

    def close(self) -> None:
        """See chores.Chore."""
        self.closed = True


def test_all_is_done_in_one_thread_and_closed() -> None:
    """What is left when told to stop is done first."""

    async def go() -> None:
        stop = asyncio.Event()
        stop.set()
        both = [Counting(3), Counting(1)]
        await chores.run(both, stop)
        assert [c.left <= 0 for c in both] == [True, True]
        assert len(both[0].threads | both[1].threads) == 1
        assert all(c.closed for c in both)

    asyncio.run(go())


def test_one_that_fails_is_tried_again(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """It is said once, however often it fails."""
    monkeypatch.setattr(chores, "BACKOFF_SECONDS", 0.001)

    async def go() -> None:
        stop, done = asyncio.Event(), asyncio.Event()
        failing, other = Counting(1, frozenset({1, 2}), done), Counting(1)
        running = asyncio.create_task(chores.run([failing, other], stop))
        await done.wait()
        stop.set()
        await running
        assert failing.calls >= 3
        assert other.left <= 0

    asyncio.run(go())
    assert sum("trying again" in r.getMessage() for r in caplog.records) == 1


def test_the_urgent_one_waits_for_nobody() -> None:
    """While another is in the middle of a long step it has its turns; and it ends after that one's last."""

    async def go() -> None:
        stop, had = asyncio.Event(), threading.Event()
        order: list[str] = []

        class Long(Counting):
            def step(self) -> bool:
                assert had.wait(30)
                order.append("long")
                return False

        class Urgent(Counting):
            def step(self) -> bool:
                had.set()
                return False

            def close(self) -> None:
                order.append("closed")

        running = asyncio.create_task(chores.run_apart(Urgent(1), [Long(1)], stop))
        stop.set()
        await running
        assert order[0] == "long"
        assert order[-1] == "closed"

    asyncio.run(go())
