"""What differs between two configurations, and what of it can't change while a gateway runs."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from extproc.config import Settings
from extproc.config.settings import root

FIXED = ("listen", "state", "workers", "policy", "audit")
"""Sections that the programs read once, when they start."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A setting that differs: its path, and both values as JSON; None where it is not there. Of lists, what only one
    of them has; both whole where the order alone differs."""

    path: str
    before: Any
    after: Any


def differences(before: Settings, after: Settings) -> Iterator[Difference]:
    """All of them, in the settings' order."""
    return _walk("", root().write(before), root().write(after))


def needs_restart(now: Settings, wanted: Settings) -> tuple[str, ...]:
    """One line for each setting that differs and takes a restart, in the settings' order."""
    return tuple(
        f"{found.path}: takes a restart to change; put it back, or restart the gateway"
        for found in differences(now, wanted)
        if found.path.partition(".")[0] in FIXED
    )


def _walk(path: str, before: Any, after: Any) -> Iterator[Difference]:
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*before, *(key for key in after if key not in before)]:
            yield from _walk(f"{path}.{key}" if path else key, before.get(key), after.get(key))
    elif isinstance(before, list) and isinstance(after, list):
        gone, new = [v for v in before if v not in after], [v for v in after if v not in before]
        yield Difference(path, gone, new) if gone or new else Difference(path, before, after)
    else:
        yield Difference(path, before, after)
