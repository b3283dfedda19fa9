"""Where a stream's good records end, as its next writer finds it. Only the last segment is read."""

import mmap
import os
from dataclasses import dataclass

from extproc.audit.frame import FORMAT, HEAD, Erased, FrameError, Record, decode, split
from extproc.audit.placement import nanoseconds
from extproc.audit.reader import JournalFault, Origin, follow, head, origin_of
from extproc.audit.segments import Folder, name_of
from extproc.domain.ports import JournalUnwritable

_MARKER = b'{"at":"'


class JournalCorrupt(JournalUnwritable):
    """The stream is damaged before its tail: it is not the trace of a crash, so it is not ours to repair."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the records tell: whose chain it is, the first and the last record of the last segment that has any, and
    when the first was written, in seconds since the epoch."""

    origin: Origin
    first: Record
    last: Record | Erased
    began: float


@dataclass(frozen=True, slots=True)
class Found:
    """Where the last segment begins, the end of its good records, the torn bytes after it, and what is known from the
    stream's records, if there are any."""

    base: int
    end: int
    cut: bytes
    known: Known | None


def scan(folder: Folder) -> Found | None:
    """What is there, or None where there is no segment. Raises OSError, and JournalCorrupt when a whole frame stands
    after the first bad one: a crash tears only the end."""
    bases = folder.bases()
    if not bases:
        return None
    base = bases[-1]
    fd = folder.open(name_of(base))
    try:
        found = _scan(folder, fd, base)
    finally:
        os.close(fd)
    if found.known is None and base > 0:
        # A crash between the new segment and its first record: the chain goes on from the segment before.
        try:
            first = next(follow(folder, bases[-2], base), None) if len(bases) > 1 else None
            last = head(folder.path, until=base)
        except JournalFault as error:
            raise _corrupt(str(error)) from None
        if not isinstance(first, Record) or last is None or last.end != base:
            raise _corrupt(f"{folder.file(base)}: the records before byte {base} of the stream are gone")
        return Found(base, found.end, found.cut, _known(folder, first, last))
    return found


def _scan(folder: Folder, fd: int, base: int) -> Found:
    size = os.fstat(fd).st_size
    if size == 0:
        return Found(base, base, b"", None)
    with mmap.mmap(fd, size, access=mmap.ACCESS_READ) as data, memoryview(data) as view:
        at, last_at, bad = 0, 0, False
        while at < size:
            try:
                end = split(view, at)
            except FrameError:
                bad = True
                break
            if end is None:
                break
            last_at, at = at, end
        if at < size:
            _nothing_after(folder, data, view, base, at)
            if bad and at == 0 and base == 0:
                raise JournalCorrupt(f"{folder.file(base)}: no record at its start; it is not a journal")
        known = None
        if at > 0:
            known = _known(folder, _record(folder, view, base, 0), _record(folder, view, base, last_at))
        return Found(base, base + at, bytes(view[at:size]), known)


def _known(folder: Folder, first: Record, last: Record | Erased) -> Known:
    origin = origin_of(first)
    if origin is None:
        raise _corrupt(
            f"{folder.path}: byte {first.offset}: a segment that begins with a record of kind {first.kind!r}"
        )
    if first.body.get("format") != FORMAT:
        raise _corrupt(f"{folder.path}: byte {first.offset}: format {first.body.get('format')}, expected {FORMAT}")
    try:
        return Known(origin, first, last, nanoseconds(first.at) / 1e9)
    except ValueError as error:
        raise _corrupt(f"{folder.path}: byte {first.offset}: {error}") from None


def _record(folder: Folder, view: memoryview, base: int, at: int) -> Record:
    end = split(view, at)
    try:
        record = decode(bytes(view[at + HEAD.size : end]), base + at)
    except FrameError as error:
        raise _corrupt(f"{folder.path}: byte {error.offset}: {error}") from None
    if isinstance(record, Erased):
        raise _corrupt(f"{folder.path}: byte {base + at}: erased, in the segment that is still written")
    return record


def _nothing_after(folder: Folder, data: mmap.mmap, view: memoryview, base: int, at: int) -> None:
    found = data.find(_MARKER, at + HEAD.size + 1)
    while found != -1:
        if _whole(view, found - HEAD.size):
            raise _corrupt(f"{folder.file(base)}: damaged at byte {base + at} with good records after it")
        found = data.find(_MARKER, found + 1)


def _whole(view: memoryview, at: int) -> bool:
    try:
        return split(view, at) is not None
    except FrameError:
        return False


def _corrupt(what: str) -> JournalCorrupt:
    return JournalCorrupt(
        f"{what}; run `holdpoint audit verify`, then move the stream's folder aside to start a new one"
    )
