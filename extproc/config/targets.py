"""The settings of a target: what it is called, how it is reached, and what is added to its requests."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from extproc.config import files, kinds
from extproc.config.audit import TargetRecordSettings
from extproc.config.postgres import Login, ServerTls
from extproc.config.reading import Reading
from extproc.config.sections import Derived, ListOf, Section, Setting
from extproc.config.values import Inspection, Network, Url
from extproc.domain.target import Inspect, Protocol, Target


def _host(reading: Reading) -> str:
    return f"{reading.path.split('.')[1]}.{reading.value('listen.domain')}"


def _wait(reading: Reading) -> float:
    database = reading.value(reading.path.rpartition(".")[0] + ".protocol") is Protocol.POSTGRES
    return 30.0 if database else 4.0


def _tls(reading: Reading) -> ServerTls | None:
    database = reading.value(reading.path.rpartition(".")[0] + ".protocol") is Protocol.POSTGRES
    return ServerTls.VERIFY_FULL if database else None


def _authorities(reading: Reading) -> Path | None:
    target = reading.path.rpartition(".")[0]
    url, tls = reading.value(f"{target}.upstream"), reading.value(f"{target}.tls")
    database = isinstance(url, Url) and url.scheme == "postgres" and tls is ServerTls.VERIFY_FULL
    proved = database or (isinstance(url, Url) and url.scheme == "https")
    return files.system_authorities() if proved else None


def _prefix(reading: Reading) -> str:
    header = reading.value(reading.path.rpartition(".")[0] + ".header")
    return "Bearer " if str(header).lower() == "authorization" else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A secret that the gateway puts on requests, and where it goes. Only Envoy reads the file."""

    file: Annotated[
        Path,
        Setting(
            kinds.CREDENTIAL,
            "The file that holds the secret, byte for byte: mode 600 and no newline at its end (`printf %s`). "
            "Replace it by renaming and the new one is in use within a second.",
            "secrets/crm",
        ),
    ]
    header: Annotated[str, Setting(kinds.HEADER, "The header that carries it.", "X-Api-Key", default="Authorization")]
    prefix: Annotated[
        str,
        Setting(
            kinds.PREFIX,
            "What stands before the secret in the header.",
            "Token ",
            default=Derived('`"Bearer "` in Authorization, nothing in any other header', _prefix),
        ),
    ]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a target is written down: a file, absolute, and a line of it, counted from 1."""

    file: Path
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSettings:
    """One target: what policy calls it (`target`), and how it is reached. `place` is where it is written down."""

    name: str
    place: Place = field(compare=False)
    protocol: Annotated[
        Protocol,
        Setting(
            kinds.Choice(Protocol, [Protocol.HTTP, Protocol.POSTGRES]),
            "The protocol that the target speaks. A `postgres` one is reached at `listen.postgres`: by its name as the "
            "database that a client asks for (`crm-db`, or `crm-db/other` for another database there), or over TLS by "
            "the server name `<name>.<listen.domain>`.",
            "postgres",
            default="http",
        ),
    ]
    upstream: Annotated[
        Url,
        Setting(
            kinds.UPSTREAM,
            "Where its requests go, always under this host's name. A path is put before the request's own. With https "
            "the server has to prove its name. Of a database: `postgres://host:port/database`, with the database that "
            "is meant where a client names none.",
            "https://crm.example.com/api",
        ),
    ]
    environment: Annotated[
        str,
        Setting(
            kinds.NAME,
            "What policy knows it to be, in a word of your own.",
            "staging",
            default="production",
        ),
    ]
    host: Annotated[
        str,
        Setting(
            kinds.HOST,
            "A host of your own choice by which agents may ask for it, beside `<name>.<listen.domain>` and the path "
            "`/<name>/` on any other host. Of a database: a server name of TLS.",
            "crm.example.com",
            default=Derived("`<name>.<listen.domain>`", _host),
        ),
    ]
    credential: Annotated[
        Credential | None,
        Setting(
            Section(Credential, short="file"),
            "The secret that the gateway adds and agents never see: its file, or a mapping.",
            {"file": "secrets/crm", "header": "X-Api-Key"},
            default=None,
            off="nothing is added",
        ),
    ]
    tls: Annotated[
        ServerTls | None,
        Setting(
            kinds.Choice(ServerTls),
            "Of a database: whether it is reached over TLS, in which the server has to prove its name.",
            "off",
            default=Derived("`verify-full` where `protocol` is `postgres`", _tls),
            off="the default",
        ),
    ]
    ca: Annotated[
        Path | None,
        Setting(
            kinds.CERTIFICATES,
            "The certificate authorities that an https upstream, or a database with TLS, is checked against, in PEM.",
            "tls/internal-ca.crt",
            default=Derived("the system's, where there is TLS", _authorities),
            off="the default",
        ),
    ]
    logins: Annotated[
        tuple[Login, ...],
        Setting(
            ListOf(Section(Login)),
            "Of a database: the roles that the gateway logs in as, and for whom; the first that fits is used. Agents "
            "never see what it takes.",
            [{"user": "reader", "password": "secrets/crm-db"}],
            default=[],
        ),
    ]
    databases: Annotated[
        tuple[str, ...],
        Setting(
            ListOf(kinds.DATABASE),
            "Of a database: which others of its server agents may ask for, as `crm-db/reports`; `*` is any.",
            ["reports"],
            default=[],
        ),
    ]
    tag: Annotated[
        bool,
        Setting(
            kinds.FLAG,
            "Of a database: whether the server knows whose each session is. Its `application_name` begins with "
            "`holdpoint:<session>:<principal>`, whatever the client calls itself or makes of it.",
            False,
            default=True,
        ),
    ]
    inspect: Annotated[
        Inspection,
        Setting(
            kinds.inspection("64MiB"),
            "How much of a request's body policy reads. A size: up to so much, and a larger one is refused. `stream`: "
            "policy reads headers only, and masks work on bodies of any size. `headers`: policy reads headers only, "
            "and bodies are neither read nor masked. Of a database a size alone: that of the longest statement with "
            "its values.",
            "stream",
            default="1MiB",
        ),
    ]
    networks: Annotated[
        tuple[Network, ...],
        Setting(
            ListOf(kinds.NETWORK),
            "Where the upstream's name may lead beside the public internet. A name that resolves to a private, "
            "link-local or loopback address outside of these is not connected to. An upstream that is written as an "
            "address, or as `localhost`, needs none.",
            ["10.20.0.0/16"],
            default=[],
        ),
    ]
    opaque: Annotated[
        bool,
        Setting(
            kinds.FLAG,
            "Whether agents get a tunnel whose bytes nobody reads, through `listen.proxy` only. Destination, amount "
            "and time are decided and recorded, nothing is inspected or masked and no credential can be added; "
            "`inspect` counts for nothing. For what can't be read anyway, such as pinned certificates.",
            True,
            default=False,
        ),
    ]
    wait_seconds: Annotated[
        float,
        Setting(
            kinds.duration("1s", "3540s"),
            "How long a held request waits for people before it is answered 202, or a held statement fails, to be "
            "asked for again. The clients' own timeouts have to be longer: httpx has 5 s, and drivers of databases "
            "mostly none.",
            "5m",
            default=Derived("`4s`, and `30s` where `protocol` is `postgres`", _wait),
            key="wait",
        ),
    ]
    record: Annotated[
        TargetRecordSettings,
        Setting(
            Section(TargetRecordSettings),
            "What is kept of its actions, and for how long.",
            {"bodies": "full"},
            default={},
        ),
    ]

    @property
    def database(self) -> str:
        """The database that is meant where a client names none; empty where it is no database."""
        return self.upstream.path[1:] if self.protocol is Protocol.POSTGRES else ""

    @property
    def secrets(self) -> tuple[Path, ...]:
        """The files of what the gateway shows to it: credential, passwords, certificates and keys."""
        own = (self.credential.file,) if self.credential is not None else ()
        return (*own, *(file for login in self.logins for file in login.files))

    @property
    def target(self) -> Target:
        """What the rest of the gateway, and policy, know of it."""
        return Target(
            name=self.name,
            protocol=Protocol.TUNNEL if self.opaque else self.protocol,
            environment=self.environment,
            inspect=Inspect.OPAQUE if self.opaque else self.inspect.mode,
            inspect_bytes=self.inspect.limit,
            wait_seconds=self.wait_seconds,
            revision=self.revision,
            record=self.record.bodies,
            head_bytes=self.record.head_bytes,
            index=self.record.index,
        )

    @property
    def key(self) -> str:
        """Names what leads to this very upstream with what it is shown: another after any change of it."""
        return f"{self.name}-{self.revision}"

    @property
    def revision(self) -> str:
        """16 hex digits that change with anything that is written of this target, its name included."""
        text = json.dumps([self.name, TARGET.write(self)], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _outside(reading: Reading) -> dict[str, Any]:
    """The fields that are no settings: a target's name is its key, and its place is where that stands."""
    file = Path(reading.named.file) if reading.named.file else reading.base / reading.file.name
    return {"name": reading.path.rpartition(".")[2], "place": Place(file, reading.named.line)}


TARGET = Section(TargetSettings, fill=_outside)
"""The kind of one target's settings."""
