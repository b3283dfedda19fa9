"""The processes that `holdpoint up` starts. Not for people: they expect the folder and keys that `up` prepares."""

import argparse
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from extproc.cli._common import OK, CommandError, Subparsers, add_command, add_config

if TYPE_CHECKING:
    from extproc.config import Settings


def register(subparsers: Subparsers) -> None:
    """Add `worker`, `postgres`, `control`, `watcher`, `shipper` and `archivist`."""
    for name in ("worker", "postgres", "control", "watcher", "shipper", "archivist"):
        parser = add_command(subparsers, name, f"run the {name} process (started by `holdpoint up`)", _run)
        parser.set_defaults(process=name)
        add_config(parser)
        parser.add_argument("--index", type=int, default=0, help="which worker, from 0")


def _run(arguments: argparse.Namespace) -> int:
    from extproc.app.layout import StateUnusable
    from extproc.app.snapshot import settings_for
    from extproc.approvals.ports import HoldsUnavailable
    from extproc.audit.checkpoints import WitnessUnreachable
    from extproc.audit.objects import ObjectStoreError
    from extproc.config import SettingsError
    from extproc.domain.ports import JournalUnwritable

    try:
        _start(arguments, settings_for(Path(arguments.config)))
    except (
        JournalUnwritable,
        HoldsUnavailable,
        SettingsError,
        StateUnusable,
        OSError,
        ValueError,
        ObjectStoreError,
        WitnessUnreachable,
    ) as error:
        raise CommandError(f"{arguments.process} can't run: {error}") from error
    return OK


def _start(arguments: argparse.Namespace, settings: "Settings") -> None:
    """Import the one process, for each import costs every start of a gateway."""
    run: Callable[[Settings, int], None] = import_module(f"extproc.app.processes.{arguments.process}").run
    run(settings, arguments.index)
