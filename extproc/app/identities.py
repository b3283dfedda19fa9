"""Settings → who is let in, and who may approve."""

from pathlib import Path

from extproc.access.credentials import PASSWORD
from extproc.access.ports import Standing
from extproc.adapters.identity import (
    NAMED,
    SPIFFE,
    AgentTokens,
    Approvers,
    CertificateRule,
    Certificates,
    Gatekeeper,
    Provider,
    Tokens,
    issuer_of,
)
from extproc.app.layout import Layout
from extproc.config import AgentIssuer, Settings
from extproc.config.identity import ApproverIssuer
from extproc.domain.identity import Identified, Shown
from extproc.domain.principal import Kind, Principal

_HERE = "127.0.0.1"


class Doorkeeper:
    """domain.identity.Identities of the configuration in force: another one takes its place whole."""

    def __init__(self, settings: Settings, standing: Standing) -> None:
        self._standing = standing
        self._let_in = _let_in(settings)
        self._believed, self._people = believed(settings), _people(settings)
        self._now = gatekeeper(settings, standing)

    def follow(self, settings: Settings) -> None:
        """Take a new configuration. Where it lets the same in, nobody has to be verified anew."""
        self._believed, self._people = believed(settings), _people(settings)
        if _let_in(settings) != self._let_in:
            self._now, self._let_in = gatekeeper(settings, self._standing), _let_in(settings)

    def believes(self, principal: Principal) -> bool:
        """Whether the word of this principal's issuer counts now; of one that was removed, what it let in earlier may
        not go on. Approvers' issuers count for people by passwords."""
        person = principal.kind is Kind.HUMAN and principal.credential.startswith(PASSWORD)
        return principal.issuer in self._believed or (person and principal.issuer in self._people)

    def remembered(self, shown: Shown) -> Identified | None:
        """See Identities."""
        return self._now.remembered(shown)

    def ours(self, shown: Shown) -> frozenset[str]:
        """See Identities."""
        return self._now.ours(shown)

    def unproven(self, shown: Shown) -> bool:
        """See Identities."""
        return self._now.unproven(shown)

    async def identify(self, shown: Shown) -> Identified:
        """See Identities."""
        return await self._now.identify(shown)


def gatekeeper(settings: Settings, standing: Standing) -> Gatekeeper:
    """Who lets agents in."""
    identity = settings.identity
    return Gatekeeper(
        Tokens([_provider(a, a.kind) for a in identity.agents]),
        AgentTokens(issuer_of(settings.listen.domain), Layout(settings.state).tokens_public, standing),
        Certificates([CertificateRule(c.spiffe, c.name, c.kind, c.groups) for c in identity.certificates]),
        standing,
    )


def believed(settings: Settings) -> frozenset[str]:
    """The issuers of all principals that a gateway lets in."""
    identity = settings.identity
    return frozenset(
        [issuer_of(settings.listen.domain), *(a.issuer for a in identity.agents)]
        + [f"{SPIFFE}{c.spiffe}" if c.spiffe is not None else f"{NAMED}{c.name}" for c in identity.certificates]
    )


def _people(settings: Settings) -> frozenset[str]:
    return frozenset(approver.issuer for approver in settings.identity.approvers)


def _let_in(settings: Settings) -> tuple[object, ...]:
    """All that decides who is let in."""
    return settings.listen.domain, settings.identity.agents, settings.identity.certificates


class Agents:
    """approvals.ports.Verifier for agents' tokens that are shown on this machine."""

    def __init__(self, doorkeeper: Doorkeeper) -> None:
        self._doorkeeper = doorkeeper

    async def verify(self, token: str) -> Principal:
        """See Verifier. A token that counts from other networks only is refused."""
        shown = Shown((("authorization", f"Bearer {token}"),), None, _HERE)
        return (await self._doorkeeper.identify(shown)).principal


class People:
    """approvals.ports.Verifier of the configuration in force."""

    def __init__(self, settings: Settings, standing: Standing) -> None:
        self._standing = standing
        self._identity = settings.identity
        self._now = approvers(settings, standing)

    def follow(self, settings: Settings) -> None:
        """Take a new configuration."""
        if settings.identity != self._identity:
            self._identity, self._now = settings.identity, approvers(settings, self._standing)

    async def verify(self, token: str) -> Principal:
        """See Verifier."""
        return await self._now.verify(token)


def approvers(settings: Settings, standing: Standing) -> Approvers:
    """Who knows people by their tokens."""
    identity = settings.identity
    return Approvers(
        [_provider(a, Kind.HUMAN) for a in identity.approvers], [a.audience for a in identity.agents], standing
    )


def _provider(issuer: AgentIssuer | ApproverIssuer, kind: Kind) -> Provider:
    keys = issuer.jwks if issuer.jwks is None or isinstance(issuer.jwks, Path) else str(issuer.jwks)
    return Provider(issuer.issuer, issuer.audience, keys, issuer.groups_claim, issuer.ca, kind)
