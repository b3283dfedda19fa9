"""Masking of long values as they come, in constant memory: whatever is masked is as long as it was."""

from collections.abc import Callable
from typing import Protocol

from extproc.masking.engine.scanner import SLICE
from extproc.masking.engine.span import add
from extproc.masking.stage import MaskError, Stage
from extproc.protocols.postgres.masks.cells import Masking

STAR = b"*"
_BLANK = b" \t\r\n"


class Filler(Protocol):
    """Takes a value in pieces, gives as many bytes."""

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes, give those that are final. Raises MaskError."""
        ...

    def finish(self) -> bytes:
        """The value has ended: give the rest. Raises MaskError."""
        ...


class Same:
    """Nothing is masked."""

    def feed(self, data: bytes) -> bytes:
        """The bytes."""
        return data

    def finish(self) -> bytes:
        """Nothing is left."""
        return b""


class Stars:
    """A value that is masked whole: `first` and `last` stand where they stood, the rest is repetitions of `fill`."""

    def __init__(self, size: int, first: bytes = b"", last: bytes = b"", fill: bytes = STAR) -> None:
        self._size = size
        self._at = 0
        self._first = first if size >= len(first) + len(last) else b""
        self._last = last if self._first or not first else b""
        self._fill = fill

    def feed(self, data: bytes) -> bytes:
        """As many bytes."""
        start, end = self._at, self._at + len(data)
        self._at = end
        head, tail = len(self._first), self._size - len(self._last)
        repeated = len(data) // len(self._fill) + 2
        shift = (start - head) % len(self._fill)
        middle = (self._fill * repeated)[shift : shift + len(data)]
        out = self._first[start:end] + middle[max(0, head - start) :]
        if end > tail:
            out = out[: max(0, tail - start)] + self._last[max(0, start - tail) : end - tail]
        return out[: len(data)]

    def finish(self) -> bytes:
        """Nothing is left."""
        return b""


class Instead:
    """Something else in the place of a value."""

    def __init__(self, instead: bytes) -> None:
        self._instead = instead

    def feed(self, data: bytes) -> bytes:
        """Nothing of it."""
        return b""

    def finish(self) -> bytes:
        """What stands there."""
        return self._instead


class Counted:
    """A stage that gives as many bytes as it takes."""

    def __init__(self, stage: Stage, masking: Masking) -> None:
        self._stage = stage
        self._masking = masking

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes, give those that are final."""
        return self._stage.feed(data)

    def finish(self) -> bytes:
        """The rest."""
        out = self._stage.finish()
        add(self._masking.counts, self._stage.counts)
        return out


class Behind:
    """What follows a `head` that has to be there. Raises MaskError where it is not."""

    def __init__(self, head: bytes, inner: Filler) -> None:
        self._head = head
        self._inner = inner

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes, give those that are final."""
        head, self._head = self._head[: len(data)], self._head[len(data) :]
        if not data.startswith(head):
            raise MaskError("a value of an unknown version")
        return head + self._inner.feed(data[len(head) :])

    def finish(self) -> bytes:
        """The rest."""
        return self._inner.finish()


class Zeroed:
    """Numbers and the like: what is masked becomes zeros."""

    def __init__(self, inner: Filler) -> None:
        self._inner = inner

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes, give those that are final."""
        return self._inner.feed(data).replace(STAR, b"0")

    def finish(self) -> bytes:
        """The rest."""
        return self._inner.finish().replace(STAR, b"0")


class Sniffed:
    """What may have members, where a mask names columns: masked whole if it is spelt like that, so begins with one of
    `marks`, whatever blanks stand in front."""

    def __init__(self, inner: Filler, whole: Callable[[], Filler], marks: tuple[bytes, ...]) -> None:
        self._inner = inner
        self._whole = whole
        self._marks = marks
        self._begun = False
        self._blank = b""

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes, give those that are final."""
        if not self._begun:
            data, self._blank = self._blank + data, b""
            first = data.lstrip(_BLANK)[:1]
            if not first and len(data) < SLICE:
                self._blank = data
                return b""
            self._begun = True
            if not first or first in self._marks:
                self._inner = self._whole()
        return self._inner.feed(data)

    def finish(self) -> bytes:
        """The rest."""
        return self._inner.feed(self._blank) + self._inner.finish()


class Padded:
    """A stage whose output is no longer than what it takes, and blanks behind it. Raises MaskError where it is."""

    def __init__(self, stage: Stage, masking: Masking) -> None:
        self._stage = stage
        self._masking = masking
        self._taken = self._given = 0

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes, give those that are final."""
        self._taken += len(data)
        return self._count(b"".join([self._stage.feed(data[at : at + SLICE]) for at in range(0, len(data), SLICE)]))

    def finish(self) -> bytes:
        """The rest, and blanks."""
        out = self._count(self._stage.finish())
        add(self._masking.counts, self._stage.counts)
        return out + b" " * (self._taken - self._given)

    def _count(self, out: bytes) -> bytes:
        self._given += len(out)
        if self._given > self._taken:
            raise MaskError("a long value whose mask has no room")
        return out


class Lined:
    """An array, or whatever is spelt with braces and parentheses, in text format: what separates its items is the end
    of a line to whoever looks, and stays."""

    def __init__(self, inner: Filler) -> None:
        self._inner = inner
        self._raw = bytearray()
        self._flat = bytearray()
        self._quoted = self._escaped = False

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes, give those that are final."""
        flat = self._flatten(data)
        self._raw += data
        self._flat += flat
        return self._restored(self._inner.feed(flat))

    def finish(self) -> bytes:
        """The rest."""
        return self._restored(self._inner.finish())

    def _flatten(self, data: bytes) -> bytes:
        """Marks outside quotes, and the quotes, as line ends."""
        out, at = bytearray(data), 0
        while at < len(data):
            if self._escaped:
                self._escaped, at = False, at + 1
                continue
            byte = data[at]
            if byte == 92:
                self._escaped = True
            elif byte == 34:
                self._quoted, out[at] = not self._quoted, 10
            elif not self._quoted and byte in b"{}(),":
                out[at] = 10
            at += 1
        return bytes(out)

    def _restored(self, masked: bytes) -> bytes:
        size = len(masked)
        raw, flat = bytes(self._raw[:size]), bytes(self._flat[:size])
        del self._raw[:size], self._flat[:size]
        if masked == flat:
            return raw
        return bytes(
            now if now != before and mark not in b'{}(),"\\' else mark
            for now, before, mark in zip(masked, flat, raw, strict=True)
        )


class Hexed:
    """A bytea in hexadecimal: what its bytes are goes through another filler."""

    def __init__(self, inner: Filler) -> None:
        self._inner = inner
        self._begun = False
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes, give those that are final."""
        data, self._rest = self._rest + data, b""
        head = b""
        if not self._begun:
            if len(data) < 2:
                self._rest = data
                return b""
            if not data.startswith(b"\\x"):
                raise MaskError("a long bytea that is not in hexadecimal")
            self._begun, head, data = True, data[:2], data[2:]
        whole = len(data) & ~1
        data, self._rest = data[:whole], data[whole:]
        return head + self._inner.feed(_unhex(data)).hex().encode()

    def finish(self) -> bytes:
        """The rest."""
        if self._rest:
            raise MaskError("a bytea that is cut short")
        return self._inner.finish().hex().encode()


def _unhex(data: bytes) -> bytes:
    try:
        return bytes.fromhex(data.decode("ascii"))
    except ValueError:
        raise MaskError("a bytea that is none") from None
