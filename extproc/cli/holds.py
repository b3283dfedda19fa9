"""`holdpoint holds`: see the actions that wait for people, and answer them."""

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any

from extproc.cli._common import OK, PROBLEMS, Subparsers, add_command
from extproc.cli._control_client import add_access, approver, print_json
from extproc.cli._holds_view import Screen, detail, table, utc_now
from extproc.cli._times import duration
from extproc.domain.display import visible

POLL_SECONDS = 1.0


def register(subparsers: Subparsers) -> None:
    """Add `holds` and its verbs."""
    noun = add_command(
        subparsers,
        "holds",
        "list the actions that wait for people; approve and deny them",
        None,
        about="See the actions that wait for people, and answer them. Only members of the groups that a hold asks can\n"
        "see it. An id may be cut short as long as it stays the only one that starts so.",
        examples=(
            "holdpoint holds list",
            "holdpoint holds show 3f9a",
            'holdpoint holds approve 3f9a --reason "ticket 4711"',
        ),
    )
    verbs = noun.add_subparsers(metavar="VERB", title="verbs")

    def verb(
        name: str, help_text: str, run: Callable[[argparse.Namespace], int], *examples: str
    ) -> argparse.ArgumentParser:
        parser = add_command(verbs, name, help_text, run, examples=examples)
        add_access(parser)
        return parser

    listing = verb(
        "list", "list pending holds, oldest first", _list, "holdpoint holds list", "holdpoint holds list --all --json"
    )
    listing.add_argument("--all", action="store_true", help="holds that have ended too, newest first")
    show = verb(
        "show", "show a hold whole: what will go on, who asks, and why it waits", _show, "holdpoint holds show 3f9a"
    )
    show.add_argument("id", metavar="ID", help="the hold's id, or the start of it")
    for name, run in (("approve", _approve), ("deny", _deny)):
        vote = verb(name, f"{name} a hold", run, f'holdpoint holds {name} 3f9a --reason "ticket 4711"')
        vote.add_argument("id", metavar="ID", help="the hold's id, or the start of it")
        vote.add_argument(
            "--reason", required=True, metavar="TEXT", help="why; recorded beside your name (1 to 500 characters)"
        )
    wait = verb(
        "wait",
        "wait until a hold is pending that you may answer, and print it",
        _wait,
        "holdpoint holds wait --timeout 60s",
    )
    wait.add_argument("--timeout", type=duration, metavar="TIME", help="give up after so long, with exit code 1")


def _list(arguments: argparse.Namespace) -> int:
    holds = approver(arguments).holds("all" if arguments.all else "pending")
    if arguments.json:
        print_json(holds)
    elif holds:
        print(table(Screen(), holds, utc_now()))
    else:
        print("no holds" if arguments.all else "nothing waits for you")
    return OK


def _show(arguments: argparse.Namespace) -> int:
    _print_hold(arguments, approver(arguments).find(arguments.id))
    return OK


def _approve(arguments: argparse.Namespace) -> int:
    return _vote(arguments, approve=True)


def _deny(arguments: argparse.Namespace) -> int:
    return _vote(arguments, approve=False)


def _vote(arguments: argparse.Namespace, approve: bool) -> int:
    client = approver(arguments)
    hold = client.vote(client.find(arguments.id)["id"], approve, arguments.reason)
    if arguments.json:
        print_json(hold)
        return OK
    screen = Screen()
    print(f"hold {hold['id']} is {screen.state(hold['state'])}")
    if hold["state"] == "pending":
        print("your vote is recorded; it needs more: " + ", ".join(_missing(hold)))
    return OK


def _missing(hold: dict[str, Any]) -> list[str]:
    return [
        f"{r['quorum'] - len(r['approvers'])} of {visible(r['group'])}" for r in hold["requirements"] if not r["met"]
    ]


def _wait(arguments: argparse.Namespace) -> int:
    client = approver(arguments)
    deadline = time.monotonic() + arguments.timeout if arguments.timeout is not None else None
    while True:
        mine = [h for h in client.holds() if h["you"]["may_vote"]]
        if mine:
            # The oldest first: it is the one that expires first, most often.
            _print_hold(arguments, client.find(mine[0]["id"]))
            return OK
        left = deadline - time.monotonic() if deadline is not None else POLL_SECONDS
        if left <= 0:
            print("no hold came in time", file=sys.stderr)
            return PROBLEMS
        time.sleep(min(POLL_SECONDS, left))


def _print_hold(arguments: argparse.Namespace, hold: dict[str, Any]) -> None:
    if arguments.json:
        print_json(hold)
    else:
        print(detail(Screen(), hold, utc_now()))
