"""`holdpoint up`: run the gateway."""

import argparse

from extproc.cli._common import OK, CommandError, Subparsers, add_command, add_config, load_settings


def register(subparsers: Subparsers) -> None:
    """Add `up`."""
    parser = add_command(
        subparsers,
        "up",
        "start the gateway: Envoy, policy engine, workers, audit",
        _run,
        examples=(
            "holdpoint up",
            "holdpoint up -c /etc/holdpoint/holdpoint.yaml",
            "holdpoint up --json 2>>holdpoint.log",
        ),
        about="Start everything that the configuration asks for, keep it running, and write one log to standard\n"
        "error. Ends cleanly on Ctrl-C or SIGTERM; a second one cuts that short. The configuration, the targets'\n"
        "folder and the policies are followed: a change is put in force whole, or refused and the last good one\n"
        "stays. SIGHUP reads them again at once, unless `up` runs on a terminal: then a hangup stops it.",
    )
    add_config(parser)
    parser.add_argument("--json", action="store_true", help="write the log as one JSON object a line")


def _run(arguments: argparse.Namespace) -> int:
    from extproc.adapters.opa.binary import OpaFailed, OpaMissing
    from extproc.adapters.opa.refused import PolicyRefused
    from extproc.app.layout import StateUnusable
    from extproc.app.up import CannotStart, up
    from extproc.domain.ports import JournalUnwritable

    settings = load_settings(arguments)
    try:
        up(settings, arguments.json)
    except (
        CannotStart,
        OSError,
        JournalUnwritable,
        OpaFailed,
        OpaMissing,
        PolicyRefused,
        StateUnusable,
    ) as error:
        raise CommandError(f"holdpoint can't start: {error}") from error
    return OK
