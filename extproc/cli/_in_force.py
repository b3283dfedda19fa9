"""The configuration that was last in force, for commands that must not wait until somebody has mended the files.

A running gateway serves on with it while the files are refused (see app/snapshot.py). Where the state folder is can't
be had from a file that is refused, so it is guessed, and what lies there counts only where it came from that very file:
a freeze must reach the gateway that was meant, or none."""

import argparse
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from extproc.cli._common import CommandError
from extproc.domain.display import visible

if TYPE_CHECKING:
    from extproc.config import Settings, SettingsError

_DEFAULT_STATE = ".holdpoint"
# What is no YAML any more is still text, and these stand in it as nearly everybody writes them.
_STATE = re.compile(r"^state:[ \t]+(\"[^\"\n]+\"|'[^'\n]+'|\S+)[ \t]*(?:#.*)?$", re.MULTILINE)
_CONTROL = re.compile(
    r"^(?:[ \t]+|listen:[ \t]*\{(?:.*,)?[ \t]*)control:[ \t]+(\"[^\"\n]+\"|'[^'\n]+'|[^\s,}]+)", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class _Named:
    """What a refused file still says, as paths; None where it says nothing of it, or nothing that can be read."""

    state: Path | None = None
    control: Path | None = None


def settings_in_force(arguments: argparse.Namespace) -> "Settings":
    """The configuration that --config names or, where it is refused, the one that was last in force; that is said on
    stderr, in one line. Raises CommandError with every problem where there is none."""
    found = _settings(arguments)
    if isinstance(found, Exception):
        raise CommandError(str(found))
    return found


def control_socket(arguments: argparse.Namespace) -> Path:
    """The control socket of the configuration as `settings_in_force` has it; or of a refused file, where that names one
    that is there: those who approve may enter its folder, and not the state's. Raises CommandError."""
    found = _settings(arguments)
    if not isinstance(found, Exception):
        return found.listen.control
    for socket in _sockets(_named(Path(arguments.config))):
        if _is_socket(socket):
            _say(arguments, found, f"{visible(str(socket))}, which it names, is asked")
            return socket
    raise CommandError(f"{found}\n--control SOCKET names a running gateway's socket, whatever the file says")


def _settings(arguments: argparse.Namespace) -> "Settings | SettingsError":
    """The settings, or why there are none. What was found stays with the arguments: it is asked for more than once."""
    from extproc.config import SettingsError, load

    known: Settings | None = getattr(arguments, "settings_in_force", None)
    if known is not None:
        return known
    try:
        found = load(arguments.config, files=False)
    except SettingsError as error:
        file = Path(arguments.config)
        for path in _snapshots(_named(file), file):
            last = _last(path, file)
            if last is not None:
                _say(arguments, error, "the configuration that was last in force is used")
                arguments.settings_in_force = last
                return last
        return error
    arguments.settings_in_force = found
    return found


def _say(arguments: argparse.Namespace, error: "SettingsError", instead: str) -> None:
    first, *others = str(error).splitlines()
    more = f" (and {len(others)} more)" if others else ""
    print(f"{visible(first)}{more}; {instead}, for the file is refused", file=sys.stderr)


def _snapshots(named: _Named, file: Path) -> Iterator[Path]:
    """Where one may be: in the folder that the file names, and in the default one beside it."""
    from extproc.app.layout import Layout
    from extproc.app.snapshot import active

    if not file.is_file():
        # A file that is not there is not refused; it was never meant.
        return
    base = Path(os.path.abspath(file)).parent
    for state in dict.fromkeys((named.state, base / _DEFAULT_STATE)):
        if state is not None:
            yield active(Layout(state))


def _last(path: Path, file: Path) -> "Settings | None":
    """The snapshot there, if it is one that was made of this file."""
    from extproc.app.layout import StateUnusable
    from extproc.app.snapshot import read

    try:
        settings = read(path).settings
        return settings if settings.file.samefile(file) else None
    except (StateUnusable, OSError, ValueError):
        return None


def _named(file: Path) -> _Named:
    from extproc.config.source import Members, Scalar, Unreadable, bytes_of, read_tree

    base = Path(os.path.abspath(file)).parent
    try:
        data = bytes_of(file)
    except Unreadable:
        return _Named()
    try:
        tree, _ = read_tree(data)
    except Unreadable:
        text = data.decode("utf-8-sig", "replace")
        return _Named(*(_path(base, _matched(pattern, text)) for pattern in (_STATE, _CONTROL)))
    if not isinstance(tree, Members):
        return _Named()
    top = {key.text: value for key, value in tree.members}
    listen = top.get("listen")
    inner = {key.text: value for key, value in listen.members} if isinstance(listen, Members) else {}
    said = (node.text if isinstance(node, Scalar) else None for node in (top.get("state"), inner.get("control")))
    return _Named(*(_path(base, text) for text in said))


def _matched(pattern: re.Pattern[str], text: str) -> str | None:
    found = pattern.search(text)
    return None if found is None else found[1].strip("\"'")


def _path(base: Path, text: str | None) -> Path | None:
    return base / text if text and text.isprintable() else None


def _sockets(named: _Named) -> Iterator[Path]:
    """Those that the file names itself. Never that of the default folder: another gateway's may be there."""
    from extproc.config.settings import CONTROL_SOCKET

    if named.control is not None:
        yield named.control
    elif named.state is not None:
        yield named.state / CONTROL_SOCKET


def _is_socket(path: Path) -> bool:
    try:
        return path.is_socket()
    except OSError:
        # Not permitted, so whoever asks could not connect either.
        return False
