"""How a program of ours runs: its log, its heartbeat, and how it is told to stop."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import uvloop

from extproc.app import logs
from extproc.server.kept import keeping

_BEAT_SECONDS = 0.5


class Followed(Protocol):
    """A configuration that changes; see `live.Live`."""

    @property
    def version(self) -> str:
        """The version that this program has taken."""
        ...

    def on_taken(self, told: Callable[[], None]) -> None:
        """Have a function called when that is another one."""
        ...


@dataclass
class Beat:
    """What a program says twice a second, while its event loop runs: the version of the configuration that it has, once
    it has opened all that it needs."""

    file: Path
    version: Callable[[], str] = lambda: ""
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def follow(self, live: Followed) -> None:
        """Say from now on which version this has, and at once when it has another."""
        self.version = lambda: live.version
        live.on_taken(self._changed.set)
        self._changed.set()

    async def beat(self) -> None:
        """Until cancelled."""
        while True:
            self._changed.clear()
            # A file system that the journal is on as well: a few microseconds.
            self.file.write_text(self.version(), "ascii")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_BEAT_SECONDS):
                    await self._changed.wait()


Main = Callable[[asyncio.Event, Beat], Coroutine[Any, Any, None]]
"""A program: runs until the event is set."""


_SWITCH_SECONDS = 0.0005
"""For how long a thread at heavy work keeps the interpreter from the event loop: each wait of an exchange may cost as
much, and it has a dozen."""


def run(main: Main, beat: Path) -> None:
    """Run a program until it is told to stop."""
    logs.configure()
    os.umask(0o077)
    sys.setswitchinterval(_SWITCH_SECONDS)
    uvloop.run(_until_told(main, Beat(beat)))


def reserve(folder: Path) -> None:
    """Have the disk's blocks for this process's figures now. They are mapped into memory, and a page that a full disk
    can't give kills the process. Raises OSError where there is no room."""
    for file in folder.glob(f"*_{os.getpid()}.db"):
        with file.open("r+b") as opened:
            os.posix_fallocate(opened.fileno(), 0, file.stat().st_size)


async def _until_told(main: Main, beat: Beat) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        async with keeping(beat.beat):
            await main(stop, beat)
    finally:
        beat.file.unlink(missing_ok=True)
