"""What this user may touch on this machine: sockets, files, other users' processes."""

import os
import pwd
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from extproc.app.doctor.finding import PATIENCE_SECONDS, Finding, Severity, closed
from extproc.app.doctor.plan import Place, Plan

RUNTIMES = ("/var/run/docker.sock", "/run/podman/podman.sock", "/run/containerd/containerd.sock", "/run/crio/crio.sock")
"""Sockets that make their users root."""

PROC = Path("/proc")
_SHOWN = 4


def admin_socket(place: Place) -> Iterator[Finding]:
    """Whether a socket of the gateway's takes a connection."""
    if not _connects(place.path):
        yield closed("socket", f"{place.what}: {place.path} takes no connection")
        return
    yield Finding(
        "socket",
        Severity.HIGH,
        True,
        f"{place.what}: {place.path} takes connections",
        "Who can connect there can act as the gateway's own programs, or as its approvers.",
        "Run the agent as another user, outside the socket's group, or where that folder is not mounted.",
    )


def container_runtime(path: str) -> Iterator[Finding]:
    """Whether a container runtime takes orders from this user."""
    if not _connects(path):
        yield closed("socket", f"container runtime: {path} takes no connection")
        return
    yield Finding(
        "socket",
        Severity.HIGH,
        True,
        f"container runtime: {path} takes connections",
        "It starts containers as root, which read every file of this machine and leave by any network.",
        f"Do not mount {path} where an agent runs, and keep its user out of the runtime's group.",
    )


def file(place: Place) -> Iterator[Finding]:
    """Whether a file or folder that is none of an agent's business can be read or changed. Nothing of it is read."""
    readable, writable = _readable(place.path), os.access(place.path, os.W_OK)
    if not readable and not writable:
        yield closed("file", f"{place.what}: {place.path} can't be read")
        return
    how = " and ".join(word for word, is_so in (("read", readable), ("changed", writable)) if is_so)
    mode = "700" if os.path.isdir(place.path) else "600"
    yield Finding(
        "file",
        Severity.HIGH,
        True,
        f"{place.what}: {place.path} can be {how}",
        "It holds what the gateway keeps from agents, or decides what they may do.",
        f"chown it to the gateway's user, chmod {mode} {place.path}, and run the agent as another user.",
    )


def same_user(plan: Plan) -> Iterator[Finding]:
    """Whether the agent is the gateway's user, or root, on the gateway's machine."""
    mine = os.geteuid()
    if not plan.here:
        yield closed("user", "the gateway runs on another machine")
        return
    if mine not in (plan.uid, 0):
        yield closed("user", f"user {_user(mine)} is not the gateway's ({_user(plan.uid)})")
    else:
        who = "root" if mine == 0 else "the gateway's own user"
        yield Finding(
            "user",
            Severity.HIGH,
            True,
            f"this is {who} (uid {mine}), on the gateway's machine",
            "It can read the gateway's keys and credentials, and answer for its approvers.",
            "Run the agent as a user of its own (docs/network.md).",
        )
    groups = {os.getegid(), *os.getgroups()}
    if plan.control_group >= 0 and plan.control_group in groups and mine not in (plan.uid, 0):
        yield Finding(
            "group",
            Severity.HIGH,
            True,
            f"user {_user(mine)} is in the control socket's group (gid {plan.control_group})",
            "Members of that group may reach the socket on which holds are answered.",
            f"Take it out: gpasswd --delete {_user(mine)} GROUP, and start the agent anew.",
        )


def processes(plan: Plan, proc: Path = PROC) -> Iterator[Finding]:
    """Processes of others whose environment can be read, which is where secrets are and what ptrace asks for too.
    Nothing of it is kept. Those of this user alone are the agent's own, except where the gateway has the same."""
    mine = os.geteuid()
    open_ones: list[str] = []
    seen = 0
    for folder in proc.iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            owner = folder.stat().st_uid
            if owner == mine and not (plan.here and owner == plan.uid and _ours(folder)):
                continue
            seen += 1
            with (folder / "environ").open("rb") as environment:
                if environment.read(1):
                    open_ones.append(f"{_name(folder)} ({folder.name})")
        except OSError:
            continue
    if not open_ones:
        yield closed("process", f"{seen} processes of others: the environment of none can be read")
        return
    more = len(open_ones) - _SHOWN
    shown = ", ".join(open_ones[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
    yield Finding(
        "process",
        Severity.HIGH,
        True,
        f"the memory and environment of others' processes can be read: {shown}",
        "Keys and credentials are in there while they are used.",
        "Run the agent as a user of its own, without CAP_SYS_PTRACE and outside the host's PID namespace.",
    )


def _ours(folder: Path) -> bool:
    """Whether a process looks like one of the gateway's."""
    words = (folder / "cmdline").read_bytes().split(b"\0")[:4]
    return any(os.path.basename(word) in (b"holdpoint", b"envoy", b"opa") for word in words)


def _name(folder: Path) -> str:
    try:
        return "".join(c for c in (folder / "comm").read_text().strip() if c.isprintable())
    except (OSError, UnicodeDecodeError):
        return "?"


def _connects(path: str) -> bool:
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(PATIENCE_SECONDS * 0.8)
            probe.connect(path)
            return True
    except (OSError, ValueError):
        return False


def _readable(path: str) -> bool:
    """Whether opening for reading is allowed; nothing is read. A pipe or a device is not opened, for that can block or
    do something."""
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            with os.scandir(path) as entries:
                next(entries, None)
            return True
        if not stat.S_ISREG(mode):
            return os.access(path, os.R_OK)
        os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        return True
    except OSError:
        return False


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
