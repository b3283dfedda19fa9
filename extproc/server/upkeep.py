"""What every worker does beside its sessions, whatever protocol they speak."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from functools import partial

from extproc.server import turnstile
from extproc.server.gate import Gate
from extproc.server.kept import keeping
from extproc.server.live import Exchanges
from extproc.server.metrics import Metrics
from extproc.server.records import Records

DRAIN_SECONDS = 5.0
"""How long a worker that is told to stop waits for what is under way: a hold outlives any drain, and what else is under
way ends by itself well within this."""

_LAG_SECONDS = 0.1


def kept_up(gate: Gate, exchanges: Exchanges) -> AbstractAsyncContextManager[None]:
    """For as long as it serves: its loop's lag is measured, who may not be here any more goes, records are flushed."""
    return keeping(partial(watch_lag, gate.metrics), exchanges.watch, partial(_flush, gate.records))


async def watch_lag(metrics: Metrics) -> None:
    """Measure how late the loop wakes: the time a callback kept it busy."""
    loop = asyncio.get_running_loop()
    worst, recent, ticks = 0.0, 0.0, 0
    while True:
        due = loop.time() + _LAG_SECONDS
        await asyncio.sleep(_LAG_SECONDS)
        late = max(0.0, loop.time() - due)
        recent, ticks = max(recent, late), ticks + 1
        if late > worst:
            worst = late
            metrics.loop_lag_worst.set(worst)
        if ticks * _LAG_SECONDS >= 1.0:
            metrics.loop_lag.set(recent)
            recent, ticks = 0.0, 0


def thread_pool() -> ThreadPoolExecutor:
    """Where steps too long for the loop go. Two threads: more would only wait for the interpreter."""
    return ThreadPoolExecutor(2, "holdpoint-heavy")


async def _flush(records: Records) -> None:
    while True:
        await asyncio.sleep(turnstile.SECONDS)
        records.flush()
