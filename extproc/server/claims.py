"""From the claims that Envoy verified to a Principal."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from extproc.domain.principal import Kind, Principal


class NoPrincipal(ValueError):
    """The claims name nobody we know how to name. Nothing passes."""


@dataclass(frozen=True, slots=True)
class ClaimRules:
    """How one issuer's claims read: what kind its subjects are, and which claim lists their groups."""

    kind: Kind
    groups_claim: str


def principal_of(claims: Mapping[str, Any], rules: Mapping[str, ClaimRules]) -> Principal:
    """Read verified claims (RFC 7519). With an `act` claim (RFC 8693, section 4.1) its subject is who acts, and the
    token's own subject is whom it acts for. Raises NoPrincipal."""
    issuer, subject = claims.get("iss"), claims.get("sub")
    if not isinstance(issuer, str) or not isinstance(subject, str) or not subject:
        raise NoPrincipal("the token has no iss or no sub")
    rule = rules.get(issuer)
    if rule is None:
        raise NoPrincipal("the token's issuer is not configured")
    act = claims.get("act")
    acts_for: str | None = None
    if act is not None:
        actor = act.get("sub") if isinstance(act, Mapping) else None
        if not isinstance(actor, str) or not actor:
            raise NoPrincipal("the token has an act claim without a sub")
        subject, acts_for = actor, subject
    expires = claims.get("exp")
    return Principal(
        issuer,
        subject,
        rule.kind,
        _groups(claims.get(rule.groups_claim)),
        acts_for,
        float(expires) if isinstance(expires, int | float) else None,
    )


def _groups(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list | tuple):
        return tuple(v for v in value if isinstance(v, str))
    return ()
