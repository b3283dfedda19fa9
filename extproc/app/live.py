"""The configuration in a program that goes on while it changes."""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from extproc.app.folder_watch import FolderWatch
from extproc.app.snapshot import Snapshot, read
from extproc.config import Settings
from extproc.domain.target import Target
from extproc.server.kept import keeping

_LOOK_SECONDS = 1.0
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
        self._told = self._snapshot.version
        self._trouble = ""
        self._targets: dict[tuple[str, str], Target] = {}
        self._gone: dict[tuple[str, str], float] = {}
        self._listeners: list[Callable[[Settings], None]] = []
        self._taken: Callable[[], None] = lambda: None
        self._take(self._snapshot)

    @property
    def settings(self) -> Settings:
        """The configuration in force."""
        return self._snapshot.settings

    @property
    def version(self) -> str:
        """The version of the snapshot that everybody here has taken."""
        return self._told

    def target(self, name: str, revision: str) -> Target | None:
        """The target of this name in this revision, if it is in force or was within the last ten minutes."""
        return self._targets.get((name, revision))

    def on_change(self, told: Callable[[Settings], None]) -> None:
        """Have a function called, on the event loop, with each configuration that comes into force from now on. One
        that fails is called again, and so are the others with it."""
        self._listeners.append(told)

    def on_taken(self, told: Callable[[], None]) -> None:
        """Have a function called once everybody here has taken another version."""
        self._taken = told

    def following(self) -> AbstractAsyncContextManager[None]:
        """Follow changes for as long as the context lasts."""
        return keeping(self._follow)

    async def look(self) -> None:
        """Take what is published now, if it is another than we have. What fails, in part or whole, is tried again with
        the next look, and until it is done the version stays what it was."""
        self._forget()
        seen = self._stamp()
        if seen == self._seen:
            return
        try:
            # Off the loop: a large configuration takes longer than a request should wait.
            taken = await asyncio.to_thread(read, self._path)
            if {self._snapshot.version, self._told} != {taken.version}:
                self._take(taken)
                self._tell(taken.settings)
                self._told = taken.version
                self._taken()
                _log.info("configuration taken", extra={"version": taken.version})
        except Exception as error:
            # Memory or descriptors that are short for a moment, or a file that `up` did not write: what could not be
            # taken is not claimed, and whoever waits for us learns so.
            if self._trouble != repr(error):
                self._trouble = repr(error)
                _log.exception("the configuration can't be taken, which is tried again")
            return
        self._seen, self._trouble = seen, ""

    async def _follow(self) -> None:
        async with FolderWatch() as folder:
            while True:
                folder.watch([self._path.parent])
                await self.look()
                await folder.wait(_LOOK_SECONDS)

    def _tell(self, settings: Settings) -> None:
        """Tell everybody, also after one has failed. Raises what the first that failed raised."""
        faults = []
        for told in self._listeners:
            try:
                told(settings)
            except Exception as error:
                faults.append(error)
        if faults:
            raise faults[0]

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
