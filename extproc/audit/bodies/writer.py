"""One lane while it is recorded: each piece is in the file before it goes on."""

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from extproc.audit.bodies.address import address_of, name, salt_of
from extproc.audit.bodies.coding import FRAME_BYTES, Coder, salt_frame

# A file of pieces smaller than this, on average, is worth being written anew as fewer frames.
_LOOSE_BYTES = 4096
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class RecordingFailed(Exception):
    """What should be recorded can't be; nothing more of it may go on. The message is for the operator."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where finished bodies go: `folder`, under the key of its addresses. `sync` forces each to the disk."""

    folder: Path
    key: bytes
    sync: bool = False


class LaneWriter:
    """Writes one lane to a file of its own and counts it; keeps the first `most` bytes (all of them with None).

    The file is made with the first byte that is kept. `on_failure` hears why a write failed, which ends the recording.
    """

    __slots__ = (
        *("_coder", "_digest", "_end", "_fd", "_frames", "_most", "_on_failure", "_path"),
        *("bytes", "kept"),
    )

    def __init__(self, path: str, coder: Coder, most: int | None, on_failure: Callable[[str], None]) -> None:
        self._path, self._coder, self._most, self._on_failure = path, coder, most, on_failure
        self._digest = sha256()
        self._fd, self._end, self._frames = -1, 0, 0
        self.bytes = self.kept = 0

    def write(self, data: bytes) -> None:
        """Record a piece that is about to go on. Raises RecordingFailed; the file then is as it was before."""
        room = len(data) if self._most is None else min(len(data), self._most - self.kept)
        if room <= 0:
            self.bytes += len(data)
            return
        try:
            if self._fd < 0:
                self._fd = os.open(self._path, _FLAGS, 0o600)
            if room == len(data) <= FRAME_BYTES:
                self._put(data)
            else:
                view = memoryview(data)[:room]
                for at in range(0, room, FRAME_BYTES):
                    self._put(view[at : at + FRAME_BYTES])
        except OSError as error:
            raise self._failed(error) from error
        self.bytes += len(data) - room

    def finish(self, shelf: Shelf) -> str | None:
        """Put the body on the shelf; returns its address, None where nothing was kept. The file stays as well until
        `settle`, for the record that names it is yet to be written. Raises RecordingFailed; a later call may
        succeed."""
        if not self.kept:
            self.abandon()
            return None
        end = self._end
        digest = self._digest.digest()
        salt = salt_of(shelf.key, digest)
        address = address_of(salt, digest)
        try:
            if self._fd < 0:
                self._fd = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC)
            self._append(salt_frame(salt))
            if shelf.sync:
                os.fdatasync(self._fd)
            self._close()
            self._shelve(shelf, address, salt)
        except OSError as error:
            self._end = end
            self._close()
            raise self._failed(error) from error
        return address

    def settle(self) -> None:
        """The record is written: the file of the lane's own can go. One that can't be removed is salvaged once more."""
        if self.kept:
            self._remove()

    def abandon(self) -> None:
        """Let the file go without a body."""
        if self._fd >= 0:
            self._close()
            self._remove()

    def _remove(self) -> None:
        try:
            os.unlink(self._path)
        except OSError as error:
            self._on_failure(f"{self._path}: {error.strerror}")

    def _put(self, data: bytes | memoryview) -> None:
        self._append(self._coder.frame(data))
        self._digest.update(data)
        self._frames += 1
        self.kept += len(data)
        self.bytes += len(data)

    def _append(self, frame: bytes) -> None:
        try:
            written = os.pwrite(self._fd, frame, self._end)
        except OSError:
            self._cut()
            raise
        if written != len(frame):
            self._cut()
            raise OSError(errno.ENOSPC, f"only {written} of {len(frame)} bytes could be written")
        self._end += written

    def _cut(self) -> None:
        # Where this fails too, what is torn is cut when the file is read.
        try:
            os.ftruncate(self._fd, self._end)
        except OSError:
            return

    def _shelve(self, shelf: Shelf, address: str, salt: bytes) -> None:
        target = f"{shelf.folder}/{name(address)}"
        try:
            os.link(self._path, target)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(target), 0o700, exist_ok=True)
            os.link(self._path, target)
        except FileExistsError:
            # The same content was recorded before. Its time says that it was recorded again: retention reads it.
            if _ends_with(target, salt_frame(salt)):
                os.utime(target)
                return
            # A power cut left a file without its end, for one.
            os.link(self._path, f"{self._path}.again")
            os.rename(f"{self._path}.again", target)
        if self.kept < self._frames * _LOOSE_BYTES and self._frames > 1:
            with open(f"{shelf.folder}/loose/{address}", "wb"):
                pass
        if shelf.sync:
            sync_folder(os.path.dirname(target))

    def _close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _failed(self, error: OSError) -> RecordingFailed:
        why = f"{self._path}: {error.strerror}"
        self._on_failure(why)
        return RecordingFailed(why)


def _ends_with(path: str, end: bytes) -> bool:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.pread(fd, len(end) + 1, max(0, os.fstat(fd).st_size - len(end))) == end
    finally:
        os.close(fd)


def sync_folder(folder: str | Path) -> None:
    """Force a folder's names to the disk. Raises OSError."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
