"""What stands in a value's place. Each cover takes the value's bytes as they stream by, in constant memory."""

from hashlib import blake2b
from typing import Protocol

from extproc.domain.mask import Operator

_KEPT = 4
_SHORT = 8
"""Letters and digits below which nothing of a value is shown."""

_SEPARATORS = frozenset(b" -.")
_ALNUM = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_BLANK = b" -\t\r\n"
_DIGEST_BYTES = 8


class Cover(Protocol):
    """Takes the bytes of one value, gives what stands in their place: printable ASCII without quotes, backslashes,
    commas and angle brackets, so that it fits wherever a value stood."""

    def feed(self, piece: bytes) -> bytes:
        """Take the next bytes of the value, give those of the mask that are decided."""
        ...

    def end(self) -> bytes:
        """The value has ended: give the rest."""
        ...

    def hide(self) -> None:
        """Show nothing of it: a value lies in it of which nothing may be shown. Called at any time before the end."""
        ...


def mask_text(kind: str) -> str:
    """What says that a value of this kind stood here."""
    return f"[masked:{kind}]"


def cover(operator: Operator, kind: str, hash_key: bytes) -> Cover:
    """A cover for one value. `null` and `drop` are what a structure does with a field; in text they redact."""
    match operator:
        case Operator.PARTIAL:
            return _Partial()
        case Operator.LENGTH:
            return _Length()
        case Operator.HASH:
            return _Hash(kind, hash_key)
        case _:
            return _Redact(kind)


class _Hidden:
    """Shows nothing anyway."""

    __slots__ = ()

    def hide(self) -> None:
        """As it is."""


class _Redact(_Hidden):
    __slots__ = ("_text",)

    def __init__(self, kind: str) -> None:
        self._text = mask_text(kind).encode()

    def feed(self, piece: bytes) -> bytes:
        text, self._text = self._text, b""
        return text

    def end(self) -> bytes:
        return self._text


class _Length(_Hidden):
    """As long as the value, in bytes."""

    __slots__ = ()

    def feed(self, piece: bytes) -> bytes:
        return b"*" * len(piece)

    def end(self) -> bytes:
        return b""


class _Partial:
    """All but the last four letters and digits as asterisks; blanks, dashes and dots stay. Nothing of a value of fewer
    than eight is shown."""

    __slots__ = ("_held", "_count", "_shown")

    def __init__(self) -> None:
        self._held = bytearray()  # from the fourth last letter or digit on
        self._count = 0
        self._shown = True

    def feed(self, piece: bytes) -> bytes:
        held = self._held
        held += piece
        self._count += sum(byte in _ALNUM for byte in piece)
        at, left = len(held), _KEPT
        # What is not among the last four now never will be.
        while at and left:
            at -= 1
            left -= held[at] in _ALNUM
        out = _starred(held[:at])
        # Separators alone must not pile up.
        if len(held) - at > 256:
            out += _starred(held[at:-256])
            at = len(held) - 256
        self._held = held[at:]
        return out

    def end(self) -> bytes:
        if self._count < _SHORT or not self._shown:
            return _starred(self._held)
        return bytes(byte if byte in _ALNUM or byte in _SEPARATORS else 42 for byte in self._held)

    def hide(self) -> None:
        self._shown = False


def _starred(piece: bytearray) -> bytes:
    return bytes(byte if byte in _SEPARATORS else 42 for byte in piece)


class _Hash(_Hidden):
    """The same for the same value, whatever blanks and dashes it is written with; not to be guessed without the key."""

    __slots__ = ("_kind", "_state")

    def __init__(self, kind: str, hash_key: bytes) -> None:
        self._kind = kind
        self._state = blake2b(digest_size=_DIGEST_BYTES, key=hash_key, person=b"holdpoint-mask")

    def feed(self, piece: bytes) -> bytes:
        self._state.update(piece.translate(None, _BLANK))
        return b""

    def end(self) -> bytes:
        return mask_text(f"{self._kind}:{self._state.hexdigest()}").encode()
