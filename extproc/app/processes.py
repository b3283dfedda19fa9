"""The processes that `up` starts, each put together here: worker, control, watcher, shipper, archivist."""

import asyncio
import contextlib
import gc
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from extproc.access import answers
from extproc.access.passwords import Passwords
from extproc.access.service import Access
from extproc.adapters.access import AccessList, SqliteAccess
from extproc.adapters.access_keys import read_private_key
from extproc.adapters.holds import SqliteHolds
from extproc.adapters.identity import issue, issuer_of
from extproc.adapters.otel import run_shipper
from extproc.adapters.signals import run_watcher
from extproc.adapters.signals_metrics import SignalMetrics
from extproc.app import probe
from extproc.app.archivist import run_archivist
from extproc.app.deciding import deciding
from extproc.app.engine import engine_token
from extproc.app.identities import Agents, Doorkeeper, People
from extproc.app.journals import journal
from extproc.app.knowledge import Known, following
from extproc.app.layout import Layout
from extproc.app.live import Live
from extproc.app.program import Beat, Main, reserve, run
from extproc.app.programs import HELPERS, database_workers, workers
from extproc.app.snapshot import active
from extproc.app.targets import Targets
from extproc.app.trail import trail
from extproc.approvals.service import Holds
from extproc.config import Settings
from extproc.console.admin import Administration
from extproc.console.control import ControlSettings, run_control
from extproc.console.freezes import cancel_frozen
from extproc.console.freezes import routes as freeze_routes
from extproc.console.passwords import PasswordDesk
from extproc.console.targets import routes as target_routes
from extproc.console.tokens import routes as token_routes
from extproc.server.caps import Knocks
from extproc.server.entrance import Entrance
from extproc.server.ext_proc import Service
from extproc.server.metrics import ArchivistMetrics, ShipperMetrics
from extproc.server.tickets import Tickets
from extproc.server.upkeep import thread_pool
from extproc.server.worker import serve

Check = Callable[[], Awaitable[None]]
_log = logging.getLogger("holdpoint.processes")


def worker(settings: Settings, index: int) -> None:
    """Run one worker until it is told to stop."""
    run(_worker(settings, index), Layout(settings.state).beat(f"worker-{index}"))


def control(settings: Settings) -> None:
    """Run the control process until it is told to stop."""
    run(_control(settings), Layout(settings.state).beat("control"))


def watcher(settings: Settings) -> None:
    """Run the watcher until it is told to stop."""
    run(_watcher(settings), Layout(settings.state).beat("watcher"))


def shipper(settings: Settings) -> None:
    """Run the shipper until it is told to stop."""
    run(_shipper(settings), Layout(settings.state).beat("shipper"))


def archivist(settings: Settings) -> None:
    """Run the archivist until it is told to stop."""
    run(_archivist(settings), Layout(settings.state).beat("archivist"))


def _worker(settings: Settings, index: int) -> Main:
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
            )
            beat.version = lambda: live.version
            await serve(service, layout.worker_socket(index), stop)

    return main


def _control(settings: Settings) -> Main:
    async def main(stop: asyncio.Event, beat: Beat) -> None:
        layout = Layout(settings.state)
        live = Live(active(layout))
        async with contextlib.AsyncExitStack() as end:
            store = await SqliteHolds.open(layout.holds)
            end.push_async_callback(store.close)
            known = Known(layout)
            await end.enter_async_context(following(known))
            written = journal(settings, "control", known)
            end.callback(written.close)
            standing = AccessList.open(layout.access)
            end.callback(standing.close)
            tokens = await SqliteAccess.open(layout.access)
            end.push_async_callback(tokens.close)
            holds = Holds(store, live.settings.limits.holds, lambda asker, who: answers.unfit(asker, who, standing))

            def names() -> list[str]:
                return [t.name for t in live.settings.targets]

            access = Access(tokens, names)
            signing, issuer = read_private_key(layout.keys), issuer_of(settings.listen.domain)
            people = People(live.settings, standing)
            live.on_change(people.follow)
            doorkeeper = Doorkeeper(live.settings, standing)
            live.on_change(doorkeeper.follow)

            def issuers() -> list[str]:
                return [a.issuer for a in live.settings.identity.approvers]

            administration = Administration(
                lambda: live.settings.identity.administrators,
                [
                    *token_routes(access, written, lambda token: issue(signing, token, issuer), issuers),
                    *freeze_routes(access, holds, written),
                    *target_routes(Targets(live, written)),
                ],
            )
            reached = None if settings.listen.postgres is None else str(settings.listen.postgres)
            desk = PasswordDesk(Passwords(tokens, names, signing.sign), written, Agents(doorkeeper), reached)
            address = settings.listen.ops
            where = ControlSettings(settings.listen.control, (address.host, address.port), layout.metrics)
            await end.enter_async_context(live.following())
            sweep = partial(cancel_frozen, access, holds, written)
            found = trail(live, written, end)
            beat.version = lambda: live.version
            ready = checks(settings)
            await run_control(where, holds, people, written, ready, stop, administration, sweep, found, desk)

    return main


def _watcher(settings: Settings) -> Main:
    async def main(stop: asyncio.Event, _: Beat) -> None:
        # Millions of small figures that live long: looking through them for cycles is what would take the time.
        gc.set_threshold(200_000, 20, 1000)
        figures = SignalMetrics()
        reserve(Layout(settings.state).metrics)
        await run_watcher(settings.state, stop, metrics=figures)

    return main


def _shipper(settings: Settings) -> Main:
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


def _archivist(settings: Settings) -> Main:
    async def main(stop: asyncio.Event, beat: Beat) -> None:
        layout = Layout(settings.state)
        live = Live(active(layout))
        known = Known(layout)
        async with following(known), live.following():
            written = journal(settings, "archivist", known)
            try:
                figures = ArchivistMetrics()
                reserve(layout.metrics)
                beat.version = lambda: live.version
                await run_archivist(live, written, layout.signer(), figures, stop)
            finally:
                written.close()

    return main


def checks(settings: Settings) -> dict[str, Check]:
    """What must serve before agents can be served, by name."""
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
