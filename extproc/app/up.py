"""`holdpoint up`: everything that one gateway is, started in order, kept running, stopped cleanly."""

import asyncio
import contextlib
import logging
import os
import re
import secrets
import signal
import socket
import sys
from functools import partial
from pathlib import Path

from prometheus_client import multiprocess

from extproc import resources
from extproc.adapters.envoy.files import command as envoy_command
from extproc.adapters.envoy.files import write
from extproc.adapters.envoy.generate import generate
from extproc.adapters.envoy.listener import ACCESS_LOG, LISTENER
from extproc.adapters.opa.server import prepare as prepare_opa
from extproc.app import probe
from extproc.app.engine import managed_opa
from extproc.app.layout import Layout
from extproc.app.logs import Console, ConsoleHandler
from extproc.app.plan import envoy_plan, program_environment
from extproc.app.policy_watch import PolicyKeeper
from extproc.app.processes import journal
from extproc.config import Address, Settings
from extproc.server.supervisor import Program, StartFailed, Supervisor

_log = logging.getLogger("holdpoint.up")
# A decision leaves a lot of garbage. Collected less often it costs a fifth less CPU and half the p99; the limit keeps a
# large policy library from taking the machine.
_OPA_MEMORY = {"GOGC": "400", "GOMEMLIMIT": "512MiB"}
_ROTATE_SECONDS = 2.0
_ACCESS_LOG_BYTES = 64 << 20
_ACTIVE = re.compile(r"downstream_rq_active: [1-9]")


class CannotStart(Exception):
    """The gateway can't start; the message says why and what to do."""


def up(settings: Settings, as_json: bool) -> None:
    """Run the gateway until SIGTERM or SIGINT. Raises CannotStart, layout.StateUnusable, PolicyRefused, BadPlan."""
    console = Console(sys.stderr, as_json)
    logging.basicConfig(level=logging.INFO, handlers=[ConsoleHandler(console)], force=True)
    layout = Layout(settings.state)
    layout.prepare()
    lock = layout.lock()
    try:
        asyncio.run(_up(settings, layout, console))
    finally:
        os.close(lock)


async def _up(settings: Settings, layout: Layout, console: Console) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    # On a terminal a hangup means that it was closed; a service is told by one to read its policies again.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    written = journal(settings, "supervisor")
    keeper = PolicyKeeper(settings, written)
    watching: list[asyncio.Task[None]] = []
    try:
        if settings.policy.managed:
            await asyncio.to_thread(keeper.start)
            watching.append(asyncio.create_task(keeper.watch()))
            if not os.isatty(sys.stderr.fileno()):
                loop.add_signal_handler(signal.SIGHUP, lambda: watching.append(asyncio.create_task(keeper.reload())))
        write(generate(envoy_plan(settings)), layout.envoy)
        watching.append(asyncio.create_task(_rotate(layout)))
        _clear(layout.metrics)
        check_free(settings.listen.address)
        check_free(settings.listen.ops)
        supervisor = Supervisor(stages(settings, layout), console.say)
        written.append(
            "config", {"what": "started", "file": str(settings.file), "targets": [t.name for t in settings.targets]}
        )
        try:
            await _started(supervisor, stop)
            if settings.policy.managed and not stop.is_set():
                await asyncio.to_thread(keeper.confirm)
            if not stop.is_set():
                _log.info("ready: agents connect to %s", settings.listen.address)
                await _until_told(supervisor, stop)
        except StartFailed as error:
            raise CannotStart(str(error)) from error
        finally:
            _log.info("stopping: what is under way has ten seconds to finish")
            await supervisor.stop()
            written.append("config", {"what": "stopped", "file": str(settings.file)})
    finally:
        for task in watching:
            task.cancel()
        written.close()
    _log.info("stopped")


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


async def _until_told(supervisor: Supervisor, stop: asyncio.Event) -> None:
    told, failed = asyncio.create_task(stop.wait()), asyncio.create_task(supervisor.failed())
    done, pending = await asyncio.wait({told, failed}, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    for task in done:
        task.result()


def check_free(address: Address) -> None:
    """Raises CannotStart where somebody listens already. Envoy would share the port without a word, or start without
    its listener."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probing:
        probing.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probing.bind((address.host, address.port))
        except OSError as error:
            raise CannotStart(
                f"can't listen on {address}: {error.strerror}; stop what does, or name another"
            ) from error


def stages(settings: Settings, layout: Layout) -> list[list[Program]]:
    """What runs, in the order it starts: deciders first, the door last; so the door closes first."""
    environment = program_environment(layout.metrics, secrets.token_hex(8))
    ours = partial(_ours, settings, layout, environment)
    found: list[Program] = []
    if settings.policy.managed:
        opa = managed_opa(layout)
        token = prepare_opa(opa)
        alive = partial(_opa_alive, layout.opa_socket, token)
        found.append(
            Program("opa", opa.argv(), alive, env=_OPA_MEMORY, before_start=partial(_unlink, layout.opa_socket))
        )
    found += [ours(f"worker-{i}", "worker", "--index", str(i)) for i in range(settings.workers)]
    found += [ours("control", "control"), ours("shipper", "shipper")]
    door = Program(
        "envoy",
        envoy_command(str(resources.executable("envoy"))),
        partial(_envoy_alive, layout.envoy_admin),
        cwd=layout.envoy,
        ready_seconds=60.0,
        before_stop=partial(_drain, layout.envoy_admin),
        before_start=partial(_unlink, layout.envoy_admin),
    )
    return [found, [door]]


def _ours(settings: Settings, layout: Layout, environment: dict[str, str], name: str, *words: str) -> Program:
    beat = layout.beat(name)

    async def alive() -> bool:
        return probe.beats(beat)

    return Program(
        name,
        [sys.executable, "-m", "extproc.cli", words[0], "--config", str(settings.file), *words[1:]],
        alive,
        env=environment,
        # The heartbeat has patience of its own.
        patience=1,
        before_start=partial(_unlink, beat),
        after_end=partial(_forget, layout.metrics),
    )


async def _opa_alive(where: Path, token: str) -> bool:
    return await probe.http(where, "GET /health", token) == 200


async def _envoy_alive(where: Path) -> bool:
    # It is ready without its listener too, where it could not have the port.
    ready = await probe.http(where, "GET /ready") == 200
    return ready and LISTENER in await probe.text(where, "GET /listeners")


async def _drain(where: Path) -> None:
    """Stop taking connections, and let what runs finish; the caller bounds how long."""
    await probe.http(where, "POST /drain_listeners?graceful&skip_exit")
    active = "GET /stats?filter=^http.agents.downstream_rq_active$"
    while _ACTIVE.search(await probe.text(where, active)):  # noqa: ASYNC110 - Envoy has no event for it
        await asyncio.sleep(0.1)


async def _rotate(layout: Layout) -> None:
    """Keep Envoy's access log small: whoever knocks without a token writes to it. The shipper follows a renamed log."""
    log = layout.envoy / ACCESS_LOG
    while True:
        await asyncio.sleep(_ROTATE_SECONDS)
        with contextlib.suppress(OSError, ValueError):
            if log.stat().st_size > _ACCESS_LOG_BYTES:
                log.rename(log.with_name(f"{ACCESS_LOG}.1"))
                await probe.http(layout.envoy_admin, "POST /reopen_logs")


def _unlink(path: Path) -> None:
    path.unlink(missing_ok=True)


def _forget(metrics: Path, pid: int) -> None:
    """Take a dead process's gauges out of the sums; its counters stay."""
    multiprocess.mark_process_dead(pid, str(metrics))  # type: ignore[no-untyped-call]


def _clear(folder: Path) -> None:
    """Figures of processes that are gone: counters start anew with the gateway."""
    for file in folder.glob("*.db"):
        file.unlink(missing_ok=True)
