"""What other processes do in tests about holds; a spawned process imports it by name."""

import asyncio
import os
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path

from extproc.adapters.holds import SqliteHolds
from extproc.approvals.machine import HoldRefused, Refused
from extproc.approvals.service import Holds
from tests.approvals.making import agent, person


def race(path: Path, ids: list[str], barrier: Barrier, results: "Queue[list[str]]") -> None:
    """One racer: claim every hold, and report those that were won."""

    async def run() -> list[str]:
        store = await SqliteHolds.open(path)
        holds, won = Holds(store), []
        barrier.wait(60)
        for i, hold_id in enumerate(ids):
            try:
                await holds.claim(hold_id, f"d{i % 20}", agent(f"bot{i // 20}"))
                won.append(hold_id)
            except HoldRefused as error:
                if error.code is not Refused.NOT_APPROVED:
                    raise
        await store.close()
        return won

    results.put(asyncio.run(run()))


def crash(path: Path, hold_id: str) -> None:
    """Die inside a vote's transaction."""

    async def run() -> None:
        holds = Holds(await SqliteHolds.open(path))
        await holds.vote(hold_id, person("dana", "dba"), True, "fine", lambda before, after: os._exit(7))

    asyncio.run(run())
