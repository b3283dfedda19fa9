"""`holdpoint login` and `logout`: a person's own token, from the identity provider that the gateway trusts."""

import argparse
import asyncio
import contextlib
import os
import sys
import time
import webbrowser
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from extproc.cli import _credentials as credentials
from extproc.cli import passwords
from extproc.cli._common import OK, PROBLEMS, CommandError, Subparsers, add_command, add_config, load_settings
from extproc.domain.display import visible

if TYPE_CHECKING:
    from extproc.adapters.login import Asked, Client, Login

T = TypeVar("T")


def register(subparsers: Subparsers) -> None:
    """Add `login` and `logout`."""
    login = add_command(
        subparsers,
        "login",
        "log in as a person who approves or administers",
        _login,
        about="Get a token of yours from the identity provider, and keep it for the commands that need one.\n"
        "Which provider is said by identity.approvers in the configuration, or by --issuer and --client-id where\n"
        "there is none. Without --browser the login happens in a browser on any device, with a code shown here.",
        examples=(
            "holdpoint login",
            "holdpoint login --browser",
            "holdpoint login --issuer https://login.example.com --client-id holdpoint-cli",
            "holdpoint login --database",
            "holdpoint login --status",
        ),
    )
    add_config(login)
    login.add_argument("--issuer", metavar="URL", help="the identity provider (default: the configuration's only one)")
    login.add_argument(
        "--client-id",
        metavar="ID",
        help="with --issuer: the client that is registered for this; then no configuration is read",
    )
    login.add_argument(
        "--audience", metavar="AUD", help="with --client-id: the approvers' audience (default: the client's id)"
    )
    login.add_argument(
        "--scope", metavar="SCOPE", action="append", help="a scope to ask for; may be repeated (default: openid)"
    )
    login.add_argument(
        "--ca", metavar="FILE", type=Path, help="with --client-id: certificate authorities of the provider, in PEM"
    )
    how = login.add_mutually_exclusive_group()
    how.add_argument(
        "--browser", action="store_true", help="log in with this machine's browser (safer, where there is one)"
    )
    how.add_argument("--status", action="store_true", help="say who is logged in; exit code 1 when nobody is")
    login.add_argument(
        "--print-token", action="store_true", help="print the token, and nothing else, on standard output"
    )
    login.add_argument(
        "--database",
        action="store_true",
        help="then get a user and a password for database clients (`holdpoint passwords issue`); who is logged in "
        "already needs no other login",
    )
    passwords.add_format(login)
    login.add_argument("--control", metavar="SOCKET", type=Path, help="with --database: the gateway's control socket")
    login.set_defaults(token_file=None, json=False)
    add_command(
        subparsers, "logout", "end the login, here and at the provider", _logout, examples=("holdpoint logout",)
    )


def _login(arguments: argparse.Namespace) -> int:
    if arguments.database:
        return _database(arguments)
    if arguments.status:
        return _status(arguments)
    _log_in(arguments)
    return OK


def _database(arguments: argparse.Namespace) -> int:
    """A login, where there is none, and a password for databases."""
    if arguments.status or arguments.print_token:
        raise CommandError("--database: not with --status or --print-token")
    if not os.environ.get(credentials.TOKEN_VARIABLE, "").strip():
        stored = credentials.read()
        if stored is None or (stored.refresh_token is None and stored.expires_at <= time.time()):
            _log_in(arguments)
    return passwords.issue(arguments)


def _log_in(arguments: argparse.Namespace) -> None:
    client = _client(arguments)
    stored = credentials.Stored.of(client, _run(_ask(client, arguments.browser)))
    credentials.write(stored)
    _say(f"logged in as {visible(stored.name)}")
    if arguments.print_token:
        print(stored.token)


async def _ask(client: "Client", with_browser: bool) -> "Login":
    from extproc.adapters.login import Provider
    from extproc.adapters.login_browser import browser

    async with Provider(client) as provider:
        if with_browser:
            return await browser(provider, _open)
        return await provider.device(_show)


def _show(asked: "Asked") -> None:
    _say(f"Open {visible(asked.address)} in a browser and enter the code {visible(asked.code)}")
    if asked.complete is not None:
        _say(f"or open {visible(asked.complete)} and compare the code.")
    _say("Waiting; Ctrl-C ends this.")


def _open(address: str) -> None:
    # Without a display `webbrowser` would start a text browser over this terminal, and wait for its end.
    graphical = sys.platform == "darwin" or any(os.environ.get(v) for v in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))
    opened = False
    if graphical:
        with contextlib.suppress(webbrowser.Error, OSError):
            opened = webbrowser.open(address)
    _say(f"{'Your browser should show it; if not, open' if opened else 'Open'} {visible(address)}")
    _say("Waiting; Ctrl-C ends this.")


def _client(arguments: argparse.Namespace) -> "Client":
    """Who logs in where. Raises CommandError."""
    from extproc.adapters.login import Client

    scopes = tuple(arguments.scope or ())
    if arguments.client_id:
        if not arguments.issuer:
            raise CommandError("--client-id: give --issuer too, the provider that knows that client")
        audience = arguments.audience or arguments.client_id
        # Renewals read it again, from whatever folder.
        ca = arguments.ca.absolute() if arguments.ca is not None else None
        return Client(arguments.issuer, arguments.client_id, audience, scopes or ("openid",), ca)
    if arguments.audience or arguments.ca:
        raise CommandError("--audience and --ca: only with --client-id; else the configuration says them")
    if not arguments.issuer and not Path(arguments.config).exists():
        raise CommandError(f"no {arguments.config} here: give --issuer and --client-id, or --config FILE")
    approvers = load_settings(arguments, files=False).identity.approvers
    able = [a for a in approvers if a.client_id is not None and arguments.issuer in (None, a.issuer)]
    if not able:
        of = f" with issuer {arguments.issuer}" if arguments.issuer else ""
        raise CommandError(f"{arguments.config}: no entry of identity.approvers{of} has a client_id to log in with")
    if len(able) > 1:
        raise CommandError(f"several issuers; choose one with --issuer: {', '.join(a.issuer for a in able)}")
    chosen = able[0]
    return Client(chosen.issuer, chosen.client_id or "", chosen.audience, scopes or chosen.login_scopes, chosen.ca)


def _status(arguments: argparse.Namespace) -> int:
    if os.environ.get(credentials.TOKEN_VARIABLE, "").strip():
        _say(f"${credentials.TOKEN_VARIABLE} is set, and goes before any login")
    stored = credentials.read()
    if stored is None:
        _say("nobody is logged in: `holdpoint login`")
        return PROBLEMS
    if arguments.print_token:
        print(credentials.fresh(stored).token)
        return OK
    left = stored.expires_at - time.time()
    lasts = f"the token ends in {_span(left)}" if left > 0 else "the token has ended"
    renewed = "and is renewed by itself" if stored.refresh_token is not None else "and can't be renewed"
    print(f"{visible(stored.name)}, {visible(stored.issuer)}: {lasts} {renewed}")
    return OK if left > 0 or stored.refresh_token is not None else PROBLEMS


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.0f} hours"


def _logout(arguments: argparse.Namespace) -> int:
    from extproc.adapters.login import Provider

    stored = credentials.remove()
    if stored is None:
        _say("nobody was logged in")
        return OK
    if stored.refresh_token is None:
        _say(f"logged out {visible(stored.name)} here; the token counts until it ends")
        return OK

    async def end(refresh_token: str) -> None:
        async with Provider(stored.client()) as provider:
            await provider.revoke(refresh_token)

    try:
        _run(end(stored.refresh_token))
    except CommandError as error:
        _say(f"logged out {visible(stored.name)} here, but not at the provider: {error}")
        return PROBLEMS
    _say(f"logged out {visible(stored.name)}")
    return OK


def _run(work: Coroutine[None, None, T]) -> T:
    """Run it to its end. Raises CommandError for LoginFailed, whose words may be the provider's."""
    from extproc.adapters.login import LoginFailed

    try:
        return asyncio.run(work)
    except LoginFailed as failed:
        raise CommandError(visible(str(failed))) from None


def _say(text: str) -> None:
    # Standard output is for a token or a status, which programs read.
    print(text, file=sys.stderr, flush=True)
