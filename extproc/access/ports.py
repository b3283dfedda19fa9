"""What access asks of the outside."""

from typing import Protocol

from extproc.access.model import AgentToken, Freeze, Password
from extproc.domain.principal import Principal


class AccessUnavailable(Exception):
    """Who is revoked or frozen can't be told, so nobody is let in. The message is for the operator."""


class Standing(Protocol):
    """Who counts at this moment, from memory; never older than a second."""

    def token(self, token_id: str) -> AgentToken | None:
        """The token of this id, also a revoked one; None for one that was never issued. Raises AccessUnavailable."""
        ...

    def password(self, password_id: str) -> Password | None:
        """The password of this id, also a revoked one; None for one that was never issued, or is forgotten. Raises
        AccessUnavailable."""
        ...

    def frozen(self, principal: Principal) -> Freeze | None:
        """Why this principal may do nothing, or None. A freeze of whom it acts for freezes it too. Raises
        AccessUnavailable."""
        ...
