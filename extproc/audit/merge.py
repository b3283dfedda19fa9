"""All streams of a state folder as one: records in order of time, from where an earlier reading stopped.

The order follows from the records alone, however they are read: in batches, while they are written, or once again from
the start. A record is given only when it is `settle_seconds` old: by then every older one of any stream is in its file.
"""

import heapq
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from extproc.audit.frame import Erased, Fault, Record
from extproc.audit.placement import nanoseconds
from extproc.audit.reader import JournalFault, entries, origin, size, streams
from extproc.audit.store import Cursor

SETTLE_SECONDS = 1.0
LATE_STREAMS = ("control", "gateway")
"""Streams whose records come last among those of the same microsecond."""

OnFault = Callable[[str, Fault, int, str], None]


class Merge:
    """Reads the streams under `state`. `on_fault(stream, fault, offset, message)` is called once for every place where
    one can't be read on; the others go on. `ends` are bytes at which streams end for us, whatever they hold; one that
    it does not name is left out. `on_erased(stream, entry)` hears of each record that is erased. `clock` gives seconds
    since the epoch."""

    def __init__(
        self,
        state: Path,
        on_fault: OnFault = lambda stream, fault, offset, message: None,
        clock: Callable[[], float] = time.time,
        settle_seconds: float = SETTLE_SECONDS,
        ends: Mapping[str, int] | None = None,
        on_erased: Callable[[str, Erased], None] = lambda stream, entry: None,
    ) -> None:
        self._state, self._on_fault, self._clock, self._ends = state, on_fault, clock, ends
        self._on_erased = on_erased
        self._settle = int(settle_seconds * 1e9)
        self._faults: set[tuple[str, int]] = set()
        self._genesis: dict[str, tuple[int, str]] = {}
        self.now = 0
        """When the last reading began, in nanoseconds since the epoch."""
        self.young = False
        """Whether the last reading stopped before a record that is too young."""
        self.read: set[str] = set()
        """The streams that the last reading came to the end of."""

    def records(self, cursors: Mapping[str, Cursor]) -> Iterator[tuple[Record, Cursor]]:
        """The records after the cursors, each with the cursor after it. Raises OSError."""
        # Before the sizes: what is older than this by SETTLE_SECONDS is within them.
        self.now, self.young, self.read = int(self._clock() * 1e9), False, set()
        folders = [f for f in streams(self._state) if self._ends is None or f.name in self._ends]
        bounds = [(f, end) for f in folders if (end := self._end(f)) is not None]
        bounds.sort(key=lambda bound: (bound[0].name in LATE_STREAMS, bound[0].name))
        tails = [self._tail(folder, cursors.get(folder.name), end) for folder, end in bounds]
        for record in heapq.merge(*tails, key=lambda record: record.at):
            genesis = self._genesis[record.stream][1]
            yield record, Cursor(record.stream, genesis, record.end, record.seq, record.hash)

    def _end(self, folder: Path) -> int | None:
        """The byte at which a stream ends for now; None for one that can't be opened, which is told."""
        if self._ends is not None:
            return self._ends[folder.name]
        try:
            return size(folder)
        except OSError as error:
            self.fault(folder.name, Fault.UNREADABLE, 0, error.strerror or "can't be read")
            return None

    def fault(self, stream: str, fault: Fault, offset: int, message: str) -> None:
        """Tell of a place that can't be read, once."""
        if (stream, offset) not in self._faults:
            # Told first: where telling fails (the gateway stream is full, say), it is told the next time.
            self._on_fault(stream, fault, offset, message)
            self._faults.add((stream, offset))

    def _tail(self, folder: Path, cursor: Cursor | None, end: int) -> Iterator[Record]:
        """The records of one stream from its cursor, as long as they continue its chain."""
        stream, offset = folder.name, 0
        try:
            genesis = self._first(folder)
            if genesis is None:
                self.read.add(stream)
                return
            if cursor is not None and cursor.genesis != genesis:
                self.fault(stream, Fault.BAD_GENESIS, 0, "another journal stands in place of the one shipped from")
                cursor = None
            seq, prev = (0, None) if cursor is None else (cursor.seq + 1, cursor.hash)
            offset = 0 if cursor is None else cursor.offset
            if end < offset:
                raise JournalFault(folder, Fault.BEHIND_WITNESS, end, seq, "shorter than what was shipped from it")
            for entry in entries(folder, offset, end):
                if entry.offset != offset:
                    if cursor is not None:
                        message = f"bytes {offset} to {entry.offset} were retired before they were shipped"
                        self.fault(stream, Fault.RETIRED, offset, message)
                    seq, prev = entry.seq, None
                if not _follows(entry, stream, seq, prev):
                    raise JournalFault(folder, Fault.BAD_CHAIN, entry.offset, seq, "the chain is broken here")
                if isinstance(entry, Record):
                    # One from far in the future tells of a clock that was put back, and would not be old for long.
                    if self.now - self._settle < nanoseconds(entry.at) <= self.now + self._settle:
                        self.young = True
                        break
                    yield entry
                else:
                    self._on_erased(stream, entry)
                seq, prev, offset = entry.seq + 1, entry.hash, entry.end
            self.read.add(stream)
        except JournalFault as error:
            self.fault(stream, error.fault, error.offset, error.detail)
        except ValueError as error:
            self.fault(stream, Fault.BAD_RECORD, offset, str(error))

    def _first(self, folder: Path) -> str | None:
        """The hash of the stream's genesis, read once for every folder that had the name."""
        inode = folder.stat().st_ino
        known = self._genesis.get(folder.name)
        if known is None or known[0] != inode:
            found = origin(folder)
            if found is None:
                return None
            known = self._genesis[folder.name] = (inode, found.hash)
        return known[1]


def _follows(entry: Record | Erased, stream: str, seq: int, prev: str | None) -> bool:
    if entry.seq != seq:
        return False
    return isinstance(entry, Erased) or (entry.stream == stream and prev in (None, entry.prev))
