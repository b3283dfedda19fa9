"""Where a gateway is to run: is its state folder usable, are its ports free. Looks only; changes nothing."""

import fcntl
import os
import shutil
import socket
import stat
from pathlib import Path

from extproc.app.layout import Layout
from extproc.config import Address, Settings

_LEAST_FREE = 64 << 20


class Taken(Exception):
    """Somebody listens there already. The message says where, and what to do."""


def addresses(settings: Settings) -> tuple[Address, ...]:
    """Where the gateway listens."""
    listen = settings.listen
    ours = (listen.address, listen.proxy, listen.postgres, listen.ops) if listen.managed else (listen.ops,)
    return tuple(address for address in ours if address is not None)


def check_free(address: Address) -> None:
    """Raises Taken where somebody listens already, or nobody can. Envoy would share the port without a word, or start
    without its listener."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probing:
        probing.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probing.bind((address.host, address.port))
        except OSError as error:
            raise Taken(f"can't listen on {address}: {error.strerror}; stop what does, or name another") from error


def runs(layout: Layout) -> bool:
    """Whether a gateway runs on this state now."""
    try:
        descriptor = os.open(layout.run / "up.lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def state_problem(state: Path) -> str | None:
    """Why the gateway can't use this state folder; None where it can, or can make it."""
    there = next(path for path in (state, *state.parents) if path.exists())
    found = there.stat()
    if not stat.S_ISDIR(found.st_mode):
        return f"{there} is not a folder; `state` must name one"
    if not os.access(there, os.W_OK | os.X_OK):
        return f"{there}: this user can't write to it; `state` must name a folder that the gateway's user can write to"
    if there == state and found.st_uid != os.geteuid():
        return f"{state}: belongs to another user; the gateway's own must own it"
    if there == state and found.st_mode & 0o077:
        return f"{state}: others can enter it; chmod 700 {state}"
    free = shutil.disk_usage(there).free
    if free < _LEAST_FREE:
        return f"{there}: {free >> 20} MiB are free on its disk; what can't be recorded does not pass, so make room"
    return None
