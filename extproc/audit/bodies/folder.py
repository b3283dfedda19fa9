"""The bodies in the state folder: read, listed, deleted."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from extproc.audit.bodies.address import SUFFIX, address_of, is_address, place
from extproc.audit.bodies.coding import Decoding, Malformed
from extproc.audit.bodies.writer import sync_folder


class BodyUnreadable(Exception):
    """A body can't be had. The message names it and says why."""


class BodyMissing(BodyUnreadable):
    """There is no such body."""


class BodyDamaged(BodyUnreadable):
    """What is there is not what was recorded."""


class BodyFolder:
    """Bodies by their address; `path` need not exist yet. Every method raises ValueError for what is no address."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def open(self, address: str) -> Iterator[bytes]:
        """The content in pieces of at most 64 KiB. Raises BodyMissing with the first one, BodyDamaged at the end at the
        latest: what was given before is then not to be believed. Raises OSError."""
        where = place(self.path, address)
        try:
            file = where.open("rb", buffering=0)
        except FileNotFoundError:
            raise BodyMissing(f"body {address}: not in {self.path}") from None
        with file:
            yield from verified(address, file.read)

    def exists(self, address: str) -> bool:
        """Whether there is a file for it."""
        return place(self.path, address).exists()

    def size(self, address: str) -> int:
        """Bytes on the disk. Raises BodyMissing."""
        return self._stat(address).st_size

    def recorded(self, address: str) -> float:
        """When it was last recorded, in seconds since the epoch. Raises BodyMissing."""
        return self._stat(address).st_mtime

    def list(self) -> Iterator[str]:
        """The addresses of all bodies, ascending."""
        for first in _names(self.path):
            if len(first) == 2:
                for name in _names(self.path / first):
                    if name.endswith(SUFFIX) and is_address(address := name.removesuffix(SUFFIX)):
                        yield address

    def delete(self, address: str, unless_since: float | None = None) -> bool:
        """Remove a body for good; its name is gone from the disk on return. False where there is none, or where it was
        recorded again at `unless_since` (seconds since the epoch) or later. Raises OSError."""
        where = place(self.path, address)
        aside = where.with_name(f".{where.name}")

        def recent(file: Path) -> bool:
            return unless_since is not None and file.stat().st_mtime >= unless_since

        with changing(self.path):
            try:
                if recent(where):
                    return False
                # Aside first: whoever records the same content now finds none, and stores it anew.
                os.rename(where, aside)
            except FileNotFoundError:
                if not aside.exists():
                    return False
                # A deletion that a crash cut short.
            kept = recent(aside)
            if kept:
                with suppress(FileExistsError):
                    os.link(aside, where)
            os.unlink(aside)
            sync_folder(where.parent)
        return not kept

    def _stat(self, address: str) -> os.stat_result:
        try:
            return place(self.path, address).stat()
        except FileNotFoundError:
            raise BodyMissing(f"body {address}: not in {self.path}") from None


@contextmanager
def changing(folder: Path) -> Iterator[None]:
    """Alone among those who delete bodies or write them anew: what one deletes, another must not bring back."""
    fd = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def verified(address: str, read: Callable[[int], bytes]) -> Iterator[bytes]:
    """The content of a body's file, got with `read`, in pieces and held against its address. Raises BodyDamaged, at the
    end at the latest."""
    decoding, digest = Decoding(read), sha256()
    try:
        for piece in decoding.content():
            digest.update(piece)
            yield piece
    except Malformed as error:
        raise BodyDamaged(f"body {address}: {error}") from None
    found = address_of(decoding.salt or b"", digest.digest())
    if found != address:
        raise BodyDamaged(f"body {address}: its content is that of {found}")


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
