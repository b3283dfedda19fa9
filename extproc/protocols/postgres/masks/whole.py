"""One value of a column that a mask names: masked whole, whatever is in it, and alike if it is NULL or empty.

What differs between two values of such a column would tell of them: an expression can make NULL, an empty text or an
array of another length of whatever it wants to know.
"""

import json
import struct
from dataclasses import dataclass, field

from extproc.domain.mask import Operator
from extproc.masking.operators import cover, mask_text
from extproc.masking.structure.escaped import unescape
from extproc.protocols.postgres.masks import nested, types
from extproc.protocols.postgres.masks.cells import GONE, JSONB_VERSION, Masking, meant_bytes, spelt_bytes
from extproc.protocols.postgres.masks.types import Sort

COLUMN = "column"
"""Counted as this, and so called in the mask: a column of which nobody can say where it comes from, while a mask names
columns."""

_ONE_ELEMENT = struct.Struct(">iiIii")
"""The head of a binary array of one element: dimensions, flags, type, length and lower bound (array_send)."""


@dataclass(slots=True, eq=False)
class WholeCell:
    """Masks values of a type whole, as this kind, with this operator. `constant` stands for each value that is
    redacted, and for each NULL and empty one; None is NULL, for types that have no room for a mask."""

    masking: Masking
    kind: str
    operator: Operator
    type: int
    binary: bool
    constant: bytes | None = field(init=False)

    def __post_init__(self) -> None:
        self.constant = None if self.operator in GONE else _constant(self.kind, self.type, self.binary)

    def text(self, value: bytes) -> None:
        """There is nothing to look for."""

    def mask(self, value: bytes | None) -> bytes | None:
        """The value, masked. Raises MaskError for one that is none of its type."""
        if not value:
            return self.constant
        self.masking.count(self.kind)
        if self.constant is None or self.operator is Operator.REDACT:
            return self.constant
        match types.sort_of(self.type):
            case Sort.TEXT | Sort.XML:
                return self._cover(value)
            case Sort.JSON:
                return self._json(value)
            case Sort.JSONB:
                version = JSONB_VERSION if self.binary else b""
                return version + self._json(value[len(version) :])
            case Sort.BYTES:
                return self._cover(value) if self.binary else spelt_bytes(self._cover(meant_bytes(value)))
        return self.constant

    def _cover(self, value: bytes) -> bytes:
        covering = cover(self.operator, self.kind, self.masking.plan.hash_key)
        return covering.feed(value) + covering.end()

    def _json(self, value: bytes) -> bytes:
        value = value.strip(b" \t\r\n")
        if value.startswith(b'"') and value != b'""':
            return _quoted(self._cover(unescape(value[1:-1])))
        return _quoted(mask_text(self.kind).encode())


def _constant(kind: str, oid: int, binary: bool) -> bytes | None:
    """What stands for any value of a type."""
    mask = mask_text(kind).encode()
    match types.sort_of(oid):
        case Sort.TEXT | Sort.XML:
            return mask
        case Sort.JSON:
            return _quoted(mask)
        case Sort.JSONB:
            return (JSONB_VERSION if binary else b"") + _quoted(mask)
        case Sort.BYTES:
            return mask if binary else spelt_bytes(mask)
        case Sort.ARRAY:
            # An array of one element, for how many there are would tell, too.
            of = types.ARRAYS[oid]
            element = _constant(kind, of, binary)
            if element is None:
                return None
            if binary:
                return _ONE_ELEMENT.pack(1, 0, of, 1, 1) + nested.binary_item(element)
            return b"{" + nested.array_item(element) + b"}"
    return None


def _quoted(text: bytes) -> bytes:
    return json.dumps(text.decode("utf-8", "replace"), ensure_ascii=False).encode()
