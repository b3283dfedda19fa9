"""How a program of ours runs: its log, its heartbeat, and how it is told to stop."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop

from extproc.app import logs
from extproc.server.kept import keeping


@dataclass
class Beat:
    """What a program says twice a second, while its event loop runs: the version of the configuration that it has, once
    it has opened all that it needs."""

    file: Path
    version: Callable[[], str] = lambda: ""

    async def beat(self) -> None:
        """Until cancelled."""
        while True:
            # A file system that the journal is on as well: a few microseconds.
            self.file.write_text(self.version(), "ascii")
            await asyncio.sleep(0.5)


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
