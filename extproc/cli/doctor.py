"""`holdpoint doctor`: what an agent's host allows that it should not."""

import argparse
import json
import os
import shutil
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from extproc.cli._common import (
    FAILED,
    OK,
    PROBLEMS,
    CommandError,
    Subparsers,
    add_command,
    add_config,
    load_settings,
)

if TYPE_CHECKING:
    from extproc.app.doctor.finding import Finding

_WIDTH = 100
_MOST = 1 << 22


def register(subparsers: Subparsers) -> None:
    """Add `doctor`."""
    parser = add_command(
        subparsers,
        "doctor",
        "find ways around the gateway: run it where agents run",
        _run,
        examples=(
            "holdpoint doctor --plan > plan.json                          # on the gateway's host",
            "holdpoint doctor --from-agent --plan plan.json               # on the agent's host, as its user",
            "holdpoint doctor --from-agent --gateway http://127.0.0.1:8080",
        ),
        about="Find what an agent can reach, read or become that it should not: targets and admin ports past the "
        "gateway, the gateway's files and sockets, other users' processes, real credentials lying about. Changes "
        "nothing, sends nothing but connections, prints no secret. --plan alone writes down what to look for.",
    )
    add_config(parser)
    parser.add_argument(
        "--plan", nargs="?", const="", metavar="FILE", help="alone: print a plan; with --from-agent: the plan to use"
    )
    parser.add_argument("--from-agent", action="store_true", help="look around, from here and as this user")
    parser.add_argument("--gateway", default="", metavar="URL", help="where agents reach the gateway from here")
    parser.add_argument(
        "--cloud",
        nargs="?",
        const="",
        metavar="ADDRESS",
        help="also try the cloud's metadata service (default address: 169.254.169.254)",
    )
    parser.add_argument("--json", action="store_true", help="print everything that was looked at, as one JSON document")


def _run(arguments: argparse.Namespace) -> int:
    if arguments.from_agent:
        return _from_agent(arguments)
    if arguments.plan is None:
        print("holdpoint doctor: say --plan (on the gateway's host) or --from-agent (on the agent's)", file=sys.stderr)
        return FAILED
    if arguments.plan:
        raise CommandError("--plan takes a file with --from-agent only; to write one: holdpoint doctor --plan > FILE")
    from extproc.app.doctor.plan import plan_of

    print(plan_of(load_settings(arguments, files=False)).document())
    return OK


def _from_agent(arguments: argparse.Namespace) -> int:
    from extproc.app.doctor.examine import Look, examine
    from extproc.app.doctor.network import METADATA, end_of
    from extproc.app.doctor.plan import BadPlan, read_plan

    if arguments.plan == "":
        raise CommandError(
            "--plan needs a file here: the one that `holdpoint doctor --plan` wrote on the gateway's host"
        )
    plan = None
    if arguments.plan:
        try:
            with open(arguments.plan, encoding="utf-8") as opened:
                plan = read_plan(opened.read(_MOST))
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{arguments.plan}: {getattr(error, 'strerror', None) or 'not text'}") from None
        except BadPlan as error:
            raise CommandError(f"{arguments.plan}: {error}") from None
    if arguments.gateway and end_of(arguments.gateway) is None:
        raise CommandError("--gateway is no address; write one such as http://127.0.0.1:8080")
    metadata: tuple[tuple[str, int], ...] = ()
    if arguments.cloud:
        if (end := end_of(arguments.cloud)) is None:
            raise CommandError("--cloud is no address; write one such as 169.254.169.254")
        metadata = (end,)
    elif arguments.cloud is not None:
        metadata = tuple((host, 80) for host in METADATA)
    findings = examine(Look(plan, arguments.gateway, dict(os.environ), Path.home(), metadata))
    if arguments.json:
        print(json.dumps([_document(finding) for finding in findings], indent=1))
    else:
        print(table(findings, min(_WIDTH, shutil.get_terminal_size((_WIDTH, 24)).columns)))
    return PROBLEMS if any(finding.counts for finding in findings) else OK


def table(findings: "list[Finding]", width: int) -> str:
    """The findings for people: what is open, each with why and how to close it, then one line for the rest."""
    lines: list[str] = []
    for finding in findings:
        if finding.open:
            lines += _wrapped(f"{finding.severity.value.upper():<7}", finding.what, width)
            lines += _wrapped("  why  ", finding.why, width)
            lines += _wrapped("  close", finding.fix, width)
            lines.append("")
    counted = sum(finding.counts for finding in findings)
    notes = sum(finding.open for finding in findings) - counted
    shut = len(findings) - counted - notes
    noted = f", {notes} worth a note" if notes else ""
    lines.append(
        f"{counted} open{noted}, {shut} as they should be" if counted else f"nothing open{noted}, {shut} checked"
    )
    return "\n".join(lines)


def _wrapped(first: str, text: str, width: int) -> list[str]:
    clean = "".join(c if c.isprintable() else "?" for c in text)
    return textwrap.wrap(
        clean,
        width,
        initial_indent=f"{first} ",
        subsequent_indent=" " * (len(first) + 1),
        break_long_words=False,
        break_on_hyphens=False,
    ) or [first]


def _document(finding: "Finding") -> dict[str, object]:
    return {
        "check": finding.check,
        "severity": finding.severity.value,
        "open": finding.open,
        "what": finding.what,
        "why": finding.why,
        "fix": finding.fix,
    }
