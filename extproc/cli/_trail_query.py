"""What `sessions list` and `audit list` are asked for, and how their pages are gone through."""

import argparse
import sys
from collections.abc import Callable, Mapping
from typing import Any

from extproc.cli._common import CommandError
from extproc.cli._terminal import size
from extproc.cli._times import record_time

LIMIT, MOST_LIMIT = 50, 1000
_PAGE = 200
_TIMES = ("since", "until")
OF_ALL = ("principal", "target", *_TIMES, "decision", "hold")
"""What may be asked of every record."""
OF_ACTIONS = ("effect", "policy", "trace", "words")
"""What may be asked of actions alone."""


def add_filters(parser: argparse.ArgumentParser) -> None:
    """Add what narrows a list."""
    parser.add_argument("words", nargs="*", metavar="WORD", help="words that are all there")
    parser.add_argument("--principal", metavar="WHO", help="only of this subject, or `ISSUER SUBJECT`")
    parser.add_argument("--target", metavar="NAME", help="only on this target")
    parser.add_argument(
        "--effect",
        choices=("allow", "mask", "hold", "block"),
        help="only of this effect; allow is without, mask with values that were masked; hold is all that waited for "
        "people, whatever they said",
    )
    parser.add_argument("--policy", metavar="ID", help="only with a reason of this policy")
    parser.add_argument("--since", metavar="WHEN", help="only later: a time (RFC 3339) or an age (90s, 6h, 2d)")
    parser.add_argument("--until", metavar="WHEN", help="only earlier, likewise")
    parser.add_argument("--trace", metavar="ID", help="only of this trace, or with a claim to it")
    parser.add_argument("--decision", metavar="ID", help="only of the decision whose id starts so")
    parser.add_argument("--hold", metavar="ID", help="only what waited in this hold")
    parser.add_argument(
        "--limit", metavar="N", type=int, default=LIMIT, help=f"at most the newest N (default: {LIMIT})"
    )


def query_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """What was asked for, with the API's names and record times. Raises CommandError."""
    query: dict[str, Any] = {}
    for name in (*OF_ALL, *OF_ACTIONS):
        value = getattr(arguments, name)
        if value not in (None, []):
            query["word" if name == "words" else name] = record_time(f"--{name}", value) if name in _TIMES else value
    return query


def pages(
    page_of: Callable[[dict[str, Any]], Mapping[str, Any]], query: Mapping[str, Any], of: str, limit: int
) -> list[dict[str, Any]]:
    """The newest rows that fit, newest first; `of` is their member of a page. Says what can't be found yet. Raises
    CommandError."""
    if not 1 <= limit <= MOST_LIMIT:
        raise CommandError(f"--limit {limit}: expected 1 to {MOST_LIMIT}")
    page = page_of({**query, "limit": min(_PAGE, limit)})
    rows: list[dict[str, Any]] = list(page[of])
    while page["next"] is not None and len(rows) < limit:
        page = page_of({**query, "before": page["next"], "limit": min(_PAGE, limit - len(rows))})
        rows += page[of]
    if page["behind"]:
        print(f"not searchable yet: the journal's last {size(page['behind'])}", file=sys.stderr)
    return rows
