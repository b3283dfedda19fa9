"""`holdpoint check`: find mistakes, start nothing."""

import argparse
import json

from extproc.cli._common import OK, PROBLEMS, Subparsers, add_command, add_config, load_settings


def register(subparsers: Subparsers) -> None:
    """Add `check`."""
    parser = add_command(
        subparsers,
        "check",
        "find mistakes in configuration, policies and environment; start nothing",
        _run,
        examples=("holdpoint check", "holdpoint check -c /etc/holdpoint/holdpoint.yaml --json"),
        about="Read the configuration, look at the state folder and the ports, generate Envoy's configuration and let\n"
        "Envoy itself validate it with every resource inlined, check and test the policies. Starts nothing and\n"
        "changes nothing.",
    )
    add_config(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object a line: what, detail, problem")


def _run(arguments: argparse.Namespace) -> int:
    from extproc.app.check import check
    from extproc.config.advice import advice

    settings = load_settings(arguments)
    problems = 0
    if not arguments.json:
        print(f"ok       configuration: {settings.file}", flush=True)
    for finding in check(settings):
        problems += finding.problem is not None
        if arguments.json:
            print(json.dumps({"what": finding.what, "detail": finding.detail, "problem": finding.problem}), flush=True)
        elif finding.problem is None:
            print(f"ok       {finding.what}: {finding.detail}", flush=True)
        else:
            print(f"PROBLEM  {finding.what}: {finding.detail}", flush=True)
            print("".join(f"         {line}\n" for line in finding.problem.splitlines()), end="", flush=True)
    for line in advice(settings):
        if arguments.json:
            print(json.dumps({"what": "advice", "detail": line, "problem": None}), flush=True)
        else:
            print(f"advice   {line}", flush=True)
    return PROBLEMS if problems else OK
