"""Parts in a transfer encoding (RFC 2045, section 6)."""

import base64
import binascii
import re

from extproc.masking.engine.scanner import SLICE
from extproc.masking.plan import Plan
from extproc.masking.stage import MaskError, Stage
from extproc.masking.structure.mapped import MappedMasker, Spelling

_LINE = 57  # bytes that a line of base64 spells
_BLANKS = b" \t\r\n"
_SEQUENCE = rb"=(?:[0-9A-Fa-f]{2}|[ \t]{0,8}\r?\n)"


class Base64Stage:
    """Decodes base64 for `inner`, and encodes what that gives in lines of 76. Raises MaskError for what is not base64,
    or goes on after its padding."""

    __slots__ = ("_inner", "_held", "_given", "_ended", "_broken")

    def __init__(self, inner: Stage) -> None:
        self._inner = inner
        self._held = b""
        self._given = b""
        self._ended = False
        self._broken = False  # a line was begun

    @property
    def counts(self) -> dict[str, int]:
        """Number of masked values so far, by kind."""
        return self._inner.counts

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes, give those that are final. Raises MaskError."""
        data = self._held + data.translate(None, _BLANKS)
        cut = len(data) - len(data) % 4
        self._held = data[cut:]
        if not cut:
            return b""
        if self._ended:
            raise MaskError("base64 that goes on after its end")
        try:
            meant = base64.b64decode(data[:cut], validate=True)
        except binascii.Error:
            raise MaskError("malformed base64") from None
        self._ended = data[cut - 1 : cut] == b"="
        return self._lines(self._inner.feed(meant), False)

    def finish(self) -> bytes:
        """The input has ended: give the rest. Raises MaskError."""
        if self._held:
            raise MaskError("base64 that ends in the middle")
        return self._lines(self._inner.finish(), True)

    def _lines(self, data: bytes, final: bool) -> bytes:
        data = self._given + data
        cut = len(data) if final else len(data) - len(data) % _LINE
        self._given = data[cut:]
        lines = [base64.b64encode(data[at : at + _LINE]) for at in range(0, cut, _LINE)]
        out = b"\r\n".join(lines)
        if lines and self._broken:
            out = b"\r\n" + out
        self._broken = self._broken or bool(lines)
        return out


def _printable(sequence: bytes) -> bytes:
    if sequence[1:2] in b" \t\r\n":
        return b""  # a soft line break
    return bytes((int(sequence[1:], 16),))


QUOTED_PRINTABLE = Spelling(
    b"=",
    _SEQUENCE,
    rb"=(?:[0-9A-Fa-f]?|[ \t]{0,8}\r?)\Z",
    11,
    _printable,
)


_SEQUENCES = re.compile(_SEQUENCE)
_PIECE = re.compile(rb"([^\n]{25})|([^\n]{0,24}?)(\r?\n)")  # of what a line means: at most 75 characters spell it


class RequotedStage:
    """Decodes quoted-printable for `inner`, and encodes what that gives anew. Raises MaskError where that does, and for
    what is not quoted-printable."""

    __slots__ = ("_inner", "_held", "_given")

    def __init__(self, inner: Stage) -> None:
        self._inner = inner
        self._held = b""
        self._given = b""

    @property
    def counts(self) -> dict[str, int]:
        """Number of masked values so far, by kind."""
        return self._inner.counts

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes, give those that are final. Raises MaskError."""
        data = self._held + data
        cut = QUOTED_PRINTABLE.unfinished(data)
        data, self._held = data[:cut], data[cut:]
        if b"=" in _SEQUENCES.sub(b"", data):
            raise MaskError("malformed quoted-printable")
        return self._spelt(self._inner.feed(QUOTED_PRINTABLE.decode(data)))

    def finish(self) -> bytes:
        """The input has ended: give the rest. Raises MaskError."""
        if self._held:
            raise MaskError("quoted-printable that ends in the middle")
        out = self._spelt(self._inner.finish())
        return out + binascii.b2a_qp(self._given, quotetabs=True, istext=False)

    def _spelt(self, meant: bytes) -> bytes:
        given, at, out = self._given + meant, 0, list[bytes]()
        while piece := _PIECE.match(given, at):
            out += (binascii.b2a_qp(piece[1] or piece[2] or b"", quotetabs=True, istext=False), piece[3] or b"=\r\n")
            at = piece.end()
        self._given = given[at:]
        return b"".join(out)


class QuotedStage:
    """Masks the text that quoted-printable means; what is not masked keeps its bytes."""

    __slots__ = ("_counts", "_masker")

    def __init__(self, plan: Plan, named: frozenset[int]) -> None:
        self._counts: dict[str, int] = {}
        self._masker = MappedMasker(plan, self._counts, QUOTED_PRINTABLE, named)

    @property
    def counts(self) -> dict[str, int]:
        """Number of masked values so far, by kind."""
        return dict(self._counts)

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes, give those that are final."""
        return b"".join(self._masker.feed(data[at : at + SLICE]) for at in range(0, len(data), SLICE))

    def finish(self) -> bytes:
        """The input has ended: give the rest."""
        return self._masker.feed(b"", final=True)
