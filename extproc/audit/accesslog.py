"""Follows Envoy's access log, through rotation by rename, and puts what no decision covers into the gateway stream.

Exactly once: a record is in the journal, and synced, before the position is noted; and what was appended after the
last position was noted is recognised at the next start by the file and offset that each record carries. Refusals of
nobody known that are alike are counted (see crowd.py); the position stays before them until they are recorded."""

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from extproc.audit.codes import Code, Judged, judge
from extproc.audit.crowd import Crowd, Told, kind_of
from extproc.audit.journal import FileJournal
from extproc.audit.reader import records
from extproc.audit.store import LogPosition, Store
from extproc.domain.json import Document
from extproc.domain.ports import JournalUnwritable

LONGEST_LINE = 64 * 1024
"""Bytes; of a longer line only the first so many are read, which makes it a malformed one."""


@dataclass(frozen=True, slots=True)
class _Line:
    """A line, at most LONGEST_LINE bytes of it, and the byte after its end."""

    data: bytes
    end: int


class AccessLog:
    """One followed log. `journal` is the gateway stream's only writer and `gateway` its folder; `on_alarm` hears of
    every alarm after it is recorded; `ticks` gives monotonic seconds. Not thread-safe. Raises JournalFault where the
    gateway stream can't be read."""

    def __init__(
        self,
        path: Path,
        store: Store,
        journal: FileJournal,
        gateway: Path,
        on_alarm: Callable[[Document], None] = lambda body: None,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path, self._store, self._journal, self._on_alarm = path, store, journal, on_alarm
        self._file: BinaryIO | None = None
        self._name, self._offset = "", 0
        self._queue: list[Path] = []
        self._noted = self._resume = store.log_position()
        since = self._noted.journal if self._noted is not None and self._noted.journal <= journal.offset else 0
        self._since, self._synced = since, -1
        self._told = Told(records(gateway, since, journal.offset))
        self._crowd = Crowd(ticks)

    def step(self, lines: int = 1000) -> int:
        """Take up to so many lines; gives how many there were. Raises OSError, JournalUnwritable and sqlite3.Error;
        the next step then goes on where this one stopped."""
        self._tell(only_due=True)
        taken = 0
        while taken < lines:
            file = self._file or self._open()
            if file is None:
                break
            line = _read(file, self._offset)
            if line is None and os.fstat(file.fileno()).st_size < self._offset:
                self._begin_again()
                continue
            if line is None:
                if not self._moved_on(file):
                    # The log's end: whatever an earlier process told is behind.
                    self._told.clear()
                    break
                # The writer may have written between our last look and its leaving; what has no end now never will.
                line = _read(file, self._offset) or _rest(file, self._offset)
            if line is None:
                self._leave(file)
                continue
            found = judge(line.data)
            if found is not None:
                self._record(found, self._name, self._offset)
            self._offset = line.end
            taken += 1
        self._tell(only_due=True)
        self._note()
        return taken

    def close(self) -> None:
        """Record what was counted, and let the log go."""
        with contextlib.suppress(JournalUnwritable):
            # What can't be recorded now, the next process reads again: no position after it is noted.
            self._tell()
        self._shut()

    def _shut(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _record(self, found: Judged, file: str, offset: int) -> None:
        kind = kind_of(found.kind, found.body)
        if self._told.has(kind, file, offset) or (kind is not None and self._crowd.joins(kind, found.body, offset)):
            return
        body = {**found.body, "log": {"file": file, "offset": offset}}
        self._journal.append(found.kind, body)
        if kind is not None:
            self._crowd.met(kind)
        if found.kind == "alarm":
            self._on_alarm(body)

    def _tell(self, *, only_due: bool = False) -> None:
        """Record what was counted. Raises JournalUnwritable, and then has only what is recorded behind it."""
        if self._crowd.due or not only_due:
            for body in self._crowd.drain(self._name):
                self._journal.append("refusal", body)

    def _note(self) -> None:
        """Note the position, once the records before it are on the disk."""
        if self._crowd.waiting:
            return
        # While lines that an earlier process told lie ahead, its records have to be found again.
        journal = self._journal.offset
        at = LogPosition(self._name, self._offset, self._since if self._told else journal)
        noted = self._noted
        if not self._name or (noted is not None and (noted.file, noted.offset) == (at.file, at.offset)):
            return
        if self._synced != journal:
            self._journal.sync()
            self._synced = journal
        with self._store.transaction():
            self._store.set_log_position(at)
        self._noted = at

    def _open(self) -> BinaryIO | None:
        """A file to read: the one that an earlier process was in, else the next. None while there is none."""
        if self._resume is not None:
            was, files = self._resume, self._rotation()
            old = next((path for path in files if _identity(path) == was.file), None)
            if old is not None and old.stat().st_size >= was.offset:
                self._queue = files[files.index(old) + 1 :]
                self._resume = None
                return self._enter(old, was.offset)
            self._gap(was.file, was.offset)
            self._resume = None
        while self._queue:
            file = self._enter(self._queue.pop(0), 0)
            if file is not None:
                return file
        return self._enter(self._path, 0)

    def _enter(self, path: Path, offset: int) -> BinaryIO | None:
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return None
        name = _identity_of(file)
        if name is None:
            # No whole line yet: nothing to read, and nothing to know the file by.
            file.close()
            return None
        self._file, self._name, self._offset = file, name, offset
        return file

    def _leave(self, file: BinaryIO) -> None:
        """This file is read to its end and its writer writes another."""
        self._tell()
        if not self._queue:
            mine, files = os.fstat(file.fileno()), self._rotation()
            inodes = [path.stat().st_ino for path in files]
            self._queue = files[inodes.index(mine.st_ino) + 1 :] if mine.st_ino in inodes else []
        self._shut()

    def _begin_again(self) -> None:
        """The file was cut under its writer: what was between is lost, and that is an alarm."""
        self._tell()
        before = self._name
        self._gap(before, self._offset)
        self._shut()
        file = self._enter(self._path, 0)
        if file is not None and self._name == before:
            # Its start is what it was: go on at its end rather than tell its lines twice.
            self._offset = os.fstat(file.fileno()).st_size

    def _gap(self, file: str, offset: int) -> None:
        message = "the access log that was being read is gone or was cut: refusals in it are lost"
        self._record(Judged("alarm", {"code": Code.LOG_GAP.value, "message": message}), file, offset)

    def _moved_on(self, file: BinaryIO) -> bool:
        """Whether the path names another file by now."""
        try:
            return not os.path.samestat(os.fstat(file.fileno()), os.stat(self._path))
        except FileNotFoundError:
            return False

    def _rotation(self) -> list[Path]:
        """The log and its rotated files, in the order in which they were written."""
        found = [path for path in self._path.parent.glob(self._path.name + "*") if path.is_file()]
        return sorted(found, key=lambda path: (path == self._path, path.stat().st_mtime_ns))


def _read(file: BinaryIO, offset: int) -> _Line | None:
    """The next line that has its end, or None."""
    file.seek(offset)
    data = last = file.readline(LONGEST_LINE)
    while last and not last.endswith(b"\n"):
        last = file.readline(LONGEST_LINE)
    return _Line(data, file.tell()) if last.endswith(b"\n") else None


def _rest(file: BinaryIO, offset: int) -> _Line | None:
    """What a writer left without an end of line when it went: a line, though a broken one."""
    file.seek(offset)
    data = file.read(LONGEST_LINE)
    return _Line(data, os.fstat(file.fileno()).st_size) if data else None


def _identity(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return _identity_of(file)
    except FileNotFoundError:
        return None


def _identity_of(file: BinaryIO) -> str | None:
    """Inode and first line: an inode alone comes back when a rotated file is deleted."""
    first = file.readline(LONGEST_LINE)
    if not first.endswith(b"\n") and len(first) < LONGEST_LINE:
        return None
    return f"{os.fstat(file.fileno()).st_ino}-{sha256(first).hexdigest()[:16]}"
