"""The settings of a target that is a PostgreSQL database: who logs in there for whom, and what must hold of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from extproc.config import kinds
from extproc.config.reading import Reading, Seen
from extproc.config.sections import ListOf, Setting
from extproc.config.values import Inspection
from extproc.domain.target import Inspect, Protocol

Finding = tuple[str, Seen, str]


class ServerTls(StrEnum):
    """How a database server is reached: TLS in which it proves its name, or no TLS at all. There is nothing between:
    TLS with whoever answers protects from nobody who can answer."""

    VERIFY_FULL = "verify-full"
    OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A role at the server, and what it takes to be it. Only the gateway reads the files."""

    user: Annotated[str, Setting(kinds.ROLE, "The role that logs in.", "reader")]
    password: Annotated[
        Path | None,
        Setting(
            kinds.CREDENTIAL,
            "The file that holds its password, byte for byte: mode 600 and no newline at its end. It is read for each "
            "connection, so replace it by renaming.",
            "secrets/crm-db",
            default=None,
            off="no password is sent",
        ),
    ]
    certificate: Annotated[
        Path | None,
        Setting(
            kinds.CERTIFICATES,
            "The client certificate that the gateway shows to the server, in PEM. It goes with `key`.",
            "tls/reader.crt",
            default=None,
            off="none is shown",
        ),
    ]
    key: Annotated[
        Path | None,
        Setting(
            kinds.PRIVATE_KEY,
            "The certificate's private key, in PEM and with mode 600.",
            "tls/reader.key",
            default=None,
            off="there is none",
        ),
    ]
    groups: Annotated[
        tuple[str, ...] | None,
        Setting(
            ListOf(kinds.WORD, least=1),
            "The groups whose members this login is for.",
            ["analysts"],
            default=None,
            off="it is for everybody",
        ),
    ]
    role: Annotated[
        str | None,
        Setting(
            kinds.ROLE,
            "The role that the session takes on after the login (`SET ROLE`), where the login's own may do more.",
            "app_reader",
            default=None,
            off="the login's own",
        ),
    ]

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that it takes."""
        return tuple(file for file in (self.password, self.certificate, self.key) if file is not None)


def only_here(reading: Reading) -> Iterator[Finding]:
    """What makes sense of one protocol only is not written for another, where it would be thought to count."""
    for path, seen in reading.matching(r"targets\.[^.]+\.protocol"):
        target = path.removesuffix(".protocol")
        if seen.value is Protocol.POSTGRES:
            yield from _of_a_database(reading, target)
            if "listen.postgres" in reading.seen and reading.value("listen.postgres") is None:
                yield path, seen, "databases are reached at listen.postgres only; set that too"
        elif seen.value is Protocol.HTTP:
            for name in ("tls", "logins", "databases"):
                there = reading.seen.get(f"{target}.{name}")
                if there is not None and there.value:
                    yield f"{target}.{name}", there, "is for databases; leave it out, or write `protocol: postgres`"


def logins(reading: Reading) -> Iterator[Finding]:
    """Each has something to log in with, and somebody to do it for."""
    everybody: dict[str, str] = {}
    for path, seen in reading.matching(r"targets\.[^.]+\.logins\[\d+\]\.user"):
        login = path.removesuffix(".user")
        target = login.rpartition(".")[0]
        password, certificate, key = (reading.seen.get(f"{login}.{n}") for n in ("password", "certificate", "key"))
        if password is None or certificate is None or key is None:
            continue
        if not (password.value or certificate.value or key.value):
            yield login, seen, "has nothing to log in with; name the file of its password, or a certificate and its key"
        for name, one, other in (("certificate", certificate, key), ("key", key, certificate)):
            if one.value and not other.value:
                beside = "key" if name == "certificate" else "certificate"
                yield f"{login}.{name}", one, f"goes with a {beside}; name that too"
        if certificate.value and reading.value(f"{target}.tls") is ServerTls.OFF:
            yield f"{login}.certificate", certificate, "is shown in TLS only, and tls is off; leave one of the two out"
        if target in everybody:
            yield login, seen, f"is never used: {everybody[target]} is before it, and for everybody; put that last"
        elif f"{login}.groups" in reading.seen and reading.value(f"{login}.groups") is None:
            everybody[target] = login


def _of_a_database(reading: Reading, target: str) -> Iterator[Finding]:
    credential, opaque = reading.seen.get(f"{target}.credential"), reading.seen.get(f"{target}.opaque")
    if credential is not None and credential.value is not None:
        yield f"{target}.credential", credential, "is for http; what a database takes stands in its logins"
    if opaque is not None and opaque.value:
        yield f"{target}.opaque", opaque, "is for http; a database's statements are always read"
    inspect = reading.seen.get(f"{target}.inspect")
    if inspect is not None and _unread(inspect.value):
        message = "is for http; of a database write a size, that of the longest statement with its values"
        yield f"{target}.inspect", inspect, message
    there = reading.seen.get(f"{target}.logins")
    if there is not None and not there.value:
        yield f"{target}.logins", there, "names nobody who could log in; write for example [{user: …, password: …}]"


def _unread(inspection: Inspection) -> bool:
    return inspection.mode is not Inspect.FULL
