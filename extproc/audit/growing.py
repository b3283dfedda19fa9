"""The segment that is being written: one file, under its writer's hands, and what is done when the disk fails it."""

import errno
import os
from contextlib import suppress
from pathlib import Path

from extproc.audit.frame import HEAD, split


class Growing:
    """An open segment; offsets are bytes of the stream, `base` the one at which it begins. Every method but `close`
    raises OSError."""

    def __init__(self, fd: int, path: Path, base: int) -> None:
        self.base = base
        self._fd, self._path = fd, path

    @classmethod
    def there(cls, path: Path, base: int) -> "Growing":
        """A segment that exists already."""
        return cls(os.open(path, os.O_RDWR | os.O_CLOEXEC), path, base)

    def write(self, data: bytes, at: int) -> None:
        """All of it or an error; what an error leaves is to be cut. At its place and not at the end of the file, so
        that what could not be cut is written over."""
        written = os.pwrite(self._fd, data, at - self.base)
        if written != len(data):
            raise OSError(errno.ENOSPC, f"only {written} of {len(data)} bytes could be written")

    def cut(self, at: int) -> None:
        """Nothing stands after this byte any more."""
        os.ftruncate(self._fd, at - self.base)

    def sync(self) -> None:
        """Force it to the disk, and make sure that its name still leads to it: else its records would be lost."""
        os.fdatasync(self._fd)
        if not os.path.samestat(os.fstat(self._fd), os.stat(self._path)):
            raise OSError(errno.ESTALE, "the file was replaced under its writer")

    def mend(self, start: int, end: int) -> None:
        """Have the file in hand, cut after `end`, with the frames from `start` on the disk. Raises FrameError too.

        After a failed fsync the kernel may call pages clean that never reached the disk, so that syncing again proves
        nothing: what was not synced before is checked, written again and synced."""
        self._take_again(end)
        self.cut(end)
        at = start - self.base
        while at < end - self.base:
            frame = os.pread(self._fd, HEAD.size, at)
            if len(frame) == HEAD.size:
                frame += os.pread(self._fd, HEAD.unpack(frame)[0], at + HEAD.size)
            length = split(frame, 0)
            if length is None:
                raise OSError(errno.EIO, f"records after byte {self.base + at} are gone")
            os.pwrite(self._fd, frame, at)
            at += length
        self.sync()

    def close(self) -> None:
        """Let it go."""
        # Where others closed it there is nothing left to do.
        with suppress(OSError):
            os.close(self._fd)

    def _take_again(self, end: int) -> None:
        """Where the descriptor was closed by others, or names another file by now: open the file again."""
        try:
            if os.path.samestat(os.fstat(self._fd), os.stat(self._path)):
                return
        except OSError:
            # Which of the two failed, opening tells.
            pass
        fd = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        if os.fstat(fd).st_size < end - self.base:
            os.close(fd)
            raise OSError(errno.ESTALE, "shorter than what was written to it")
        self._fd = fd
