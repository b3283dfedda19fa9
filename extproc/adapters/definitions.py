"""What sessions tell one another of changed tables, over all workers: a few numbers in a file that all of them map.

A worker has two numbers of its own in it: how many changes are under way in its sessions, and how many are done. It
alone writes them, in this order: under way, the change itself, done, no longer under way. So whoever reads none under
way, and the same numbers done as before, has seen no change begin or end in between.
"""

import mmap
import os
import struct
import time
from collections.abc import Callable
from pathlib import Path

from extproc.protocols.postgres.definitions import BELIEVED_SECONDS

_NUMBER = struct.Struct("=Q")
_WORKERS = 256
_HALF = _NUMBER.size * _WORKERS
"""Bytes of the numbers of changes under way, which stand before those of changes done."""
_NONE = bytes(_HALF)


class Board:
    """protocols.postgres.definitions.Definitions of worker `index`. `clock` gives seconds. Raises OSError where the
    file can't be had whole: a page of it that a full disk can't give would kill the process."""

    def __init__(self, file: Path, index: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._at = index % _WORKERS * _NUMBER.size
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, 2 * _HALF)
            self._map = mmap.mmap(descriptor, 2 * _HALF)
        finally:
            os.close(descriptor)
        # What the last life of this worker had under way ended with it.
        self._under_way = 0
        self._done = _NUMBER.unpack_from(self._map, _HALF + self._at)[0]
        self.end()

    def mark(self, seconds: float = BELIEVED_SECONDS) -> object | None:
        """See Definitions."""
        if self._map[:_HALF] != _NONE:
            return None
        return self._map[_HALF:], self._clock() // seconds

    def begin(self) -> None:
        """See Definitions."""
        self._under_way += 1
        self._write()

    def end(self) -> None:
        """See Definitions."""
        self._done += 1
        _NUMBER.pack_into(self._map, _HALF + self._at, self._done)
        self._under_way = max(self._under_way - 1, 0)
        self._write()

    def _write(self) -> None:
        _NUMBER.pack_into(self._map, self._at, self._under_way)
