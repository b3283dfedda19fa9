"""A worker: answers Envoy's questions about HTTP."""

import asyncio

from extproc.app.deciding import deciding
from extproc.app.layout import Layout
from extproc.app.program import Beat, Main
from extproc.app.program import run as run_program
from extproc.config import Settings
from extproc.server.caps import Knocks
from extproc.server.entrance import Entrance
from extproc.server.ext_proc import Service
from extproc.server.tickets import Tickets
from extproc.server.upkeep import thread_pool
from extproc.server.worker import serve


def run(settings: Settings, index: int) -> None:
    """Run one worker until it is told to stop."""
    run_program(_main(settings, index), Layout(settings.state).beat(f"worker-{index}"))


def _main(settings: Settings, index: int) -> Main:
    async def main(stop: asyncio.Event, beat: Beat) -> None:
        layout, name = Layout(settings.state), f"worker-{index}"
        async with deciding(settings, name) as all_of_it:
            live, known = all_of_it.live, all_of_it.known
            service = Service(
                all_of_it.gate,
                live,
                Entrance(all_of_it.doorkeeper, Knocks()),
                Tickets(all_of_it.digest_key),
                all_of_it.exchanges,
                all_of_it.caps,
                lambda: known.now,
                all_of_it.digest_key,
                all_of_it.epoch,
                thread_pool(),
                all_of_it.turns,
            )
            beat.follow(live)
            await serve(service, layout.worker_socket(index), stop)

    return main
