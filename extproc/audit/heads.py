"""The heads of all streams, followed from where they were last seen; on the disk before anybody vouches for them."""

import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from extproc.audit.checkpoint import Head
from extproc.audit.frame import HEAD, Fault, FrameError, Record, chain, decode
from extproc.audit.reader import JournalFault, follow, origin_of, streams
from extproc.audit.segments import Folder, name_of


class Heads:
    """Follows the streams of one state folder. `known` are heads to go on from, a checkpoint's."""

    def __init__(self, state: Path, known: Mapping[str, Head]) -> None:
        self._state, self._known = state, dict(known)

    def read(self) -> tuple[dict[str, Head], list[JournalFault]]:
        """Every stream's head, each on the disk by now, and what is wrong with those that can't be followed: these
        keep the head that they had, so that nothing after it is vouched for. Raises OSError."""
        faults = []
        for path in streams(self._state):
            try:
                self._look(path)
            except JournalFault as error:
                faults.append(error)
        return dict(self._known), faults

    def _look(self, path: Path) -> None:
        try:
            opened = Folder(path)
        except OSError as error:
            # Made by root in the gateway's folder, for one.
            raise JournalFault(path, Fault.UNREADABLE, 0, 0, error.strerror or "can't be read") from error
        with opened as folder:
            try:
                self._follow(folder, path.name)
            except JournalFault as error:
                if error.fault is not Fault.UNREADABLE:
                    raise
                # Retention deletes a stream's first segments meanwhile; what can't be read still can't.
                self._follow(folder, path.name)

    def _follow(self, folder: Folder, stream: str) -> None:
        known, start = self._known.get(stream), _start(folder)
        if start is None:
            return
        if known is None or start.id != known.id:
            known = start
        elif folder.end() < known.offset:
            raise JournalFault(folder.path, Fault.BEHIND_WITNESS, folder.end(), known.seq, "its end was cut off")
        head = _last(folder, known)
        if head != self._known.get(stream):
            _sync(folder, known.offset)
            self._known[stream] = head


def _start(folder: Folder) -> Head | None:
    """Where to begin with a stream that nothing is known of: before the first record that is there. None while there
    is none. Raises JournalFault."""
    first = next(follow(folder), None)
    if first is None:
        return None
    origin = origin_of(first) if isinstance(first, Record) else None
    if origin is None or not isinstance(first, Record):
        raise JournalFault(folder.path, Fault.BAD_GENESIS, first.offset, first.seq, "no record that heads a segment")
    return Head(origin.id, first.seq - 1, first.prev, first.offset)


def _last(folder: Folder, known: Head) -> Head:
    """The head of the records that follow `known`. They are hashed and only the last is read: its number and what it
    names as the hash before it are right only where all between are."""
    path, stream = folder.path, folder.path.name
    seq, prev, hash_, at, last = known.seq, known.hash, known.hash, known.offset, b""
    try:
        for at, last in folder.frames(known.offset):
            blank = None if last.startswith(b'{"at":') else bytes.fromhex(decode(last, at, hash_).digest)
            seq, prev, hash_ = seq + 1, hash_, chain(hash_, blank or sha256(last).digest())
        if not last:
            return known
        record = decode(last, at, prev)
    except FrameError as error:
        raise JournalFault(path, error.fault, error.offset, seq + 1, str(error)) from None
    except OSError as error:
        raise JournalFault(path, Fault.UNREADABLE, at, seq + 1, error.strerror or "can't be read") from error
    if record.seq != seq or (isinstance(record, Record) and (record.prev, record.stream) != (prev, stream)):
        raise JournalFault(path, Fault.BAD_CHAIN, at, seq, f"it does not follow from record {known.seq}")
    return Head(known.id, seq, hash_, at + HEAD.size + len(last))


def _sync(folder: Folder, since: int) -> None:
    """Force what was written from that byte on to the disk: a head that a power cut takes back would look like a
    theft. Syncing a file through any descriptor syncs what all of them wrote."""
    bases = folder.bases()
    for base, following in zip(bases, [*bases[1:], None], strict=False):
        if following is None or following > since:
            fd = folder.open(name_of(base))
            try:
                os.fdatasync(fd)
            finally:
                os.close(fd)
