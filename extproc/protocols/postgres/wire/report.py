"""Errors and notices. "Frontend/Backend Protocol", "Error and Notice Message Fields"."""

from dataclasses import dataclass
from typing import ClassVar, Self

from extproc.protocols.postgres.wire.fields import Reader, message, string


@dataclass(frozen=True, slots=True)
class Report:
    """An error or a notice: a text for each one-letter code, in the server's order. A server that is not yet, or not at
    all, in UTF-8 may send any bytes: such are read as \\xNN, and not as an error."""

    kind: ClassVar[int]
    fields: tuple[tuple[str, str], ...]

    def get(self, code: str) -> str | None:
        """The text of this code, the first where there are more."""
        return next((text for found, text in self.fields if found == code), None)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """The message of this body. Raises Malformed."""
        reader = Reader(body, cls.__name__)
        fields = []
        while code := reader.byte():
            fields.append((chr(code), reader.string("backslashreplace")))
        reader.end()
        return cls(tuple(fields))

    def encode(self) -> bytes:
        """The message, with kind and length."""
        return message(self.kind, *(_code(code) + string(text) for code, text in self.fields), b"\0")


@dataclass(frozen=True, slots=True)
class ErrorResponse(Report):
    """What was asked for failed."""

    kind: ClassVar[int] = ord("E")


@dataclass(frozen=True, slots=True)
class NoticeResponse(Report):
    """A warning or a hint; may come at any time."""

    kind: ClassVar[int] = ord("N")


def _code(code: str) -> bytes:
    """A field's code: one byte that is not zero, which would end the list."""
    if len(code) != 1 or not 0 < ord(code) < 256:
        raise ValueError("a field's code is one byte")
    return bytes([ord(code)])
