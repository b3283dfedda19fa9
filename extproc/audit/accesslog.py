"""Follows Envoy's access log, through rotation by rename, and puts what no decision covers into the gateway stream.

Exactly once: a record is in the journal, and synced, before the position is noted; and what was appended after the
last position was noted is recognised at the next start by the file and offset that each record carries."""

import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from extproc.audit.codes import Code, Judged, judge
from extproc.audit.journal import FileJournal
from extproc.audit.reader import records
from extproc.audit.store import LogPosition, Store
from extproc.domain.json import Document

LONGEST_LINE = 64 * 1024
"""Bytes; a longer line is recorded as malformed."""


class AccessLog:
    """One followed log. `journal` is the gateway stream's only writer; `on_alarm` hears of every alarm after it is
    recorded. Not thread-safe. Raises JournalFault at the start when the gateway stream can't be read."""

    def __init__(
        self,
        path: Path,
        store: Store,
        journal: FileJournal,
        gateway: Path,
        on_alarm: Callable[[Document], None] = lambda body: None,
    ) -> None:
        self._path, self._store, self._journal, self._on_alarm = path, store, journal, on_alarm
        self._at = store.log_position()
        self._file: BinaryIO | None = None
        self._name = ""
        self._noted = self._at
        self._queue: list[Path] = []
        since = self._at.journal if self._at is not None and self._at.journal <= journal.offset else 0
        self._seen = {
            (log.get("file"), log.get("offset"))
            for record in records(gateway, since, journal.offset)
            if isinstance(log := record.body.get("log"), dict)
        }

    def step(self, lines: int = 1000) -> int:
        """Take up to so many lines; gives how many were there. Raises OSError, JournalUnwritable and sqlite3.Error;
        the next step then goes on where this one stopped."""
        taken = 0
        while taken < lines and (self._file is not None or self._open()):
            line = self._line()
            if line is None:
                if not self._replaced():
                    break
                # The writer has moved on, and may have written between our last look and its leaving.
                line = self._line() or self._rest()
            if line is None:
                self._leave()
                continue
            self._take(line)
            taken += 1
        self._note()
        return taken

    def close(self) -> None:
        """Let the log go."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _take(self, line: bytes) -> None:
        assert_at = self._position()
        found = judge(line) if len(line) <= LONGEST_LINE else judge(b"")
        if found is not None:
            self._record(found, assert_at.file, assert_at.offset)
        self._at = LogPosition(assert_at.file, assert_at.offset + len(line), assert_at.journal)

    def _record(self, found: Judged, file: str, offset: int) -> None:
        if (file, offset) in self._seen:
            return
        body = {**found.body, "log": {"file": file, "offset": offset}}
        self._journal.append(found.kind, body)
        if found.kind == "alarm":
            self._on_alarm(body)

    def _note(self) -> None:
        if self._at is None or self._at == self._noted:
            return
        if self._noted is None or self._journal.offset != self._noted.journal:
            self._journal.sync()
        self._at = LogPosition(self._at.file, self._at.offset, self._journal.offset)
        with self._store.transaction():
            self._store.set_log_position(self._at)
        self._noted = self._at
        self._seen.clear()

    def _position(self) -> LogPosition:
        if self._at is None or self._at.file != self._name:
            return LogPosition(self._name, 0, self._at.journal if self._at else 0)
        return self._at

    def _open(self) -> bool:
        """Have a file to read: the one we were in, else the next one. False while there is none."""
        if self._at is not None and not self._name:
            old = next((path for path in self._siblings() if _identity(path) == self._at.file), None)
            if old is not None and old.stat().st_size >= self._at.offset:
                self._queue = [p for p in self._siblings() if p.stat().st_mtime_ns > old.stat().st_mtime_ns and p != self._path]
                return self._enter(old)
            gap = {"code": Code.LOG_GAP.value, "message": "the access log that was being read is gone or was cut"}
            self._record(Judged("alarm", gap), self._at.file, self._at.offset)
            self._queue = []
        while self._queue:
            if self._enter(self._queue.pop(0)):
                return True
        return self._enter(self._path)

    def _enter(self, path: Path) -> bool:
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return False
        name = _identity_of(file)
        if name is None:
            # No whole line yet, so nothing to read and nothing to know the file by.
            file.close()
            return False
        self._file, self._name = file, name
        file.seek(self._position().offset)
        return True

    def _leave(self) -> None:
        """The file is read to its end and its writer writes another."""
        if self._file is None:
            return
        inode = os.fstat(self._file.fileno())
        if not self._queue:
            mine = inode.st_mtime_ns
            self._queue = [
                path
                for path in self._siblings()
                if path != self._path and path.stat().st_mtime_ns > mine and path.stat().st_ino != inode.st_ino
            ]
        self.close()
        # An empty name means a start, where the file that we were in is looked for; here the next one is wanted.
        self._name = "-"

    def _line(self) -> bytes | None:
        """The next whole line with its end, of any length, or None."""
        if self._file is None:
            return None
        start = self._file.tell()
        line = self._file.readline(LONGEST_LINE + 1)
        size = len(line)
        last = line
        while last and not last.endswith(b"\n"):
            last = self._file.readline(LONGEST_LINE)
            size += len(last)
        if not last.endswith(b"\n"):
            self._file.seek(start)
            return None
        return line if size == len(line) else _Long(line, size)

    def _rest(self) -> bytes | None:
        """What a writer left without an end of line when it went: a line, though a broken one."""
        if self._file is None:
            return None
        rest = self._file.read(LONGEST_LINE + 1)
        return rest or None

    def _replaced(self) -> bool:
        """Whether the path names another file by now, one that has a line; or this one was cut short."""
        if self._file is None:
            return False
        mine = os.fstat(self._file.fileno())
        if mine.st_size < self._file.tell():
            self.close()
            self._name = ""
            return False
        try:
            return not os.path.samestat(mine, os.stat(self._path))
        except FileNotFoundError:
            return False

    def _siblings(self) -> list[Path]:
        """The log and its rotated files, oldest first."""
        found = [path for path in self._path.parent.glob(self._path.name + "*") if path.is_file()]
        return sorted(found, key=lambda path: (path.stat().st_mtime_ns, path == self._path))


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
