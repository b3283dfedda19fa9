"""Ships all streams as spans, at least once. Synchronous: one step reads at most one batch.

A step is one transaction of `shipper.db`, around the export: only when the exporter took the spans does it count that
the records were read. So a step that is cut off anywhere is done again, and does the same.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

from extproc.audit.fold import KEPT, Fold
from extproc.audit.frame import Fault, Record
from extproc.audit.merge import SETTLE_SECONDS, Merge
from extproc.audit.placement import claimed, nanoseconds, place
from extproc.audit.reader import JournalFault, record_at, records, size, streams
from extproc.audit.spans import Span
from extproc.audit.store import Cursor, Store

BATCH_RECORDS = 256
BATCH_BYTES = 1 << 20
LET_GO = (Fault.ERASED, Fault.RETIRED)


class Exporter(Protocol):
    """Where spans go."""

    def export(self, spans: list[Span]) -> bool:
        """Send them; True only when the other side has taken all of them. Never raises; blocks a bounded time."""
        ...

    def close(self) -> None:
        """End a running export soon; nothing can be exported any more."""
        ...


@dataclass(frozen=True, slots=True)
class Lag:
    """How far shipping is behind: bytes of journal, and the age in seconds of the oldest record not shipped."""

    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Step:
    """What one step did: how many records it read and how many spans it gave the exporter. `sent` is False when that
    refused: nothing moved. `held` says that there are records too young to be read."""

    records: int
    spans: int
    sent: bool = True
    held: bool = False


class _Refused(Exception):
    """The exporter did not take a batch."""


class Shipper:
    """Ships the journals under `state`. Not thread-safe. `on_fault(stream, fault, offset, message)` is called once
    for every place where a journal can't be read on; the other streams go on."""

    def __init__(
        self,
        state: Path,
        store: Store,
        exporter: Exporter,
        on_fault: Callable[[str, Fault, int, str], None] = lambda stream, fault, offset, message: None,
        clock: Callable[[], float] = time.time,
        settle_seconds: float = SETTLE_SECONDS,
    ) -> None:
        self._state, self._store, self._exporter, self._clock = state, store, exporter, clock
        self._settle = int(settle_seconds * 1e9)
        self._merge = Merge(state, on_fault, clock, settle_seconds)
        self._fold = Fold(store, recaller(state, self._merge.fault))
        self._batch = BATCH_RECORDS

    def step(self) -> Step:
        """Ship one batch. Raises sqlite3.Error and OSError; then nothing moved."""
        spans: list[Span] = []
        try:
            with self._store.transaction():
                read = self._read(spans)
                if spans and not self._exporter.export(spans):
                    raise _Refused
        except _Refused:
            # It may be the batch's size.
            self._batch = max(1, self._batch // 2)
            return Step(0, len(spans), sent=False)
        if spans:
            self._batch = min(BATCH_RECORDS, self._batch * 2)
        return Step(read, len(spans), held=self._merge.young)

    def lag(self) -> Lag:
        """How far shipping is behind now. Raises sqlite3.Error."""
        cursors, behind, oldest = self._store.cursors(), 0, None
        for folder in streams(self._state):
            offset = cursors[folder.name].offset if folder.name in cursors else 0
            try:
                behind += max(0, size(folder) - offset)
                at = next((nanoseconds(record.at) for record in records(folder, offset)), None)
            except (JournalFault, OSError, ValueError):
                continue
            oldest = at if oldest is None else min(oldest, at or oldest)
        return Lag(behind, 0.0 if oldest is None else max(0.0, self._clock() - oldest / 1e9))

    def _read(self, spans: list[Span]) -> int:
        """Read one batch into `spans`; how many records it had."""
        spans += self._fold.tell_given_up(self._batch)
        taken, room, cursors = 0, BATCH_BYTES, dict[str, Cursor]()
        for record, cursor in islice(self._merge.records(self._store.cursors()), self._batch):
            spans += self._fold.take(record)
            cursors[record.stream] = cursor
            taken, room = taken + 1, room - (record.end - record.offset)
            if room < 0:
                break
        self._store.move(cursors.values())
        # Only what is read to its end: a delivery may stand further on in a journal that we are behind with.
        if taken < self._batch and room >= 0:
            for stream in self._merge.read:
                self._fold.give_up(stream, self._merge.now - self._settle)
        return taken


def recaller(state: Path, on_fault: Callable[[str, Fault, int, str], None]) -> Callable[[str, int], Record | None]:
    """Reads single records again; None for one that is gone, which is a fault unless it was let go of."""

    def recall(stream: str, offset: int) -> Record | None:
        try:
            return record_at(state / "journal" / stream, offset)
        except JournalFault as error:
            if error.fault not in LET_GO:
                on_fault(stream, error.fault, error.offset, error.detail)
            return None

    return recall


def shipped(state: Path) -> dict[str, int]:
    """For each stream the byte before which everything is shipped and nothing is needed to ship the rest; empty where
    nothing was shipped ever. Raises sqlite3.Error for a damaged database."""
    path = state / "shipper.db"
    if not path.exists():
        return {}
    store = Store(path, readonly=True)
    try:
        return store.shipped()
    finally:
        store.close()


def trace_of(state: Path, record: Record) -> str:
    """The trace id of a decision's record, whether it is shipped yet or not. Ownership is read from `shipper.db`;
    a claimed trace id that nobody owns yet will be its claimant's. Raises sqlite3.Error for a damaged database."""
    path = state / "shipper.db"
    if claimed(record.body) is None or not path.exists():
        return place(record.body, record.hash, lambda trace: None).trace_id
    store = Store(path, readonly=True)
    try:
        since = nanoseconds(record.at) - KEPT
        return place(record.body, record.hash, lambda trace: store.owner(trace, since)).trace_id
    finally:
        store.close()
