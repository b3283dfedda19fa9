"""The shipper: sends the trail to a collector."""

import asyncio

from extproc.adapters.otel import run_shipper
from extproc.app.journals import journal
from extproc.app.knowledge import Known, following
from extproc.app.layout import Layout
from extproc.app.program import Beat, Main, reserve
from extproc.app.program import run as run_program
from extproc.config import Settings
from extproc.server.metrics import ShipperMetrics


def run(settings: Settings, _: int) -> None:
    """Run it until it is told to stop."""
    run_program(_main(settings), Layout(settings.state).beat("shipper"))


def _main(settings: Settings) -> Main:
    async def main(stop: asyncio.Event, _: Beat) -> None:
        otlp = str(settings.audit.otlp) if settings.audit.otlp else None
        figures = ShipperMetrics()
        layout = Layout(settings.state)
        reserve(layout.metrics)
        known = Known(layout)
        async with following(known):
            await run_shipper(
                settings.state,
                otlp,
                stop,
                open_journal=lambda _: journal(settings, "gateway", known),
                on_lag=lambda lag: figures.lag(lag.bytes, lag.seconds),
                on_alarm=figures.alarm,
                on_step=lambda step: figures.exported(step.spans, step.sent),
            )

    return main
