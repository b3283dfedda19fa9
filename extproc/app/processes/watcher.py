"""The watcher: figures of the trail for history and metrics."""

import asyncio
import gc

from extproc.adapters.signals import run_watcher
from extproc.adapters.signals_metrics import SignalMetrics
from extproc.app.layout import Layout
from extproc.app.program import Beat, Main, reserve
from extproc.app.program import run as run_program
from extproc.config import Settings


def run(settings: Settings, _: int) -> None:
    """Run it until it is told to stop."""
    run_program(_main(settings), Layout(settings.state).beat("watcher"))


def _main(settings: Settings) -> Main:
    async def main(stop: asyncio.Event, _: Beat) -> None:
        # Millions of small figures that live long: looking through them for cycles is what would take the time.
        gc.set_threshold(200_000, 20, 1000)
        figures = SignalMetrics()
        reserve(Layout(settings.state).metrics)
        await run_watcher(settings.state, stop, metrics=figures)

    return main
