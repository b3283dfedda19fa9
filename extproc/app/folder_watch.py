"""Waiting for changes in folders, by Linux's inotify."""

import asyncio
import ctypes
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Self

# <sys/inotify.h>
_ATTRIB, _CLOSE_WRITE, _MOVED, _CREATE, _DELETE = 0x4, 0x8, 0x40 | 0x80, 0x100, 0x200
_ONLYDIR = 0x01000000
_EVENTS = _ATTRIB | _CLOSE_WRITE | _MOVED | _CREATE | _DELETE | _ONLYDIR
_READ_BYTES = 64 * 1024


class FolderWatch:
    """Wakes its one waiter when an entry of a folder was written, renamed, removed or given another mode. Belongs to
    one event loop. Where the kernel gives no watch (none left, another system), waiting ends with its time alone."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()
        self._folders: dict[Path, int] = {}
        self._descriptor: int | None = None

    async def __aenter__(self) -> Self:
        with suppress(OSError, AttributeError):
            self._libc = ctypes.CDLL(None, use_errno=True)
            found = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
            if found >= 0:
                self._descriptor = found
                asyncio.get_running_loop().add_reader(found, self._read, found)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._descriptor is not None:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None

    def watch(self, folders: Iterable[Path]) -> None:
        """Watch these folders and no others from now on. One that is not there is not watched until this is called
        again."""
        if self._descriptor is None:
            return
        wanted = set(folders)
        for folder in self._folders.keys() - wanted:
            self._libc.inotify_rm_watch(self._descriptor, self._folders.pop(folder))
        for folder in wanted:
            # For a folder that is watched already this does nothing, and one that was replaced is another.
            watch = self._libc.inotify_add_watch(self._descriptor, os.fsencode(folder), _EVENTS)
            if watch >= 0:
                self._folders[folder] = watch

    async def wait(self, seconds: float) -> None:
        """Until something changed since the last call, for so long at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        self._changed.clear()

    def _read(self, descriptor: int) -> None:
        with suppress(BlockingIOError):
            while os.read(descriptor, _READ_BYTES):
                self._changed.set()
