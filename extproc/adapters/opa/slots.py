"""Slots for heavy work, evaluations of policy above all, shared by all workers of a gateway.

A principal belongs to one slot, by a hash, and one evaluation has a slot at a time. So a principal has at most one
heavy evaluation under way over all workers, and no more of them run together than there are slots. Within a worker the
principals of a slot take turns, and so do the workers. Slots are locks of files: a worker that dies gives up what it
has.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

from extproc.adapters.opa.places import Places


class Slots:
    """Used from one event loop. `folder` is where the workers of the gateway have their locks; without one the slots
    are this worker's own. Raises OSError where the files can't be had."""

    def __init__(self, folder: Path | None, count: int | None = None) -> None:
        # Half of the cores are always left for what is light.
        count = count or max(1, (os.cpu_count() or 1) // 2)
        self._slots = [_Slot(None if folder is None else folder / f"heavy-{number}") for number in range(count)]

    async def take(self, principal: str) -> Callable[[], None]:
        """Wait for the principal's slot; what it returns is called, once, to give it back. Cancelled it has none."""
        digest = hashlib.blake2b(principal.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        slot = self._slots[int.from_bytes(digest, "big") % len(self._slots)]
        await slot.take(principal)
        return lambda: slot.give_back(principal)

    def close(self) -> None:
        """Give up what this worker has, and wait for nothing any more."""
        for slot in self._slots:
            slot.close()


class _Slot:
    def __init__(self, file: Path | None) -> None:
        self._here = Places(1, 1)
        self._lock = None if file is None else _FileLock(file)

    async def take(self, principal: str) -> None:
        await self._here.take(principal)
        if self._lock is None:
            return
        try:
            await self._lock.acquire()
        except BaseException:
            self._here.give_back(principal)
            raise

    def give_back(self, principal: str) -> None:
        if self._lock is not None:
            self._lock.release()
        self._here.give_back(principal)

    def close(self) -> None:
        if self._lock is not None:
            self._lock.close()


class _FileLock:
    """A lock that workers take in turn; of each worker at most one caller has it or waits for it.

    Two files: who has `next` is the one to get the lock when it is free. Without it a worker that gives the lock back
    and wants it again at once would have it before those that were asleep.
    """

    def __init__(self, file: Path) -> None:
        with contextlib.ExitStack() as opened:
            self._next = _open(file.with_name(f"{file.name}.next"), opened)
            self._now = _open(file.with_name(f"{file.name}.now"), opened)
            self._files = opened.pop_all()
        # A thread waits for the lock, which can't be interrupted; the future is done when it has it.
        self._awaited: asyncio.Future[None] | None = None
        self._wanted = False

    async def acquire(self) -> None:
        """Wait for the lock. Cancelled, it is given back as soon as it comes, or given to the next caller.

        Raises OSError where no thread can be had."""
        if self._awaited is None:
            if _locked(self._next) and _locked(self._now):
                fcntl.flock(self._next, fcntl.LOCK_UN)
                return
            loop = asyncio.get_running_loop()
            self._awaited = loop.create_future()
            try:
                threading.Thread(target=self._wait, args=(loop,), name="holdpoint-slot", daemon=True).start()
            except RuntimeError as error:
                # Nobody waits for the lock then, here or in the line before it; the next caller tries again.
                self._awaited = None
                fcntl.flock(self._next, fcntl.LOCK_UN)
                raise OSError("no thread to wait for a slot") from error
        self._wanted = True
        awaited = self._awaited
        try:
            await asyncio.shield(awaited)
        except asyncio.CancelledError:
            self._wanted = False
            if awaited.done():
                self._awaited = None
                self.release()
            raise
        self._awaited = None

    def release(self) -> None:
        """Give the lock back."""
        fcntl.flock(self._now, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the files, and so give up what they lock, unless a thread still waits: that ends with the process."""
        if self._awaited is None:
            self._files.close()

    def _wait(self, loop: asyncio.AbstractEventLoop) -> None:
        fcntl.flock(self._next, fcntl.LOCK_EX)
        fcntl.flock(self._now, fcntl.LOCK_EX)
        fcntl.flock(self._next, fcntl.LOCK_UN)
        with contextlib.suppress(RuntimeError):  # The loop is closed: the process ends, and its locks with it.
            loop.call_soon_threadsafe(self._acquired)

    def _acquired(self) -> None:
        awaited = self._awaited
        if self._wanted and awaited is not None and not awaited.done():
            awaited.set_result(None)
        else:
            self._awaited = None
            self.release()


def _open(file: Path, opened: contextlib.ExitStack) -> int:
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    opened.callback(os.close, descriptor)
    return descriptor


def _locked(descriptor: int) -> bool:
    """Take the lock of a file, unless another one has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
