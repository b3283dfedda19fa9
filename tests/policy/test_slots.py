"""Slots for heavy evaluations: one at a time for a principal over all workers, whoever leaves and whoever dies."""

import asyncio
import fcntl
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.adapters.opa.slots import Slots

WAIT_SECONDS = 30.0
PRINCIPALS = ("a", "b", "c", "d", "e")
STEPS = st.lists(st.tuples(st.sampled_from(["come", "come", "end", "leave", "die"]), st.integers(0, 99)), max_size=60)

# A worker of its own: takes the slot of the principal that it is told, says so, and keeps it until it is killed.
HOLDER = """
import asyncio, sys
from pathlib import Path
from extproc.adapters.opa.slots import Slots

async def hold():
    await Slots(Path(sys.argv[1]), 1).take(sys.argv[2])
    print("held", flush=True)
    await asyncio.Event().wait()

asyncio.run(hold())
"""


class Workers:
    """Several workers' slots in one loop: locks of files know no processes, only who opened them."""

    def __init__(self, folder: Path, count: int, workers: int) -> None:
        self.folder, self.count = folder, count
        self.workers = [Slots(folder, count) for _ in range(workers)]
        self.waiting: list[tuple[int, str, asyncio.Task[Callable[[], None]]]] = []
        self.inside: list[tuple[int, str, Callable[[], None]]] = []

    def come(self, number: int) -> None:
        """A principal wants its slot at one of the workers."""
        worker, principal = number % len(self.workers), PRINCIPALS[number % len(PRINCIPALS)]
        self.waiting.append((worker, principal, asyncio.create_task(self.workers[worker].take(principal))))

    def end(self, number: int) -> None:
        """An evaluation has ended."""
        if self.inside:
            self.inside.pop(number % len(self.inside))[2]()

    def leave(self, number: int) -> None:
        """One of those that wait is cancelled."""
        if self.waiting:
            self.waiting[number % len(self.waiting)][2].cancel()

    async def die(self, number: int) -> None:
        """A worker ends with all that it has and waits for; another one starts in its place. One that waits for a file
        can't be made to die within this process."""
        worker = number % len(self.workers)
        for at, _, task in self.waiting:
            if at == worker:
                task.cancel()
        self.inside = [one for one in self.inside if one[0] != worker]
        self.workers[worker].close()
        self.workers[worker] = Slots(self.folder, self.count)

    def look(self) -> None:
        """Move those that were granted, and hold the rule."""
        granted = [one for one in self.waiting if one[2].done()]
        self.waiting = [one for one in self.waiting if not one[2].done()]
        self.inside += [(worker, name, task.result()) for worker, name, task in granted if not task.cancelled()]
        each = Counter(name for _, name, _ in self.inside)
        assert all(n == 1 for n in each.values()), "two heavy evaluations of one principal"
        assert len(self.inside) <= self.count

    async def finish(self) -> None:
        """Everybody who still waits has a turn, and then all is free."""
        self.look()
        while self.waiting or self.inside:
            self.end(0)
            tasks = [task for _, _, task in self.waiting]
            if tasks and not self.inside:
                await asyncio.wait(tasks, timeout=WAIT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                assert any(task.done() for task in tasks), "nobody has the slot, and nobody gets it"
            self.look()
        async with asyncio.timeout(WAIT_SECONDS):
            for worker in self.workers:
                for principal in PRINCIPALS:
                    (await worker.take(principal))()
        for worker in self.workers:
            worker.close()


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3), st.integers(1, 3), STEPS)
def test_one_at_a_time_whatever_happens(count: int, workers: int, steps: Iterable[tuple[str, int]]) -> None:
    """Arrivals, ends, departures and deaths in any order: the rule holds, and every slot is free in the end."""

    async def play(folder: Path) -> None:
        scene = Workers(folder, count, workers)
        for name, number in steps:
            if name == "die":
                if not any(at == number % workers for at, _, _ in scene.waiting):
                    await scene.die(number)
            else:
                {"come": scene.come, "end": scene.end, "leave": scene.leave}[name](number)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            scene.look()
        await scene.finish()

    with tempfile.TemporaryDirectory(prefix="hp-") as folder:
        asyncio.run(play(Path(folder)))


def test_a_worker_that_is_killed_gives_its_slot_up(tmp_path: Path) -> None:
    """A process has it, and another one waits; the first is killed, and the second has it."""
    argv = [sys.executable, "-c", HOLDER, str(tmp_path), "agent"]

    async def waits() -> bool:
        slots = Slots(tmp_path, 1)
        taking = asyncio.create_task(slots.take("agent"))
        await asyncio.sleep(0)
        refused = not taking.done()
        holder.kill()
        async with asyncio.timeout(WAIT_SECONDS):
            (await taking)()
        slots.close()
        return refused

    with subprocess.Popen(argv, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            assert asyncio.run(waits())
        finally:
            holder.kill()


def test_workers_take_turns(tmp_path: Path) -> None:
    """A worker that wants the slot again as soon as it gave it back has it after those that waited."""

    async def play() -> list[str]:
        busy, other, turns = Slots(tmp_path, 1), Slots(tmp_path, 1), []

        async def take(slots: Slots, principal: str) -> None:
            release = await slots.take(principal)
            turns.append(principal)
            release()

        async with asyncio.timeout(WAIT_SECONDS):
            release = await busy.take("eager")
            waiting = asyncio.create_task(take(other, "patient"))
            while _free(tmp_path / "heavy-0.next"):  # noqa: ASYNC110 - nobody announces that a file is locked
                await asyncio.sleep(0)
            release()
            await asyncio.gather(take(busy, "eager"), waiting)
        return turns

    assert asyncio.run(play()) == ["patient", "eager"]


def _free(file: Path) -> bool:
    """Whether nobody has the lock of a file."""
    with file.open() as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def test_without_a_thread_the_slot_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller hears of it, no worker waits behind it, and the next one gets the slot when it is free."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def run() -> None:
        one, other = Slots(tmp_path, 1), Slots(tmp_path, 1)
        give_back = await one.take("a")
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse)
            with pytest.raises(OSError, match="no thread"):
                await other.take("b")
        give_back()
        (await one.take("a"))()
        (await asyncio.wait_for(other.take("b"), WAIT_SECONDS))()

    asyncio.run(run())
