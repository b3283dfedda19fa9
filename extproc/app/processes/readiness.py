"""Readiness: whether the parts of a gateway serve."""

import contextlib
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from extproc.app import probe
from extproc.app.engine import engine_token
from extproc.app.layout import Layout
from extproc.app.programs import HELPERS, database_workers, workers
from extproc.config import Settings

Check = Callable[[], Awaitable[None]]


def checks(settings: Settings) -> dict[str, Check]:
    """A check for each part that has to run before the gateway is ready, by the part's name."""
    layout = Layout(settings.state)
    found: dict[str, Check] = {}
    if settings.listen.managed:
        found["envoy"] = partial(_status, layout.envoy_admin, "GET /ready", None, 200)
    if settings.policy.managed:
        found["opa"] = partial(_status, layout.opa_socket, "GET /health", engine_token(settings), 200)
    helpers = (name for name in HELPERS if name != "control")
    for name in (*workers(settings), *database_workers(settings), *helpers):
        found[name] = partial(_beats, layout.beat(name))
    return found


class NotReady(Exception):
    """A part does not serve; the message says how that was seen."""


async def _status(socket: Path, request: str, token: str | None, expected: int) -> None:
    with contextlib.suppress(OSError, ValueError):
        if await probe.http(socket, request, token) == expected:
            return
    raise NotReady("does not answer")


async def _beats(beat: Path) -> None:
    if not probe.beats(beat):
        raise NotReady("its event loop does not run")
