"""The programs that a gateway consists of, and how each is started, watched and stopped."""

import asyncio
import re
import secrets
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from prometheus_client import multiprocess

from extproc import resources
from extproc.adapters.envoy.connections import POSTGRES_LISTENER
from extproc.adapters.envoy.files import command as envoy_command
from extproc.adapters.envoy.listener import LISTENER, PROXY_LISTENER
from extproc.adapters.opa.server import prepare as prepare_opa
from extproc.app import probe
from extproc.app.engine import managed_opa
from extproc.app.layout import Layout
from extproc.app.plan import program_environment
from extproc.app.programs import HELPERS, database_workers, following, workers
from extproc.app.snapshot import active
from extproc.config import Settings
from extproc.server.supervisor import Program

# A decision leaves a lot of garbage. Collected less often it costs a fifth less CPU and half the p99; the limit keeps a
# large policy library from taking the machine.
_OPA_MEMORY = {"GOGC": "400", "GOMEMLIMIT": "512MiB"}
_ACTIVE = re.compile(r"downstream_rq_active: [1-9]")


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
    found += [ours(name, "worker", "--index", str(i)) for i, name in enumerate(workers(settings))]
    found += [ours(name, name) for name in HELPERS]
    # They stop together with the door, which stays open for what is under way: a session has no end of its own, so
    # that only its worker can say when it may be ended.
    databases = [ours(name, "postgres", "--index", str(i)) for i, name in enumerate(database_workers(settings))]
    door = Program(
        "envoy",
        envoy_command(str(resources.executable("envoy"))),
        partial(_envoy_alive, layout.envoy_admin, _listeners(settings)),
        cwd=layout.envoy,
        ready_seconds=60.0,
        before_stop=partial(_drain, layout.envoy_admin, [layout.beat(name) for name in database_workers(settings)]),
        before_start=partial(_unlink, layout.envoy_admin),
    )
    return [found, [*databases, door]] if settings.listen.managed else [[*found, *databases]]


def _listeners(settings: Settings) -> tuple[str, ...]:
    listen = settings.listen
    proxy = (PROXY_LISTENER,) if listen.proxy is not None else ()
    return (LISTENER, *proxy, *((POSTGRES_LISTENER,) if listen.postgres is not None else ()))


def _ours(settings: Settings, layout: Layout, environment: dict[str, str], name: str, *words: str) -> Program:
    beat = layout.beat(name)
    has_one = name not in following(settings)

    async def alive() -> bool:
        # What follows the configuration beats before it says so, and serves nothing until then.
        nonlocal has_one
        has_one = has_one or bool(probe.version(beat))
        return has_one and probe.beats(beat)

    def begin() -> None:
        nonlocal has_one
        has_one = name not in following(settings)
        _unlink(beat)

    return Program(
        name,
        [sys.executable, "-m", "extproc.cli", words[0], "--config", str(active(layout)), *words[1:]],
        alive,
        env=environment,
        # The heartbeat has patience of its own.
        patience=1,
        before_start=begin,
        after_end=partial(_forget, layout.metrics),
    )


async def _opa_alive(where: Path, token: str) -> bool:
    return await probe.http(where, "GET /health", token) == 200


async def _envoy_alive(where: Path, listeners: tuple[str, ...]) -> bool:
    # It is ready without its listeners too, where it could not have a port.
    if await probe.http(where, "GET /ready") != 200:
        return False
    listening = await probe.text(where, "GET /listeners")
    return all(f"{name}::" in listening for name in listeners)


async def _drain(where: Path, sessions: Sequence[Path]) -> None:
    """Stop taking connections, and let what runs finish; the caller bounds how long. `sessions` are the heartbeats of
    workers that end their sessions while the door is still open: their clients are to hear why."""
    await probe.http(where, "POST /drain_listeners?graceful&skip_exit")
    active = "GET /stats?filter=^http.(agents|proxy|tunnels).downstream_rq_active$"
    # Neither has an event for it. Connections are not counted: a client that does not close its end keeps one.
    while _ACTIVE.search(await probe.text(where, active)) or any(map(probe.beats, sessions)):  # noqa: ASYNC110
        await asyncio.sleep(0.1)


def _unlink(path: Path) -> None:
    path.unlink(missing_ok=True)


def _forget(metrics: Path, pid: int) -> None:
    """Take a dead process's gauges out of the sums; its counters stay."""
    multiprocess.mark_process_dead(pid, str(metrics))  # type: ignore[no-untyped-call]
