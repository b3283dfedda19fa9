"""The settings of a target: what it is called, how it is reached, and what is added to its requests."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from extproc.config import kinds
from extproc.config.identity import authorities_for
from extproc.config.reading import Reading
from extproc.config.sections import Derived, Section, Setting
from extproc.config.values import Inspection, Url
from extproc.domain.target import Protocol, Target


def _host(reading: Reading) -> str:
    return f"{reading.path.split('.')[1]}.{reading.value('listen.domain')}"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSettings:
    """One target: what policy calls it (`target`), and how it is reached."""

    name: str
    protocol: Annotated[
        Protocol, Setting(kinds.Choice(Protocol), "The protocol that the target speaks.", "http", default="http")
    ]
    upstream: Annotated[
        Url,
        Setting(
            kinds.UPSTREAM,
            "Where its requests go, always under this host's name. A path is put before the request's own. With https "
            "the server has to prove its name.",
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
            "`/<name>/` on any other host.",
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
    ca: Annotated[
        Path | None,
        Setting(
            kinds.CERTIFICATES,
            "The certificate authorities that an https upstream is checked against, in PEM.",
            "tls/internal-ca.crt",
            default=Derived("the system's, for an https upstream", authorities_for("upstream")),
            off="the default",
        ),
    ]
    inspect: Annotated[
        Inspection,
        Setting(
            kinds.inspection("64MiB"),
            "How much of a request's body policy reads. A size: up to so much, and a larger one is refused. `stream`: "
            "policy reads headers only, and masks work on bodies of any size. `headers`: policy reads headers only, "
            "and bodies are neither read nor masked.",
            "stream",
            default="1MiB",
        ),
    ]
    wait_seconds: Annotated[
        float,
        Setting(
            kinds.duration("1s", "3540s"),
            "How long a held request waits for people before it is answered 202, to be asked for again.",
            "5m",
            default="30s",
            key="wait",
        ),
    ]

    @property
    def target(self) -> Target:
        """What the rest of the gateway, and policy, know of it."""
        return Target(
            self.name, self.protocol, self.environment, self.inspect.mode, self.inspect.limit, self.wait_seconds
        )


def name_of_target(reading: Reading) -> dict[str, Any]:
    """The field that is no setting: a target's name is its key."""
    return {"name": reading.path.rpartition(".")[2]}
