"""The processes that `up` starts, each put together here: worker, control, watcher, shipper, archivist."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import uvloop

from extproc.access import answers
from extproc.access.check import check
from extproc.access.ports import Standing
from extproc.access.service import Access
from extproc.adapters.access import AccessList, SqliteAccess
from extproc.adapters.access_keys import read_private_key
from extproc.adapters.counters import Counters, Wanted
from extproc.adapters.holds import SqliteHolds
from extproc.adapters.identity import issue, issuer_of
from extproc.adapters.otel import run_shipper
from extproc.adapters.signals import run_watcher
from extproc.adapters.signals_history import PolicyHistory
from extproc.adapters.signals_metrics import SignalMetrics
from extproc.adapters.signals_reader import SignalsReader
from extproc.app import logs, probe
from extproc.app.archivist import run_archivist
from extproc.app.engine import engine, engine_token
from extproc.app.identities import Doorkeeper, People
from extproc.app.knowledge import Known, following
from extproc.app.layout import Layout
from extproc.app.live import Live
from extproc.app.redaction import redact_record
from extproc.app.snapshot import active
from extproc.app.targets import Targets
from extproc.app.trail import trail
from extproc.approvals.service import Holds
from extproc.audit.bodies.recorder import Recorder
from extproc.audit.bodies.salvage import salvage, strays
from extproc.audit.bodies.writer import RecordingFailed, Shelf
from extproc.audit.journal import FileJournal
from extproc.config import Settings
from extproc.console.admin import Administration
from extproc.console.control import ControlSettings, run_control
from extproc.console.freezes import cancel_frozen
from extproc.console.freezes import routes as freeze_routes
from extproc.console.targets import routes as target_routes
from extproc.console.tokens import routes as token_routes
from extproc.domain.identity import IdentityRefused, Why
from extproc.domain.ports import JournalUnwritable
from extproc.domain.principal import Principal
from extproc.domain.target import Target
from extproc.masking.build import warm
from extproc.server.caps import Caps, Knocks, Limits
from extproc.server.ext_proc import Service
from extproc.server.gate import Gate
from extproc.server.kept import keeping
from extproc.server.live import Exchanges
from extproc.server.metrics import ArchivistMetrics, Metrics, ShipperMetrics
from extproc.server.tickets import Tickets
from extproc.server.worker import serve, thread_pool

Check = Callable[[], Awaitable[None]]
_log = logging.getLogger("holdpoint.processes")


def journal(settings: Settings, stream: str, known: Known) -> FileJournal:
    """This process's own stream of the journal. Raises JournalUnwritable and StateUnusable."""
    layout = Layout(settings.state)
    return FileJournal(
        layout.journal_of(stream),
        stream,
        sync_seconds=settings.audit.sync_seconds,
        redact=lambda body: redact_record(body, known.now),
        segment_bytes=settings.audit.segment_bytes,
        signer=layout.signer(),
    )


def worker(settings: Settings, index: int) -> None:
    """Run one worker until it is told to stop."""
    _run(_worker(settings, index), Layout(settings.state).beat(f"worker-{index}"))


def control(settings: Settings) -> None:
    """Run the control process until it is told to stop."""
    _run(_control(settings), Layout(settings.state).beat("control"))


def watcher(settings: Settings) -> None:
    """Run the watcher until it is told to stop."""
    _run(_watcher(settings), Layout(settings.state).beat("watcher"))


def shipper(settings: Settings) -> None:
    """Run the shipper until it is told to stop."""
    _run(_shipper(settings), Layout(settings.state).beat("shipper"))


def archivist(settings: Settings) -> None:
    """Run the archivist until it is told to stop."""
    _run(_archivist(settings), Layout(settings.state).beat("archivist"))


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


def _run(main: Main, beat: Path) -> None:
    logs.configure()
    os.umask(0o077)
    uvloop.run(_until_told(main, Beat(beat)))


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


def _reserve(folder: Path) -> None:
    """Have the disk's blocks for this process's figures now. They are mapped into memory, and a page that a full disk
    can't give kills the process. Raises OSError where there is no room."""
    for file in folder.glob(f"*_{os.getpid()}.db"):
        with file.open("r+b") as opened:
            os.posix_fallocate(opened.fileno(), 0, file.stat().st_size)


def _worker(settings: Settings, index: int) -> Main:
    async def main(stop: asyncio.Event, beat: Beat) -> None:
        layout = Layout(settings.state)
        known = Known(layout)
        warm(known.now)
        live = Live(active(layout))
        async with contextlib.AsyncExitStack() as end:
            store = await SqliteHolds.open(layout.holds)
            end.push_async_callback(store.close)
            await end.enter_async_context(following(known))
            written = journal(settings, f"worker-{index}", known)
            end.callback(written.close)
            policy = engine(settings)
            end.callback(policy.close)
            standing = AccessList.open(layout.access)
            end.callback(standing.close)
            signals = SignalsReader(layout.signals)
            signals.start()
            end.callback(signals.close)
            counters = Counters(layout.counters)
            end.push_async_callback(counters.close)
            doorkeeper = Doorkeeper(live.settings, standing)
            check_now = partial(may_go_on, standing, doorkeeper)
            history = PolicyHistory(signals, counters, Wanted(layout.policy_reads))
            holds = Holds(store, live.settings.limits.holds)
            recorder = _recorder(settings, index, written)
            gate = Gate(policy, holds, written, Metrics(), history, check_now, recorder)
            _reserve(layout.metrics)
            exchanges = Exchanges(check_now, partial(_is_as_it_was, live))
            caps = Caps(_share(live.settings))
            standing.on_change(exchanges.review)
            # Before the review below: it ends what an issuer let in that is believed no longer.
            live.on_change(doorkeeper.follow)

            def follow(changed: Settings) -> None:
                caps.limits = _share(changed)
                holds.most_pending = changed.limits.holds
                exchanges.review()

            live.on_change(follow)
            key = layout.read_digest_key()
            service = Service(
                gate,
                live,
                doorkeeper,
                Tickets(key),
                exchanges,
                caps,
                Knocks(),
                lambda: known.now,
                key,
                os.environ.get("HOLDPOINT_EPOCH", ""),
                thread_pool(),
            )
            await end.enter_async_context(live.following())
            beat.version = lambda: live.version
            await serve(service, layout.worker_socket(index), stop)

    return main


def _recorder(settings: Settings, index: int, written: FileJournal) -> Recorder:
    """This worker's recorder, once what its last life left is salvaged. The first worker does the same for workers that
    the configuration has no more."""
    layout = Layout(settings.state)
    shelf = Shelf(layout.bodies, layout.read_body_key(), sync=settings.audit.sync_seconds == 0)
    mine = f"worker-{index}"
    ours = {f"worker-{i}" for i in range(settings.workers)}
    for stream in [mine, *(s for s in strays(layout.bodies) if index == 0 and s not in ours)]:
        try:
            salvage(shelf, stream, written.append)
        except (OSError, RecordingFailed, JournalUnwritable) as error:
            # It stays where it is until the next start; whether anything passes meanwhile, the recorder finds out.
            _log.warning("recordings of %s not salvaged yet: %s", stream, error)
    return Recorder(shelf, mine, written.append)


def may_go_on(standing: Standing, doorkeeper: Doorkeeper, principal: Principal, now: float) -> None:
    """Raises IdentityRefused for a principal that may not go on at a time (seconds since the epoch)."""
    if not doorkeeper.believes(principal.issuer):
        raise IdentityRefused("this issuer is no longer believed", Why.REVOKED, principal)
    check(principal, standing, now)


def _is_as_it_was(live: Live, target: Target) -> bool:
    return any((t.name, t.revision) == (target.name, target.revision) for t in live.settings.targets)


def _share(settings: Settings) -> Limits:
    limits = settings.limits
    return Limits(limits.requests, limits.bytes).share(settings.workers)


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
            access = Access(tokens, lambda: [t.name for t in live.settings.targets])
            signing, issuer = read_private_key(layout.keys), issuer_of(settings.listen.domain)
            people = People(live.settings, standing)
            live.on_change(people.follow)

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
            address = settings.listen.ops
            where = ControlSettings(settings.listen.control, (address.host, address.port), layout.metrics)
            await end.enter_async_context(live.following())
            sweep = partial(cancel_frozen, access, holds, written)
            found = trail(live, written, end)
            beat.version = lambda: live.version
            await run_control(where, holds, people, written, checks(settings), stop, administration, sweep, found)

    return main


def _watcher(settings: Settings) -> Main:
    async def main(stop: asyncio.Event, _: Beat) -> None:
        # Millions of small figures that live long: looking through them for cycles is what would take the time.
        gc.set_threshold(200_000, 20, 1000)
        figures = SignalMetrics()
        _reserve(Layout(settings.state).metrics)
        await run_watcher(settings.state, stop, metrics=figures)

    return main


def _shipper(settings: Settings) -> Main:
    async def main(stop: asyncio.Event, _: Beat) -> None:
        otlp = str(settings.audit.otlp) if settings.audit.otlp else None
        figures = ShipperMetrics()
        layout = Layout(settings.state)
        _reserve(layout.metrics)
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
                _reserve(layout.metrics)
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
    for index in range(settings.workers):
        found[f"worker-{index}"] = partial(_beats, layout.beat(f"worker-{index}"))
    for name in ("watcher", "shipper", "archivist"):
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
