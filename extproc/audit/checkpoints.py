"""The chore that makes checkpoints and hands each to every witness, in order, however long one was away.

The chain of checkpoints is the archivist's stream itself. What else has to be remembered, how far each witness got, is
in `archivist.db`; without that file a witness is handed what the stream still has, from the start.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from extproc.audit.checkpoint import FIRST, KIND, STREAM, BadCheckpoint, Checkpoint, Head, build, read
from extproc.audit.frame import Record, decode
from extproc.audit.heads import Heads
from extproc.audit.journal import FileJournal
from extproc.audit.keys import Signer
from extproc.audit.reader import JournalFault, origin
from extproc.audit.segments import Folder
from extproc.domain.json import Document
from extproc.domain.ports import JournalUnwritable

QUIET_SECONDS = 3600.0
"""At least so often there is a checkpoint, though nothing was written."""
HANDED_AT_ONCE = 64
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
LONGEST_TAIL = 256
"""Bytes after a payload's body, more than there ever are: kind, prev, seq and stream."""
_MARK = b'"kind":"%b"' % KIND.encode()
_OURS = ""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS witness
    (origin TEXT, name TEXT, offset INTEGER, number INTEGER, PRIMARY KEY (origin, name)) WITHOUT ROWID
"""


class WitnessUnreachable(Exception):
    """A witness did not take a checkpoint, or is not to be trusted with it. The message says which and why."""


class Witness(Protocol):
    """Somebody outside who keeps checkpoints."""

    @property
    def name(self) -> str:
        """What people know it by; no credential in it."""
        ...

    def hand(self, document: Document, first: bool) -> None:
        """Give it one checkpoint. The same may come again. `first` says that it was never given one before. Raises
        WitnessUnreachable."""
        ...


class Wish:
    """How another process asks for a checkpoint now: by a file, which goes once what was written before is signed."""

    def __init__(self, state: Path) -> None:
        self._wished, self._taken = state / "run" / "checkpoint.wished", state / "run" / "checkpoint.taken"

    def make(self, seconds: float) -> bool:
        """Ask, and wait at most so long; whether it was granted. Raises OSError."""
        self._wished.touch()
        end = time.monotonic() + seconds
        while self._wished.exists() or self._taken.exists():
            if time.monotonic() > end:
                return False
            time.sleep(0.02)
        return True

    def take(self) -> bool:
        """Whether somebody asks. Whoever asks from now on waits for the next one."""
        with suppress(FileNotFoundError):
            self._wished.rename(self._taken)
        return self._taken.exists()

    def grant(self) -> None:
        """What was asked for is there."""
        self._taken.unlink(missing_ok=True)


@dataclass(slots=True)
class _Queue:
    """One witness's place in the stream: `offset` is the next byte to look at, `number` the last checkpoint given."""

    witness: Witness
    offset: int = 0
    number: int | None = None
    failures: int = 0
    retry_at: float = 0.0


class Checkpoints:
    """A chore (see chores.Chore). `journal` writes stream `archivist` in `state`; `every_seconds` are between two
    checkpoints while anything is written; `clock` gives seconds since the epoch, `ticks` monotonic ones; `on_witness`
    hears of each attempt: name, checkpoints that wait for it, and whether it took what there was."""

    name = "checkpoints"

    def __init__(
        self,
        state: Path,
        journal: FileJournal,
        signer: Signer,
        witnesses: Sequence[Witness],
        every_seconds: float,
        clock: Callable[[], float] = time.time,
        ticks: Callable[[], float] = time.monotonic,
        on_witness: Callable[[str, int, bool], None] = lambda name, behind, reached: None,
    ) -> None:
        self._folder, self._journal, self._signer = state / "journal" / STREAM, journal, signer
        self._every, self._clock, self._ticks, self._on_witness = every_seconds, clock, ticks, on_witness
        self._last: Checkpoint | None = None
        self._last_seq, self._looked = -1, 0
        self._told, self._wish = threading.Event(), Wish(state)
        self._broken: set[tuple[str, int]] = set()
        self._db = sqlite3.connect(state / "archivist.db", isolation_level=None, check_same_thread=False)
        # A place that a power cut takes back is a checkpoint handed twice.
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute(_SCHEMA)
        # Of another stream that was here before, nothing is known.
        begun = origin(self._folder)
        self._origin = begun.id if begun is not None else ""
        rows = self._db.execute("SELECT name, offset, number FROM witness WHERE origin = ?", (self._origin,))
        places = {row[0]: row[1:] for row in rows}
        self._queues = [_Queue(witness, *places.get(witness.name, ())) for witness in witnesses]
        self._heads = Heads(state, self._look(*places.get(_OURS, (0, None))))
        # A process that was away makes up for it at once.
        self._due = ticks()

    def tell(self) -> None:
        """Make a checkpoint at the next step, if anything was written. From any thread."""
        self._told.set()

    def step(self) -> bool:
        """Make a checkpoint if it is time, and hand out what witnesses lack. True when there is more to hand out."""
        asked = self._wish.take()
        if asked or self._told.is_set() or self._ticks() >= self._due:
            self._told.clear()
            self._make()
            self._due = self._ticks() + self._every
            self._wish.grant()
        # Each of them, though one has more.
        return sum(self._hand_out(queue) for queue in self._queues) > 0

    def close(self) -> None:
        """One last checkpoint, for whoever can be reached at once."""
        # What fails now, the next archivist makes up for.
        with suppress(OSError, ValueError, sqlite3.Error, JournalUnwritable, JournalFault):
            self.tell()
            self.step()
        self._db.close()

    def _make(self) -> None:
        heads, faults = self._heads.read()
        self._alarm(faults)
        now, last = self._clock(), self._last
        if last is not None:
            changed = any(head != last.streams.get(name) for name, head in heads.items() if name != STREAM)
            # What the archivist itself wrote counts, but for the checkpoint before.
            changed |= STREAM in heads and heads[STREAM].seq > self._last_seq
            if not changed and now - datetime.fromisoformat(last.at).timestamp() < QUIET_SECONDS:
                return
        at = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        number, previous = (0, FIRST) if last is None else (last.number + 1, last.digest)
        document = build(number, previous, at, self._every, heads, self._signer)
        self._journal.append(KIND, document)
        self._journal.sync()
        self._look(self._looked, number - 1)

    def _alarm(self, faults: list[JournalFault]) -> None:
        for error in faults:
            place = (error.path.name, error.offset)
            if place not in self._broken:
                code = f"journal-{error.fault.value}"
                where: Document = {"stream": error.path.name, "offset": error.offset, "message": error.detail}
                self._journal.append("alarm", {"code": code, **where})
                self._broken.add(place)

    def _hand_out(self, queue: _Queue) -> bool:
        """Give a witness what it lacks, at most HANDED_AT_ONCE; True when there is more and it takes them."""
        if self._ticks() < queue.retry_at or queue.offset >= self._looked:
            return False
        name, given = queue.witness.name, 0
        try:
            for record in written(self._folder, queue.offset):
                if given == HANDED_AT_ONCE:
                    return True
                queue.witness.hand(record.body, queue.number is None)
                given += 1
                queue.offset, queue.number = record.end, int(record.body["number"])
                self._note(name, queue.offset, queue.number)
        except WitnessUnreachable as error:
            behind = self._behind(queue)
            if not queue.failures:
                why: Document = {"witness": name, "behind": behind, "message": str(error)}
                self._journal.append("alarm", {"code": "witness-unreachable", **why})
            queue.failures += 1
            queue.retry_at = self._ticks() + min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(queue.failures - 1, 16))
            self._on_witness(name, behind, False)
            return False
        queue.failures = 0
        self._on_witness(name, 0, True)
        return False

    def _behind(self, queue: _Queue) -> int:
        """How many checkpoints a witness lacks."""
        last = -1 if self._last is None else self._last.number
        return last + 1 if queue.number is None else last - queue.number

    def _look(self, offset: int, number: int | None) -> Mapping[str, Head]:
        """Find the last checkpoint that is written, going on where one of that number was found; its heads."""
        for record in written(self._folder, offset):
            found = read(record.body)
            if number is not None and found.number < number:
                raise BadCheckpoint(f"{self._folder}: checkpoint {found.number} comes after checkpoint {number}")
            self._last, self._last_seq, self._looked, number = found, record.seq, record.end, found.number
            self._note(_OURS, record.offset, number)
        return {} if self._last is None else self._last.streams

    def _note(self, name: str, offset: int, number: int) -> None:
        self._db.execute("INSERT OR REPLACE INTO witness VALUES (?, ?, ?, ?)", (self._origin, name, offset, number))


def written(folder: Path, offset: int = 0) -> Iterator[Record]:
    """The records of checkpoints in the archivist's stream, from the frame at `offset`. Raises OSError and
    FrameError."""
    with Folder(folder) as stream:
        for at, payload in stream.frames(offset):
            if payload.rfind(_MARK, -LONGEST_TAIL) != -1:
                record = decode(payload, at)
                if isinstance(record, Record) and record.kind == KIND:
                    # What is long for a record says so, which nobody signed.
                    record.body.pop("shortened", None)
                    yield record
