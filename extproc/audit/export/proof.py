"""The way from records to a signed head: runs of digests, each up to the first checkpoint, or else seal, after them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from extproc.audit.checkpoint import STREAM, read
from extproc.audit.checkpoints import written
from extproc.audit.frame import Erased, Fault, Record
from extproc.audit.reader import JournalFault, entries, origin


class Unprovable(Exception):
    """The journal does not hold what a proof needs. The message says what and where."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record stands: its number, the byte of the stream at which its frame begins, and the hash before it."""

    seq: int
    offset: int
    prev: str


@dataclass(frozen=True, slots=True)
class Run:
    """Records of a stream from `first` on, up to byte `until`, the end of record `last`. `signed` is what signed the
    hash of the last: {"checkpoint": number}, {"seal": number of the record}, or None where nothing did yet; `at` is
    when, `hash` what."""

    stream: str
    genesis: str
    first: Place
    last: int
    until: int
    signed: dict[str, int] | None
    hash: str = ""
    key: str = ""
    at: str = ""
    document: Mapping[str, Any] | None = None
    """The checkpoint, as it was signed."""

    @property
    def header(self) -> dict[str, Any]:
        """The first line of the run's file."""
        return {
            "first": self.first.seq,
            "genesis": self.genesis,
            "prev": self.first.prev,
            "signed": self.signed,
            "stream": self.stream,
        }


def runs(journal: Path, wanted: Mapping[str, list[Place]]) -> Iterator[Run]:
    """Runs that together hold all wanted records. The checkpoints are read once, and of the streams only the way to a
    seal from what no checkpoint covers. Raises JournalFault, FrameError, BadCheckpoint, OSError and Unprovable."""
    ids = {stream: _genesis(journal / stream) for stream in wanted}
    left = {stream: sorted(places, key=lambda place: place.seq) for stream, places in wanted.items() if places}
    folder = journal / STREAM
    for record in written(folder) if folder.is_dir() else ():
        if not left:
            return
        found = read(record.body)
        for stream in sorted(left):
            first, head = left[stream][0], found.streams.get(stream)
            if head is not None and head.id == ids[stream] and head.seq >= first.seq:
                signed = {"checkpoint": found.number}
                yield Run(
                    stream, head.id, first, head.seq, head.offset, signed, head.hash, found.key, found.at, record.body
                )  # fmt: skip
                left[stream] = [place for place in left[stream] if place.seq > head.seq]
        left = {stream: places for stream, places in left.items() if places}
    for stream, places in sorted(left.items()):
        yield from _sealed(journal / stream, ids[stream], places)


def digests(journal: Path, run: Run) -> Iterator[str]:
    """The digest of each record of a run, in hex. Raises JournalFault, and Unprovable where the chain is not what it
    was when the run was made."""
    seq, before = run.first.seq, run.first.prev
    for entry in entries(journal / run.stream, run.first.offset, run.until):
        if entry.seq != seq or (isinstance(entry, Record) and entry.prev != before):
            raise Unprovable(f"stream {run.stream}: record {seq} does not follow the one before it")
        yield entry.digest
        seq, before = seq + 1, entry.hash
    if seq != run.last + 1:
        raise Unprovable(f"stream {run.stream}: ends at record {seq - 1}, and {run.last} was vouched for")


def _sealed(folder: Path, genesis: str, places: list[Place]) -> Iterator[Run]:
    """Runs up to the seals that follow, the last one perhaps up to nothing."""
    first: Place | None = None
    left = list(places)
    entry: Record | Erased | None = None
    ends = {}
    for entry in entries(folder, left[0].offset):
        if left and entry.seq == left[0].seq:
            first = first or left[0]
            ends[entry.seq] = entry.end
            left.pop(0)
        if first is not None and isinstance(entry, Record) and entry.kind == "seal":
            key = str(entry.body.get("key"))
            yield Run(
                folder.name, genesis, first, entry.seq - 1, entry.offset, {"seal": entry.seq}, entry.prev, key, entry.at
            )  # fmt: skip
            first = None
            if not left:
                return
    if left:
        raise Unprovable(f"stream {folder.name}: record {left[0].seq} is not where the index says")
    if first is not None:
        last = max(ends)
        yield Run(folder.name, genesis, first, last, ends[last], None)


def _genesis(folder: Path) -> str:
    known = origin(folder)
    if known is None:
        raise JournalFault(folder, Fault.MISSING, 0, 0, "the stream has no record")
    return known.id
