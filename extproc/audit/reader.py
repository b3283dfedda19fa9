"""Reading journals: records, in bounded memory."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from extproc.audit.frame import Erased, Fault, FrameError, Record, decode
from extproc.audit.segments import Folder


class JournalFault(Exception):
    """A stream can't be read on from byte `offset`, where record `seq` should be. `path` is its folder."""

    def __init__(self, path: Path, fault: Fault, offset: int, seq: int, message: str) -> None:
        super().__init__(f"{path}: byte {offset}, record {seq}: {message}")
        self.path, self.fault, self.offset, self.seq, self.detail = path, fault, offset, seq, message


@dataclass(frozen=True, slots=True)
class Origin:
    """Which chain a stream's folder holds: the random id in its genesis, and the hash of that record."""

    id: str
    hash: str


@dataclass(frozen=True, slots=True)
class Joined:
    """A decision's record with the records of what became of it. Holds and votes are those of its hold."""

    decision: Record
    delivery: Record | None = None
    holds: list[Record] = field(default_factory=list)
    votes: list[Record] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """What programs are given of it."""
        return {
            **self.decision.body,
            "at": self.decision.at,
            "audit": {"stream": self.decision.stream, "seq": self.decision.seq, "hash": self.decision.hash},
            "delivery": None if self.delivery is None else {**self.delivery.body, "at": self.delivery.at},
            "holds": [{**r.body, "at": r.at} for r in self.holds],
            "votes": [{**r.body, "at": r.at} for r in self.votes],
        }


def streams(state: Path) -> list[Path]:
    """The folders of a state directory's streams, by name. One that was moved aside has a dot in its name."""
    folder = state / "journal"
    return (
        sorted(path for path in folder.iterdir() if path.is_dir() and "." not in path.name) if folder.is_dir() else []
    )


def entries(folder: Path, offset: int = 0, until: int | None = None) -> Iterator[Record | Erased]:
    """What one stream holds from the frame at `offset`, up to byte `until` or the last whole frame: records, and what
    is left of erased ones. Where the segment with `offset` is retired, from the first one that is there. A frame that
    is still being written ends the iteration. Raises JournalFault."""
    with _opened(folder, offset) as opened:
        yield from follow(opened, offset, until)


def follow(folder: Folder, offset: int = 0, until: int | None = None) -> Iterator[Record | Erased]:
    """As `entries`, of a folder that is open already."""
    prev, seq = None, 0
    try:
        for at, payload in folder.frames(offset, until):
            try:
                entry = decode(payload, at, prev)
            except FrameError as error:
                if error.fault is not Fault.ERASED:
                    raise
                entry = decode(payload, at, _before(folder, at))
            offset, prev, seq = entry.end, entry.hash, entry.seq + 1
            yield entry
    except FrameError as error:
        raise JournalFault(folder.path, error.fault, error.offset, seq, str(error)) from None
    except OSError as error:
        raise JournalFault(folder.path, Fault.UNREADABLE, offset, seq, error.strerror or "can't be read") from error


def records(folder: Path, offset: int = 0, until: int | None = None) -> Iterator[Record]:
    """As `entries`, without those that are erased. Raises JournalFault."""
    return (entry for entry in entries(folder, offset, until) if isinstance(entry, Record))


def record_at(folder: Path, offset: int) -> Record:
    """The one record whose frame starts at `offset`. Raises JournalFault; its fault is ERASED or RETIRED where the
    record was there once."""
    with _opened(folder, offset) as opened:
        entry = next(follow(opened, offset), None)
    if entry is None:
        raise JournalFault(folder, Fault.TORN, offset, 0, "no whole record there")
    if entry.offset != offset:
        raise JournalFault(folder, Fault.RETIRED, offset, entry.seq, "the segment that held the record is gone")
    if isinstance(entry, Erased):
        raise JournalFault(folder, Fault.ERASED, offset, entry.seq, "the record was erased")
    return entry


def head(folder: Path, since: int = 0, until: int | None = None) -> Record | Erased | None:
    """The last whole record that begins before byte `until`, or None where there is none. Reads the last segment alone,
    from `since` where that is a later frame. Raises JournalFault."""
    with _opened(folder, since) as opened:
        try:
            for base in reversed([base for base in opened.bases() if until is None or base < until]):
                last = deque((at for at, _ in opened.frames(max(base, since), until)), maxlen=1)
                if last:
                    return next(follow(opened, last[0]), None)
        except FrameError as error:
            raise JournalFault(folder, error.fault, error.offset, 0, str(error)) from None
        except OSError as error:
            raise JournalFault(folder, Fault.UNREADABLE, since, 0, error.strerror or "can't be read") from error
    return None


def origin(folder: Path | Folder) -> Origin | None:
    """Whose chain it is, by the first record that is there; None while there is none. Raises JournalFault."""
    if isinstance(folder, Path):
        with _opened(folder, 0) as opened:
            return origin(opened)
    first = next(follow(folder), None)
    if first is None:
        return None
    known = origin_of(first) if isinstance(first, Record) else None
    if known is None:
        raise JournalFault(folder.path, Fault.BAD_GENESIS, first.offset, first.seq, "no record that heads a segment")
    return known


def origin_of(first: Record) -> Origin | None:
    """Whose chain it is, by the first record of a segment; None where it is not a record that heads one."""
    known = {"genesis": first.hash, "segment": first.body.get("genesis")}.get(first.kind)
    name = first.body.get("id")
    return Origin(name, known) if isinstance(name, str) and isinstance(known, str) else None


def size(folder: Path) -> int:
    """The byte after a stream's last one, whole records or not. Raises OSError."""
    with Folder(folder) as opened:
        return opened.end()


def _opened(folder: Path, offset: int) -> Folder:
    try:
        return Folder(folder)
    except OSError as error:
        raise JournalFault(folder, Fault.UNREADABLE, offset, 0, error.strerror or "can't be read") from error


def _before(folder: Folder, at: int) -> str:
    """The hash of the record before the erased one at `at`: followed from the start of its segment."""
    base = max(base for base in folder.bases() if base <= at)
    if base == at:
        raise FrameError(Fault.BAD_RECORD, at, "a segment begins with an erased record")
    prev = ""
    for entry in follow(folder, base, at):
        prev = entry.hash
    return prev
