"""Work that goes on beside a program's own: nobody waits for it, so that nobody would notice its end."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

AGAIN_SECONDS = 1.0
Work = Callable[[], Coroutine[Any, Any, None]]
_log = logging.getLogger("holdpoint.kept")


async def kept(work: Work) -> None:
    """Do it until cancelled, whatever goes wrong: a fault is logged, and the work begun anew a second later."""
    while True:
        try:
            await work()
        except Exception:
            # What is in force stays in force meanwhile; nobody at work any more would be worse than saying so twice.
            _log.exception("work that has to go on failed; beginning anew")
        await asyncio.sleep(AGAIN_SECONDS)


@contextlib.asynccontextmanager
async def keeping(*work: Work) -> AsyncIterator[None]:
    """Do these for as long as the context lasts."""
    tasks = [asyncio.create_task(kept(each)) for each in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
