"""The database servers that connections lead to, as they are configured now, and how the gateway logs in there."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from extproc.domain.principal import Principal
from extproc.domain.target import Target


@dataclass(frozen=True, slots=True)
class Login:
    """A role at a server: its files, whom it is for (None: everybody), and the role that is taken on afterwards."""

    user: str
    password: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    groups: frozenset[str] | None = None
    role: str | None = None

    def fits(self, principal: Principal) -> bool:
        """Whether it is for this principal."""
        return self.groups is None or not self.groups.isdisjoint(principal.groups)

    def secret(self) -> bytes | None:
        """The password as its file has it now, byte for byte; None where there is none. Raises OSError."""
        return None if self.password is None else self.password.read_bytes()


@dataclass(frozen=True, slots=True)
class Database:
    """A target. `name` is the database that is meant where a client names none; `others` are those of its server that
    may be meant as well (`*`: any). With `verified` the server has to prove in TLS to be `host`, by a certificate of
    one of the authorities in that PEM file; without, there is no TLS. With `tagged` the server is told whose each
    session is."""

    target: Target
    host: str
    port: int
    name: str
    verified: bool
    authorities: Path | None
    logins: tuple[Login, ...]
    others: frozenset[str] = frozenset()
    tagged: bool = True

    def has(self, name: str) -> bool:
        """Whether a database of its server may be asked for."""
        return name == self.name or not self.others.isdisjoint({name, "*"})

    def login(self, principal: Principal) -> Login | None:
        """The first login that is for this principal."""
        return next((login for login in self.logins if login.fits(principal)), None)

    def tls(self, login: Login) -> ssl.SSLContext | None:
        """What a connection to it is encrypted with; None where it is not. Reads files, which takes milliseconds where
        there are many authorities: call it in a thread. Raises OSError, of which ssl.SSLError is one."""
        if not self.verified:
            return None
        context = ssl.create_default_context(cafile=self.authorities)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if login.certificate is not None:
            context.load_cert_chain(login.certificate, login.key)
        return context


class Databases(Protocol):
    """The databases of the configuration in force. A connection that was let in keeps what it found here; whether that
    is still in force is for `Exchanges` to say."""

    def named(self, name: str) -> Database | None:
        """The one that a client means by this name of a target."""
        ...

    def at(self, server_name: str) -> Database | None:
        """The one that a client means by this server name of TLS, in lower case."""
        ...

    def addresses(self, database: Database) -> tuple[tuple[str, int], ...]:
        """Where its server is now, as addresses and ports that were checked; none while its name leads nowhere that may
        be connected to. Raises OSError, ValueError."""
        ...
