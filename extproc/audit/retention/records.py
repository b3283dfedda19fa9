"""Lets go of records: erases those whose time is over in segments that are complete, and whole segments at the start of
a stream once nothing in them is to be kept."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from extproc.audit.checkpoint import STREAM
from extproc.audit.checkpoints import written
from extproc.audit.erase import erase
from extproc.audit.frame import Record
from extproc.audit.reader import origin
from extproc.audit.retention.announce import RANGES, Announcer, parts, ranges
from extproc.audit.retention.carry import Left, needed
from extproc.audit.retention.deletion import Bodies, Forgetful
from extproc.audit.retention.rules import LegalHold, Rules, rfc3339
from extproc.audit.retention.segments import Summary, erasable, keeper, summarize, target_of
from extproc.audit.retention.store import RetentionStore
from extproc.audit.retention.uses import Uses
from extproc.audit.segments import Folder
from extproc.domain.json import JSON, Document


@dataclass(frozen=True, slots=True)
class _Segment:
    """A complete segment: its stream's folder and origin, its first byte, and that of the next one."""

    folder: Folder
    origin: str
    base: int
    end: int

    @property
    def stream(self) -> str:
        return self.folder.path.name


class OldRecords:
    """Works on one stream at a time. `clock` gives seconds since the epoch."""

    def __init__(
        self,
        state: Path,
        store: RetentionStore,
        uses: Uses,
        bodies: Bodies,
        index: Forgetful,
        announcer: Announcer,
        clock: Callable[[], float],
    ) -> None:
        self._state, self._store, self._uses, self._bodies = state, store, uses, bodies
        self._index, self._announcer, self._clock = index, announcer, clock

    def let_go(self, path: Path, rules: Rules, known: Mapping[str, tuple[str, int]], until: int) -> Iterator[bool]:
        """A segment at a time, of those that end at byte `until` of the stream or before; `known` is what the index
        must have (see uses.ends). Raises IndexBehind, HoldsChanged, JournalFault, JournalUnwritable, OSError and
        sqlite3.Error."""
        found = origin(path)
        if found is None:
            return
        with Folder(path) as folder:
            bases = folder.bases()
            self._store.forget_segments(path.name, found.id, bases[0])
            first = True
            for base, end in pairwise(bases):
                if end > until:
                    return
                first = self._look(_Segment(folder, found.id, base, end), rules, known, first)
                yield True

    def _look(self, segment: _Segment, rules: Rules, known: Mapping[str, tuple[str, int]], first: bool) -> bool:
        """Do what is due with one segment, the `first` there is of its stream or not; whether it is gone."""
        generation, holds = self._store.holds()
        seen, summary = self._summary(segment)
        over = summary.over(rules, self._before)
        first = first and summary.may_go(rules, self._before) and self._dispensable(segment)
        held = set(summary.held) if seen == generation else set[str]()
        if not over - held and not (first and not held):
            return False
        old = list(erasable(segment.folder, segment.base, segment.end, over))
        with self._uses.reading(known) as index:
            kept = keeper(holds, index.about)
            gone = [record for record in old if not kept(record)]
        retire = first and len(gone) == len(old)
        with self._store.unchanged(generation):
            if retire:
                self._retire(segment, summary, holds)
            elif gone:
                self._erase(segment, gone)
        if retire:
            self._store.forget_segments(segment.stream, segment.origin, segment.end)
        else:
            # Until a hold is placed or lifted, these need not be looked at again.
            self._note(segment, generation, {target_of(record) for record in old if kept(record)})
        return retire

    def _erase(self, segment: _Segment, gone: Sequence[Record]) -> None:
        for part in parts(ranges(record.seq for record in gone), RANGES):
            pairs: list[JSON] = [list(numbers) for numbers in part]
            # With the stream's id: the numbers of another of that name are others.
            of: Document = {"stream": segment.stream, "id": segment.origin, "ranges": pairs}
            self._announcer.say("erased", {"at": self._now(), **of, "why": "retention"})
        self._announcer.sync()
        self._index.forget(ranges=_bytes(segment.stream, gone))
        erase(segment.folder.path, [record.offset for record in gone])
        self._drop_cuts(segment)

    def _retire(self, segment: _Segment, summary: Summary, holds: list[LegalHold]) -> None:
        left = Left(self._state, segment.stream, segment.end)
        again = needed(segment.folder, segment.base, segment.end, left, holds, self._bodies.exists)
        for kind, body in list(again):
            self._announcer.say(kind, body)
        self._announcer.say(
            "retired",
            {
                "at": self._now(),
                "stream": segment.stream,
                "base": segment.end,
                "seq": summary.seq,
                "hash": summary.hash,
                "records": summary.records,
                "from": summary.start,
                "to": summary.until,
            },
        )
        self._announcer.sync()
        self._index.forget(ranges=[(segment.stream, segment.base, segment.end)])
        segment.folder.remove(segment.folder.file(segment.base).name)
        self._drop_cuts(segment)
        segment.folder.sync()

    def _drop_cuts(self, segment: _Segment) -> None:
        """What crashes tore off, and what a crash left of rewriting: as old as the segment, and of no use."""
        for name in os.listdir(segment.folder.path):
            offset, _, kind = name.partition(".")
            if kind in ("cut", "segment.new") and offset.isdigit() and int(offset) <= segment.end:
                with suppress(FileNotFoundError):
                    segment.folder.remove(name)

    def _dispensable(self, segment: _Segment) -> bool:
        """Whether the chain of checkpoints has one without this segment."""
        return segment.stream != STREAM or next(written(segment.folder.path, segment.end), None) is not None

    def _summary(self, segment: _Segment) -> tuple[int, Summary]:
        """What the segment holds, and the generation of holds with which nothing more could go."""
        noted = self._store.summary(segment.stream, segment.origin, segment.base)
        if noted is not None:
            return noted[0], Summary(**noted[1])
        return 0, self._note(segment, 0, ())

    def _note(self, segment: _Segment, generation: int, held: Iterable[str]) -> Summary:
        summary = replace(summarize(segment.folder, segment.base, segment.end), held=sorted(held))
        self._store.summarize(segment.stream, segment.origin, segment.base, generation, summary.document())
        return summary

    def _before(self, seconds: float) -> str:
        return rfc3339(self._clock() - seconds)

    def _now(self) -> str:
        return rfc3339(self._clock())


def _bytes(stream: str, records: Sequence[Record]) -> list[tuple[str, int, int]]:
    """The bytes that records take, those of neighbours together."""
    found: list[tuple[str, int, int]] = []
    for record in records:
        if found and found[-1][2] == record.offset:
            found[-1] = (stream, found[-1][1], record.end)
        else:
            found.append((stream, record.offset, record.end))
    return found
