"""`holdpoint audit`: search the journal, and verify that it is whole. Reads files only: it needs no running gateway."""

import argparse
import json
import sqlite3
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from extproc.approvals.display import visible
from extproc.cli._common import OK, PROBLEMS, CommandError, Subparsers, add_command, add_config, load_settings

if TYPE_CHECKING:
    from extproc.audit.reader import Joined
    from extproc.audit.verify import Witness

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
    verify = add_command(
        verbs,
        "verify",
        "verify every stream of the journal, from its first byte to its last",
        _verify,
        about="Verify every stream of the journal: frames, sequence, hash chain, and that what was shipped is still\n"
        "there. The exit code is 1 where something is wrong. The chain proves what was not changed up to the last\n"
        "hash that somebody else holds: note the heads that are printed, and give them with --head next time.",
        examples=("holdpoint audit verify", "holdpoint audit verify --head worker-0:4711:9f86d081..."),
    )
    verify.add_argument(
        "--head", metavar="STREAM:SEQ:HASH", action="append", default=[], help="a record that must still be there"
    )
    for parser in (listing, show, verify):
        add_config(parser)
        parser.add_argument("--state", metavar="DIR", type=Path, help="the state folder (default: the configuration's)")
        parser.add_argument("--json", action="store_true", help="print JSON, for programs")


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


def _verify(arguments: argparse.Namespace) -> int:
    from extproc.audit.verify import verify

    state, _ = _where(arguments)
    terminal = sys.stderr.isatty()

    def progress(stream: str, done: int, size: int) -> None:
        if terminal:
            end = "\n" if done >= size else ""
            print(f"\r{visible(stream)}: {done * 100 // max(size, 1)} %", end=end, file=sys.stderr, flush=True)

    verdicts = verify(state, (*_heads(arguments.head), *_shipped(state)), progress)
    for v in verdicts:
        if arguments.json:
            row = {"stream": v.stream, "path": str(v.path), "records": v.records, "bytes": v.bytes, "head": v.head}
            row |= {"fault": v.fault, "offset": v.offset, "seq": v.seq, "message": v.message}
            print(json.dumps(row))
        elif v.fault is None:
            head = f"{v.stream}:{v.records - 1}:{v.head}"
            print(f"ok     {visible(v.stream)}  {v.records} records, {v.bytes} bytes, head {visible(head)}")
        else:
            where = f"{v.path}: byte {v.offset}, record {v.seq}"
            print(f"FAULT  {visible(v.stream)}  {v.fault}: {where}: {visible(v.message or '')}")
    if not verdicts:
        raise CommandError(f"no journal in {state / 'journal'}: nothing to verify")
    return PROBLEMS if any(v.fault is not None for v in verdicts) else OK


def _heads(texts: list[str]) -> "list[Witness]":
    from extproc.audit.verify import Witness

    heads = []
    for text in texts:
        stream, _, rest = text.partition(":")
        seq, _, digest = rest.partition(":")
        if not stream or not seq.isdecimal() or len(digest) != 64:
            raise CommandError(f"--head {text}: expected STREAM:SEQ:HASH as `verify` prints it, the hash 64 hex digits")
        heads.append(Witness(stream, int(seq), digest.lower()))
    return heads


def _shipped(state: Path) -> "list[Witness]":
    """What the shipper sent last of every stream: the trace store holds these hashes too."""
    from extproc.audit.store import Store
    from extproc.audit.verify import Witness

    path = state / "shipper.db"
    if not path.exists():
        return []
    try:
        store = Store(path, readonly=True)
        try:
            return [Witness(c.stream, c.seq, c.hash) for c in store.cursors().values()]
        finally:
            store.close()
    except sqlite3.Error as error:
        raise CommandError(f"{path}: {error}; without it, move it aside and verify against --head") from error


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
