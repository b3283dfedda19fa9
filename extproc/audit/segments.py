"""A stream's folder: segments named by the byte of the stream at which each begins, and the lock of their writer.

Whoever reads or writes has the folder open, so that one which is moved aside is still read to its end.
"""

import fcntl
import os
import re
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from extproc.audit.frame import HEAD, MAX_PAYLOAD, Fault, FrameError, split

LOCK = "lock"
_NAME = re.compile(r"([0-9]{20})\.segment")
# Bytes read at a time: one record is often all that is wanted, and a long scan wants few calls.
_FIRST_READ, _MOST_READ = 16 << 10, HEAD.size + MAX_PAYLOAD


def name_of(base: int) -> str:
    """The file name of the segment that begins at this byte of its stream."""
    return f"{base:020d}.segment"


def cut_of(offset: int) -> str:
    """The file name of what was cut from the stream at this byte."""
    return f"{offset:020d}.cut"


class Folder:
    """One stream's folder, open. Raises OSError. Offsets are bytes from the start of the stream."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    @classmethod
    def made(cls, path: Path) -> Self:
        """The folder, made if need be. Its name outlives a power cut."""
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        with Folder(path.parent) as above:
            above.sync()
        return cls(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let it go."""
        os.close(self._fd)

    def replaced(self) -> bool:
        """Whether the path names another folder by now."""
        try:
            return not os.path.samestat(os.fstat(self._fd), self.path.stat())
        except FileNotFoundError:
            return False

    def bases(self) -> list[int]:
        """Where the segments begin that are there, ascending."""
        return sorted(int(found[1]) for name in os.listdir(self._fd) if (found := _NAME.fullmatch(name)))

    def file(self, base: int) -> Path:
        """The path of a segment."""
        return self.path / name_of(base)

    def open(self, name: str, flags: int = os.O_RDONLY) -> int:
        """A descriptor of a file in the folder."""
        return os.open(name, flags | os.O_CLOEXEC, 0o600, dir_fd=self._fd)

    def create(self, base: int) -> int:
        """A descriptor of a new, empty segment, whose name outlives a power cut."""
        fd = self.open(name_of(base), os.O_RDWR | os.O_CREAT)
        try:
            if os.fstat(fd).st_size:
                raise OSError(0, "there is a segment already", str(self.file(base)))
            self.sync()
        except BaseException:
            os.close(fd)
            raise
        return fd

    def keep(self, name: str, data: bytes) -> None:
        """Write a file, whole and on the disk."""
        fd = self.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(fd)
        self.sync()

    def replace(self, old: str, new: str) -> None:
        """Give one file the name of another, which is gone then."""
        os.rename(old, new, src_dir_fd=self._fd, dst_dir_fd=self._fd)
        self.sync()

    def remove(self, name: str) -> None:
        """Remove a file."""
        os.unlink(name, dir_fd=self._fd)
        self.sync()

    def sync(self) -> None:
        """Force names that were made to the disk."""
        os.fsync(self._fd)

    def lock(self) -> int:
        """A descriptor that keeps other writers out until it is closed. Raises BlockingIOError where there is one."""
        fd = self.open(LOCK, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def unlock(self, lock: int) -> None:
        """Let other writers in."""
        os.close(lock)

    def end(self) -> int:
        """The byte after the last one that is there."""
        bases = self.bases()
        return bases[-1] + os.stat(name_of(bases[-1]), dir_fd=self._fd).st_size if bases else 0

    def frames(self, offset: int = 0, until: int | None = None) -> Iterator[tuple[int, bytes]]:
        """The offset and payload of each frame from that at `offset`, up to byte `until` or the last whole frame,
        through all segments; from the first that is there, where those before it are retired. Raises FrameError."""
        bases = self.bases()
        if not bases:
            return
        base = bases[max(0, bisect_right(bases, offset) - 1)]
        at = max(base, offset)
        while True:
            fd = self.open(name_of(base))
            try:
                looked = False
                while True:
                    for at, payload in _frames(fd, base, at):  # noqa: B020  # goes on where it stopped
                        if until is not None and at >= until:
                            return
                        yield at, payload
                        at += HEAD.size + len(payload)
                    if until is not None and at >= until:
                        return
                    later = [other for other in self.bases() if other > base]
                    if not later:
                        return
                    if at == later[0]:
                        break
                    if looked:
                        raise _hole(at, later[0], base + os.fstat(fd).st_size)
                    # The next one is made when this one is complete: there may have been more since we came to its end.
                    looked = True
            finally:
                os.close(fd)
            base = later[0]


def _hole(at: int, begins: int, size: int) -> FrameError:
    if at > begins:
        return FrameError(Fault.BAD_LENGTH, at, f"the next segment begins at byte {begins} already")
    if size > at:
        return FrameError(Fault.TORN, at, f"{size - at} bytes that are no whole record, and segments after them")
    return FrameError(Fault.MISSING, at, f"bytes {at} to {begins} of the stream are missing")


def _frames(fd: int, base: int, at: int) -> Iterator[tuple[int, bytes]]:
    """The offset and payload of each whole frame of one segment. Nothing is kept of what is not whole: a torn tail is
    cut and written over."""
    want = _FIRST_READ
    while True:
        data = memoryview(os.pread(fd, want, at - base))
        used = 0
        try:
            while (end := split(data, used)) is not None:
                yield at + used, bytes(data[used + HEAD.size : end])
                used = end
        except FrameError as error:
            raise FrameError(error.fault, at + error.offset, str(error)) from None
        if not used and len(data) < want:
            return
        at += used
        want = min(want * 4, _MOST_READ)
