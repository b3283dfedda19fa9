"""The control process: the holds API on a unix socket, health and metrics on TCP, and the sweep of expired holds."""

import asyncio
import contextlib
import logging
import os
import socket
import stat
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from extproc.access.ports import AccessUnavailable
from extproc.approvals.ports import HoldsUnavailable, Verifier
from extproc.approvals.records import hold_record
from extproc.approvals.service import Holds
from extproc.console import api, ops
from extproc.console.admin import Administration
from extproc.console.passwords import PasswordDesk
from extproc.console.trail import Trail
from extproc.domain.hold import Hold
from extproc.domain.ports import Journal, JournalUnwritable

log = logging.getLogger(__name__)

Chore = Callable[[], Awaitable[object]]

SOCKET_MODE = 0o660
# What Linux's sockaddr_un holds, less its closing NUL.
SOCKET_PATH_BYTES = 107
SWEEP_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class ControlSettings:
    """Where the control process listens. `ops` is host and port; port 0 lets the system choose."""

    socket: Path
    ops: tuple[str, int]
    metrics: Path


async def run_control(
    settings: ControlSettings,
    holds: Holds,
    verifier: Verifier,
    journal: Journal,
    checks: Mapping[str, ops.Check],
    stop: asyncio.Event,
    administration: Administration | None = None,
    chore: Chore | None = None,
    trail: Trail | None = None,
    passwords: PasswordDesk | None = None,
) -> None:
    """Serve until `stop` is set. `chore` is what else is done with each sweep. Raises OSError when an address can't be
    had."""
    async with serving(settings, holds, verifier, journal, checks, administration, chore, trail, passwords):
        await stop.wait()


@contextlib.asynccontextmanager
async def serving(
    settings: ControlSettings,
    holds: Holds,
    verifier: Verifier,
    journal: Journal,
    checks: Mapping[str, ops.Check],
    administration: Administration | None = None,
    chore: Chore | None = None,
    trail: Trail | None = None,
    passwords: PasswordDesk | None = None,
) -> AsyncIterator[int]:
    """Both listeners and the sweep, for as long as the context lasts; gives the ops port."""
    people = web.AppRunner(api.application(holds, verifier, journal, administration, trail, passwords), access_log=None)
    machines = web.AppRunner(ops.application(checks, settings.metrics), access_log=None)
    listener = listen_unix(settings.socket)
    try:
        await people.setup()
        await web.SockSite(people, listener).start()
        await machines.setup()
        await web.TCPSite(machines, *settings.ops).start()
        sweeper = asyncio.create_task(_sweep(holds, journal, chore))
        try:
            yield machines.addresses[0][1]
        finally:
            sweeper.cancel()
            await asyncio.gather(sweeper, return_exceptions=True)
    finally:
        await people.cleanup()
        await machines.cleanup()
        listener.close()
        settings.socket.unlink(missing_ok=True)


def listen_unix(path: Path, mode: int = SOCKET_MODE) -> socket.socket:
    """A listening unix socket that has its mode from the first moment. A socket left behind by a dead process is
    replaced. Raises OSError where something else is there, someone still answers, or the path is too long."""
    if path.exists() or path.is_symlink():
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise FileExistsError(f"{path} exists and is not a socket")
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(path))
            except ConnectionRefusedError:
                path.unlink()
            else:
                raise FileExistsError(f"{path} is served by another process; stop that gateway first")
    listener = socket.socket(socket.AF_UNIX)
    before = os.umask(0o777 & ~mode)
    try:
        listener.bind(str(path))
    except OSError as error:
        listener.close()
        too_long = len(os.fsencode(path)) > SOCKET_PATH_BYTES
        hint = f" (at most {SOCKET_PATH_BYTES} bytes; choose a shorter listen.control)" if too_long else ""
        raise OSError(f"{path}: {error}{hint}") from error
    finally:
        os.umask(before)
    listener.setblocking(False)
    return listener


async def _sweep(holds: Holds, journal: Journal, chore: Chore | None) -> None:
    """Expire holds, each in the journal first. An expiry releases nothing, so a failure is said, and tried again."""

    def witness(expired: Sequence[Hold]) -> None:
        for hold in expired:
            journal.append("hold", hold_record(hold, time.time()))

    while True:
        try:
            await holds.expire_due(witness)
            if chore is not None:
                await chore()
        except (HoldsUnavailable, AccessUnavailable, JournalUnwritable) as error:
            log.error("sweeping holds: %s", error)
        except Exception:
            # A sweep that ended for good would leave holds pending that nobody may approve any more.
            log.exception("sweeping holds")
        await asyncio.sleep(SWEEP_SECONDS)
