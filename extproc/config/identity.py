"""The settings of identity: whose tokens and certificates are believed, and for what."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from extproc.config import files, kinds
from extproc.config.reading import Reading, Reported
from extproc.config.sections import Derived, ListOf, Section, Setting
from extproc.config.source import Node, Problem, quote
from extproc.config.values import Url, Wrong, parse_url, trustworthy
from extproc.domain.principal import Kind

OWN_AUDIENCE = "holdpoint-agent"
OWN_ISSUER = "urn:holdpoint:"


def authorities_for(address: str) -> Callable[[Reading], Path | None]:
    """The default of a `ca`: the system's where the neighbour named so is an https address, else None."""

    def default(reading: Reading) -> Path | None:
        url = reading.value(f"{reading.path.rpartition('.')[0]}.{address}")
        return files.system_authorities() if isinstance(url, Url) and url.scheme == "https" else None

    return default


def _discovered(reading: Reading) -> None:
    """The default of `jwks`, for an issuer whose discovery document nobody can replace on the way. Raises Reported."""
    seen = reading.seen.get(f"{reading.path.rpartition('.')[0]}.issuer")
    if seen is None or _discoverable(seen.value):
        return
    message = f"is missing, and the issuer {quote(seen.value)} is not an https address at which its keys could be found"
    reading.problems.append(Problem(seen.mark, f"{reading.path}: {message}; name a file or an address"))
    raise Reported


def _discoverable(issuer: str) -> bool:
    try:
        return trustworthy(parse_url(issuer))
    except Wrong:
        return False


def _audience(text: str) -> str:
    if text == OWN_AUDIENCE:
        raise Wrong(f"{quote(text)} is the audience of the gateway's own tokens; choose another")
    return _word(text)


def _issuer(text: str) -> str:
    if text.startswith(OWN_ISSUER):
        raise Wrong(f"{quote(text)} is a name of the gateway's own; write the identity provider's")
    return _word(text)


def _word(text: str) -> str:
    if not re.fullmatch(_WORD, text):
        raise Wrong(f"{quote(text)} is not {kinds.WORD.says}")
    return text


_WORD = r"\S{1,512}"
AUDIENCE: kinds.Text[str] = kinds.Text(kinds.WORD.says, _audience, pattern=_WORD)
ISSUER: kinds.Text[str] = kinds.Text(kinds.WORD.says, _issuer, pattern=_WORD)
TRUST_DOMAIN = kinds.matching("a SPIFFE trust domain, such as example.org", r"[a-z0-9._-]{1,255}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """Somebody whose tokens are believed."""

    issuer: Annotated[
        str,
        Setting(ISSUER, "The `iss` that the tokens carry, letter for letter.", "https://login.example.com"),
    ]
    audience: Annotated[
        str,
        Setting(
            AUDIENCE,
            "The `aud` that the tokens carry. Agents and approvers never share one, so that no agent's token can "
            "approve anything.",
            "holdpoint",
        ),
    ]
    jwks: Annotated[
        Path | Url | None,
        Setting(
            kinds.JWKS,
            "The issuer's public keys: a file with a JSON Web Key Set, or the address that it is fetched from.",
            "https://login.example.com/keys",
            default=Derived("found by OpenID Connect discovery at the issuer's own https address", _discovered),
            off="the default",
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
        str,
        Setting(
            kinds.WORD,
            "The claim that lists the groups of whom the token names. Dots go into objects: `realm_access.roles`.",
            "roles",
            default="groups",
        ),
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ApproverIssuer(Issuer):
    """Somebody whose tokens let people approve, and how people get one."""

    client_id: Annotated[
        str | None,
        Setting(
            kinds.WORD,
            "The public client that `holdpoint login` is registered as with this issuer.",
            "holdpoint-cli",
            default=None,
            off="people get their tokens without `holdpoint login`",
        ),
    ]
    login_scopes: Annotated[
        tuple[str, ...],
        Setting(
            ListOf(kinds.WORD, 1),
            "The scopes that `holdpoint login` asks for.",
            ["openid", "groups"],
            default=["openid"],
        ),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateIssuer:
    """Client certificates that are believed; who signs them is `listen.tls.client_ca`'s matter."""

    spiffe: Annotated[
        str | None,
        Setting(
            TRUST_DOMAIN,
            "The SPIFFE trust domain whose IDs name the party: its issuer is `spiffe://<trust domain>`, its subject "
            "the whole ID. Either this or `name`.",
            "example.org",
            default=None,
            off="certificates without a SPIFFE ID",
        ),
    ]
    name: Annotated[
        str | None,
        Setting(
            kinds.NAME,
            "What to call whoever signs certificates without a SPIFFE ID: the party's issuer is `mtls:<name>`, its "
            "subject the certificate's DNS name or, without one, its subject.",
            "corp-ca",
            default=None,
            off="certificates with a SPIFFE ID",
        ),
    ]
    kind: Annotated[
        Kind,
        Setting(
            kinds.Choice(Kind),
            "What sort of party the certificates name; policy may treat each differently.",
            "service",
            default="agent",
        ),
    ]
    groups: Annotated[
        tuple[str, ...],
        Setting(ListOf(kinds.WORD), "The groups of whom these certificates name.", ["batch-jobs"], default=[]),
    ]


def _one_sort(reading: Reading) -> dict[str, Any]:
    """No further fields; but `spiffe` and `name` say two different things, and one must be said. Raises Reported."""
    spiffe, name = (reading.seen[f"{reading.path}.{key}"] for key in ("spiffe", "name"))
    if (spiffe.value is None) == (name.value is None):
        found = "neither" if spiffe.value is None else "both"
        message = f"has {found} of spiffe and name; write one of them"
        reading.problems.append(Problem(name.mark, f"{reading.path}: {message}"))
        raise Reported
    return {}


class _Certificates(ListOf[CertificateIssuer]):
    """Each certificate fits one entry at most: trust domains differ, and one entry has a name."""

    def __init__(self) -> None:
        super().__init__(Section(CertificateIssuer, fill=_one_sort))

    def read(self, node: Node, reading: Reading) -> tuple[CertificateIssuer, ...]:
        entries = super().read(node, reading)
        domains = [e.spiffe for e in entries]
        if len(set(domains)) < len(domains):
            reading.fail(node, "each trust domain has one entry, and one entry at most has a name")
        return entries


AGENTS = {"issuer": "https://login.example.com", "audience": "holdpoint", "jwks": "https://login.example.com/keys"}
APPROVERS = AGENTS | {"audience": "holdpoint-approvals"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who may ask, who may approve, and who may administer."""

    agents: Annotated[
        tuple[AgentIssuer, ...],
        Setting(ListOf(Section(AgentIssuer), 1), "Whose tokens let an agent in; at least one.", [AGENTS]),
    ]
    certificates: Annotated[
        tuple[CertificateIssuer, ...],
        Setting(
            _Certificates(),
            "Which client certificates let their holders in, beside tokens. Every authority in `listen.tls.client_ca` "
            "can vouch for all of them.",
            [{"spiffe": "example.org"}],
            default=[],
        ),
    ]
    approvers: Annotated[
        tuple[ApproverIssuer, ...],
        Setting(
            ListOf(Section(ApproverIssuer)),
            "Whose tokens let a person approve or deny. Without any, a hold ends only by expiring.",
            [APPROVERS],
            default=[],
        ),
    ]
    administrators: Annotated[
        tuple[str, ...],
        Setting(
            ListOf(kinds.WORD),
            "The groups of approvers who may also issue and revoke agent tokens, freeze principals and change targets. "
            "Root and the gateway's own user on this machine always may.",
            ["holdpoint-admins"],
            default=[],
        ),
    ]
