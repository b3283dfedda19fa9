"""A worker that serves databases."""

from functools import partial

from extproc.app.layout import Layout
from extproc.app.postgres_terminator import terminator
from extproc.app.postgres_worker import main_of
from extproc.app.program import run as run_program
from extproc.config import Settings


def run(settings: Settings, index: int) -> None:
    """Run one worker until it is told to stop."""
    run_program(main_of(settings, index, partial(terminator, index)), Layout(settings.state).beat(f"postgres-{index}"))
