"""What client and server both send, and what messages have in common."""

from dataclasses import dataclass
from typing import ClassVar, Self

from extproc.protocols.postgres.wire.fields import Reader, message


@dataclass(frozen=True, slots=True)
class Bare:
    """A message that is its kind and nothing else."""

    kind: ClassVar[int]

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """The message; its body must be empty."""
        Reader(body, cls.__name__).end()
        return cls()

    def encode(self) -> bytes:
        """The message, with kind and length."""
        return message(self.kind)


@dataclass(frozen=True, slots=True)
class CopyData:
    """Part of a COPY's data: whatever bytes; a server sends one row in each, a client cuts as it likes."""

    kind: ClassVar[int] = ord("d")
    data: bytes

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """The message of this body."""
        return cls(body)

    def encode(self) -> bytes:
        """The message, with kind and length."""
        return message(self.kind, self.data)


@dataclass(frozen=True, slots=True)
class CopyDone(Bare):
    """A COPY's data is complete."""

    kind: ClassVar[int] = ord("c")
