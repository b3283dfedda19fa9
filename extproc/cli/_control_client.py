"""The API on the gateway's control socket, for the command line."""

import argparse
import http.client
import json
import os
import socket
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from extproc.cli import _credentials as credentials
from extproc.cli._common import CommandError, add_config
from extproc.cli._credentials import TOKEN_VARIABLE
from extproc.cli._in_force import control_socket

ANSWER_SECONDS = 15.0
PIECE_BYTES = 256 << 10

Document = dict[str, Any]


class NoGateway(CommandError):
    """Nothing answers on the control socket."""


class _NotAdministrator(CommandError):
    """The gateway knows who asks, and they may not do this."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float | None) -> None:
        super().__init__("holdpoint", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket instead of a host."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Client:
    """One person's access to a gateway: by their token, or without one as the user who runs the command."""

    def __init__(self, control: Path, token: str | None) -> None:
        self._control = control
        self._token = token

    def holds(self, state: str = "pending") -> list[Document]:
        """All holds that this person may see, without the text of requests: pending ones oldest first, others newest
        first. Raises CommandError."""
        page = self.call("GET", f"/holds?state={state}")
        holds: list[Document] = page["holds"]
        while page["more"] and page["holds"]:
            page = self.call("GET", f"/holds?state={state}&after={page['holds'][-1]['id']}")
            holds += page["holds"]
        return holds

    def find(self, prefix: str) -> Document:
        """The one hold whose id starts so. Raises CommandError when there is none or more than one."""
        if len(prefix) == 16:
            return self.call("GET", f"/holds/{quote(prefix.lower(), safe='')}")
        fit = [h for h in self.holds("all") if h["id"].startswith(prefix.lower())] if prefix else []
        if len(fit) == 1:
            return self.find(fit[0]["id"])
        if fit:
            raise CommandError(
                f"several holds start with {prefix!r}: {', '.join(h['id'] for h in fit)}; give more of it"
            )
        raise CommandError(
            f"no hold that you may see starts with {prefix!r}; `holdpoint holds list --all` shows what there is"
        )

    def vote(self, hold_id: str, approve: bool, reason: str) -> Document:
        """Vote; gives the hold as it is then. Raises CommandError."""
        return self.call("POST", f"/holds/{hold_id}/votes", {"approve": approve, "reason": reason})

    def call(self, method: str, path: str, body: Document | None = None) -> Document:
        """One request; gives the answer's document. Raises CommandError with what the gateway says."""
        with self._asked(method, path, body) as response:
            answer = response.read()
            try:
                return _document(response.status, answer, path)
            except _NotAdministrator as error:
                raise self._without_token(error) from None

    def _without_token(self, refused: CommandError) -> CommandError:
        """The refusal, with how the user who runs this would be let in where a token stands in their way."""
        named = self._token is not None and os.environ.get(TOKEN_VARIABLE, "").strip() == self._token
        if named and os.geteuid() in (0, os.stat(self._control).st_uid):
            return CommandError(f"{refused}; without the token you are let in: env -u {TOKEN_VARIABLE} holdpoint ...")
        return refused

    @contextmanager
    def open(self, path: str) -> Iterator[Iterator[bytes]]:
        """The content of an answer that may be long, in pieces, and with no hurry. Raises CommandError with what the
        gateway says, also in the middle, where it breaks off."""
        with self._asked("GET", path, None, None) as response:
            if response.status != 200:
                _document(response.status, response.read(), path)
            yield iter(lambda: response.read1(PIECE_BYTES), b"")

    @contextmanager
    def _asked(
        self, method: str, path: str, body: Document | None, timeout: float | None = ANSWER_SECONDS
    ) -> Iterator[http.client.HTTPResponse]:
        headers = {"Content-Type": "application/json"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        connection = _UnixConnection(self._control, timeout)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            yield connection.getresponse()
        except (FileNotFoundError, ConnectionRefusedError):
            raise NoGateway(f"no gateway answers on {self._control}; is it running? (`holdpoint up`)") from None
        except PermissionError:
            raise CommandError(f"{self._control}: not permitted; you must be in the socket's group") from None
        except (OSError, http.client.HTTPException) as error:
            raise CommandError(f"{self._control}: the gateway did not answer properly: {error}") from None
        finally:
            connection.close()


def _document(status: int, data: bytes, path: str) -> Document:
    try:
        document = json.loads(data)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise CommandError(f"the gateway answered {status} with something that is not a JSON object")
    if status == 200:
        return document
    detail = document.get("detail", f"the gateway answered {status}")
    if status == 401:
        detail += f" (the token comes from --token-file, ${TOKEN_VARIABLE} or `holdpoint login`)"
    code = document.get("code")
    titles = _TITLES | _OF_PASSWORDS if path.startswith("/passwords") else _TITLES
    kind = _NotAdministrator if code == "not-administrator" else CommandError
    raise kind(f"{titles.get(code, 'not done')}: {detail}")


_TITLES: dict[object, str] = {
    "not-known": "not signed in",
    "unknown-hold": "no such hold",
    "not-pending": "too late",
    "not-in-group": "not yours to answer",
    "own-hold": "not yours to answer",
    "not-a-person": "not yours to answer",
    "already-voted": "already answered",
    "bad-reason": "reason not accepted",
    "identity-frozen": "not let in",
    "not-administrator": "not yours to change",
    "bad-token": "no such token can be issued",
    "unknown-target": "no such token can be issued",
    "unknown-token": "no such token",
    "not-frozen": "not frozen",
    "bad-password": "no such password can be issued",
    "too-many-passwords": "no password was issued",
    "unknown-password": "no such password",
}
# What is refused alike for tokens and passwords.
_OF_PASSWORDS: dict[object, str] = {"unknown-target": "no such password can be issued"}


def add_access(parser: argparse.ArgumentParser) -> None:
    """Add what says which gateway is meant and who asks: --config, --control, --token-file; and --json."""
    add_config(parser)
    parser.add_argument(
        "--control",
        metavar="SOCKET",
        type=Path,
        help="the gateway's control socket (default: the configuration's, or that of the last good one)",
    )
    parser.add_argument(
        "--token-file",
        metavar="FILE",
        type=Path,
        help=f"a file with your token (default: ${TOKEN_VARIABLE}, or that of `holdpoint login`)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


def approver(arguments: argparse.Namespace) -> Client:
    """The client of somebody with a token. Raises CommandError."""
    token = read_token(arguments.token_file)
    return Client(_control(arguments), token)


def administrator(arguments: argparse.Namespace) -> Client:
    """The client of somebody with a token, or of whoever is root or the gateway's user here. Raises CommandError."""
    if arguments.token_file is not None or os.environ.get(TOKEN_VARIABLE, "").strip():
        return Client(_control(arguments), read_token(arguments.token_file))
    token = None
    if credentials.read() is not None:
        try:
            token = credentials.person_token()
        except CommandError as error:
            # Who must freeze somebody now can't wait for an identity provider; whoever may not is told so.
            print(f"going on as this machine's user: {error}", file=sys.stderr)
    return Client(_control(arguments), token)


def print_json(document: object) -> None:
    """Print for programs. ASCII only: whatever others wrote reaches a terminal as escapes."""
    print(json.dumps(document, indent=2))


def _control(arguments: argparse.Namespace) -> Path:
    control: Path = arguments.control or control_socket(arguments)
    return control


def read_token(file: Path | None) -> str:
    """The person's token, from the file or the environment. Raises CommandError."""
    if file is None:
        token, where = credentials.person_token(), f"${TOKEN_VARIABLE}"
    else:
        try:
            mode, token = file.stat().st_mode, file.read_text(encoding="ascii").strip()
        except (OSError, ValueError) as error:
            raise CommandError(f"--token-file {file}: can't be read as a token: {error}") from None
        where = f"--token-file {file}"
        if mode & (stat.S_IRGRP | stat.S_IROTH):
            raise CommandError(f"{where}: others can read it; `chmod 600 {file}`")
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise CommandError(f"{where}: expected one token and nothing else")
    return token
