"""Erasing records of segments that are complete: each frame keeps its length and its digest, and the chain stands.

Whoever erases writes a record of kind `erased` first, which names the records: an erased frame that none announces is a
fault. The file is written anew and put in place of the old one, so that a crash leaves either; doing it again does the
rest. What the disk and its backups keep of the old file is not in our hands.
"""

import fcntl
import os
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from extproc.audit.frame import Erased, Record, decode, erased, frame
from extproc.audit.reader import follow
from extproc.audit.segments import Folder, name_of

LASTING = frozenset({"genesis", "segment", "seal", "checkpoint", "erased"})
"""Kinds that are never erased: whatever proves the rest."""


class EraseRefused(ValueError):
    """What was asked for can't be erased; nothing was. The message says why."""


def erase(folder: Path, offsets: Collection[int]) -> list[Erased]:
    """Erase the records of one stream whose frames begin at these bytes; what is left of each, in order, also of those
    that were erased before. Raises EraseRefused before anything is changed; OSError and JournalFault, after which
    some segments may be done."""
    left: list[Erased] = []
    with Folder(folder) as opened:
        lock = opened.open(".", os.O_RDONLY | os.O_DIRECTORY)
        try:
            # Two that erase in one segment would undo each other's; nobody else takes this lock.
            fcntl.flock(lock, fcntl.LOCK_EX)
            parts = _by_segment(opened, offsets)
            for part in parts:
                _check(opened, part)
            for part in parts:
                left += _rewrite(opened, part)
        finally:
            os.close(lock)
    return left


@dataclass(frozen=True, slots=True)
class _Part:
    """What is asked for of one segment; `end` is where the next one begins."""

    base: int
    end: int
    offsets: frozenset[int]


def _by_segment(folder: Folder, offsets: Collection[int]) -> list[_Part]:
    bases, found = folder.bases(), defaultdict[int, set[int]](set)
    for offset in offsets:
        place = bisect_right(bases, offset)
        if not place:
            raise EraseRefused(f"{folder.path}: byte {offset}: the segment that held it is retired")
        if place == len(bases):
            raise EraseRefused(f"{folder.path}: byte {offset}: its segment is still written; it can be erased later")
        found[place].add(offset)
    return [_Part(bases[place - 1], bases[place], frozenset(found[place])) for place in sorted(found)]


def _check(folder: Folder, part: _Part) -> None:
    missing = set(part.offsets)
    for entry in follow(folder, part.base, part.end):
        if entry.offset in missing:
            missing.remove(entry.offset)
            if isinstance(entry, Record) and entry.kind in LASTING:
                raise EraseRefused(f"{folder.path}: byte {entry.offset}: a {entry.kind}, which is never erased")
    if missing:
        raise EraseRefused(f"{folder.path}: byte {min(missing)}: no record begins there")


def _rewrite(folder: Folder, part: _Part) -> list[Erased]:
    name, left, changed, prev = name_of(part.base), list[Erased](), False, None
    fresh = f"{name}.new"
    with os.fdopen(folder.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb") as out:
        for at, payload in folder.frames(part.base, part.end):
            entry = decode(payload, at, prev)
            if at in part.offsets:
                if isinstance(entry, Record):
                    payload, changed = erased(payload, entry.seq), True
                    entry = Erased(entry.seq, entry.digest, entry.hash, entry.offset, entry.end)
                left.append(entry)
            out.write(frame(payload))
            prev = entry.hash
        if out.tell() != part.end - part.base:
            raise OSError(0, "changed while it was read", str(folder.file(part.base)))
        out.flush()
        os.fsync(out.fileno())
    if changed:
        folder.replace(fresh, name)
    else:
        folder.remove(fresh)
    return left
