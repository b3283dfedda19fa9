"""`holdpoint audit`: what was decided and what people did, and is it all still as it was written."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from extproc.cli import report, retention, ship, verify
from extproc.cli._audit_view import decisions, events
from extproc.cli._common import OK, CommandError, Subparsers, add_command
from extproc.cli._control_client import add_access
from extproc.cli._holds_view import Screen
from extproc.cli._recorded import Recorded
from extproc.cli._sessions_source import jaeger, source
from extproc.cli._terminal import columns
from extproc.cli._trail_query import OF_ACTIONS, add_filters, pages, query_of

_DECISION, _ACTS = "decision", "acts"
_BY_PEOPLE = ("config", "export", "freeze", "legal-hold", "password", "policy", "purge", "reading", "target", "token")
_OTHERS = (
    "alarm",
    "body-deleted",
    "checkpoint",
    "erased",
    "genesis",
    "hold",
    "journal-opened",
    "journal-repaired",
    "recording",
    "refusal",
    "retired",
    "seal",
    "segment",
    "session",
    "tunnel",
    "vote",
)
KINDS = (_DECISION, _ACTS, *sorted((*_BY_PEOPLE, *_OTHERS)))


def register(subparsers: Subparsers) -> None:
    """Add `audit` and its verbs."""
    noun = add_command(
        subparsers,
        "audit",
        "search the trail, and verify that it is whole",
        None,
        about="Search the trail: what was decided, and what administrators did. Verify that nothing of it was changed.",
        examples=(
            "holdpoint audit list --since 1h",
            "holdpoint audit list --kind acts --since 7d",
            "holdpoint audit show 0b6f2a9d3c",
            "holdpoint audit verify",
        ),
    )
    verbs = noun.add_subparsers(metavar="VERB", title="verbs")
    listing = add_command(
        verbs,
        "list",
        "list decisions or other records, oldest first",
        _list,
        about="List the newest decisions, or other records with --kind, oldest first. A running gateway is asked, for\n"
        "those with the role `list`. With --state DIR the files of a state folder are read instead.",
        examples=(
            "holdpoint audit list --effect block --since 6h",
            "holdpoint audit list --policy http.writes --json",
            "holdpoint audit list --kind freeze --since 30d",
        ),
    )
    add_filters(listing)
    listing.add_argument(
        "--kind",
        choices=KINDS,
        default=_DECISION,
        metavar="KIND",
        help=f"records of this kind (default: {_DECISION}); {_ACTS}: what administrators did, which is"
        f" {', '.join(_BY_PEOPLE)}; others: {', '.join(_OTHERS)}",
    )
    show = add_command(
        verbs,
        "show",
        "show all that is known of one decision",
        _show,
        about="Show all that is known of one decision, as JSON: its record, delivery, hold and votes.\n"
        "`holdpoint sessions show` says the same in a few lines.",
        examples=("holdpoint audit show 0b6f2a9d3c", "holdpoint sessions show 0b6f2a9d3c"),
    )
    show.add_argument(
        "decision", metavar="DECISION", help="the start of the decision's id, which `list` and refusals name"
    )
    show.add_argument(
        "--bodies", action="store_true", help="read what was recorded, too; that takes the role `read`, and is recorded"
    )
    for parser in (listing, show):
        add_access(parser)
        parser.add_argument(
            "--state", metavar="DIR", type=Path, help="read this state folder instead of asking a gateway"
        )
    verify.register(verbs)
    report.register(verbs)
    ship.register(verbs)
    retention.register(verbs)


def _list(arguments: argparse.Namespace) -> int:
    if arguments.kind != _DECISION:
        return _list_events(arguments)
    query, address = query_of(arguments), jaeger(arguments)
    with source(arguments) as of:
        rows = pages(of.decisions, query, "decisions", arguments.limit)[::-1]
    if arguments.json:
        for row in rows:
            print(json.dumps({**row, "trace_address": _address(row, address)}))
    elif rows:
        print(decisions(Screen(), rows, lambda row: _address(row, address), columns()))
    else:
        print("no decision fits", file=sys.stderr)
    return OK


def _list_events(arguments: argparse.Namespace) -> int:
    for name in OF_ACTIONS:
        if getattr(arguments, name):
            asked = "words are" if name == "words" else f"--{name} is"
            raise CommandError(f"{asked} for decisions, not for --kind {arguments.kind}")
    kinds = _BY_PEOPLE if arguments.kind == _ACTS else (arguments.kind,)
    query = {**query_of(arguments), "kind": kinds}
    with source(arguments) as of:
        rows = pages(of.events, query, "events", arguments.limit)[::-1]
    if arguments.json:
        for row in rows:
            print(json.dumps(row))
    elif rows:
        print(events(Screen(), rows, columns()))
    else:
        print("no such record fits", file=sys.stderr)
    return OK


def _show(arguments: argparse.Namespace) -> int:
    with source(arguments) as of:
        row = Recorded(of, arguments.bodies).document(of.decision(arguments.decision))
    # JSON in either form: escaped, so that nothing an agent wrote can draw on the terminal.
    document = {"trace_address": _address(row, jaeger(arguments)), **row}
    print(json.dumps(document, indent=None if arguments.json else 2))
    return OK


def _address(row: dict[str, Any], base: str | None) -> str:
    from extproc.audit.placement import trace_address

    return trace_address(base, str(row["trace_id"]))
