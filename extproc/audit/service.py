"""The shipper's process: follows the access log and ships the journals until it is told to stop."""

import asyncio
import contextlib
import logging
import random
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from extproc.audit.accesslog import AccessLog
from extproc.audit.frame import Fault
from extproc.audit.journal import FileJournal
from extproc.audit.shipper import Exporter, Lag, Shipper, Step
from extproc.audit.store import Store
from extproc.domain.json import Document
from extproc.domain.ports import JournalUnwritable

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds: between looks while idle, the first and longest wait after a failure, between lag reports, and for
    sending what is left when told to stop."""

    idle: float = 0.2
    backoff: float = 0.5
    longest: float = 30.0
    report: float = 2.0
    drain: float = 3.0


async def run(
    state: Path,
    exporter: Exporter | None,
    stop: asyncio.Event,
    *,
    open_journal: Callable[[Path], FileJournal] = lambda folder: FileJournal(folder, "gateway"),
    on_lag: Callable[[Lag], None] = lambda lag: None,
    on_step: Callable[[Step], None] = lambda step: None,
    on_alarm: Callable[[Document], None] = lambda body: None,
    clock: Callable[[], float] = time.time,
    pace: Pace | None = None,
) -> None:
    """Until `stop`: Envoy's own refusals go to the gateway stream, and, where there is an exporter, all streams are
    shipped. Trouble with the collector, a journal or the disk is logged and tried again with backoff and jitter.

    `open_journal` opens the gateway stream in its folder. `on_alarm`, `on_lag` and `on_step` are called in the event
    loop. Raises JournalUnwritable where the gateway stream can't be had at all (another shipper runs, or it is
    damaged), JournalFault and sqlite3.Error likewise for what it reads."""
    gateway = state / "journal" / "gateway"
    loop = asyncio.get_running_loop()
    journal = open_journal(gateway)
    with contextlib.ExitStack() as cleanup:
        cleanup.callback(_close, journal)
        store = Store(state / "shipper.db")
        cleanup.callback(store.close)

        def fault(stream: str, kind: Fault, offset: int, message: str) -> None:
            body: Document = {"code": _code(kind), "stream": stream, "offset": offset, "message": message}
            _log.error("journal %s: byte %d: %s", stream, offset, message)
            journal.append("alarm", body)
            loop.call_soon_threadsafe(on_alarm, body)

        def alarm(body: Document) -> None:
            loop.call_soon_threadsafe(on_alarm, body)

        log = AccessLog(state / "envoy" / "access.log", store, journal, gateway, alarm)
        cleanup.callback(log.close)
        shipper = Shipper(state, store, exporter, fault, clock) if exporter is not None else None
        # One thread for everything that blocks: the database and the journal have one user at a time.
        thread = ThreadPoolExecutor(1, "shipper")
        cleanup.callback(thread.shutdown)
        if exporter is not None:
            cleanup.callback(exporter.close)
        await _loop(log, shipper, stop, thread, on_lag, on_step, pace or Pace())


async def _loop(
    log: AccessLog,
    shipper: Shipper | None,
    stop: asyncio.Event,
    thread: ThreadPoolExecutor,
    on_lag: Callable[[Lag], None],
    on_step: Callable[[Step], None],
    pace: Pace,
) -> None:
    loop = asyncio.get_running_loop()
    failures, retry_at, report_at, end_at = 0, 0.0, 0.0, float("inf")
    while True:
        now = loop.time()
        if stop.is_set():
            end_at = min(end_at, now + pace.drain)
        work, held = 0, False
        try:
            work = await loop.run_in_executor(thread, log.step)
            if shipper is not None and (now >= retry_at or stop.is_set()):
                step = await loop.run_in_executor(thread, shipper.step)
                work, held = work + step.records + step.spans, step.held
                on_step(step)
                failures, retry_at = _after(step, failures, loop.time(), pace)
            if shipper is not None and now >= report_at:
                report_at = now + pace.report
                on_lag(await loop.run_in_executor(thread, shipper.lag))
        except (OSError, sqlite3.Error, JournalUnwritable) as error:
            failures += 1
            retry_at = loop.time() + _wait(failures, pace)
            _log.error("shipper: %s; trying again", error)
        if stop.is_set() and (failures or loop.time() > end_at or not (work or held)):
            return
        if stop.is_set() and not work:
            await asyncio.sleep(min(pace.idle, 0.05))
        elif not work:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pace.idle)


def _after(step: Step, failures: int, now: float, pace: Pace) -> tuple[int, float]:
    """How many failures in a row there are after this step, and when to try again."""
    if step.sent:
        if failures:
            _log.info("shipper: the collector takes spans again")
        return 0, now
    if not failures:
        _log.warning("shipper: the collector takes no spans; the journal keeps them until it does")
    return failures + 1, now + _wait(failures + 1, pace)


def _wait(failures: int, pace: Pace) -> float:
    """Seconds; doubling, half of it by chance so that many shippers do not come back at once."""
    longest = min(pace.longest, pace.backoff * 2.0 ** min(failures - 1, 16))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311  # spreads load, guards nothing


def _code(kind: Fault) -> str:
    return "journal-retired-unshipped" if kind is Fault.RETIRED else f"journal-{kind.value}"


def _close(journal: FileJournal) -> None:
    try:
        journal.close()
    except JournalUnwritable as error:
        _log.error("shipper: %s", error)
