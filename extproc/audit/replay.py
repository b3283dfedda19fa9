"""What was shipped, made anew from the journal: by the same code, over a copy of the shipper's memory.

The copy is put back to its start. It is needed for what the journal does not say: how far shipping got, and what
followed from records that are retired since.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from extproc.audit.fold import Fold
from extproc.audit.frame import Erased, Record
from extproc.audit.merge import Merge
from extproc.audit.placement import nanoseconds, span_id
from extproc.audit.reader import entries, origin, size, streams
from extproc.audit.shipper import recaller
from extproc.audit.spans import STAGES, Span
from extproc.audit.store import Store, Wait

Progress = Callable[[str, int, int], None]
"""Is told what is done, how much of it is, and how much there is in all."""
BATCH = 1000
_WAITS = (Wait.WAITING, Wait.EXPIRED)


class ReplayFault(Exception):
    """The journal can't be read to where it was shipped. The message says which stream, where and why."""


@dataclass(frozen=True, slots=True)
class Told:
    """A span that was shipped, and the record that it tells: stream, number and time (nanoseconds)."""

    span: Span
    stream: str
    seq: int
    at: int


@dataclass(frozen=True, slots=True)
class Perhaps:
    """The id of a span that may be there, or may not: its record is not shipped yet for sure, or is erased."""

    id: str


class Replay:
    """The shipped part of the journals under `state`. `folder` is an empty one for its databases. Raises OSError,
    JournalFault, ReplayFault and sqlite3.Error."""

    def __init__(self, state: Path, folder: Path, progress: Progress = lambda what, done, total: None) -> None:
        self._state, self._progress = state, progress
        with contextlib.closing(Store(state / "shipper.db", readonly=True)) as live:
            self._then = live.copy(folder / "then.db")
        self._cursors = {
            stream: cursor for stream, cursor in self._then.cursors().items() if self._holds(stream, cursor.genesis)
        }
        # Looked at after the cursors, so that they are not before them.
        self._sizes = {folder.name: size(folder) for folder in streams(state)}
        self.begins = max((first for name in self._cursors if (first := self._retired(name)) is not None), default=0)
        """Of what is older than this (nanoseconds) some may be retired; 0 where nothing is."""
        self.ends = 0
        """When the last shipped record was written (nanoseconds), as far as `spans` is read."""
        self._again = self._then.copy(folder / "again.db")
        self._again.begin_again(self.begins)
        self._recall, self._blurred = recaller(state, _fail), False
        self._fold = Fold(self._again, self._recalled)
        self._erased: dict[str, int] = {}
        self._blanks: list[str] = []

    def close(self) -> None:
        """Let the databases go."""
        self._then.close()
        self._again.close()

    def spans(self) -> Iterator[Told | Perhaps]:
        """Every span that was shipped, in the order in which that was done, and what else may be there."""
        ends = {stream: cursor.offset for stream, cursor in self._cursors.items()}
        merge = Merge(self._state, _fail, settle_seconds=0.0, ends=ends, on_erased=self._note)
        total, done, records = sum(ends.values()), 0, merge.records({})
        while batch := list(islice(records, BATCH)):
            told: list[Told | Perhaps] = []
            with self._again.transaction():
                for record, _ in batch:
                    self._blurred = self._loose(record)
                    told += self._told(self._fold.take(record), record)
                    done += record.end - record.offset
            self.ends = max(self.ends, nanoseconds(batch[-1][0].at))
            self._progress("bytes read", done, total)
            yield from told
            yield from self._blank()
        yield from self._blank()
        yield from self._unfinished()
        yield from self._unsure()

    def _told(self, spans: list[Span], record: Record) -> Iterator[Told | Perhaps]:
        """Spans with their records: stages follow the action that they are of."""
        if self._blurred:
            yield from (Perhaps(span.id) for span in spans)
            return
        stream, seq, at = record.stream, record.seq, nanoseconds(record.at)
        for span in spans:
            said = span.attributes
            if "holdpoint.audit.seq" in said:
                stream, seq = str(said["holdpoint.audit.stream"]), int(str(said["holdpoint.audit.seq"]))
            yield Told(span, stream, seq, at)

    def _unfinished(self) -> Iterator[Told | Perhaps]:
        """Actions without a delivery: told as of unknown end, unless they still waited."""
        for row in list(self._again.all_waiting()):
            decision = self._fold.decision(row)
            if row.state is Wait.UNKNOWN or decision is None or row.stream not in self._cursors:
                continue
            then = self._then.waiting(row.decision)
            self._blurred = False
            # Where something was erased after it, its delivery may have been.
            if (then is not None and then.state in _WAITS) or self._erased.get(row.stream, -1) > row.offset:
                yield from map(Perhaps, _ids(decision.hash))
            else:
                yield from self._told(self._fold.unknown(row), decision)

    def _unsure(self) -> Iterator[Perhaps]:
        """Spans of the records after the cursors, which may be sent and not noted yet."""
        for name, end in self._sizes.items():
            cursor = self._cursors.get(name)
            for entry in entries(self._state / "journal" / name, 0 if cursor is None else cursor.offset, end):
                yield from map(Perhaps, _ids(entry.hash))

    def _recalled(self, stream: str, offset: int) -> Record | None:
        record = self._recall(stream, offset)
        # What was said with it can't be said again.
        self._blurred |= record is None
        return record

    def _loose(self, record: Record) -> bool:
        """Whether a record may go with another that is erased: nobody knows its trace then."""
        hold = record.body.get("hold")
        beside = record.kind in ("vote", "hold") and isinstance(hold, str)
        return beside and bool(self._erased) and self._again.hold_trace(str(hold), 0) is None

    def _note(self, stream: str, entry: Erased) -> None:
        self._erased[stream] = entry.offset
        self._blanks.append(entry.hash)

    def _blank(self) -> Iterator[Perhaps]:
        """Spans of erased records: what they said is not known any more."""
        for known in self._blanks:
            yield from map(Perhaps, _ids(known))
        self._blanks.clear()

    def _holds(self, stream: str, genesis: str) -> bool:
        folder = self._state / "journal" / stream
        if not folder.is_dir():
            return False
        found = origin(folder)
        return found is not None and found.hash == genesis

    def _retired(self, stream: str) -> int | None:
        """The time of the first record of a stream that has others no more."""
        first = next(entries(self._state / "journal" / stream), None)
        return nanoseconds(first.at) if isinstance(first, Record) and first.offset > 0 else None


def _ids(record_hash: str) -> Iterator[str]:
    return (span_id(record_hash, stage) for stage in ("", *STAGES))


def _fail(stream: str, fault: object, offset: int, message: str) -> None:
    raise ReplayFault(f"stream {stream}, byte {offset}: {message}")
