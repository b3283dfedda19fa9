"""Settings → who is let in, and who may approve."""

from pathlib import Path

from extproc.access.ports import Standing
from extproc.adapters.identity import (
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


class Doorkeeper:
    """domain.identity.Identities of the configuration in force: another one takes its place whole."""

    def __init__(self, settings: Settings, standing: Standing) -> None:
        self._standing = standing
        self._identity = settings.identity
        self._now = gatekeeper(settings, standing)

    def follow(self, settings: Settings) -> None:
        """Take a new configuration. Where it says the same of identity, nobody has to be verified anew."""
        if settings.identity != self._identity:
            self._identity, self._now = settings.identity, gatekeeper(settings, self._standing)

    def remembered(self, shown: Shown) -> Identified | None:
        """See Identities."""
        return self._now.remembered(shown)

    def ours(self, shown: Shown) -> frozenset[str]:
        """See Identities."""
        return self._now.ours(shown)

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
