"""`holdpoint sessions`: find sessions in the trail, read them, and play them again."""

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from extproc.cli._common import INTERRUPTED, OK, CommandError, Subparsers, add_command
from extproc.cli._control_client import add_access, print_json
from extproc.cli._export import register_export
from extproc.cli._holds_view import Screen
from extproc.cli._in_force import settings_in_force
from extproc.cli._recorded import Recorded
from extproc.cli._replay import play
from extproc.cli._sessions_source import catch_up, folder, jaeger, source
from extproc.cli._sessions_view import entry, head, table
from extproc.cli._terminal import columns, size
from extproc.cli._times import duration
from extproc.cli._trail_query import add_filters, pages, query_of
from extproc.domain.display import visible


def register(subparsers: Subparsers) -> None:
    """Add `sessions` and its verbs."""
    noun = add_command(
        subparsers,
        "sessions",
        "find recorded sessions, read them, play them again, export them",
        None,
        about="A session is one connection of one agent: what it asked for, what policy said, who approved, what was\n"
        "masked and what came back. Ids may be cut short as long as they stay unique. A running gateway is asked, for\n"
        "those whose groups audit.roles names; with --state DIR the files of a state folder are read instead, and\n"
        "what is read of bodies is recorded there.",
        examples=(
            "holdpoint sessions list --since 1h",
            "holdpoint sessions list --effect block --target crm",
            'holdpoint sessions list "delete from customers" --principal agent-7',
            "holdpoint sessions show 3f9a0c",
            "holdpoint sessions replay 3f9a0c --speed 10",
            "holdpoint sessions list --state /var/lib/holdpoint",
        ),
    )
    verbs = noun.add_subparsers(metavar="VERB", title="verbs")
    _add_list(verbs)
    show = _verb(
        verbs,
        "show",
        "show a session, or one decision, as a timeline",
        _show,
        "holdpoint sessions show 3f9a0c",
        "holdpoint sessions show 3f9a0c --bodies --json",
    )
    show.add_argument("id", metavar="ID", help="the start of a session's id, or of a decision's")
    show.add_argument(
        "--bodies", action="store_true", help="read what was recorded, too; that takes the role `read`, and is recorded"
    )
    _add_replay(verbs)
    index = _verb(
        verbs,
        "index",
        "bring the search index up to date, or make it anew",
        _index,
        "holdpoint sessions index --rebuild",
    )
    index.add_argument("--rebuild", action="store_true", help="throw it away first; nothing but time is lost")
    register_export(verbs)


def _verb(
    verbs: Subparsers,
    name: str,
    help_text: str,
    run: Callable[[argparse.Namespace], int],
    *examples: str,
    about: str = "",
) -> argparse.ArgumentParser:
    parser = add_command(verbs, name, help_text, run, examples=examples, about=about)
    parser.add_argument("--state", metavar="DIR", type=Path, help="read this state folder instead of asking a gateway")
    add_access(parser)
    return parser


def _add_list(verbs: Subparsers) -> None:
    listing = _verb(
        verbs,
        "list",
        "list sessions, the newest first",
        _list,
        "holdpoint sessions list --since 6h --effect hold",
        "holdpoint sessions list invoice 'needs a ticket' delet*",
        "holdpoint sessions list --trace 0af7651916cd43dd8448eb211c80319c --json",
        about="List the sessions in which one action fits all that is asked, newest first. Words are looked for in\n"
        "what was asked for, in the reasons of decisions, and in bodies where policy lets these be indexed: each\n"
        "whole, or its beginning where it ends with *; words in one pair of quotes stand beside each other.",
    )
    add_filters(listing)


def _add_replay(verbs: Subparsers) -> None:
    replay = _verb(
        verbs,
        "replay",
        "play a session again: each request and response at its time",
        _replay,
        "holdpoint sessions replay 3f9a0c",
        "holdpoint sessions replay 3f9a0c --speed 10",
        "holdpoint sessions replay 3f9a0c --step",
        "holdpoint sessions replay 3f9a0c | less",
        about="Play a session again, in its own time: each request with its response beside it, as they were masked,\n"
        "with masked values highlighted. Nothing is sent anywhere. Bodies take the role `read`, and each that is read\n"
        "is recorded with your name. A key goes on at once, q ends. Into a pipe it is written without waiting.",
    )
    replay.add_argument("id", metavar="SESSION", help="the start of the session's id")
    replay.add_argument("--speed", type=_speed, metavar="X", help="X times as fast; 0 waits for nothing (default: 1)")
    replay.add_argument("--step", action="store_true", help="wait for a key before each exchange")
    replay.add_argument(
        "--longest-wait",
        type=duration,
        default=2.0,
        metavar="TIME",
        help="shorten longer waits to this, and say so (default: 2s)",
    )
    replay.add_argument("--lines", type=_lines, default=24, metavar="N", help="of each body at most (default: 24)")
    replay.add_argument("--no-bodies", dest="bodies", action="store_false", help="read no bodies")


def _list(arguments: argparse.Namespace) -> int:
    query = query_of(arguments)
    with source(arguments) as of:
        rows = pages(of.sessions, query, "sessions", arguments.limit)
    if arguments.json:
        print_json(rows)
    elif rows:
        print(table(Screen(), rows, columns()))
    else:
        print("no session fits", file=sys.stderr)
    return OK


def _show(arguments: argparse.Namespace) -> int:
    screen, address = Screen(), jaeger(arguments)
    with source(arguments) as of:
        try:
            session, exchanges = of.session(arguments.id)
        except CommandError as error:
            # Ids of decisions are longer; what both have is looked for as a session first.
            try:
                decision = of.decision(arguments.id)
            except CommandError:
                raise error from None
            _print_one(arguments, screen, decision, address, Recorded(of, arguments.bodies))
            return OK
        bodies = Recorded(of, arguments.bodies)
        if arguments.json:
            print_json({**session, "exchanges": [bodies.document(exchange) for exchange in exchanges]})
            return OK
        first = None
        for exchange in exchanges:
            if first is None:
                first = exchange
                print(head(screen, session, first))
            print("\n" + "\n".join(entry(screen, exchange, session["first"], address)))
            _print_bodies(bodies, exchange)
        if first is None:
            print(head(screen, session, None))
    return OK


def _print_one(
    arguments: argparse.Namespace, screen: Screen, exchange: dict[str, Any], address: str | None, bodies: Recorded
) -> None:
    if arguments.json:
        print_json(bodies.document(exchange))
        return
    if exchange["session_key"]:
        print(screen.style(f"of session {visible(exchange['session_key'])}", "bold"))
    print("\n".join(entry(screen, exchange, exchange["at"], address)))
    _print_bodies(bodies, exchange)


def _print_bodies(bodies: Recorded, exchange: dict[str, Any]) -> None:
    for line in bodies.lines(exchange, columns()):
        print(f"    {line}".rstrip())


def _replay(arguments: argparse.Namespace) -> int:
    if arguments.json:
        raise CommandError("replay is for people; `holdpoint sessions export` and `show --json` are for programs")
    if arguments.step and not sys.stdin.isatty():
        raise CommandError("--step waits for keys: it needs a terminal")
    try:
        with source(arguments) as of:
            play(arguments, of)
    except KeyboardInterrupt:
        print(flush=True)
        return INTERRUPTED
    return OK


def _index(arguments: argparse.Namespace) -> int:
    state = folder(arguments.state if arguments.state is not None else settings_in_force(arguments).state)
    learned = catch_up(state, rebuild=arguments.rebuild)
    print(f"{state / 'index.db'}: up to date; {size(learned)} of the journal were new to it")
    return OK


def _speed(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", text):
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number such as 1, 10 or 0.5")
    return float(text)


def _lines(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,5}", text):
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number above 0")
    return int(text)
