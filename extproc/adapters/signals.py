"""The watcher: follows every journal, keeps the figures, and publishes them to `signals.db` for the workers."""

import asyncio
import contextlib
import heapq
import logging
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from extproc.adapters.signals_metrics import SignalMetrics
from extproc.adapters.signals_store import SignalsStore
from extproc.audit.frame import Record
from extproc.audit.merge import LATE_STREAMS
from extproc.audit.reader import JournalFault, streams
from extproc.audit.signals.board import MOST_PRINCIPALS, Board
from extproc.audit.signals.tail import Tail

BATCH_RECORDS = 1000
_log = logging.getLogger("holdpoint.signals")


@dataclass(frozen=True, slots=True)
class WatchPace:
    """Seconds: between looks while idle, at least between publications and at most (the heartbeat), between notes of
    the figures and positions themselves, and between attempts after a failure."""

    idle: float = 0.1
    publish: float = 0.25
    beat: float = 1.0
    keep: float = 2.0
    retry: float = 1.0


class Watcher:
    """One step reads one batch. Not thread-safe.

    Documents are published often, figures and positions noted together and more seldom: after a crash the figures are
    those of the noted positions, records since then are read again, and none is counted twice."""

    def __init__(
        self,
        state: Path,
        *,
        metrics: SignalMetrics | None = None,
        clock: Callable[[], float] = time.time,
        pace: WatchPace | None = None,
        most_principals: int = MOST_PRINCIPALS,
    ) -> None:
        """Raises sqlite3.Error and OSError where the database can't be had."""
        self._state, self._metrics, self._clock, self._pace = state, metrics, clock, pace or WatchPace()
        self._store = SignalsStore(state / "signals.db")
        self._cursors = self._store.cursors()
        self._board = Board(self._store.states(), most_principals)
        self._tails: dict[str, Tail] = {}
        self._faults: dict[str, tuple[int, str]] = {}
        self._published = self._keep_at = float("-inf")

    def step(self, *, now: bool = False) -> int:
        """Read a batch, then publish and note what is due, or everything if `now`; gives how many records there were.
        Raises sqlite3.Error and OSError: then close it and begin with another, which starts from what was noted."""
        started = self._clock()
        faults: dict[str, tuple[int, str]] = {}
        taken = 0
        for record in islice(self._merged(faults), BATCH_RECORDS):
            fact = self._board.take(record)
            self._tails[record.stream].took(record)
            taken += 1
            if fact is not None and self._metrics is not None:
                self._metrics.took(fact)
        self._say(faults)
        whole = taken < BATCH_RECORDS and not faults
        self._tell(started if whole else None, now)
        return taken

    def close(self) -> None:
        """Let everything go, as it is noted."""
        for tail in self._tails.values():
            tail.close()
        self._store.close()

    def _merged(self, faults: dict[str, tuple[int, str]]) -> Iterator[Record]:
        for folder in streams(self._state):
            if folder.name not in self._tails:
                self._tails[folder.name] = Tail(folder, self._cursors.get(folder.name))
        # Of two records of the same moment, that of the stream that explains the other's comes last.
        ordered = sorted(self._tails, key=lambda stream: (stream in LATE_STREAMS, stream))
        tails = [self._readable(stream, self._tails[stream], faults) for stream in ordered]
        return heapq.merge(*tails, key=lambda record: record.at)

    def _readable(self, stream: str, tail: Tail, faults: dict[str, tuple[int, str]]) -> Iterator[Record]:
        try:
            yield from tail.read()
        except JournalFault as error:
            # The others go on; the figures are not whole, and the readers are told so. It is tried again.
            faults[stream] = (error.offset, str(error))
            tail.close()

    def _say(self, faults: dict[str, tuple[int, str]]) -> None:
        for stream, fault in faults.items():
            if self._faults.get(stream) != fault:
                _log.error("signals are unknown until this journal can be read: %s", fault[1])
        self._faults = faults

    def _tell(self, as_of: float | None, now: bool) -> None:
        moment = time.monotonic()
        since = moment - self._published
        # Behind with a long journal, what would be published is soon another thing.
        if now or since >= (self._pace.keep if as_of is None else self._pace.publish):
            documents = self._board.changed(self._clock())
            gone = self._board.forgotten(self._clock())
            if now or documents or gone or since >= self._pace.beat:
                self._store.publish(documents, gone, as_of)
                self._published = moment
                if self._metrics is not None:
                    behind = sum(tail.behind() for tail in self._tails.values())
                    self._metrics.standing(len(self._board), len(gone), behind, len(self._faults))
        if now or moment >= self._keep_at:
            cursors = [tail.cursor for tail in self._tails.values() if tail.cursor is not None]
            self._store.keep(self._board.touched(), cursors)
            # Reading a long journal again touches everyone: most of the time goes to reading all the same.
            took = time.monotonic() - moment if as_of is None else 0.0
            self._keep_at = moment + max(self._pace.keep, 5 * took)


async def run_watcher(
    state: Path,
    stop: asyncio.Event,
    *,
    metrics: SignalMetrics | None = None,
    clock: Callable[[], float] = time.time,
    pace: WatchPace | None = None,
    most_principals: int = MOST_PRINCIPALS,
) -> None:
    """What the watcher process runs until `stop`. Trouble with the database is logged and begun again from what was
    noted last; meanwhile what was published goes stale, and the workers tell policy that nothing is known."""
    pace = pace or WatchPace()
    loop = asyncio.get_running_loop()
    watcher: Watcher | None = None

    def work() -> int:
        nonlocal watcher
        if watcher is None:
            watcher = Watcher(state, metrics=metrics, clock=clock, pace=pace, most_principals=most_principals)
        try:
            return watcher.step(now=stop.is_set())
        except BaseException:
            watcher.close()
            watcher = None
            raise

    with ThreadPoolExecutor(1, "watcher") as thread:
        while True:
            last, wait = stop.is_set(), pace.idle
            try:
                if await loop.run_in_executor(thread, work) and not last:
                    continue
            except (OSError, sqlite3.Error) as error:
                _log.error("signals can't be published: %s; trying again", error)
                wait = pace.retry
            if last:
                break
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), wait)
        if watcher is not None:
            await loop.run_in_executor(thread, watcher.close)
