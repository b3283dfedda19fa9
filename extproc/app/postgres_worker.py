"""The program that serves databases: one process, one event loop, one unix socket that Envoy hands connections over
on."""

import asyncio
import gc
from collections.abc import Callable

from extproc.app.databases import LiveDatabases
from extproc.app.deciding import Deciding, deciding
from extproc.app.layout import Layout
from extproc.app.program import Beat, Main
from extproc.config import Settings
from extproc.server.terminator.databases import Databases
from extproc.server.terminator.front import Terminator, serve

Make = Callable[[Settings, Deciding, Databases], Terminator]
"""Makes what serves the connections, from the settings that it was started with (`listen` does not change while it
runs), what decides, and the databases that there are."""


def main_of(settings: Settings, index: int, make: Make) -> Main:
    """What it does."""

    async def main(stop: asyncio.Event, beat: Beat) -> None:
        async with deciding(settings, f"postgres-{index}") as all_of_it:
            live = all_of_it.live
            terminator = make(settings, all_of_it, LiveDatabases(live))
            beat.follow(live)
            socket = Layout(settings.state).postgres_socket(index)
            # The tree of a long statement is hundreds of thousands of objects, and no cycle: looking through all of
            # them again and again while they are made would take most of the time, and hold all sessions up.
            gc.freeze()
            gc.set_threshold(200_000, 20, 100)
            await serve(terminator, all_of_it.gate, all_of_it.exchanges, socket, stop)

    return main
