"""The processes that `holdpoint up` starts. Not for people: they expect the folder and keys that `up` prepares."""

import argparse
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
    if arguments.process == "postgres":
        from functools import partial

        from extproc.app.postgres_terminator import terminator
        from extproc.app.postgres_worker import postgres

        postgres(settings, arguments.index, partial(terminator, arguments.index))
        return
    from extproc.app import processes

    if arguments.process == "worker":
        processes.worker(settings, arguments.index)
    elif arguments.process == "control":
        processes.control(settings)
    elif arguments.process == "watcher":
        processes.watcher(settings)
    elif arguments.process == "shipper":
        processes.shipper(settings)
    else:
        processes.archivist(settings)
