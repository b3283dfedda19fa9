"""Work on the trail that nobody waits for: one thread does a step of each in turn, until told to stop."""

import asyncio
import contextlib
import logging
import random
import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from extproc.audit.objects import ObjectStoreError
from extproc.audit.reader import JournalFault
from extproc.domain.ports import JournalUnwritable

IDLE_SECONDS = 0.2
BACKOFF_SECONDS = 0.5
LONGEST_SECONDS = 30.0
DRAIN_STEPS = 50
_log = logging.getLogger("holdpoint.chores")


class Chore(Protocol):
    """One kind of work. Used by one thread at a time."""

    @property
    def name(self) -> str:
        """What logs call it."""
        ...

    def step(self) -> bool:
        """Do a bounded piece of it; True when there is more to do now. Raises OSError, sqlite3.Error, ValueError,
        JournalFault, JournalUnwritable and ObjectStoreError for what may be better later: the next step goes on where
        this one stopped."""
        ...

    def close(self) -> None:
        """Let go of everything."""
        ...


@dataclass(slots=True)
class _Turn:
    chore: Chore
    failures: int = 0
    due: float = 0.0


async def run(chores: Sequence[Chore], stop: asyncio.Event) -> None:
    """Until `stop`, then what is left to do within DRAIN_STEPS rounds. A chore that fails is tried again, later and
    later; the others go on."""
    loop = asyncio.get_running_loop()
    turns = [_Turn(chore) for chore in chores]
    with ThreadPoolExecutor(1, "chores") as thread:
        try:
            drained = 0
            while True:
                ending = stop.is_set()
                more = False
                for turn in turns:
                    if loop.time() >= turn.due or (ending and not turn.failures):
                        more |= await loop.run_in_executor(thread, _step, turn, loop.time())
                drained += ending
                if ending and (not more or drained > DRAIN_STEPS):
                    return
                if not more:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(IDLE_SECONDS):
                            await stop.wait()
        finally:
            for turn in turns:
                await loop.run_in_executor(thread, turn.chore.close)


async def run_apart(urgent: Chore, others: Sequence[Chore], stop: asyncio.Event) -> None:
    """As `run`, with a thread of its own for one that must not wait for the others; it ends after them."""
    over = asyncio.Event()

    async def rest() -> None:
        try:
            await run(others, stop)
        finally:
            over.set()

    async with asyncio.TaskGroup() as both:
        both.create_task(run([urgent], over))
        both.create_task(rest())


def _step(turn: _Turn, now: float) -> bool:
    try:
        more = turn.chore.step()
    except (OSError, sqlite3.Error, ValueError, JournalFault, JournalUnwritable, ObjectStoreError) as error:
        if not turn.failures:
            _log.error("%s: %s; trying again", turn.chore.name, error)
        turn.failures += 1
        longest = min(LONGEST_SECONDS, BACKOFF_SECONDS * 2.0 ** min(turn.failures - 1, 16))
        turn.due = now + longest * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing
        return False
    if turn.failures:
        _log.info("%s: works again", turn.chore.name)
    turn.failures, turn.due = 0, 0.0
    return more
