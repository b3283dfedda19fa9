"""From the claims that Envoy verified to a Principal."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from extproc.domain.principal import Kind, Principal


class NoPrincipal(ValueError):
    """The claims name nobody we know how to name. Nothing passes."""


@dataclass(frozen=True, slots=True)
class ClaimRules:
    """How claims of one issuer and audience read: what kind the subjects are, and which claim lists their groups
    (dots go into objects: `realm_access.roles`)."""

    kind: Kind
    groups_claim: str


Rules = Mapping[tuple[str, str], ClaimRules]
"""By issuer and audience."""


def principal_of(claims: Mapping[str, Any], rules: Rules) -> Principal:
    """Read verified claims (RFC 7519). With an `act` claim (RFC 8693, section 4.1) its subject is who acts, and the
    token's own subject is whom it acts for. Raises NoPrincipal."""
    issuer, subject = claims.get("iss"), claims.get("sub")
    if not isinstance(issuer, str) or not isinstance(subject, str) or not subject:
        raise NoPrincipal("the token has no iss or no sub")
    found = {rules[issuer, audience] for audience in _texts(claims.get("aud")) if (issuer, audience) in rules}
    if len(found) != 1:
        raise NoPrincipal("the token's issuer and audience name no one kind of principal")
    rule = found.pop()
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
        _texts(_claim(claims, rule.groups_claim)),
        acts_for,
        float(expires) if isinstance(expires, int | float) else None,
    )


def _claim(claims: Mapping[str, Any], path: str) -> Any:
    """A claim by its name, or by a path of names into objects."""
    if path in claims:
        return claims[path]
    value: Any = claims
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list | tuple):
        return tuple(v for v in value if isinstance(v, str))
    return ()
