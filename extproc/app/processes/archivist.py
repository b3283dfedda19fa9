"""The archivist: index, retention, checkpoints and evidence."""

import asyncio

from extproc.app.archivist import run_archivist
from extproc.app.journals import journal
from extproc.app.knowledge import Known, following
from extproc.app.layout import Layout
from extproc.app.live import Live
from extproc.app.program import Beat, Main, reserve
from extproc.app.program import run as run_program
from extproc.app.snapshot import active
from extproc.config import Settings
from extproc.server.metrics import ArchivistMetrics


def run(settings: Settings, _: int) -> None:
    """Run it until it is told to stop."""
    run_program(_main(settings), Layout(settings.state).beat("archivist"))


def _main(settings: Settings) -> Main:
    async def main(stop: asyncio.Event, beat: Beat) -> None:
        layout = Layout(settings.state)
        live = Live(active(layout))
        known = Known(layout)
        async with following(known), live.following():
            written = journal(settings, "archivist", known)
            try:
                figures = ArchivistMetrics()
                reserve(layout.metrics)
                beat.follow(live)
                await run_archivist(live, written, layout.signer(), figures, stop)
            finally:
                written.close()

    return main
