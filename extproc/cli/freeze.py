"""`holdpoint freeze` and `unfreeze`: principals that may do nothing."""

import argparse
import shlex
import sys
from typing import Any
from urllib.parse import urlencode

from extproc.cli._common import OK, CommandError, Subparsers, add_command
from extproc.cli._control_client import add_access, administrator, print_json
from extproc.domain.display import visible

_NAMES = (
    "A principal is named by its subject, whoever issued it, or by issuer and subject with a space between. What acts\n"
    "for it is frozen too. Names count whatever their case. For administrators, as `holdpoint tokens --help` says."
)


def register(subparsers: Subparsers) -> None:
    """Add `freeze` and `unfreeze`."""
    freeze = add_command(
        subparsers,
        "freeze",
        "end all that a principal does, and let nothing more of it pass",
        _freeze,
        about="Freeze a principal: within a second what it has open ends, new requests are refused, and its holds are\n"
        f"cancelled, until it is unfrozen. Its credentials stay valid, so this can be undone.\n\n{_NAMES}",
        examples=(
            'holdpoint freeze crm-bot --reason "asks for every customer"',
            'holdpoint freeze "https://login.example.com alice" --reason "laptop stolen"',
            "holdpoint freeze --list",
        ),
    )
    freeze.add_argument("principal", metavar="PRINCIPAL", nargs="?", help="whom, as policies and records name it")
    freeze.add_argument("--reason", metavar="TEXT", help="why; recorded beside your name")
    freeze.add_argument("--list", action="store_true", help="list who is frozen, and change nothing")
    add_access(freeze)
    unfreeze = add_command(
        subparsers,
        "unfreeze",
        "lift a freeze",
        _unfreeze,
        about="Lift a freeze, named as `holdpoint freeze --list` shows it.",
        examples=("holdpoint unfreeze crm-bot", 'holdpoint unfreeze "https://login.example.com alice"'),
    )
    unfreeze.add_argument("principal", metavar="PRINCIPAL", help="whose, exactly as `freeze --list` shows it")
    add_access(unfreeze)


def _freeze(arguments: argparse.Namespace) -> int:
    if arguments.list:
        if arguments.principal is not None or arguments.reason is not None:
            raise CommandError("--list changes nothing; leave PRINCIPAL and --reason out")
        return _list(arguments)
    if arguments.principal is None:
        raise CommandError("name whom to freeze, and why with --reason; or give --list")
    if arguments.reason is None:
        raise CommandError("--reason: say why, in a few words; it is recorded beside your name")
    asked = {"principal": arguments.principal, "reason": arguments.reason}
    frozen = administrator(arguments).call("POST", "/freezes", asked)
    if arguments.json:
        print_json(frozen)
        return OK
    name = visible(frozen["principal"])
    if frozen["frozen_now"]:
        print(f"{name} is frozen, and what acts for it; to lift it: holdpoint unfreeze {shlex.quote(name)}")
    else:
        print(f"{name} was frozen before, at {frozen['at']} by {visible(frozen['by'])}: {visible(frozen['reason'])}")
    if frozen["cancelled"]:
        print(f"cancelled holds: {', '.join(frozen['cancelled'])}")
    elif frozen["cancelled"] is None:
        print(
            "its holds can't be cancelled yet, and none of them lets anything pass; this is tried again",
            file=sys.stderr,
        )
    return OK


def _unfreeze(arguments: argparse.Namespace) -> int:
    query = urlencode({"principal": arguments.principal})
    lifted = administrator(arguments).call("DELETE", f"/freezes?{query}")
    if arguments.json:
        print_json(lifted)
        return OK
    print(f"{visible(lifted['principal'])} is not frozen any more by this name")
    if lifted["still"]:
        print("still frozen: " + ", ".join(shlex.quote(visible(f["principal"])) for f in lifted["still"]))
    return OK


def _list(arguments: argparse.Namespace) -> int:
    freezes = administrator(arguments).call("GET", "/freezes")["freezes"]
    if arguments.json:
        print_json(freezes)
        return OK
    if not freezes:
        print("nobody is frozen")
    for freeze in freezes:
        print(_line(freeze))
    return OK


def _line(freeze: dict[str, Any]) -> str:
    why = f"since {freeze['at']} by {visible(freeze['by'])}: {visible(freeze['reason'])}"
    return f"{visible(freeze['principal'])}\n  {why}"
