"""`holdpoint audit`: search the journal, and verify that it is whole. Reads files only: it needs no running gateway."""

import argparse
import json
import sqlite3
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from extproc.approvals.display import visible
from extproc.cli import report, retention, ship, verify
from extproc.cli._common import OK, CommandError, Subparsers, add_command, add_config, load_settings

if TYPE_CHECKING:
    from extproc.audit.reader import Joined

DEFAULT_LIMIT = 50
_DEFAULT_JAEGER = "http://127.0.0.1:16686"


def register(subparsers: Subparsers) -> None:
    """Add `audit` and its verbs."""
    noun = add_command(
        subparsers,
        "audit",
        "search the journal, and verify that it is whole",
        None,
        about="Search the journal of decisions, and verify that nothing in it was changed.",
        examples=(
            "holdpoint audit list --since 1h",
            "holdpoint audit show 0b6f2a9d3c",
            "holdpoint audit verify",
        ),
    )
    verbs = noun.add_subparsers(metavar="VERB", title="verbs")
    listing = add_command(
        verbs,
        "list",
        "list decisions, oldest first",
        _list,
        examples=("holdpoint audit list --effect block --since 6h", "holdpoint audit list --policy http.writes --json"),
    )
    listing.add_argument("--effect", choices=("allow", "hold", "block"), help="only decisions of this effect")
    listing.add_argument("--target", metavar="NAME", help="only actions on this target")
    listing.add_argument("--principal", metavar="WHO", help="only this subject, or `ISSUER SUBJECT`")
    listing.add_argument("--policy", metavar="ID", help="only decisions with a reason of this policy")
    listing.add_argument("--since", metavar="WHEN", help="only later ones: a time (RFC 3339) or an age (90s, 6h, 2d)")
    listing.add_argument(
        "--limit", metavar="N", type=int, default=DEFAULT_LIMIT, help=f"at most the newest N (default: {DEFAULT_LIMIT})"
    )
    show = add_command(
        verbs, "show", "show all that is known of one decision", _show, examples=("holdpoint audit show 0b6f2a9d3c",)
    )
    show.add_argument("decision", metavar="DECISION", help="the decision's id, as `list` and refusals name it")
    for parser in (listing, show):
        add_config(parser)
        parser.add_argument("--state", metavar="DIR", type=Path, help="the state folder (default: the configuration's)")
        parser.add_argument("--json", action="store_true", help="print JSON, for programs")
    verify.register(verbs)
    report.register(verbs)
    ship.register(verbs)
    retention.register(verbs)


def _list(arguments: argparse.Namespace) -> int:
    from extproc.audit.placement import trace_address
    from extproc.audit.reader import Filter, JournalFault, search, since
    from extproc.audit.shipper import trace_of

    state, jaeger = _where(arguments)
    if arguments.limit < 1:
        raise CommandError(f"--limit {arguments.limit}: expected a number above 0")
    try:
        earliest = None if arguments.since is None else since(arguments.since, datetime.now(UTC))
    except ValueError as error:
        raise CommandError(f"--since {error}") from None
    wanted = Filter(arguments.effect, arguments.target, arguments.principal, arguments.policy, earliest)
    try:
        found = list(search(state, wanted, arguments.limit))
        addresses = [trace_address(jaeger, trace_of(state, row.decision)) for row in found]
    except (JournalFault, sqlite3.Error) as error:
        raise CommandError(f"{error}; `holdpoint audit verify` says more") from error
    if arguments.json:
        for row, address in zip(found, addresses, strict=True):
            print(json.dumps({**row.document(), "trace_address": address}, ensure_ascii=True))
    elif found:
        print(_table([_cells(row, address) for row, address in zip(found, addresses, strict=True)]))
    else:
        print("no decision in the journal fits", file=sys.stderr)
    return OK


def _show(arguments: argparse.Namespace) -> int:
    from extproc.audit.placement import trace_address
    from extproc.audit.reader import JournalFault, search
    from extproc.audit.shipper import trace_of

    state, jaeger = _where(arguments)
    try:
        found = list(search(state, lambda record: record.body["decision"].get("id") == arguments.decision, 1))
        if not found:
            raise CommandError(f"no decision {arguments.decision!r} in {state}; `holdpoint audit list` shows them")
        address = trace_address(jaeger, trace_of(state, found[0].decision))
    except (JournalFault, sqlite3.Error) as error:
        raise CommandError(f"{error}; `holdpoint audit verify` says more") from error
    # JSON in either form: escaped, so that nothing an agent wrote can draw on the terminal.
    document = {"trace_address": address, **found[0].document()}
    print(json.dumps(document, ensure_ascii=True, indent=None if arguments.json else 2))
    return OK


def _where(arguments: argparse.Namespace) -> tuple[Path, str | None]:
    """The state folder, and the base of Jaeger's page where traces are sent anywhere."""
    if arguments.state is not None:
        if not arguments.state.is_dir():
            raise CommandError(f"--state {arguments.state}: no such folder")
        return arguments.state, _DEFAULT_JAEGER
    settings = load_settings(arguments, files=False)
    shown = settings.audit.jaeger is not None and settings.audit.otlp is not None
    return settings.state, str(settings.audit.jaeger) if shown else None


def _cells(row: "Joined", address: str) -> tuple[str, ...]:
    from extproc.audit.attributes import part, rows
    from extproc.audit.spans import verdict

    body = row.decision.body
    said, asked = part(body, "decision"), part(body, "action")
    effect = str(said.get("effect", "?"))
    masked = part(row.delivery.body, "masked") if row.delivery is not None else {}
    reasons = [r for r in rows(said.get("reasons")) if r.get("mode") == "enforce" and r.get("effect") == effect]
    people = [str(r.get("subject")) for r in rows(body.get("approvers"))]
    people = people or [str(part(v.body, "approver").get("subject")) for v in row.votes]
    hold = str(body["hold"]) if body.get("hold") else ""
    shown = f"hold, {verdict(body)}" if effect == "hold" else effect
    if effect == "allow" and any(masked.values()):
        shown = "mask"
    cells = (
        row.decision.at[:19] + "Z",
        str(said.get("id", "?")),
        str(part(body, "principal").get("subject", "?")),
        f"{asked.get('verb', '?')} {part(body, 'target').get('name', '?')} {asked.get('resource', '')}",
        shown,
        ", ".join(dict.fromkeys(str(r.get("policy")) for r in reasons)) or "-",
        (f"{hold} by {', '.join(people)}" if people else hold) or "-",
        address,
    )
    return tuple(visible(cell) for cell in cells)


def _table(lines: list[tuple[str, ...]]) -> str:
    head = ("TIME", "DECISION", "WHO", "ACTION", "EFFECT", "POLICY", "HOLD", "TRACE")
    widths = [max(len(line[i]) for line in (head, *lines)) for i in range(len(head) - 1)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(line, widths, strict=False)), line[-1]])
        for line in (head, *lines)
    )
