"""`holdpoint passwords`: a user and a password, for an hour at most, for database clients that can't send a token."""

import argparse
import ipaddress
import re
import shlex
import sys
from typing import Any

from extproc.cli._common import OK, Subparsers, add_command
from extproc.cli._control_client import add_access, administrator, approver, print_json
from extproc.domain.display import visible

_UNITS = {"s": 1, "m": 60, "h": 3600}
_FORMATS = ("text", "env", "pgpass")


def register(subparsers: Subparsers) -> None:
    """Add `passwords` and its verbs."""
    noun = add_command(
        subparsers,
        "passwords",
        "get a short-lived database password; list and revoke them",
        None,
        about="A user name and a password for database clients that can't send a token as their password: it may be\n"
        "too long, or the connection has no TLS. Whoever has a token gets them for themself: an approver by theirs,\n"
        "an agent by its own. They count for an hour at most, and never longer than that token.",
        examples=(
            "holdpoint passwords issue",
            'eval "$(holdpoint passwords issue --target crm-db --format env)" && psql',
            "holdpoint passwords issue --token-file crm-bot.token --format pgpass >> ~/.pgpass",
            "holdpoint passwords list",
            "holdpoint passwords revoke 3f9a52c6d0b1",
        ),
    )
    verbs = noun.add_subparsers(metavar="VERB", title="verbs")
    issuing = add_command(
        verbs,
        "issue",
        "get a user and a password, and print them, this once",
        _issue,
        about="Get a user name and a password. The password is shown this once, and kept nowhere. A person's token is\n"
        "that of `holdpoint login`; agents give theirs by --token-file, as a file that nobody else can read.",
        examples=(
            "holdpoint passwords issue --expires 15m",
            "holdpoint passwords issue --target crm-db --format env",
            "holdpoint passwords issue --target crm-db --token-file crm-bot.token",
        ),
    )
    add_access(issuing)
    issuing.add_argument(
        "--target", action="append", metavar="TARGET", help="a target it may ask for (default: all); may be given again"
    )
    issuing.add_argument(
        "--expires", metavar="TIME", type=_seconds, help="how long it counts: 90s, 15m (default, and at most: 1h)"
    )
    issuing.add_argument("--note", metavar="TEXT", help="a few words for whoever lists it")
    add_format(issuing)
    listing = add_command(
        verbs,
        "list",
        "list yours, newest first; as an administrator, all",
        _list,
        examples=("holdpoint passwords list",),
    )
    add_access(listing)
    revoke = add_command(verbs, "revoke", "revoke one", _revoke, examples=("holdpoint passwords revoke 3f9a52c6d0b1",))
    add_access(revoke)
    revoke.add_argument("id", metavar="ID", help="the password's id, as `passwords list` shows it, or its user's name")


def add_format(parser: argparse.ArgumentParser) -> None:
    """Add `--format`."""
    parser.add_argument(
        "--format",
        choices=_FORMATS,
        default="text",
        help="env: PG* variables for a shell; pgpass: a line for ~/.pgpass (default: text)",
    )


def issue(
    arguments: argparse.Namespace,
    targets: list[str] | None = None,
    lifetime: int | None = None,
    note: str | None = None,
) -> int:
    """Get a password for whoever has the token that `arguments` lead to, and print it. Raises CommandError."""
    wanted = {"targets": targets, "lifetime_seconds": lifetime, "note": note}
    made = approver(arguments).call("POST", "/passwords", {k: v for k, v in wanted.items() if v is not None})
    if arguments.json:
        print_json(made)
        return OK
    # Standard output is for the password alone, as a shell or a file takes it.
    of = f"{visible(made['subject'])}, {made['kind']}"
    lines = [
        f"for {of}, until {made['expires_at']}; the password is shown this once",
        f"to end it: holdpoint passwords revoke {made['id']}",
    ]
    if made["address"] is None:
        lines.append("no database can be reached: listen.postgres is not in the gateway's configuration")
    print("\n".join(lines), file=sys.stderr)
    print(_written(made, arguments.format))
    return OK


def _issue(arguments: argparse.Namespace) -> int:
    return issue(arguments, arguments.target, arguments.expires, arguments.note)


def _list(arguments: argparse.Namespace) -> int:
    found = administrator(arguments).call("GET", "/passwords")["passwords"]
    if arguments.json:
        print_json(found)
    elif found:
        print("\n".join(_rows(found)))
    else:
        print("no passwords")
    return OK


def _revoke(arguments: argparse.Namespace) -> int:
    # Only what can stand in a path; the gateway says what an id looks like.
    password_id = re.sub(r"[^0-9A-Za-z]", "-", arguments.id.lower().removeprefix("hp-")) or "-"
    done = administrator(arguments).call("DELETE", f"/passwords/{password_id}")
    if arguments.json:
        print_json(done)
    elif done["revoked_now"]:
        print(f"{done['user']} of {visible(done['subject'])} is revoked; what it has open ends within a second")
    else:
        print(f"{done['user']} of {visible(done['subject'])} was revoked before, at {done['revoked_at']}")
    return OK


def _written(made: dict[str, Any], how: str) -> str:
    """A password as it is printed. It has no character that a shell or libpq's password file reads as anything else."""
    host, port = _place(made["address"])
    if how == "pgpass":
        # "The Password File": a colon and a backslash are escaped, and IPv6 addresses have colons.
        return ":".join([(host or "*").replace(":", r"\:"), port or "*", "*", made["user"], made["password"]])
    if how == "text":
        return f"user      {made['user']}\npassword  {made['password']}"
    named = made["targets"] or []
    variables = {
        "PGHOST": host,
        "PGPORT": port,
        "PGDATABASE": named[0] if len(named) == 1 else None,
        "PGUSER": made["user"],
        "PGPASSWORD": made["password"],
    }
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items() if value is not None)


def _place(address: str | None) -> tuple[str | None, str | None]:
    """Host and port of where databases are reached, as far as that says; where it listens everywhere, no host."""
    if address is None:
        return None, None
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    return None if ipaddress.ip_address(host).is_unspecified else host, port


def _rows(found: list[dict[str, Any]]) -> list[str]:
    head = ("ID", "STATE", "OF", "KIND", "EXPIRES", "TARGETS", "NETWORKS", "NOTE")
    rows = [
        (
            p["id"],
            p["state"],
            visible(p["subject"]),
            p["kind"],
            p["expires_at"][:16] + "Z",
            visible(", ".join(p["targets"])) if p["targets"] is not None else "all",
            visible(", ".join(p["networks"])) if p["networks"] is not None else "all",
            visible(p["note"]),
        )
        for p in found
    ]
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    return ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in (head, *rows)]


def _seconds(text: str) -> int:
    found = re.fullmatch(r"([1-9][0-9]{0,8})([smh])", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r}: a number and a unit (s, m, h) without a space, such as 15m")
    return int(found[1]) * _UNITS[found[2]]
