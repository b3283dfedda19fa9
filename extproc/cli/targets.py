"""`holdpoint targets`: what agents may ask for, while the gateway runs."""

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from extproc.cli._common import OK, PROBLEMS, CommandError, Subparsers, add_command
from extproc.cli._control_client import add_access, administrator, print_json
from extproc.domain.display import visible

_MOST_BYTES = 64 * 1024
# Option, setting, and whether it names a file.
_OPTIONS = (
    ("--upstream", "upstream", False, "where its requests go, such as https://crm.example.com/api"),
    ("--environment", "environment", False, "what policy knows it to be (default: production)"),
    ("--host", "host", False, "a host of your own choice by which agents may ask for it"),
    ("--ca", "ca", True, "the certificate authorities of an https upstream, in PEM (default: the system's)"),
    ("--inspect", "inspect", False, "how much of a body policy reads: a size, stream or headers (default: 1MiB)"),
    ("--wait", "wait", False, "how long a held request waits for people (default: 30s)"),
)

_ABOUT_ADD = """Add a target, or change one, and wait until it is in force. A database needs more than there are options
for: give all of its settings with --settings, in a file such as this:
  {"protocol": "postgres", "upstream": "postgres://db.internal:5432/crm",
   "logins": [{"user": "app_reader", "password": "/etc/holdpoint/secrets/crm-reader"}]}"""


def register(subparsers: Subparsers) -> None:
    """Add `targets` and its verbs."""
    noun = add_command(
        subparsers,
        "targets",
        "list, add, test and remove what agents may ask for, while the gateway runs",
        None,
        about="Targets of a running gateway. `add` and `remove` write the targets' folder beside the configuration\n"
        "(`targets_folder`) and wait until the change is in force; nothing under way is interrupted. For\n"
        "administrators, as `holdpoint tokens --help` says.",
        examples=(
            "holdpoint targets list",
            "holdpoint targets add crm --upstream https://crm.example.com --credential secrets/crm",
            "holdpoint targets test crm --path /health",
            "holdpoint targets remove crm",
        ),
    )
    verbs = noun.add_subparsers(metavar="VERB", title="verbs")

    def verb(
        name: str, help_text: str, run: Callable[[argparse.Namespace], int], *examples: str, about: str = ""
    ) -> argparse.ArgumentParser:
        parser = add_command(verbs, name, help_text, run, examples=examples, about=about)
        add_access(parser)
        return parser

    verb("list", "list the targets in force, and where each is written", _list, "holdpoint targets list --json")
    _options(
        verb(
            "add",
            "add a target, or change one, and wait until it is in force",
            _add,
            "holdpoint targets add crm --upstream https://crm.example.com --credential secrets/crm",
            "holdpoint targets add db --upstream https://10.0.0.7:5000 --ca tls/db-ca.crt --replace",
            "holdpoint targets add crm --settings crm.json",
            "holdpoint targets add crm-db --settings crm-db.json",
            about=_ABOUT_ADD,
        )
    )
    test = verb(
        "test",
        "resolve, connect and ask once, as the gateway would; of a database it stops before a login",
        _test,
        "holdpoint targets test crm",
        "holdpoint targets test crm --path /health",
        "holdpoint targets test crm-db",
        about="Resolve, connect and ask once, as the gateway would; the credential is never shown. Of a database it\n"
        "reads the files of its logins and connects, with TLS where the target has it, and stops before a login:\n"
        "whether the server takes the password, and has the database, shows when an agent connects.",
    )
    test.add_argument("name", metavar="NAME", help="the target")
    test.add_argument(
        "--path", metavar="PATH", default="/", help="what to ask an http target for, with GET (default: /)"
    )
    remove = verb("remove", "remove a target that `add` wrote", _remove, "holdpoint targets remove crm")
    remove.add_argument("name", metavar="NAME", help="the target")


def _options(add: argparse.ArgumentParser) -> None:
    add.add_argument("name", metavar="NAME", help="what agents and policy call it: a-z, 0-9 and, inside, -")
    for option, setting, _, text in _OPTIONS:
        add.add_argument(option, metavar=setting.upper(), help=text)
    add.add_argument("--credential", metavar="FILE", help="the file with the secret that the gateway adds")
    add.add_argument("--header", metavar="NAME", help="the header that carries it (default: Authorization)")
    add.add_argument("--prefix", metavar="TEXT", help='what stands before it there (default: "Bearer ")')
    add.add_argument("--network", metavar="CIDR", action="append", help="where its name may lead beside the internet")
    add.add_argument("--opaque", action="store_true", help="a tunnel through listen.proxy, whose bytes nobody reads")
    add.add_argument("--settings", metavar="FILE", type=Path, help="all settings, as JSON, instead of options")
    add.add_argument("--replace", action="store_true", help="change the target if it is there")


def _list(arguments: argparse.Namespace) -> int:
    shown = administrator(arguments).call("GET", "/targets")
    if arguments.json:
        print_json(shown)
        return PROBLEMS if shown["refused"] else OK
    for target in shown["targets"]:
        print(f"{target['name']:<20} {visible(target['settings']['upstream'])}")
        print(f"{'':<20} {visible(target['file'])}:{target['line']}")
    if shown["pending"]:
        print(f"\nNot in force everywhere yet: {visible(shown['pending'])}")
    if not shown["refused"]:
        return OK
    why = "".join(f"  {visible(line)}\n" for line in str(shown["refused"]["why"]).splitlines())
    print(f"\nThe files say something else, which was refused:\n{why}", end="")
    return PROBLEMS


def _add(arguments: argparse.Namespace) -> int:
    asked = {"name": arguments.name, "settings": _settings(arguments), "replace": arguments.replace}
    target = administrator(arguments).call("POST", "/targets", asked)
    if arguments.json:
        print_json(target)
    else:
        print(f"{target['name']} is in force: {visible(target['settings']['upstream'])} ({visible(target['file'])})")
    return OK


def _remove(arguments: argparse.Namespace) -> int:
    target = administrator(arguments).call("DELETE", f"/targets/{_named(arguments.name)}")
    if arguments.json:
        print_json(target)
    else:
        print(f"{target['name']} is removed; what was decided before may still reach it for a few seconds")
    return OK


def _test(arguments: argparse.Namespace) -> int:
    result = administrator(arguments).call("POST", f"/targets/{_named(arguments.name)}/test", {"path": arguments.path})
    if arguments.json:
        print_json(result)
    else:
        for step in result["steps"]:
            print(f"{'ok' if step['ok'] else 'PROBLEM':<8} {step['step']}: {visible(step['detail'])}")
    return OK if result["ok"] else PROBLEMS


def _named(name: str) -> str:
    if not name or not all(c.isascii() and (c.isalnum() or c == "-") for c in name):
        raise CommandError(f"{name!r} is no target's name; those are of a-z, 0-9 and, inside, -")
    return name


def _settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """The settings as the configuration has them. A relative file is one from where the command runs."""
    given: dict[str, Any] = {}
    for _, setting, is_file, _ in _OPTIONS:
        value = getattr(arguments, setting)
        if value is not None:
            given[setting] = os.path.abspath(value) if is_file else value
    if arguments.network:
        given["networks"] = arguments.network
    if arguments.opaque:
        given["opaque"] = True
    if arguments.credential is not None:
        credential = {"file": os.path.abspath(arguments.credential)}
        credential |= {k: v for k in ("header", "prefix") if (v := getattr(arguments, k)) is not None}
        given["credential"] = credential
    elif arguments.header is not None or arguments.prefix is not None:
        raise CommandError("--header and --prefix say where --credential goes; give that too")
    if arguments.settings is None:
        if "upstream" not in given:
            raise CommandError("--upstream: say where its requests go, such as https://crm.example.com")
        return given
    if given:
        raise CommandError("--settings has all of them; leave the other options out")
    return _read(arguments.settings)


def _read(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_bytes()[:_MOST_BYTES])
    except OSError as error:
        raise CommandError(f"{file} can't be read ({error.strerror})") from None
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise CommandError(
            f'{file} is not a JSON object of settings, such as {{"upstream": "https://crm.example.com"}}'
        )
    return document
