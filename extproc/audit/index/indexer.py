"""Keeps the index as the journal is: tails every stream, and makes the index anew where it is not fit."""

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from extproc.audit.frame import Erased, Fault, Record
from extproc.audit.index import schema
from extproc.audit.index.rows import Kept
from extproc.audit.index.store import Batch, Cursor, Writer
from extproc.audit.reader import JournalFault, entries, origin, size, streams
from extproc.audit.segments import Folder

INDEX = "index.db"
BATCH = 2000
BATCH_BYTES = 8 << 20
BATCH_TEXTS = 32
"""Records, bytes of their frames, and bodies whose words are wanted, of one transaction: a body is small on the disk
and may be long, and other chores wait."""


SCRUB_SECONDS = 60.0


class Unreadable(OSError):
    """A stream can't be read on, so what is behind that place is not in the index. Others are."""


class Indexer:
    """The index's one writer, as a chore; used by one thread at a time. `texts` gives the words of a body that may be
    searched. Deleting the file is asking for a new one."""

    name = "index"

    def __init__(
        self,
        state: Path,
        texts: Callable[[Kept], str] = lambda kept: "",
        batch: int = BATCH,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        """`batch` is how many records a transaction takes; `ticks` gives monotonic seconds."""
        self._ticks, self._scrubbed = ticks, -SCRUB_SECONDS
        self._state, self._path, self._texts, self._most = state, state / INDEX, texts, batch
        self._db: sqlite3.Connection | None = None
        self._anew = False
        self._identity: tuple[int, int] | None = None
        self._known: dict[Path, tuple[int, int] | None] = {}
        self._first: dict[Path, int] = {}

    def step(self) -> bool:
        """Take a batch of every stream; True where there is more. Raises OSError and sqlite3.Error; a stream that can't
        be read on is Unreadable, once all of the others is taken."""
        try:
            more = self._step()
        except (sqlite3.Error, schema.Unfit) as error:
            if not schema.damaged(error):
                raise
            if self._anew:
                # A new one is no better: making another for ever would help nobody.
                raise OSError(0, f"{self._path}: {error}") from error
            self.rebuild()
            return True
        except Unreadable:
            self._anew = False
            raise
        self._anew = False
        return more

    def known(self) -> int:
        """Bytes of the journal that are indexed. Raises OSError and sqlite3.Error."""
        _, writer = self._open()
        return sum(cursor.offset for cursor in writer.cursors().values())

    def rebuild(self) -> None:
        """Throw the index away; the next steps make it again. Raises OSError."""
        self.close()
        schema.discard(self._path)
        self._anew = True

    def forget(
        self,
        records: Iterable[tuple[str, int]] = (),
        addresses: Iterable[str] = (),
        ranges: Iterable[tuple[str, int, int]] = (),
    ) -> None:
        """Forget records (stream, offset) that were erased, bodies that were deleted, and whatever begins in byte
        ranges (stream, from, to). Nothing of them is found from now on; a step within SCRUB_SECONDS has nothing of them
        in the file any more either. Raises OSError and sqlite3.Error."""
        db, writer = self._open()
        with _transaction(db):
            gone = writer.forget([*ranges, *((stream, offset, offset + 1) for stream, offset in records)])
            gone |= writer.forget_bodies(addresses)
            if gone:
                _note_scrub(db)

    def close(self) -> None:
        """Let go of the file."""
        self._known.clear()
        self._first.clear()
        if self._db is not None:
            self._db.close()
            self._db = None

    def _step(self) -> bool:
        db, writer = self._open()
        cursors, more, faults = writer.cursors(), False, []
        for folder in streams(self._state):
            try:
                more |= self._take(db, writer, folder, cursors.get(folder.name))
            except JournalFault as error:
                faults.append(str(error))
        if faults and not more:
            raise Unreadable(f"not all of the journal is indexed: {'; '.join(faults)}")
        if not more and self._ticks() >= self._scrubbed + SCRUB_SECONDS and _scrub(db):
            self._scrubbed = self._ticks()
        return more

    def _open(self) -> tuple[sqlite3.Connection, Writer]:
        if self._db is not None and schema.identity(self._path) != self._identity:
            self.close()
        if self._db is None:
            try:
                self._db = schema.open_writer(self._path)
            except schema.Unfit:
                schema.discard(self._path)
                self._db = schema.open_writer(self._path)
            self._identity = schema.identity(self._path)
        return self._db, Writer(self._db, self._texts)

    def _take(self, db: sqlite3.Connection, writer: Writer, folder: Path, cursor: Cursor | None) -> bool:
        """One batch of one stream; whether there is more. Raises JournalFault, after what is before the fault is
        indexed, and Unfit where what was indexed is not there any more as it was."""
        start = self._start(folder, cursor)
        if start is None:
            return False
        taken = _Taken(start)
        try:
            for entry in _entries(folder, start):
                if taken.take(entry, self._most):
                    break
        except JournalFault as error:
            if taken.last is None and start.fault is None and start.seq >= 0:
                # A crash took records that the disk did not have yet, and others are in their place.
                raise schema.Unfit(f"stream {folder.name} goes on otherwise than it was indexed: {error}") from None
            taken.fault = error
        at = taken.cursor()
        if at != cursor:
            with _transaction(db):
                gone = self._retire(writer, folder)
                writer.write(folder.name, taken.batch)
                writer.move(at)
                if gone:
                    _note_scrub(db)
        if taken.fault is not None:
            raise taken.fault
        return taken.full

    def _start(self, folder: Path, cursor: Cursor | None) -> Cursor | None:
        """Where to go on; None where there is nothing yet. Raises JournalFault, and Unfit for another stream."""
        identity = schema.identity(folder)
        if cursor is not None and self._known.get(folder) == identity:
            return cursor
        found = origin(folder)
        if found is None:
            return None
        if cursor is not None and cursor.genesis != found.hash:
            raise schema.Unfit(f"stream {folder.name} is another one than was indexed")
        self._known[folder] = identity
        return cursor or Cursor(folder.name, found.hash, 0, -1, "")

    def _retire(self, writer: Writer, folder: Path) -> bool:
        """Forget what was in segments that are gone; whether there was anything."""
        with Folder(folder) as opened:
            first = opened.bases()[0]
        if self._first.get(folder, 0) == first:
            return False
        self._first[folder] = first
        return writer.forget([(folder.name, 0, first)])


@dataclass(slots=True)
class _Taken:
    """What was read of a stream since `start`."""

    start: Cursor
    last: Record | Erased | None = None
    batch: Batch = field(default_factory=Batch)
    full: bool = False
    fault: JournalFault | None = None

    def take(self, entry: Record | Erased, most: int) -> bool:
        """Take one entry; whether that is enough for once."""
        if isinstance(entry, Record):
            self.batch.add(entry)
        self.last = entry
        size, texts = entry.end - self.start.offset, self.batch.texts
        self.full = entry.seq - self.start.seq >= most or size >= BATCH_BYTES or texts >= BATCH_TEXTS
        return self.full

    def cursor(self) -> Cursor:
        """Where the stream is indexed to now."""
        fault = None if self.fault is None else str(self.fault)
        if self.last is None:
            return replace(self.start, fault=fault)
        return Cursor(self.start.stream, self.start.genesis, self.last.end, self.last.seq, self.last.hash, fault)


def _entries(folder: Path, cursor: Cursor) -> Iterator[Record | Erased]:
    """What follows the cursor, as one chain with what was before it."""
    if cursor.offset > size(folder):
        raise JournalFault(folder, Fault.BEHIND_WITNESS, cursor.offset, cursor.seq + 1, "shorter than was indexed")
    at, seq, prev = cursor.offset, cursor.seq + 1, cursor.hash
    for entry in entries(folder, cursor.offset):
        # Where segments were retired, the first one that is there begins further on.
        if entry.offset == at and (entry.seq != seq or (isinstance(entry, Record) and prev not in ("", entry.prev))):
            raise JournalFault(folder, Fault.BAD_CHAIN, entry.offset, seq, "the chain is broken here")
        yield entry
        at, seq, prev = entry.end, entry.seq + 1, entry.hash


def _note_scrub(db: sqlite3.Connection) -> None:
    db.execute("INSERT OR IGNORE INTO due VALUES ('scrub')")


def _scrub(db: sqlite3.Connection) -> bool:
    """Have what was forgotten gone from the file: the words from merged lists, and the pages from the log. That takes
    seconds for a million records, and is done for many at once. Whether there was anything to do."""
    if db.execute("SELECT 1 FROM due WHERE what = 'scrub'").fetchone() is None:
        return False
    db.execute("INSERT INTO words (words) VALUES ('optimize')")
    if db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
        # Somebody reads: the next time.
        return False
    db.execute("DELETE FROM due WHERE what = 'scrub'")
    return True


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        # Some errors (disk full) have rolled back already.
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
