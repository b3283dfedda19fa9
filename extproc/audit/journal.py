"""The one writer of a journal file. A record is in the file when `append` returns; a thread syncs it in groups."""

import fcntl
import mmap
import os
import secrets
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from itertools import chain
from pathlib import Path

from extproc.audit.bound import RECORD_BYTES, ROOMY_BYTES, shorter
from extproc.audit.frame import FORMAT, HEAD, ZERO, FrameError, Record, Unencodable, decode, encode, split
from extproc.domain.json import Document
from extproc.domain.ports import JournalUnwritable

MARKER = b'{"at":"'


class JournalCorrupt(JournalUnwritable):
    """The file is damaged before its tail: it is not the trace of a crash, so it is not ours to repair."""


class FileJournal:
    """Appends to one stream. Thread-safe; holds an exclusive lock on the file until `close`.

    `clock` gives seconds since the epoch. `sync_seconds` is how long a record may wait for its fsync; 0 syncs every
    record before `append` returns. `redact` sees every body, once, before it is written; what is too long after
    it is shortened (see `bound`). Opening cuts a torn tail (kept beside the journal as `<stream>.cut-<offset>`) and
    records that, raises JournalUnwritable where the file can't be had or another process has it, and JournalCorrupt
    for damage that no crash leaves.
    """

    def __init__(
        self,
        path: Path,
        stream: str,
        clock: Callable[[], float] = time.time,
        sync_seconds: float = 0.02,
        redact: Callable[[Document], Document] = lambda body: body,
    ) -> None:
        self._path, self._stream, self._clock, self._redact = path, stream, clock, redact
        self._every = sync_seconds
        self._lock = threading.Lock()
        self._wake, self._stop = threading.Event(), threading.Event()
        self._seq, self._offset, self._synced, self._prev = 0, 0, 0, ZERO
        self._second, self._stamp = -1, ""
        self._dirty: str | None = None
        self._closed = False
        self._fd = _open(path)
        try:
            self._recover()
        except BaseException:
            os.close(self._fd)
            raise
        self._thread: threading.Thread | None = None
        if sync_seconds > 0:
            self._thread = threading.Thread(target=self._sync_loop, name=f"sync-{stream}", daemon=True)
            self._thread.start()
            self._wake.set()

    @property
    def offset(self) -> int:
        """Bytes of good records in the file."""
        return self._offset

    def append(self, kind: str, body: Document) -> int:
        """Write one record; returns its sequence number. Raises JournalUnwritable, after which the file is as it
        was and a later call may succeed."""
        redacted = self._redact(body)
        with self._lock:
            if self._closed:
                raise JournalUnwritable(f"{self._path}: the journal is closed")
            if self._dirty is not None:
                self._mend()
            seq = self._write(kind, redacted)
        if self._every <= 0:
            self.sync()
        elif not self._wake.is_set():
            self._wake.set()
        return seq

    def sync(self) -> None:
        """Force everything appended so far to the disk. Raises JournalUnwritable."""
        end, fd = self._offset, self._fd
        try:
            os.fdatasync(fd)
            self._still_ours(fd)
        except OSError as error:
            with self._lock:
                self._dirty = f"sync: {error.strerror}"
            raise JournalUnwritable(f"{self._path}: can't sync: {error.strerror}") from error
        self._synced = max(self._synced, end)

    def close(self) -> None:
        """Sync and let the file go. A second call does nothing."""
        if self._closed:
            return
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        with self._lock:
            self._closed = True
        try:
            self.sync()
        finally:
            try:
                os.close(self._fd)
            except OSError as error:
                raise JournalUnwritable(f"{self._path}: {error.strerror}") from error

    def _write(self, kind: str, body: object) -> int:
        """Encode and write under the lock. The whole frame, or nothing that a reader would take for one."""
        frame, digest = self._encode(kind, body)
        try:
            written = os.pwrite(self._fd, frame, self._offset)
        except OSError as error:
            self._spoil(f"write: {error.strerror}")
            raise JournalUnwritable(f"{self._path}: can't write: {error.strerror}") from error
        if written != len(frame):
            self._spoil("write: no space for the whole record")
            raise JournalUnwritable(f"{self._path}: only {written} of {len(frame)} bytes could be written")
        seq = self._seq
        self._seq, self._prev, self._offset = seq + 1, digest, self._offset + len(frame)
        return seq

    def _encode(self, kind: str, body: object) -> tuple[bytes, str]:
        """The frame of a record, shortened where it is long or has no canonical form, and its hash."""
        now, why, most = self._now(), "", ROOMY_BYTES
        for form in chain((body,), shorter(body)):
            try:
                frame, digest = encode(self._stream, self._seq, kind, now, self._prev, form)
            except Unencodable as error:
                why = str(error)
            else:
                if len(frame) <= most:
                    return frame, digest
                why = f"record {self._seq} of {self._stream}: {len(frame)} bytes"
            most = RECORD_BYTES
        raise JournalUnwritable(why)

    def _spoil(self, why: str) -> None:
        """A write failed: cut what it left. Where that fails too, the next append tries again."""
        self._dirty = why
        try:
            os.ftruncate(self._fd, self._offset)
        except OSError:
            return
        self._dirty = None if why.startswith("write") else why

    def _mend(self) -> None:
        """Make the file good again before the next record, or raise JournalUnwritable.

        After a failed fsync the kernel may call pages clean that never reached the disk, so everything since the last
        good sync is checked against the chain, written again and synced again."""
        try:
            if not self._descriptor_good():
                self._fd = _reopen(self._path, self._offset)
            os.ftruncate(self._fd, self._offset)
            at = self._synced
            while at < self._offset:
                frame = os.pread(self._fd, HEAD.size, at)
                if len(frame) == HEAD.size:
                    frame += os.pread(self._fd, HEAD.unpack(frame)[0], at + HEAD.size)
                end = split(frame, 0)
                if end is None:
                    raise JournalUnwritable(f"{self._path}: records after byte {at} are gone")
                os.pwrite(self._fd, frame, at)
                at += end
            os.fdatasync(self._fd)
            self._still_ours(self._fd)
        except (OSError, FrameError) as error:
            raise JournalUnwritable(f"{self._path}: not writable yet ({self._dirty}): {error}") from error
        self._synced, self._dirty = self._offset, None

    def _descriptor_good(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._fd), os.stat(self._path))
        except OSError:
            return False

    def _still_ours(self, fd: int) -> None:
        """Raise OSError when the path no longer names the file that we write: its records would be lost."""
        if not os.path.samestat(os.fstat(fd), os.stat(self._path)):
            raise OSError(0, "the file was replaced under its writer")

    def _sync_loop(self) -> None:
        while not self._stop.is_set():
            self._wake.wait()
            self._stop.wait(self._every)
            self._wake.clear()
            if self._synced != self._offset or self._dirty is not None:
                try:
                    self.sync()
                except JournalUnwritable:
                    # `_dirty` says why; the next append mends or refuses, so nothing passes meanwhile.
                    continue

    def _now(self) -> str:
        """RFC 3339, UTC, microseconds. The part up to the second is kept: formatting it costs more than the rest."""
        micros = int(self._clock() * 1_000_000)
        second, rest = divmod(micros, 1_000_000)
        if second != self._second:
            self._second = second
            self._stamp = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{self._stamp}.{rest:06d}Z"

    def _recover(self) -> None:
        """Find the end of the good records; cut what a crash left after it; record that this writer starts."""
        size = os.fstat(self._fd).st_size
        end, last, cut = _scan(self._path, self._fd, size)
        if last is not None:
            if last.stream != self._stream:
                raise JournalCorrupt(f"{self._path}: holds stream {last.stream!r}, expected {self._stream!r}")
            self._seq, self._prev = last.seq + 1, last.hash
        self._offset = self._synced = end
        repaired: dict[str, str | int] | None = None
        if cut:
            repaired = {"cut_bytes": size - end, "offset": end, "sha256": sha256(cut).hexdigest()}
            try:
                self._path.with_suffix(f".cut-{end}").write_bytes(cut)
                os.ftruncate(self._fd, end)
            except OSError as error:
                raise JournalUnwritable(f"{self._path}: can't cut its torn tail: {error.strerror}") from error
        if self._seq == 0:
            self._write("genesis", {"format": FORMAT, "id": secrets.token_hex(16), "stream": self._stream})
        else:
            self._write("journal-opened", {"after": self._prev})
        if repaired is not None:
            self._write("journal-repaired", repaired)
        self.sync()


def _open(path: Path) -> int:
    """A locked descriptor, the file made if need be. Raises JournalUnwritable."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise JournalUnwritable(f"{path}: can't open: {error.strerror}") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The name of a new file must outlive a power cut as well as its bytes do.
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        os.close(fd)
        why = "another process writes it" if isinstance(error, BlockingIOError) else error.strerror
        raise JournalUnwritable(f"{path}: can't have it alone: {why}") from error
    return fd


def _reopen(path: Path, size: int) -> int:
    """The descriptor was closed under us: have the same file again, or raise JournalUnwritable."""
    fd = _open(path)
    if os.fstat(fd).st_size < size:
        os.close(fd)
        raise JournalUnwritable(f"{path}: shorter than what was written to it")
    return fd


def _scan(path: Path, fd: int, size: int) -> tuple[int, Record | None, bytes]:
    """The end of the good frames, the last record among them, and the torn bytes after it. Raises JournalCorrupt when
    a whole frame stands after the first bad one: a crash tears only the end."""
    if size == 0:
        return 0, None, b""
    with mmap.mmap(fd, size, access=mmap.ACCESS_READ) as data, memoryview(data) as view:
        at, last_at, bad = 0, None, False
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
            found = data.find(MARKER, at + HEAD.size + 1)
            while found != -1:
                if _whole(view, found - HEAD.size):
                    raise JournalCorrupt(
                        f"{path}: damaged at byte {at} with good records after it; run `holdpoint audit verify`, then "
                        "move the file aside to start a new stream"
                    )
                found = data.find(MARKER, found + 1)
            if bad and at == 0:
                raise JournalCorrupt(f"{path}: no record at its start; it is not a journal")
        try:
            last = None if last_at is None else decode(bytes(view[last_at + HEAD.size : at]), last_at)
        except FrameError as error:
            raise JournalCorrupt(f"{path}: byte {error.offset}: {error}") from None
        return at, last, bytes(view[at:size])


def _whole(view: memoryview, at: int) -> bool:
    try:
        return split(view, at) is not None
    except FrameError:
        return False
