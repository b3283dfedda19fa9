"""Follows one stream, through the replacement of its folder, over an open descriptor. Not thread-safe."""

from collections.abc import Iterator
from pathlib import Path

from extproc.audit.frame import Erased, Fault, Record
from extproc.audit.reader import JournalFault, follow, origin
from extproc.audit.segments import Folder
from extproc.audit.store import Cursor


class Tail:
    """One stream. `cursor` is where reading goes on, or None at the start.

    A folder that was moved aside is read to its end before the one in its place is begun: its descriptor stays open."""

    def __init__(self, path: Path, cursor: Cursor | None) -> None:
        """`cursor` is of an earlier process; where it fits no stream that is there, reading starts over."""
        self.cursor = cursor
        self._path = path
        self._folder: Folder | None = None
        self._genesis = ""

    def read(self) -> Iterator[Record]:
        """The records that are whole by now. What is yielded counts as read when `took` is called with it.
        Raises JournalFault where the stream can't be read on; what was read before it stays read."""
        try:
            while (folder := self._enter()) is not None:
                yield from self._rest(folder)
                if not folder.replaced():
                    return
                self.close()
                self.cursor = None
        except OSError as error:
            why = error.strerror or "can't be read"
            raise JournalFault(self._path, Fault.UNREADABLE, self._offset, self._seq, why) from error

    def took(self, record: Record) -> None:
        """This record, and those before it, are counted."""
        self.cursor = Cursor(record.stream, self._genesis, record.end, record.seq, record.hash)

    def behind(self) -> int:
        """Bytes that are not read yet."""
        try:
            return 0 if self._folder is None else max(0, self._folder.end() - self._offset)
        except OSError:
            return 0

    def close(self) -> None:
        """Let the folder go."""
        if self._folder is not None:
            self._folder.close()
            self._folder = None

    @property
    def _offset(self) -> int:
        return 0 if self.cursor is None else self.cursor.offset

    @property
    def _seq(self) -> int:
        return 0 if self.cursor is None else self.cursor.seq + 1

    def _enter(self) -> Folder | None:
        """Have the folder open; None where there is nothing to read yet."""
        if self._folder is not None:
            return self._folder
        try:
            folder = Folder(self._path)
        except FileNotFoundError:
            return None
        try:
            found = origin(folder)
        except BaseException:
            folder.close()
            raise
        if found is None:
            folder.close()
            return None
        if self.cursor is not None and self.cursor.genesis != found.hash:
            self.cursor = None
        self._folder, self._genesis = folder, found.hash
        return folder

    def _rest(self, folder: Folder) -> Iterator[Record]:
        offset, seq, prev = self._offset, self._seq, None if self.cursor is None else self.cursor.hash
        if folder.end() < offset:
            raise JournalFault(self._path, Fault.BEHIND_WITNESS, offset, seq, "shorter than what was read from it")
        for entry in follow(folder, offset):
            if entry.offset != offset:
                # What was between is retired: older than anything that figures are made of.
                seq, prev = entry.seq, None
            if isinstance(entry, Record) and entry.stream != self._path.name:
                raise JournalFault(self._path, Fault.BAD_STREAM, offset, seq, f"a record of stream {entry.stream}")
            if entry.seq != seq or (isinstance(entry, Record) and prev is not None and entry.prev != prev):
                raise JournalFault(self._path, Fault.BAD_CHAIN, offset, seq, "the chain is broken here")
            if not isinstance(entry, Erased):
                yield entry
            offset, seq, prev = entry.end, entry.seq + 1, entry.hash
