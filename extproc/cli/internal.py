"""The processes that `holdpoint up` starts. Not for people: they expect the folder and keys that `up` prepares."""

import argparse

from extproc.cli._common import OK, Subparsers, add_command, add_config, load_settings


def register(subparsers: Subparsers) -> None:
    """Add `worker`, `control` and `shipper`."""
    for name in ("worker", "control", "shipper"):
        parser = add_command(subparsers, name, f"run the {name} process (started by `holdpoint up`)", _run)
        parser.set_defaults(process=name)
        add_config(parser)
        parser.add_argument("--index", type=int, default=0, help="which worker, from 0")


def _run(arguments: argparse.Namespace) -> int:
    from extproc.app import processes

    settings = load_settings(arguments)
    if arguments.process == "worker":
        processes.worker(settings, arguments.index)
    elif arguments.process == "control":
        processes.control(settings)
    else:
        processes.shipper(settings)
    return OK
