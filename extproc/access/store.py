"""What the use cases of access ask of a store: tokens, passwords and freezes, with one order of changes."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from extproc.access.model import AgentToken, Freeze, Password
from extproc.access.register import Register

T = TypeVar("T")


class Ledger(Protocol):
    """What is written, inside a transaction."""

    def token(self, token_id: str) -> AgentToken | None:
        """The token of this id, also a revoked one."""
        ...

    def add_token(self, token: AgentToken) -> None:
        """Write a new token."""
        ...

    def set_revoked(self, token_id: str, at: float) -> None:
        """Write down that a token was revoked."""
        ...

    def forget_tokens(self, before: float) -> None:
        """Delete the tokens that expired earlier than `before`."""
        ...

    def add_password(self, password: Password) -> None:
        """Write a new password."""
        ...

    def set_password_revoked(self, password_id: str, at: float) -> None:
        """Write down that a password was revoked."""
        ...

    def forget_passwords(self, before: float) -> None:
        """Delete the passwords that expired earlier than `before`."""
        ...

    def register(self) -> Register:
        """Everything, as it is inside the transaction."""
        ...

    def freezes(self) -> tuple[Freeze, ...]:
        """All freezes, oldest first."""
        ...

    def put_freeze(self, freeze: Freeze) -> None:
        """Write a new freeze."""
        ...

    def remove_freeze(self, freeze: Freeze) -> None:
        """Delete a freeze."""
        ...


class AccessStore(Protocol):
    """Tokens, passwords and freezes for every process that opened the store. Every method raises AccessUnavailable."""

    async def change(self, work: Callable[[Ledger, float], T]) -> T:
        """Call `work` in one write transaction, in the store's thread, with the store's time in seconds since the
        epoch. What it raises undoes it."""
        ...

    async def freezes(self) -> tuple[Freeze, ...]:
        """All freezes, oldest first."""
        ...

    async def register(self) -> tuple[Register, float]:
        """Everything, and the store's time."""
        ...
