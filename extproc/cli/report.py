"""`holdpoint audit report`: what happened in a period, for auditors."""

import argparse
import json
import socket
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from extproc.cli._common import OK, PROBLEMS, CommandError, Subparsers, add_command, add_config
from extproc.cli._in_force import settings_in_force
from extproc.cli._times import record_time
from extproc.domain.display import visible

if TYPE_CHECKING:
    from extproc.audit.export.gaps import Trail
    from extproc.audit.export.period import Period, Rows, Tally
    from extproc.audit.keys import PublicKeys

_TOP = 10
_LISTED = 20


def register(verbs: Subparsers) -> None:
    """Add `report`."""
    report = add_command(
        verbs,
        "report",
        "what was allowed, held, blocked, masked and changed in a period",
        _report,
        about="Report on a period: actions by target, what was blocked and why, what was held and by whom it was\n"
        "answered, what was masked, what administrators changed, who read recordings, and whether the trail has gaps:\n"
        "it is verified, too. Reads files only. The exit code is 1 where there are gaps.",
        examples=(
            "holdpoint audit report --from 30d",
            "holdpoint audit report --from 2026-01-01 --to 2026-04-01 --html q1.html",
        ),
    )
    report.add_argument(
        "--from", dest="since", metavar="WHEN", help="a time (RFC 3339) or an age (6h, 30d); default: all"
    )
    report.add_argument("--to", dest="until", metavar="WHEN", help="the same; default: now")
    report.add_argument("--html", metavar="FILE", type=Path, help="also write a page, to read and to print")
    report.add_argument("--force", action="store_true", help="replace FILE where there is one")
    report.add_argument(
        "--key", metavar="PEM", type=Path, action="append", default=[],
        help="a public key, in place of the state folder's own; again for each that was ever used",
    )  # fmt: skip
    add_config(report)
    report.add_argument("--state", metavar="DIR", type=Path, help="the state folder (default: the configuration's)")
    report.add_argument("--json", action="store_true", help="print JSON, for programs")


def _report(arguments: argparse.Namespace) -> int:
    from extproc.audit.export.gaps import trail
    from extproc.audit.export.period import period
    from extproc.audit.export.period_html import document, period_page
    from extproc.audit.objects import ObjectStoreError
    from extproc.audit.verify import verify
    from extproc.cli._export import save
    from extproc.cli._verify_view import ProgressLine

    state = arguments.state if arguments.state is not None else settings_in_force(arguments).state
    if not (state / "journal").is_dir():
        raise CommandError(f"no journal in {state / 'journal'}: nothing to report on")
    asked = (("--from", arguments.since), ("--to", arguments.until))
    since, until = ("" if text is None else record_time(option, text) for option, text in asked)
    if until and since >= until:
        raise CommandError("--to: is not after --from")
    progress = ProgressLine()
    try:
        keys = _keys(arguments.key, state)
        verified = verify(state, keys=keys, since=since, progress=progress)
        found = period(state, since, until)
    except (OSError, ObjectStoreError, sqlite3.Error) as error:
        raise CommandError(f"no report: {error}") from error
    finally:
        progress.end()
    told = trail(found, verified)
    if arguments.html is not None:
        where = f"gateway on {socket.gethostname()}" if arguments.state is None else f"state folder {state}"
        save(arguments.html, period_page(found, told, where), force=arguments.force)
    if arguments.json:
        print(json.dumps(document(found, told)))
    else:
        for line in text(found, told):
            print(line)
    return PROBLEMS if told.gaps else OK


def _keys(given: list[Path], state: Path) -> "PublicKeys | None":
    """The public keys; None where there is none at hand, which the report then says."""
    from extproc.audit.keys import KeyUnusable, PublicKeys

    own = state / "keys" / "audit.pub"
    paths = given or ([own] if own.exists() else [])
    try:
        return PublicKeys.load(paths) if paths else None
    except KeyUnusable as error:
        raise CommandError(f"--key: {error}") from error


def text(found: "Period", told: "Trail") -> Iterator[str]:
    """The report for a terminal, line by line."""
    from extproc.audit.export.page import duration, span

    total = found.total
    yield f"{span(found.since or found.first, found.until or found.last)}, {found.records:,} records"
    yield ""
    names = ("allowed", "held", "blocked", "masked")
    rows = [(name, *(f"{tally[column]:,}" for column in names)) for name, tally in sorted(found.actions.items())]
    last = ("all", *(f"{total[column]:,}" for column in names))
    yield from _columns((("TARGET", *map(str.upper, names)), *rows, last), right=(1, 2, 3, 4))
    for title, tally in (
        ("blocked, by policy", found.blocked_by_policy),
        ("blocked, by principal", found.blocked_by_principal),
        ("blocked, most frequent reasons", found.blocked_why),
        ("would have been stopped by policies in shadow mode", found.unenforced),
        ("turned away before a decision", found.turned_away),
        ("holds, by the state they reached", found.holds),
        ("approved by", found.approved_by),
        ("denied by", found.denied_by),
        ("values masked", found.masked),
        ("alarms", found.alarms),
    ):
        yield from _tally(title, tally)
    if found.median_wait is not None:
        yield f"\nmedian wait for people: {duration(found.median_wait)}"
    yield from _acts("policies, configuration, tokens, freezes, targets", found.changes)
    yield from _acts("recordings read or exported", found.readings)
    yield from _acts("other acts", found.acts)
    yield ""
    for note in told.notes:
        yield f"note  {visible(note)}"
    for gap in told.gaps:
        yield f"GAP   {visible(gap)}"
    yield f"gaps: {len(told.gaps) or 'none'}"


def _tally(title: str, tally: "Tally") -> Iterator[str]:
    if tally:
        yield f"\n{title}"
        yield from _columns([(f"{n:,}", what) for what, n in tally.top(_TOP)], right=(0,))
        if len(tally) > _TOP:
            yield f"  and {len(tally) - _TOP:,} more"


def _acts(title: str, acts: "Rows") -> Iterator[str]:
    if acts.total:
        yield f"\n{title}"
        yield from _columns(
            [(a.at[:19] + "Z", a.kind, a.what, a.about or "-", a.by or "-") for a in acts.first[:_LISTED]]
        )
        if acts.total > _LISTED:
            yield f"  and {acts.total - _LISTED:,} more (--html and --json have them)"


def _columns(rows: Sequence[tuple[str, ...]], *, right: Sequence[int] = ()) -> Iterator[str]:
    cells = [tuple(visible(cell) for cell in row) for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    for row in cells:
        padded = (
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield ("  " + "  ".join(padded)).rstrip()
