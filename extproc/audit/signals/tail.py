"""Follows one journal file, through its replacement, over an open descriptor. Not thread-safe."""

import os
from collections.abc import Iterator
from pathlib import Path

from extproc.audit.frame import HEAD, MAX_PAYLOAD, Fault, FrameError, Record, decode, split
from extproc.audit.reader import JournalFault
from extproc.audit.store import Cursor


class Tail:
    """One stream. `cursor` is where reading goes on, or None at the start of the file.

    A file that was moved aside is read to its end before the one in its place is begun: its descriptor stays open."""

    def __init__(self, path: Path, cursor: Cursor | None) -> None:
        """`cursor` is of an earlier process; where it fits no file that is there, reading starts over."""
        self.cursor = cursor
        self._path = path
        self._fd: int | None = None

    def read(self) -> Iterator[Record]:
        """The records that are whole by now. What is yielded counts as read when `took` is called with it.
        Raises JournalFault where the file can't be read on; what was read before it stays read."""
        try:
            while self._enter():
                yield from self._rest()
                if not self._replaced():
                    return
                self.close()
                self.cursor = None
        except FrameError as error:
            raise JournalFault(self._path, error.fault, error.offset, self._seq, str(error)) from None
        except OSError as error:
            why = error.strerror or "can't be read"
            raise JournalFault(self._path, Fault.UNREADABLE, self._offset, self._seq, why) from error

    def took(self, record: Record) -> None:
        """This record, and those before it, are counted."""
        genesis = record.hash if self.cursor is None else self.cursor.genesis
        self.cursor = Cursor(record.stream, genesis, record.end, record.seq, record.hash)

    def behind(self) -> int:
        """Bytes that are not read yet."""
        try:
            return max(0, self._path.stat().st_size - self._offset)
        except OSError:
            return 0

    def close(self) -> None:
        """Let the file go."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    @property
    def _offset(self) -> int:
        return 0 if self.cursor is None else self.cursor.offset

    @property
    def _seq(self) -> int:
        return 0 if self.cursor is None else self.cursor.seq + 1

    def _enter(self) -> bool:
        """Have the file open; False where there is nothing to read yet."""
        if self._fd is not None:
            return True
        try:
            self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        first = _frame(self._fd, 0)
        if first is None:
            self.close()
            return False
        if self.cursor is not None and self.cursor.genesis != first.hash:
            self.cursor = None
        return True

    def _replaced(self) -> bool:
        if self._fd is None:
            return False
        try:
            return not os.path.samestat(os.fstat(self._fd), self._path.stat())
        except FileNotFoundError:
            return False

    def _rest(self) -> Iterator[Record]:
        fd = self._fd
        if fd is None:
            return
        offset, seq, prev = self._offset, self._seq, None if self.cursor is None else self.cursor.hash
        if os.fstat(fd).st_size < offset:
            raise JournalFault(self._path, Fault.BEHIND_WITNESS, offset, seq, "shorter than what was read from it")
        while (record := _frame(fd, offset)) is not None:
            if record.stream != self._path.stem:
                raise JournalFault(self._path, Fault.BAD_STREAM, offset, seq, f"a record of stream {record.stream}")
            if record.seq != seq or (prev is not None and record.prev != prev):
                raise JournalFault(self._path, Fault.BAD_CHAIN, offset, seq, "the chain is broken here")
            yield record
            offset, seq, prev = record.end, record.seq + 1, record.hash


def _frame(fd: int, offset: int) -> Record | None:
    """The whole frame at this byte, or None. Raises FrameError and OSError. Nothing is kept of what was read: a torn
    tail is cut and written over."""
    head = os.pread(fd, HEAD.size, offset)
    if len(head) < HEAD.size:
        return None
    frame = head + os.pread(fd, min(HEAD.unpack(head)[0], MAX_PAYLOAD), offset + HEAD.size)
    return None if split(frame, 0) is None else decode(frame[HEAD.size :], offset)
