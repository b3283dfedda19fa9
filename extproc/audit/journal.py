"""The one writer of a stream. A record is in its segment when `append` returns; a thread syncs it in groups."""

import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from itertools import chain
from pathlib import Path

from extproc.audit.bound import RECORD_BYTES, ROOMY_BYTES, shorter
from extproc.audit.frame import FORMAT, ZERO, FrameError, Unencodable, encode, seal_text
from extproc.audit.growing import Growing
from extproc.audit.keys import Signer
from extproc.audit.recovery import Found, JournalCorrupt, scan
from extproc.audit.segments import Folder, cut_of
from extproc.domain.json import Document
from extproc.domain.ports import JournalUnwritable

__all__ = ["SEGMENT_BYTES", "SEGMENT_SECONDS", "FileJournal", "JournalCorrupt"]

SEGMENT_BYTES = 64 << 20
SEGMENT_SECONDS = 86400.0


class FileJournal:
    """Appends to one stream. Thread-safe; holds the folder's lock until `close`.

    `clock` gives seconds since the epoch. `sync_seconds` is how long a record may wait for its fsync; 0 syncs every
    record before `append` returns. `redact` sees every body, once, before it is written; what is too long after
    it is shortened (see `bound`). A segment that has `segment_bytes` or is `segment_seconds` old ends before the next
    record; with a `signer` it ends with a seal, and so does the stream at `close`.

    Opening cuts a torn tail (kept in the folder as `<offset>.cut`) and records that, raises JournalUnwritable where the
    folder can't be had or another process has it, and JournalCorrupt for damage that no crash leaves."""

    def __init__(
        self,
        folder: Path,
        stream: str,
        clock: Callable[[], float] = time.time,
        sync_seconds: float = 0.02,
        redact: Callable[[Document], Document] = lambda body: body,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        segment_seconds: float = SEGMENT_SECONDS,
        signer: Signer | None = None,
    ) -> None:
        self._path, self._stream, self._clock, self._redact = folder, stream, clock, redact
        self._every, self._most, self._longest, self._signer = sync_seconds, segment_bytes, segment_seconds, signer
        # `_lock` is had to append, `_syncing` to sync; who needs both takes them in this order.
        self._lock, self._syncing = threading.Lock(), threading.Lock()
        self._wake, self._stop = threading.Event(), threading.Event()
        self._seq, self._offset, self._synced, self._prev = 0, 0, 0, ZERO
        self._first, self._began, self._sealed = 0, 0.0, False
        self._id, self._genesis = "", ""
        self._second, self._stamp = -1, ""
        self._dirty: str | None = None
        self._closed = False
        self._folder, self._locked = _have(folder)
        try:
            found = scan(self._folder)
            self._segment = self._taken_up(found)
            try:
                self._open(found)
            except BaseException:
                self._segment.close()
                raise
        except BaseException as error:
            self._folder.unlock(self._locked)
            self._folder.close()
            if isinstance(error, OSError):
                raise JournalUnwritable(f"{folder}: can't be opened: {error.strerror}") from error
            raise
        self._thread: threading.Thread | None = None
        if sync_seconds > 0:
            self._thread = threading.Thread(target=self._sync_loop, name=f"sync-{stream}", daemon=True)
            self._thread.start()
            self._wake.set()

    @property
    def offset(self) -> int:
        """Bytes of good records in the stream."""
        return self._offset

    def append(self, kind: str, body: Document) -> int:
        """Write one record; returns its sequence number. Raises JournalUnwritable, after which the stream is as it
        was and a later call may succeed."""
        redacted = self._redact(body)
        with self._lock:
            if self._closed:
                raise JournalUnwritable(f"{self._path}: the journal is closed")
            if self._dirty is not None:
                self._mend()
            seq = self._add(kind, redacted)
        if self._every <= 0:
            self.sync()
        elif not self._wake.is_set():
            self._wake.set()
        return seq

    def sync(self) -> None:
        """Force everything appended so far to the disk. Raises JournalUnwritable."""
        try:
            with self._syncing:
                end = self._offset
                self._segment.sync()
                self._synced = max(self._synced, end)
        except OSError as error:
            with self._lock:
                self._dirty = f"sync: {error.strerror}"
            raise JournalUnwritable(f"{self._path}: can't sync: {error.strerror}") from error

    def close(self) -> None:
        """Seal, sync, and let the stream go. A second call does nothing."""
        if self._closed:
            return
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        with self._lock:
            self._closed = True
            # A seal that there is no room for is missing, and nothing else is: the next writer's covers its records.
            with suppress(JournalUnwritable):
                if self._dirty is None:
                    self._seal(self._clock())
        try:
            self.sync()
        finally:
            self._segment.close()
            self._folder.unlock(self._locked)
            self._folder.close()

    def _add(self, kind: str, body: object) -> int:
        """One record, in a new segment where that is due. Under the lock."""
        now = self._clock()
        size = self._offset - self._segment.base
        if size and (size >= self._most or now - self._began >= self._longest):
            self._rotate(now)
            # Waiting for the disk takes its time, and whoever merges streams goes by it.
            now = self._clock()
        if self._offset == self._segment.base:
            self._begin(now)
        return self._write(kind, body, now)

    def _rotate(self, now: float) -> None:
        """Seal the segment, have it on the disk and make the next one. What fails here, the next append does again."""
        self._seal(now)
        with self._syncing:
            try:
                self._segment.sync()
            except OSError as error:
                self._dirty = f"sync: {error.strerror}"
                raise JournalUnwritable(f"{self._path}: can't sync: {error.strerror}") from error
            self._synced = self._offset
            try:
                fresh = self._made(self._offset)
            except OSError as error:
                raise JournalUnwritable(f"{self._path}: can't begin a segment: {error.strerror}") from error
            old, self._segment = self._segment, fresh
        old.close()

    def _begin(self, now: float) -> None:
        """The record that heads a segment, so that each can be read without those before it."""
        first = self._seq
        if first == 0:
            self._id = secrets.token_hex(16)
            self._write("genesis", {"format": FORMAT, "id": self._id, "stream": self._stream}, now)
            self._genesis = self._prev
        else:
            known = {"base": self._segment.base, "format": FORMAT, "genesis": self._genesis, "id": self._id}
            self._write("segment", known, now)
        self._first, self._began = first, now

    def _seal(self, now: float) -> None:
        """Sign the chain's head, where that is not done and there is a key."""
        if self._signer is None or self._sealed or self._offset == self._segment.base:
            return
        text = seal_text(self._stream, self._id, self._seq, self._prev)
        body: Document = {
            "base": self._segment.base,
            "first": self._first,
            "head": self._prev,
            "key": self._signer.key_id,
            "records": self._seq - self._first,
            "signature": self._signer.sign(text),
        }
        self._write("seal", body, now)
        self._sealed = True

    def _write(self, kind: str, body: object, now: float) -> int:
        """Encode and write under the lock. The whole frame, or nothing that a reader would take for one."""
        frame, digest = self._encode(kind, body, now)
        try:
            self._segment.write(frame, self._offset)
        except OSError as error:
            self._spoil(f"write: {error.strerror}")
            raise JournalUnwritable(f"{self._path}: can't write: {error.strerror}") from error
        seq = self._seq
        self._seq, self._prev, self._offset, self._sealed = seq + 1, digest, self._offset + len(frame), False
        return seq

    def _encode(self, kind: str, body: object, now: float) -> tuple[bytes, str]:
        """The frame of a record, shortened where it is long or has no canonical form, and its hash."""
        at, why, most = self._text(now), "", ROOMY_BYTES
        for form in chain((body,), shorter(body)):
            try:
                frame, digest = encode(self._stream, self._seq, kind, at, self._prev, form)
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
            self._segment.cut(self._offset)
        except OSError:
            return
        self._dirty = None

    def _mend(self) -> None:
        """Make the segment good again before the next record, or raise JournalUnwritable."""
        try:
            # What earlier segments hold was synced before this one was begun.
            self._segment.mend(self._synced, self._offset)
        except (OSError, FrameError) as error:
            raise JournalUnwritable(f"{self._path}: not writable yet ({self._dirty}): {error}") from error
        self._synced, self._dirty = self._offset, None

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

    def _text(self, now: float) -> str:
        """RFC 3339, UTC, microseconds. The part up to the second is kept: formatting it costs more than the rest."""
        second, rest = divmod(int(now * 1_000_000), 1_000_000)
        if second != self._second:
            self._second = second
            self._stamp = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{self._stamp}.{rest:06d}Z"

    def _taken_up(self, found: Found | None) -> Growing:
        """The last segment, and what the stream's records tell; a new one where there is none."""
        if found is None:
            return self._made(0)
        self._offset = self._synced = found.end
        known = found.known
        if known is not None:
            if known.first.stream != self._stream:
                raise JournalCorrupt(f"{self._path}: holds stream {known.first.stream!r}, expected {self._stream!r}")
            self._id, self._genesis = known.origin.id, known.origin.hash
            self._seq, self._prev = known.last.seq + 1, known.last.hash
            self._first, self._began = known.first.seq, known.began
        return Growing.there(self._folder.file(found.base), found.base)

    def _open(self, found: Found | None) -> None:
        """Cut what a crash left after the good records; record that this writer starts."""
        now, fresh, repaired = self._clock(), self._seq == 0, None
        if found is not None and found.cut:
            digest = sha256(found.cut).hexdigest()
            repaired = {"cut_bytes": len(found.cut), "offset": found.end, "sha256": digest}
            self._folder.keep(cut_of(found.end), found.cut)
            self._segment.cut(found.end)
        if self._offset == self._segment.base:
            self._begin(now)
        if not fresh:
            self._write("journal-opened", {"after": self._prev}, now)
        if repaired is not None:
            self._write("journal-repaired", repaired, now)
        self.sync()

    def _made(self, base: int) -> Growing:
        return Growing(self._folder.create(base), self._folder.file(base), base)


def refuse_old(path: Path) -> None:
    """Raises JournalCorrupt where the stream of this folder is there in format 1."""
    old = path.with_name(f"{path.name}.journal")
    if old.exists():
        raise JournalCorrupt(
            f"{old}: a journal of format 1, which this version does not go on with; move it out of {old.parent} and "
            "keep it: a new stream starts"
        )


def _have(path: Path) -> tuple[Folder, int]:
    """The folder, made if need be, and the descriptor of its lock. Raises JournalUnwritable."""
    refuse_old(path)
    try:
        folder = Folder.made(path)
    except OSError as error:
        raise JournalUnwritable(f"{path}: can't open: {error.strerror}") from error
    try:
        return folder, folder.lock()
    except OSError as error:
        folder.close()
        why = "another process writes it" if isinstance(error, BlockingIOError) else error.strerror
        raise JournalUnwritable(f"{path}: can't have it alone: {why}") from error
