"""The settings of identity: whose tokens are believed, and for what."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from extproc.config import files, kinds
from extproc.config.reading import Reading
from extproc.config.sections import Derived, ListOf, Section, Setting
from extproc.config.values import Url
from extproc.domain.principal import Kind


def authorities_for(address: str) -> Callable[[Reading], Path | None]:
    """The default of a `ca`: the system's where the neighbour named so is an https address, else None."""

    def default(reading: Reading) -> Path | None:
        url = reading.value(f"{reading.path.rpartition('.')[0]}.{address}")
        return files.system_authorities() if isinstance(url, Url) and url.scheme == "https" else None

    return default


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """Somebody whose tokens are believed. An approver's is this and no more."""

    issuer: Annotated[
        str,
        Setting(kinds.WORD, "The `iss` that the tokens carry, letter for letter.", "https://login.example.com"),
    ]
    audience: Annotated[
        str,
        Setting(
            kinds.WORD,
            "The `aud` that the tokens carry. Agents and approvers never share one, so that no agent's token can "
            "approve anything.",
            "holdpoint",
        ),
    ]
    jwks: Annotated[
        Path | Url,
        Setting(
            kinds.JWKS,
            "The issuer's public keys: a file with a JSON Web Key Set, or the address that it is fetched from.",
            "https://login.example.com/keys",
        ),
    ]
    ca: Annotated[
        Path | None,
        Setting(
            kinds.CERTIFICATES,
            "The certificate authorities that the keys' https address is checked against, in PEM.",
            "tls/internal-ca.crt",
            default=Derived("the system's, for an https address", authorities_for("jwks")),
            off="the default",
        ),
    ]
    groups_claim: Annotated[
        str, Setting(kinds.WORD, "The claim that lists the groups of whom the token names.", "roles", default="groups")
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentIssuer(Issuer):
    """Somebody whose tokens let their bearers ask for actions."""

    kind: Annotated[
        Kind,
        Setting(
            kinds.Choice(Kind),
            "What sort of party the tokens name; policy may treat each differently.",
            "service",
            default="agent",
        ),
    ]


AGENTS = {"issuer": "https://login.example.com", "audience": "holdpoint", "jwks": "https://login.example.com/keys"}
APPROVERS = AGENTS | {"audience": "holdpoint-approvals"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who may ask, and who may approve."""

    agents: Annotated[
        tuple[AgentIssuer, ...],
        Setting(ListOf(Section(AgentIssuer), 1), "Whose tokens let an agent in; at least one.", [AGENTS]),
    ]
    approvers: Annotated[
        tuple[Issuer, ...],
        Setting(
            ListOf(Section(Issuer)),
            "Whose tokens let a person approve or deny. Without any, a hold ends only by expiring.",
            [APPROVERS],
            default=[],
        ),
    ]
