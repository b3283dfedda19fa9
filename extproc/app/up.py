"""`holdpoint up`: everything that one gateway is, started in order, kept running, stopped cleanly."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from extproc import resources
from extproc.access.ports import AccessUnavailable
from extproc.adapters.access import prepare as prepare_access
from extproc.adapters.ca import CaUnusable
from extproc.adapters.envoy.access import ACCESS_LOG
from extproc.adapters.envoy.clusters import WORKERS
from extproc.adapters.envoy.connections import POSTGRES_WORKERS
from extproc.app import probe
from extproc.app.config_watch import ConfigKeeper, ConfigRefused
from extproc.app.door import Door, write_addresses
from extproc.app.fingerprints import Credentials
from extproc.app.journals import journal
from extproc.app.knowledge import Known
from extproc.app.layout import Layout
from extproc.app.logs import Console, ConsoleHandler
from extproc.app.masking_rules import MaskingRules
from extproc.app.place import Taken, addresses, check_free
from extproc.app.policy_watch import PolicyKeeper
from extproc.app.programs import following
from extproc.app.rule_files import RulesRefused
from extproc.app.stages import stages
from extproc.app.upstreams import Upstreams
from extproc.audit.journal import FileJournal, refuse_old
from extproc.config import Settings
from extproc.server.kept import kept
from extproc.server.supervisor import StartFailed, Supervisor

_SERVED_SECONDS = 10.0
_SERVED_LOOK_SECONDS = 0.05
_HEALTHY = "GET /stats?filter=membership_healthy$"
_log = logging.getLogger("holdpoint.up")
_ROTATE_SECONDS = 2.0
_ACCESS_LOG_BYTES = 64 << 20


class CannotStart(Exception):
    """The gateway can't start; the message says why and what to do."""


def up(settings: Settings, as_json: bool) -> None:
    """Run the gateway until SIGTERM or SIGINT; a second one cuts the stop short. Raises CannotStart,
    layout.StateUnusable, JournalUnwritable, PolicyRefused."""
    console = Console(sys.stderr, as_json)
    logging.basicConfig(level=logging.INFO, handlers=[ConsoleHandler(console)], force=True)
    layout = Layout(settings.state)
    layout.prepare()
    lock = layout.lock()
    try:
        # All of them now, and not each by the program that would write it.
        for old in sorted(layout.journal.glob("*.journal")):
            refuse_old(old.with_suffix(""))
        prepare_access(layout.access, layout.keys)
        asyncio.run(_up(settings, layout, console))
    except AccessUnavailable as error:
        raise CannotStart(str(error)) from error
    finally:
        os.close(lock)


async def _up(settings: Settings, layout: Layout, console: Console) -> None:
    stop, hurry = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def told() -> None:
        if stop.is_set():
            hurry.set()
        stop.set()

    # On a terminal a hangup means that it was closed; a service is told by one to read everything again.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, told)
    try:
        for address in addresses(settings):
            check_free(address)
    except Taken as error:
        raise CannotStart(str(error)) from error
    credentials, rules = Credentials(settings, layout), MaskingRules(settings, layout)
    credentials.look()
    try:
        await asyncio.to_thread(rules.start)
    except RulesRefused as error:
        raise CannotStart(str(error)) from error
    written = journal(settings, "supervisor", Known(layout))
    tasks: set[asyncio.Task[None]] = set()

    def run(work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    try:
        keepers = await _keepers(settings, layout, written, credentials, rules)
        if settings.listen.managed:
            run(_rotate(layout))
        _clear(layout.metrics)
        supervisor = Supervisor(stages(settings, layout), console.say)
        written.append(
            "config", {"what": "started", "file": str(settings.file), "targets": [t.name for t in settings.targets]}
        )
        try:
            await _started(supervisor, stop)
            if keepers.policies is not None and not stop.is_set():
                await asyncio.to_thread(keepers.policies.confirm)
            if not stop.is_set() and settings.listen.managed:
                await _until_served(settings, layout)
            if not stop.is_set():
                if not os.isatty(sys.stderr.fileno()):
                    loop.add_signal_handler(signal.SIGHUP, lambda: run(keepers.reload()))
                for work in keepers.work():
                    run(kept(work))
                _log.info("ready: agents connect to %s", where(settings))
                await _until_told(supervisor, stop)
        except StartFailed as error:
            raise CannotStart(str(error)) from error
        finally:
            await _stopped(supervisor, hurry)
            written.append("config", {"what": "stopped", "file": str(settings.file)})
    finally:
        for task in tasks:
            task.cancel()
        written.close()
    _log.info("stopped")


@dataclass(frozen=True, slots=True)
class _Keepers:
    """What follows files and names while the gateway runs."""

    policies: PolicyKeeper | None
    configuration: ConfigKeeper
    upstreams: Upstreams
    credentials: Credentials
    rules: MaskingRules
    journal: FileJournal

    def work(self) -> list[Callable[[], Coroutine[Any, Any, None]]]:
        """What each does until it is cancelled."""
        work = [self.configuration.watch, self.upstreams.keep, self.credentials.keep]
        work.append(partial(self.rules.keep, self.journal))
        return [*work, self.policies.watch] if self.policies is not None else work

    async def reload(self) -> None:
        """Read everything again now."""
        if self.policies is not None:
            await self.policies.reload()
        await self.configuration.reload()
        await self.rules.reload(self.journal)
        _log.info("read everything again")


async def _keepers(
    settings: Settings, layout: Layout, written: FileJournal, credentials: Credentials, rules: MaskingRules
) -> _Keepers:
    """Put policies and configuration in force, before anything runs on them. Raises CannotStart, PolicyRefused."""
    policies = PolicyKeeper(settings, written) if settings.policy.managed else None
    if policies is not None:
        await asyncio.to_thread(policies.start)
    upstreams = Upstreams(settings, written, write_addresses)
    envoy = str(resources.executable("envoy"))
    programs = following(settings)
    configuration = ConfigKeeper(settings, written, envoy, Door(layout), upstreams, credentials, rules, programs)
    try:
        await configuration.start()
    except (CaUnusable, ConfigRefused) as error:
        raise CannotStart(str(error)) from error
    return _Keepers(policies, configuration, upstreams, credentials, rules, written)


def where(settings: Settings) -> str:
    """Addresses of all listeners, in words."""
    listen = settings.listen
    if not listen.managed:
        agents = "an Envoy of your own" + (", for databases too" if listen.postgres else "")
    else:
        others = {"proxy": listen.proxy, "databases": listen.postgres}
        agents = f"{listen.address}" + "".join(f", {what} {at}" for what, at in others.items() if at is not None)
    return f"{agents}; operators to {listen.ops} (metrics, health) and {settings.listen.control} (commands)"


async def _stopped(supervisor: Supervisor, hurry: asyncio.Event) -> None:
    """Let what is under way finish, unless a person is in a hurry: then everything ends with us."""
    _log.info("stopping: what is under way has ten seconds to finish")
    stopping, hurried = asyncio.create_task(supervisor.stop()), asyncio.create_task(hurry.wait())
    await asyncio.wait({stopping, hurried}, return_when=asyncio.FIRST_COMPLETED)
    hurried.cancel()
    if stopping.done():
        stopping.result()
        return
    # Every program is told by the kernel to end when we do.
    _log.warning("stopping at once: what is under way is cut off")
    stopping.cancel()
    await asyncio.gather(stopping, return_exceptions=True)


async def _started(supervisor: Supervisor, stop: asyncio.Event) -> None:
    """Start everything, or give up as soon as a person wants it to stop."""
    starting = asyncio.create_task(supervisor.start())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not starting.done():
        starting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await starting
        return
    starting.result()


async def _until_served(settings: Settings, layout: Layout) -> None:
    """Wait until Envoy gives work to all workers: it looks at each four times a second, and what it found before they
    were there counts until then."""
    clusters = [WORKERS, *([POSTGRES_WORKERS] if settings.listen.postgres is not None else [])]
    missing = {f"cluster.{name}.membership_healthy: {settings.workers}" for name in clusters}
    with contextlib.suppress(TimeoutError, OSError):
        async with asyncio.timeout(_SERVED_SECONDS):
            # Envoy has no event for it.
            while missing := missing - set((await probe.text(layout.envoy_admin, _HEALTHY)).splitlines()):  # noqa: ASYNC110
                await asyncio.sleep(_SERVED_LOOK_SECONDS)
    if missing:
        # It goes on looking; what is there meanwhile serves.
        _log.warning("Envoy does not see all workers yet: %s", ", ".join(sorted(missing)))


async def _until_told(supervisor: Supervisor, stop: asyncio.Event) -> None:
    told, failed = asyncio.create_task(stop.wait()), asyncio.create_task(supervisor.failed())
    done, pending = await asyncio.wait({told, failed}, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    for task in done:
        task.result()


async def _rotate(layout: Layout) -> None:
    """Keep Envoy's access log small: whoever knocks without a token writes to it. The shipper follows a renamed log."""
    log = layout.envoy / ACCESS_LOG
    while True:
        await asyncio.sleep(_ROTATE_SECONDS)
        with contextlib.suppress(OSError, ValueError):
            if log.stat().st_size > _ACCESS_LOG_BYTES:
                log.rename(log.with_name(f"{ACCESS_LOG}.1"))
                await probe.http(layout.envoy_admin, "POST /reopen_logs")


def _clear(folder: Path) -> None:
    """Figures of processes that are gone: counters start anew with the gateway."""
    for file in folder.glob("*.db"):
        file.unlink(missing_ok=True)
