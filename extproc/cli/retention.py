"""`holdpoint audit legal-hold`, `purge`, `receipt` and `retention`: what the trail keeps, and what it forgets."""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from extproc.cli._common import OK, PROBLEMS, CommandError, Subparsers, add_command
from extproc.cli._control_client import add_access, print_json
from extproc.cli._retention_source import source
from extproc.cli._retention_view import counts, hold_lines, report_lines
from extproc.cli._times import record_time
from extproc.domain.display import visible

if TYPE_CHECKING:
    from extproc.cli._retention_source import Source

_WHO = (
    "For members of a group in audit.roles.administer, administrators, root and the gateway's user; with --state on\n"
    "the files of a gateway that does not run."
)
_SELECTS = (
    ("target", "NAME", "this target"),
    ("principal", "WHO", "this subject, or `ISSUER SUBJECT`"),
    ("session", "ID", "this session, as `holdpoint sessions list` names it"),
    ("since", "WHEN", "from then on: a time (RFC 3339) or an age (90s, 6h, 2d)"),
    ("until", "WHEN", "up to then"),
)
_TEXTS = ("principal", "target", "session", "decision", "since", "until")


def register(verbs: Subparsers) -> None:
    """Add the four."""
    noun = add_command(
        verbs,
        "legal-hold",
        "keep something beyond its time, whatever asks for it to go",
        None,
        about=f"A legal hold keeps records and bodies from ageing, and from being purged, until it is lifted.\n{_WHO}",
        examples=(
            'holdpoint audit legal-hold place --principal crm-bot --since 30d --reason "lawsuit 4711"',
            "holdpoint audit legal-hold list",
            'holdpoint audit legal-hold lift 3f9a52c6d0b1e874 --reason "settled"',
        ),
    )
    inner = noun.add_subparsers(metavar="VERB", title="verbs")
    place = add_command(
        inner,
        "place",
        "place a legal hold on whatever fits all that is given",
        _place,
        examples=(
            'holdpoint audit legal-hold place --principal crm-bot --since 30d --reason "lawsuit 4711"',
            'holdpoint audit legal-hold place --session 3f9a52c6d0b1e874 --reason "lawsuit 4711"',
        ),
    )
    for name, value, what in _SELECTS:
        place.add_argument(f"--{name}", metavar=value, help=f"only what is of {what}" if value != "WHEN" else what)
    place.add_argument("--reason", required=True, metavar="TEXT", help="why; recorded beside your name")
    lift = add_command(
        inner,
        "lift",
        "lift a legal hold",
        _lift,
        examples=('holdpoint audit legal-hold lift 3f9a52c6d0b1e874 --reason "settled"',),
    )
    lift.add_argument("id", metavar="ID", help="the hold's id, as `list` shows it")
    lift.add_argument("--reason", required=True, metavar="TEXT", help="why; recorded beside your name")
    listing = add_command(
        inner,
        "list",
        "list the legal holds that are placed",
        _list,
        examples=("holdpoint audit legal-hold list",),
    )
    purge = _add_purge(verbs)
    receipt = add_command(
        verbs,
        "receipt",
        "check the receipt of a purge",
        _receipt,
        about="Check that a receipt is as the gateway signed it. Needs no gateway, and only its public key.",
        examples=("holdpoint audit receipt erika.json --key audit.pub",),
    )
    receipt.add_argument("file", metavar="FILE", type=Path, help="the receipt")
    receipt.add_argument("--key", metavar="PEM", type=Path, action="append", required=True, help="a public key")
    report = add_command(
        verbs,
        "retention",
        "show what is kept how long, and what goes next",
        _report,
        about=f"What is kept of each target and how long, how much of it there is, and when the next goes.\n{_WHO}",
        examples=("holdpoint audit retention",),
    )
    for parser in (place, lift, listing, purge, report):
        add_access(parser)
        parser.add_argument("--state", metavar="DIR", type=Path, help="a state folder that no gateway runs on")


def _add_purge(verbs: Subparsers) -> argparse.ArgumentParser:
    purge = add_command(
        verbs,
        "purge",
        "delete what was recorded of somebody's bodies",
        _purge,
        about="Delete the recorded bodies of all actions that fit, in the state folder and the object store, and\n"
        "their words in the index. The records of the actions stay, and the trail still verifies. What is on legal\n"
        f"hold stays. What you search for is recorded beside your name.\n{_WHO}",
        examples=(
            "holdpoint audit purge --principal erika@example.com --dry-run",
            'holdpoint audit purge mustermann --target crm --reason "request of 2026-02-03" --receipt erika.json',
            "holdpoint audit purge --receipt-of 3f9a52c6d0b1e874 > erika.json",
        ),
    )
    purge.add_argument("words", metavar="WORD", nargs="*", help="a word, or a phrase in quotes, that is in the action")
    purge.add_argument("--decision", metavar="ID", help="only this decision")
    for name, value, what in _SELECTS:
        purge.add_argument(f"--{name}", metavar=value, help=f"only what is of {what}" if value != "WHEN" else what)
    purge.add_argument("--reason", metavar="TEXT", help="why; recorded beside your name")
    purge.add_argument("--dry-run", action="store_true", help="only show how much it would be")
    purge.add_argument("--yes", action="store_true", help="do not ask")
    purge.add_argument("--receipt", metavar="FILE", type=Path, help="where the receipt goes (default: standard output)")
    purge.add_argument("--receipt-of", metavar="ID", help="only give the receipt of a purge that was begun before")
    return purge


def _place(arguments: argparse.Namespace) -> int:
    selects = _times({name: getattr(arguments, name) for name, *_ in _SELECTS})
    if not selects:
        raise CommandError(f"say what to keep: {', '.join(f'--{name}' for name, *_ in _SELECTS)}")
    with source(arguments) as asked:
        hold = asked.place(selects, arguments.reason)
    if arguments.json:
        print_json(hold)
    else:
        print(f"legal hold {hold['id']} is placed: {_selected(hold['selects'])}")
        print(f"to lift it: holdpoint audit legal-hold lift {hold['id']} --reason WHY")
    return OK


def _lift(arguments: argparse.Namespace) -> int:
    with source(arguments) as asked:
        hold = asked.lift(arguments.id, arguments.reason)
    if arguments.json:
        print_json(hold)
    else:
        print(f"legal hold {hold['id']} is lifted; what is over its time goes within the hour")
    return OK


def _list(arguments: argparse.Namespace) -> int:
    with source(arguments) as asked:
        holds = asked.holds()
    if arguments.json:
        print_json(holds)
    else:
        print("\n".join(hold_lines(holds)) if holds else "no legal holds")
    return OK


def _report(arguments: argparse.Namespace) -> int:
    with source(arguments) as asked:
        report = asked.report()
    if arguments.json:
        print_json(report)
    else:
        print("\n".join(report_lines(report)))
    return OK


def _purge(arguments: argparse.Namespace) -> int:
    query: dict[str, Any] = _times({name: getattr(arguments, name) for name in _TEXTS})
    if arguments.words:
        query["words"] = arguments.words
    if arguments.receipt_of is None and not query:
        raise CommandError("say what to purge: words, or " + ", ".join(f"--{name}" for name in _TEXTS))
    if arguments.receipt_of is not None and (query or arguments.dry_run):
        raise CommandError("--receipt-of begins no purge; leave everything but --receipt out")
    with source(arguments) as asked:
        if arguments.receipt_of is not None:
            with _written(arguments.receipt) as out:
                return _wait(asked, arguments.receipt_of, out)
        if arguments.dry_run:
            found = asked.search(query)
            print_json(found) if arguments.json else print("\n".join(counts(found)))
            return OK
        if arguments.reason is None:
            raise CommandError("--reason: say why, in a few words; it is recorded beside your name")
        with _written(arguments.receipt) as out:
            if not arguments.yes:
                _confirm(asked.search(query))
            begun = asked.purge(query, arguments.reason)
            print(
                f"purge {begun['id']}: {begun['bodies']} bodies go, {begun['kept']} are kept on legal hold",
                file=sys.stderr,
            )
            return _wait(asked, begun["id"], out)


def _wait(asked: "Source", purge_id: str, out: Any) -> int:
    terminal = sys.stderr.isatty()

    def progress(left: int) -> None:
        if terminal:
            print(f"\r\x1b[K{left} bodies are left", end="", file=sys.stderr, flush=True)

    try:
        receipt = asked.receipt(purge_id, progress)
    except (KeyboardInterrupt, CommandError):
        again = f"holdpoint audit purge --receipt-of {purge_id}"
        print(f"\npurge {purge_id} is noted, and goes on without you; for its receipt: {again}", file=sys.stderr)
        raise
    if terminal:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    try:
        json.dump(receipt, out, indent=2)
        out.write("\n")
        out.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        # What is deleted stays deleted; its receipt is to be had again.
        again = f"holdpoint audit purge --receipt-of {purge_id} --receipt FILE"
        told = f"purge {purge_id} is done, and its receipt could not be written: {error.strerror}"
        raise CommandError(f"{told}\nwhere there is room: {again}") from None
    print(f"done: {len(receipt['addresses'])} bodies are deleted; keep the receipt", file=sys.stderr)
    return OK


def _confirm(found: dict[str, Any]) -> None:
    """Ask a person. Raises CommandError where there is none, or they say no."""
    print("\n".join(counts(found)), file=sys.stderr)
    if not found["bodies"]:
        raise CommandError("nothing to purge")
    if not sys.stdin.isatty():
        raise CommandError("nobody is there to ask; look at --dry-run, then give --yes")
    print("They can't be had back. Type `purge` to go on: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip() != "purge":
        raise CommandError("nothing was purged")


@contextmanager
def _written(file: Path | None) -> Iterator[Any]:
    """Where the receipt goes: made before anything is done, so that this can't fail later; gone where there is none."""
    if file is None:
        yield sys.stdout
        return
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise CommandError(f"--receipt {file}: {error.strerror}; name a file that is not there yet") from None
    out = os.fdopen(descriptor, "w")
    try:
        yield out
        out.close()
    except BaseException:
        file.unlink(missing_ok=True)
        with suppress(OSError):
            out.close()
        raise


def _receipt(arguments: argparse.Namespace) -> int:
    from extproc.audit.keys import KeyUnusable, PublicKeys
    from extproc.audit.retention.receipt import BadReceipt, verify_receipt

    try:
        keys = PublicKeys.load(arguments.key)
        document = json.loads(arguments.file.read_bytes())
    except OSError as error:
        raise CommandError(f"can't be checked: {error.filename}: {error.strerror}") from None
    except KeyUnusable as error:
        raise CommandError(f"can't be checked: --key {error}") from None
    except ValueError:
        raise CommandError(f"can't be checked: {arguments.file}: not a receipt (no JSON)") from None
    try:
        found = verify_receipt(document, keys)
    except BadReceipt as error:
        print(f"{arguments.file}: {error}", file=sys.stderr)
        return PROBLEMS
    purge = found["purge"]
    who = visible(str(purge.get("by", {}).get("subject")))
    print(f"purge {purge['id']} by {who}, done {found['done']}: {visible(str(purge['reason']))}")
    print(f"{len(found['addresses'])} bodies deleted, {purge['kept']} kept on legal hold; signed by key {found['key']}")
    return OK


def _times(given: dict[str, str | None]) -> dict[str, str]:
    """What was given, with ages as times. Raises CommandError."""
    asked = {name: value for name, value in given.items() if value is not None}
    for name in ("since", "until"):
        if name in asked:
            asked[name] = record_time(f"--{name}", asked[name])
    return asked


def _selected(selects: dict[str, str]) -> str:
    return ", ".join(f"{name} {visible(value)}" for name, value in selects.items())
