"""Agent tokens and freezes as values."""

from dataclasses import dataclass

from extproc.domain.principal import Kind


@dataclass(frozen=True, slots=True)
class AgentToken:
    """What is known of one token that the gateway signed; never the token itself.

    `id` is its `jti`: 16 hex digits. `owner` is the issuer and subject of the person or service that answers for it.
    `targets` and `networks` (CIDR) restrict it; None means all. `issued_by` is the issuer and subject of the
    administrator; None where a release that did not write it down issued it. Times are seconds since the epoch.
    """

    id: str
    subject: str
    kind: Kind
    groups: tuple[str, ...]
    owner: tuple[str, str]
    targets: tuple[str, ...] | None
    networks: tuple[str, ...] | None
    note: str
    issued_at: float
    expires_at: float
    revoked_at: float | None = None
    issued_by: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Freeze:
    """One principal that may do nothing. Without an issuer, the subject is frozen whoever issued it."""

    issuer: str | None
    subject: str
    by: str
    reason: str
    at: float
