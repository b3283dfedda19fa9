"""The processes that `holdpoint up` starts. Not for people: they expect the folder and keys that `up` prepares."""

import argparse
from typing import TYPE_CHECKING

from extproc.cli._common import OK, CommandError, Subparsers, add_command, add_config, load_settings

if TYPE_CHECKING:
    from extproc.config import Settings


def register(subparsers: Subparsers) -> None:
    """Add `worker`, `control` and `shipper`."""
    for name in ("worker", "control", "shipper"):
        parser = add_command(subparsers, name, f"run the {name} process (started by `holdpoint up`)", _run)
        parser.set_defaults(process=name)
        add_config(parser)
        parser.add_argument("--index", type=int, default=0, help="which worker, from 0")


def _run(arguments: argparse.Namespace) -> int:
    from extproc.app.layout import StateUnusable
    from extproc.approvals.ports import HoldsUnavailable
    from extproc.domain.ports import JournalUnwritable

    settings = load_settings(arguments)
    try:
        _start(arguments, settings)
    except (JournalUnwritable, HoldsUnavailable, StateUnusable, OSError, ValueError) as error:
        raise CommandError(f"{arguments.process} can't run: {error}") from error
    return OK


def _start(arguments: argparse.Namespace, settings: "Settings") -> None:
    from extproc.app import processes

    if arguments.process == "worker":
        processes.worker(settings, arguments.index)
    elif arguments.process == "control":
        processes.control(settings)
    else:
        processes.shipper(settings)
