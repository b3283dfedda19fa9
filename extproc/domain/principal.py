"""Who acts: an identity that was verified before any of our code saw the request."""

from dataclasses import dataclass
from enum import StrEnum

from extproc.domain.json import JSON


class Kind(StrEnum):
    """What sort of party a principal is; policy may treat each differently."""

    AGENT = "agent"
    HUMAN = "human"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class Principal:
    """A verified party. Identity is the pair (issuer, subject), never the subject alone.

    `acts_for` is the subject named by a verified `act`/on-behalf-of claim, or an agent token's owner, or None.
    `expires_at` is when the credential ends, in seconds since the epoch, or None.
    `credential` names what proved it, never its content: `jwt:<hash>`, `agent-token:<id>`, `certificate:<hash>`.
    `targets` are the only ones it may ask for; None where the credential names none, and all are meant.
    """

    issuer: str
    subject: str
    kind: Kind
    groups: tuple[str, ...] = ()
    acts_for: str | None = None
    expires_at: float | None = None
    credential: str = ""
    targets: tuple[str, ...] | None = None

    @property
    def key(self) -> str:
        """A stable text key for this identity; the separator can't occur in an issuer URL."""
        return f"{self.issuer} {self.subject}"

    def document(self) -> dict[str, JSON]:
        """The shape that policy input and records carry."""
        return {
            "issuer": self.issuer,
            "subject": self.subject,
            "kind": self.kind.value,
            "groups": list(self.groups),
            "acts_for": self.acts_for,
            "credential": self.credential,
        }
