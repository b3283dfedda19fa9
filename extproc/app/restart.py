"""What can't change while a gateway runs."""

from typing import Any

from extproc.config import Settings
from extproc.config.settings import root

FIXED = ("listen", "state", "workers", "policy", "audit")
"""Sections that the programs read once, when they start."""


def needs_restart(now: Settings, wanted: Settings) -> tuple[str, ...]:
    """One line for each setting that differs and takes a restart, in the settings' order."""
    before, after = root().write(now), root().write(wanted)
    return tuple(line for section in FIXED for line in _differences(section, before[section], after[section]))


def _differences(path: str, before: Any, after: Any) -> list[str]:
    if before == after:
        return []
    if isinstance(before, dict) and isinstance(after, dict):
        keys = [*before, *(key for key in after if key not in before)]
        return [line for key in keys for line in _differences(f"{path}.{key}", before.get(key), after.get(key))]
    return [f"{path}: takes a restart to change; put it back, or restart the gateway"]
