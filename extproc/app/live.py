"""The configuration in a program that goes on while it changes."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from extproc.app.layout import StateUnusable
from extproc.app.snapshot import Snapshot, read
from extproc.config import Settings
from extproc.domain.target import Target

_LOOK_SECONDS = 0.2
KEPT_SECONDS = 600.0
"""How long a target that is gone or changed is still known: Envoy's threads take a new configuration one after the
other, and what they sent by the old one must meet the target that it was meant for."""

_log = logging.getLogger("holdpoint.config")
_Stamp = tuple[int, int, int]


class Live:
    """The published snapshot, as it is now. Belongs to one event loop; what it gives is frozen.

    Raises StateUnusable where there is none to start with."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path, self._clock = path, clock
        self._seen = self._stamp()
        self._snapshot = read(path)
        self._targets: dict[tuple[str, str], Target] = {}
        self._gone: dict[tuple[str, str], float] = {}
        self._listeners: list[Callable[[Settings], None]] = []
        self._take(self._snapshot)

    @property
    def settings(self) -> Settings:
        """The configuration in force."""
        return self._snapshot.settings

    @property
    def version(self) -> str:
        """The snapshot's version."""
        return self._snapshot.version

    def target(self, name: str, revision: str) -> Target | None:
        """The target of this name in this revision, if it is in force or was within the last ten minutes."""
        return self._targets.get((name, revision))

    def on_change(self, told: Callable[[Settings], None]) -> None:
        """Have a function called, on the event loop, with each configuration that comes into force from now on."""
        self._listeners.append(told)

    @contextlib.asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Follow changes for as long as the context lasts."""
        task = asyncio.create_task(self._follow())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def look(self) -> None:
        """Take what is published now, if it is another than we have."""
        self._forget()
        seen = self._stamp()
        if seen == self._seen:
            return
        self._seen = seen
        try:
            # Off the loop: a large configuration takes longer than a request should wait.
            taken = await asyncio.to_thread(read, self._path)
        except StateUnusable as error:
            # What `up` publishes can be read. Whoever else wrote it, what we have stays in force.
            _log.error("%s", error)
            return
        if taken.version != self._snapshot.version:
            self._take(taken)
            _log.info("configuration taken", extra={"version": taken.version})
            for told in self._listeners:
                told(taken.settings)

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            await self.look()

    def _take(self, taken: Snapshot) -> None:
        self._snapshot = taken
        current = {(t.name, t.revision): t.target for t in taken.settings.targets}
        for key in self._targets.keys() - current.keys():
            self._gone.setdefault(key, self._clock() + KEPT_SECONDS)
        for key in current:
            self._gone.pop(key, None)
        self._targets |= current

    def _forget(self) -> None:
        now = self._clock()
        for key in [key for key, until in self._gone.items() if until <= now]:
            del self._gone[key], self._targets[key]

    def _stamp(self) -> _Stamp:
        try:
            found = self._path.stat()
        except OSError:
            return (0, 0, 0)
        return (found.st_ino, found.st_mtime_ns, found.st_size)
