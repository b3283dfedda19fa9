"""How a fuzzer's bytes are read: a few that choose, of which each has a place of its own so that a mutation changes one
choice, and behind them what is fed."""

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

_SIZES = (0, 1 << 10, 4 << 10, 16 << 10)
"""What stages do with long input begins at these."""


class Source:
    """Reads the choices; bytes that are missing are zero."""

    def __init__(self, data: bytes, choices: int) -> None:
        self._choices = data[:choices].ljust(choices, b"\0")
        self._at = 0
        self.rest = data[choices:]

    def byte(self) -> int:
        """The next choice."""
        self._at += 1
        return self._choices[self._at - 1]

    def one(self, of: Sequence[T]) -> T:
        """One of several."""
        return of[self.byte() % len(of)]

    def grown(self, payload: bytes) -> bytes:
        """The payload with a filler in it (two choices), so that small inputs reach the bounds of long ones."""
        how, where = self.byte(), self.byte()
        size = _SIZES[how & 3]
        if not size:
            return payload
        at = len(payload) * where // 256
        filler = (b"x", b" ", b"1", payload[at : at + 9] or b"\xc3\xa9")[how >> 2 & 3]
        size += (how >> 4) * 3 - 24
        return payload[:at] + (filler * (size // len(filler) + 1))[:size] + payload[at:]

    def cuts(self, length: int) -> list[int]:
        """Places to cut (one choice)."""
        made = random.Random(self.byte())
        return sorted(made.randrange(length + 1) for _ in range(made.randint(1, 6)))
