"""`holdpoint tokens`: what agents without an identity provider show instead."""

import argparse
import re
import sys
from typing import Any
from urllib.parse import urlencode

from extproc.cli._common import OK, CommandError, Subparsers, add_command
from extproc.cli._control_client import add_access, administrator, print_json
from extproc.domain.display import visible

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def register(subparsers: Subparsers) -> None:
    """Add `tokens` and its verbs."""
    noun = add_command(
        subparsers,
        "tokens",
        "issue, list and revoke the tokens of agents",
        None,
        about="Tokens for agents that no identity provider knows. The gateway signs and lists them: what it did not\n"
        "issue, or has revoked, lets nobody in. For administrators: members of a group in identity.administrators,\n"
        "by their own token; and without one, root and the gateway's user on its machine.",
        examples=(
            "holdpoint tokens issue --subject crm-bot --owner alice@example.com --target crm --expires 30d",
            "holdpoint tokens list",
            "holdpoint tokens revoke 3f9a52c6d0b1e874",
        ),
    )
    verbs = noun.add_subparsers(metavar="VERB", title="verbs")
    issue = add_command(
        verbs,
        "issue",
        "issue a token and print it, this once",
        _issue,
        about="Issue a token. It goes to standard output alone, and is kept nowhere: put it where the agent finds it.",
        examples=(
            "(umask 077; holdpoint tokens issue --subject crm-bot --owner alice@example.com > crm-bot.token)",
            "holdpoint tokens issue --subject ci --kind service --network 10.1.0.0/16 --expires 12h --note 'build 7'",
        ),
    )
    add_access(issue)
    issue.add_argument("--subject", required=True, metavar="NAME", help="the agent's name in policies and records")
    issue.add_argument(
        "--owner",
        metavar="SUBJECT",
        help="who answers for the agent, and so can't approve what it asks for (default: you)",
    )
    issue.add_argument(
        "--owner-issuer", metavar="ISSUER", help="whose subject that is (default: the only issuer of approvers)"
    )
    issue.add_argument(
        "--kind", choices=("agent", "service"), default="agent", help="what sort of party it is (default: agent)"
    )
    for name, what in (
        ("group", "a group that policies may ask for"),
        ("target", "a target it may ask for (default: all)"),
        ("network", "a network in CIDR form that it may come from (default: all)"),
    ):
        issue.add_argument(f"--{name}", action="append", metavar=name.upper(), help=f"{what}; may be given again")
    issue.add_argument(
        "--expires", metavar="TIME", type=_seconds, help="how long it counts: 12h, 30d (default: 30d; at most 366d)"
    )
    issue.add_argument("--note", metavar="TEXT", help="a few words for whoever lists it")
    listing = add_command(
        verbs, "list", "list tokens, newest first", _list, examples=("holdpoint tokens list --owner alice@example.com",)
    )
    add_access(listing)
    listing.add_argument("--owner", metavar="SUBJECT", help="only those that this one answers for")
    listing.add_argument("--subject", metavar="NAME", help="only those of this name")
    listing.add_argument("--state", choices=("valid", "expired", "revoked"), help="only those in this state")
    revoke = add_command(
        verbs, "revoke", "revoke a token", _revoke, examples=("holdpoint tokens revoke 3f9a52c6d0b1e874",)
    )
    add_access(revoke)
    revoke.add_argument("id", metavar="ID", help="the token's id, as `tokens list` shows it")


def _issue(arguments: argparse.Namespace) -> int:
    if arguments.owner is None and arguments.owner_issuer is not None:
        raise CommandError("--owner-issuer says whose subject --owner is; give that too")
    owner = None if arguments.owner is None else {"issuer": arguments.owner_issuer, "subject": arguments.owner}
    wanted = {
        "subject": arguments.subject,
        "owner": owner,
        "kind": arguments.kind,
        "groups": arguments.group,
        "targets": arguments.target,
        "networks": arguments.network,
        "lifetime_seconds": arguments.expires,
        "note": arguments.note,
    }
    token = administrator(arguments).call("POST", "/tokens", {k: v for k, v in wanted.items() if v is not None})
    if arguments.json:
        print_json(token)
        return OK
    lines = [
        f"token {token['id']} of {visible(token['subject'])}, for which {_owner(token)} answers",
        f"it counts until {token['expires_at']}",
        "it is shown this once; the agent sends it as `Authorization: Bearer TOKEN`, or as its client's API key",
        "for a database it is the password; the user name may be anything",
        f"to end it: holdpoint tokens revoke {token['id']}",
    ]
    if token["owner"]["issuer"].startswith("unix:"):
        lines.append(
            "its owner is a user of this machine, whom the gateway can't tell from an approver: name the person with "
            "--owner, so that they can't approve what it asks for"
        )
    print("\n".join(lines), file=sys.stderr)
    print(token["token"])
    return OK


def _list(arguments: argparse.Namespace) -> int:
    asked = {name: getattr(arguments, name) for name in ("owner", "subject", "state")}
    query = urlencode({name: value for name, value in asked.items() if value is not None})
    tokens = administrator(arguments).call("GET", f"/tokens?{query}")["tokens"]
    if arguments.json:
        print_json(tokens)
    elif tokens:
        print("\n".join(_rows(tokens)))
    else:
        print("no tokens")
    return OK


def _revoke(arguments: argparse.Namespace) -> int:
    # Only what can stand in a path; the gateway says what an id looks like.
    token_id = re.sub(r"[^0-9A-Za-z]", "-", arguments.id.lower()) or "-"
    token = administrator(arguments).call("DELETE", f"/tokens/{token_id}")
    if arguments.json:
        print_json(token)
    elif token["revoked_now"]:
        print(f"token {token['id']} of {visible(token['subject'])} is revoked; what it has open ends within a second")
    else:
        print(f"token {token['id']} of {visible(token['subject'])} was revoked before, at {token['revoked_at']}")
    return OK


def _rows(tokens: list[dict[str, Any]]) -> list[str]:
    head = ("ID", "STATE", "SUBJECT", "OWNER", "EXPIRES", "TARGETS", "NETWORKS", "NOTE")
    rows = [
        (
            t["id"],
            t["state"],
            visible(t["subject"]),
            _owner(t),
            t["expires_at"][:16] + "Z",
            visible(", ".join(t["targets"])) if t["targets"] is not None else "all",
            visible(", ".join(t["networks"])) if t["networks"] is not None else "all",
            visible(t["note"]),
        )
        for t in tokens
    ]
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    return ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in (head, *rows)]


def _owner(token: dict[str, Any]) -> str:
    return visible(token["owner"]["subject"])


def _seconds(text: str) -> int:
    found = re.fullmatch(r"([1-9][0-9]{0,8})([smhd])", text)
    if found is None:
        raise argparse.ArgumentTypeError(
            f"{text!r}: a number and a unit (s, m, h, d) without a space, such as 12h or 30d"
        )
    return int(found[1]) * _UNITS[found[2]]
