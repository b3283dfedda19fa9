"""Agent tokens, short-lived passwords and freezes as values."""

import json
from dataclasses import dataclass, field

from extproc.domain.principal import Kind
from extproc.protocols.postgres.auth.scram import Verifier

USER_PREFIX = "hp-"
"""What the user names that passwords go with begin with; the password's id follows."""


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
class Password:
    """What is known of one short-lived password for databases; never the password itself, nor what it can be had from.

    `id` is 12 hex digits. `issuer` to `acts_for` are the principal that asked for it and that it makes, `credential`
    what that showed. `targets` and `networks` (CIDR) restrict it; None means all. Times are seconds since the epoch.
    `seal` is the gateway's signature of all that does not change (`sealed`).
    """

    id: str
    issuer: str
    subject: str
    kind: Kind
    groups: tuple[str, ...]
    acts_for: str | None
    credential: str
    targets: tuple[str, ...] | None
    networks: tuple[str, ...] | None
    note: str
    verifier: Verifier = field(repr=False)
    issued_at: float
    expires_at: float
    revoked_at: float | None = None
    seal: bytes = field(default=b"", repr=False)

    @property
    def user(self) -> str:
        """The user name that it goes with."""
        return USER_PREFIX + self.id

    def sealed(self) -> bytes:
        """What `seal` is a signature of: no text that anything else of the gateway's signs."""
        who = (self.issuer, self.subject, self.kind.value, self.groups, self.acts_for, self.credential)
        bounds = (self.targets, self.networks, self.issued_at, self.expires_at)
        return b"holdpoint password\n" + json.dumps((self.id, who, bounds, self.note, self.verifier.text())).encode()


@dataclass(frozen=True, slots=True)
class Freeze:
    """One principal that may do nothing. Without an issuer, the subject is frozen whoever issued it."""

    issuer: str | None
    subject: str
    by: str
    reason: str
    at: float
