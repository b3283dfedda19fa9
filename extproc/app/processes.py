"""The processes that `up` starts, each put together here: worker, control, shipper."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import uvloop

from extproc.adapters.holds import SqliteHolds
from extproc.adapters.identity import ApproverProvider, Approvers
from extproc.adapters.otel import run_shipper
from extproc.app import logs, probe
from extproc.app.engine import engine, engine_token
from extproc.app.layout import Layout
from extproc.app.redaction import redact_record
from extproc.approvals.service import Holds
from extproc.audit.journal import FileJournal
from extproc.config import Settings
from extproc.console.control import ControlSettings, run_control
from extproc.masking.build import warm
from extproc.server.claims import ClaimRules
from extproc.server.ext_proc import Service
from extproc.server.gate import Gate
from extproc.server.metrics import Metrics, ShipperMetrics
from extproc.server.worker import serve, thread_pool

Check = Callable[[], Awaitable[None]]


def journal(settings: Settings, stream: str) -> FileJournal:
    """This process's own stream of the journal. Raises JournalUnwritable."""
    layout = Layout(settings.state)
    return FileJournal(
        layout.journal_of(stream), stream, sync_seconds=settings.audit.sync_seconds, redact=redact_record
    )


def worker(settings: Settings, index: int) -> None:
    """Run one worker until it is told to stop."""
    _run(_worker(settings, index), Layout(settings.state).beat(f"worker-{index}"))


def control(settings: Settings) -> None:
    """Run the control process until it is told to stop."""
    _run(_control(settings), Layout(settings.state).beat("control"))


def shipper(settings: Settings) -> None:
    """Run the shipper until it is told to stop."""
    _run(_shipper(settings), Layout(settings.state).beat("shipper"))


Main = Callable[[asyncio.Event], Coroutine[Any, Any, None]]


def _run(main: Main, beat: Path) -> None:
    logs.configure()
    os.umask(0o077)
    uvloop.run(_until_told(main, beat))


async def _until_told(main: Main, beat: Path) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    beating = asyncio.create_task(_beat(beat))
    try:
        await main(stop)
    finally:
        beating.cancel()
        beat.unlink(missing_ok=True)  # noqa: ASYNC240 - the loop ends here


async def _beat(file: Path) -> None:
    while True:
        file.touch()  # noqa: ASYNC240 - one system call, on a file system that the journal is on as well
        await asyncio.sleep(0.5)


def _reserve(folder: Path) -> None:
    """Have the disk's blocks for this process's figures now. They are mapped into memory, and a page that a full disk
    can't give kills the process. Raises OSError where there is no room."""
    for file in folder.glob(f"*_{os.getpid()}.db"):
        with file.open("r+b") as opened:
            os.posix_fallocate(opened.fileno(), 0, file.stat().st_size)


def _worker(settings: Settings, index: int) -> Main:
    async def main(stop: asyncio.Event) -> None:
        layout = Layout(settings.state)
        warm()
        store = await SqliteHolds.open(layout.holds)
        written = journal(settings, f"worker-{index}")
        policy = engine(settings)
        try:
            gate = Gate(policy, Holds(store), written, Metrics())
            _reserve(layout.metrics)
            service = Service(
                gate,
                {t.name: t.target for t in settings.targets},
                {(a.issuer, a.audience): ClaimRules(a.kind, a.groups_claim) for a in settings.identity.agents},
                layout.read_digest_key(),
                os.environ.get("HOLDPOINT_EPOCH", ""),
                thread_pool(),
            )
            await serve(service, layout.worker_socket(index), stop)
        finally:
            policy.close()
            await store.close()
            written.close()

    return main


def _control(settings: Settings) -> Main:
    async def main(stop: asyncio.Event) -> None:
        layout = Layout(settings.state)
        store = await SqliteHolds.open(layout.holds)
        written = journal(settings, "control")
        approvers = Approvers(
            [
                ApproverProvider(a.issuer, a.audience, str(a.jwks), a.groups_claim, a.ca)
                for a in settings.identity.approvers
            ],
            [a.audience for a in settings.identity.agents],
        )
        address = settings.listen.ops
        where = ControlSettings(settings.listen.control, (address.host, address.port), layout.metrics)
        try:
            await run_control(where, Holds(store), approvers, written, checks(settings), stop)
        finally:
            await store.close()
            written.close()

    return main


def _shipper(settings: Settings) -> Main:
    async def main(stop: asyncio.Event) -> None:
        otlp = str(settings.audit.otlp) if settings.audit.otlp else None
        figures = ShipperMetrics()
        _reserve(Layout(settings.state).metrics)
        await run_shipper(
            settings.state,
            otlp,
            stop,
            redact=redact_record,
            sync_seconds=settings.audit.sync_seconds,
            on_lag=lambda lag: figures.lag(lag.bytes, lag.seconds),
            on_alarm=figures.alarm,
        )

    return main


def checks(settings: Settings) -> dict[str, Check]:
    """What must serve before agents can be served, by name."""
    layout = Layout(settings.state)
    found: dict[str, Check] = {"envoy": partial(_status, layout.envoy_admin, "GET /ready", None, 200)}
    if settings.policy.managed:
        found["opa"] = partial(_status, layout.opa_socket, "GET /health", engine_token(settings), 200)
    for index in range(settings.workers):
        found[f"worker-{index}"] = partial(_beats, layout.beat(f"worker-{index}"))
    found["shipper"] = partial(_beats, layout.beat("shipper"))
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
