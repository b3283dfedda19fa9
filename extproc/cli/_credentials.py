"""The token of the person who runs a command: from the environment, or of `holdpoint login`, which keeps it here."""

import asyncio
import contextlib
import fcntl
import json
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from extproc.cli._common import CommandError
from extproc.domain.display import visible

if TYPE_CHECKING:
    from extproc.adapters.login import Client, Login

TOKEN_VARIABLE = "HOLDPOINT_TOKEN"  # noqa: S105 (the name of a variable, not a token)
# A token that ends within this time is refreshed first, so that it lasts for the command.
ABOUT_TO_END_SECONDS = 30.0
VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One login, as its file has it. `expires_at` is the token's end in seconds since the epoch; the rest but `name` is
    what a refresh needs."""

    issuer: str
    client_id: str
    audience: str
    scopes: tuple[str, ...]
    ca: str | None
    name: str
    expires_at: float
    token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)

    @classmethod
    def of(cls, client: "Client", login: "Login") -> "Stored":
        """What is kept of a login."""
        return cls(
            issuer=client.issuer,
            client_id=client.client_id,
            audience=client.audience,
            scopes=client.scopes,
            ca=str(client.ca) if client.ca is not None else None,
            name=login.name,
            expires_at=login.expires_at,
            token=login.token,
            refresh_token=login.refresh_token,
        )

    def client(self) -> "Client":
        """Who it was that logged in, for the provider."""
        from extproc.adapters.login import Client

        ca = Path(self.ca) if self.ca is not None else None
        return Client(self.issuer, self.client_id, self.audience, self.scopes, ca)


def person_token() -> str:
    """The token to show the gateway: $HOLDPOINT_TOKEN, else that of `holdpoint login`, refreshed when it is about to
    end. Raises CommandError."""
    if given := os.environ.get(TOKEN_VARIABLE, "").strip():
        return given
    stored = read()
    if stored is None:
        raise CommandError(
            f"no token: run `holdpoint login`, or set ${TOKEN_VARIABLE} to your token, or name its file with "
            "--token-file (agents have no login)"
        )
    return fresh(stored).token


def fresh(stored: Stored) -> Stored:
    """The login with a token that lasts: the stored one, or a new one that is stored then. Raises CommandError."""
    if not _ending(stored):
        return stored
    with _alone():
        # Another command may have refreshed it meanwhile; many providers take a refresh token only once.
        stored = read() or stored
        if not _ending(stored):
            return stored
        return _refreshed(stored)


def _refreshed(stored: Stored) -> Stored:
    from extproc.adapters.login import LoginFailed, Provider

    ended = stored.expires_at <= time.time()
    if stored.refresh_token is None:
        if ended:
            raise CommandError("your login has ended: run `holdpoint login` again")
        return stored

    async def ask(refresh_token: str) -> "Login":
        async with Provider(stored.client()) as provider:
            return await provider.refresh(refresh_token)

    try:
        renewed = Stored.of(stored.client(), asyncio.run(ask(stored.refresh_token)))
    except LoginFailed as failed:
        if failed.code == "invalid_grant":
            raise CommandError("your login has ended at the provider: run `holdpoint login` again") from None
        if not ended:
            # It still counts; the command need not fail because the provider is away.
            return stored
        raise CommandError(f"your login has ended, and could not be renewed: {visible(str(failed))}") from None
    _write(renewed)
    return renewed


def _ending(stored: Stored) -> bool:
    return stored.expires_at - time.time() < ABOUT_TO_END_SECONDS


def place() -> Path:
    """The file: $XDG_CONFIG_HOME/holdpoint/credentials.json, with ~/.config where that is not set."""
    home = os.environ.get("XDG_CONFIG_HOME") or ""
    # The XDG base directory specification: a relative one is not valid, and is ignored.
    return (Path(home) if os.path.isabs(home) else Path.home() / ".config") / "holdpoint" / "credentials.json"


def read() -> Stored | None:
    """The stored login, or None. Raises CommandError for a file that others can read, or that is none of ours."""
    file = place()
    try:
        with file.open(encoding="utf-8") as source:
            found = os.fstat(source.fileno())
            text = source.read()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{file}: can't be read: {error}") from None
    if found.st_uid != os.geteuid() or found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise CommandError(
            f"{file}: others can read or change it; `chmod 600 {file}`, or log in anew after removing it"
        )
    try:
        return _parse(json.loads(text))
    except (ValueError, KeyError, TypeError, RecursionError):
        raise CommandError(
            f"{file}: not a login that this version wrote; remove it and run `holdpoint login`"
        ) from None


def _parse(document: Any) -> Stored:
    if not isinstance(document, dict) or document.pop("version", None) != VERSION:
        raise ValueError
    stored = Stored(**(document | {"scopes": tuple(document["scopes"])}))
    texts = (stored.issuer, stored.client_id, stored.audience, stored.name, stored.token, *stored.scopes)
    optional = (stored.ca, stored.refresh_token)
    if not all(isinstance(t, str) for t in texts) or not all(t is None or isinstance(t, str) for t in optional):
        raise TypeError
    if isinstance(stored.expires_at, bool) or not isinstance(stored.expires_at, int | float):
        raise TypeError
    return stored


def write(stored: Stored) -> None:
    """Keep a login, in place of any other. Raises CommandError."""
    with _alone():
        _write(stored)


def remove() -> Stored | None:
    """Forget the login; gives it, or None where there was none that can be read. Raises CommandError."""
    with _alone():
        try:
            stored = read()
        except CommandError:
            stored = None
        try:
            place().unlink(missing_ok=True)
        except OSError as error:
            raise CommandError(f"{place()}: can't be removed: {error}") from None
    return stored


def _write(stored: Stored) -> None:
    """By rename: whoever reads at that moment has the old login or the new one."""
    file = place()
    try:
        # mkstemp gives it mode 0600 from the start.
        descriptor, name = tempfile.mkstemp(prefix=".credentials-", dir=file.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as sink:
                json.dump({"version": VERSION, **asdict(stored)}, sink, indent=2)
                sink.flush()
                os.fsync(sink.fileno())
            os.replace(name, file)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise
    except OSError as error:
        raise CommandError(f"{file}: the login can't be stored: {error}") from None


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    folder = place().parent
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError as error:
        raise CommandError(f"{folder}: logins can't be stored there: {error}") from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
