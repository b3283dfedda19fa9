"""Knows parties by client certificates that the listener verified: SPIFFE identities, and names of a private CA."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from extproc.domain.identity import Certificate, IdentityRefused
from extproc.domain.principal import Kind, Principal

SPIFFE = "spiffe://"
"""What stands before a trust domain in the issuer of its parties."""
NAMED = "mtls:"
"""What stands before an authority's name in the issuer of its parties."""
_LONGEST_ID = 2048
_LONGEST_DOMAIN = 255
# The SPIFFE ID standard, sections 2.1 to 2.3: no user, port, query, fragment or escape; no empty, `.` or `..` segment.
# A leaf certificate names a workload, so there is a path (X.509-SVID, section 5.2).
_ID = re.compile(r"spiffe://([a-z0-9._-]+)((?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._-]+)+)")


@dataclass(frozen=True, slots=True)
class CertificateRule:
    """What certificates mean: those of a SPIFFE trust domain, or with `name` all that carry no SPIFFE ID."""

    spiffe: str | None = None
    name: str | None = None
    kind: Kind = Kind.AGENT
    groups: tuple[str, ...] = ()


class Certificates:
    """From a verified certificate to a principal. The listener trusts all its authorities alike, so that each of them
    can vouch for any of these names."""

    def __init__(self, rules: Sequence[CertificateRule] = ()) -> None:
        """Raises ValueError where rules overlap, or one has not exactly one of `spiffe` and `name`."""
        self._domains = {r.spiffe: r for r in rules if r.spiffe is not None}
        names = [r for r in rules if r.name is not None]
        if any((r.spiffe is None) == (r.name is None) for r in rules):
            raise ValueError("a rule for certificates has either spiffe or name")
        if len(names) > 1 or len(self._domains) + len(names) < len(rules):
            raise ValueError("a trust domain has one rule, and only one rule has a name")
        self._named = names[0] if names else None

    def __bool__(self) -> bool:
        return bool(self._domains) or self._named is not None

    def principal(self, certificate: Certificate) -> Principal:
        """Whom a certificate names. Raises IdentityRefused."""
        if certificate.uri.lower().startswith("spiffe:"):
            domain = trust_domain(certificate.uri)
            rule = self._domains.get(domain)
            if rule is None:
                raise IdentityRefused("the certificate's SPIFFE trust domain is not one of identity.certificates")
            return _principal(SPIFFE + domain, certificate.uri, rule, certificate)
        if self._named is None:
            raise IdentityRefused("the certificate carries no SPIFFE ID of a trust domain in identity.certificates")
        subject = certificate.dns or certificate.subject
        if not subject.strip() or not subject.isprintable():
            raise IdentityRefused("the certificate has neither a DNS name nor a subject")
        return _principal(f"{NAMED}{self._named.name}", subject, self._named, certificate)


def trust_domain(spiffe_id: str) -> str:
    """The trust domain of a workload's SPIFFE ID. Raises IdentityRefused when the standard does not allow the ID."""
    found = _ID.fullmatch(spiffe_id) if len(spiffe_id) <= _LONGEST_ID else None
    if found is None or len(found[1]) > _LONGEST_DOMAIN:
        raise IdentityRefused("the certificate's SPIFFE ID is not well-formed; expected spiffe://trust-domain/path")
    return found[1]


def _principal(issuer: str, subject: str, rule: CertificateRule, certificate: Certificate) -> Principal:
    credential = f"certificate:{certificate.digest[:16]}"
    return Principal(issuer, subject, rule.kind, rule.groups, None, None, credential)
