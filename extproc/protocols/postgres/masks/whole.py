"""One value of a column that a mask names: masked whole, whatever is in it."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from extproc.domain.mask import Operator
from extproc.masking.operators import cover, mask_text
from extproc.masking.structure.escaped import unescape
from extproc.protocols.postgres.masks import nested, types
from extproc.protocols.postgres.masks.cells import GONE, JSONB_VERSION, Masking, meant_bytes, spelt_bytes
from extproc.protocols.postgres.masks.types import Sort

COLUMN = "column"
"""Counted as this, and so called in the mask: a column of which nobody can say where it comes from, while a mask names
columns."""


@dataclass(slots=True, eq=False)
class WholeCell:
    """Masks values of a type whole, as this kind, with this operator. Empty ones stay."""

    masking: Masking
    kind: str
    operator: Operator
    type: int
    binary: bool

    def text(self, value: bytes) -> None:
        """There is nothing to look for."""

    def mask(self, value: bytes) -> bytes | None:
        """See Cell."""
        if not value:
            return value if types.sort_of(self.type) in _KEPT_EMPTY else None
        if self.operator in GONE:
            self.masking.count(self.kind)
            return None
        return self._masked(value, self.type, self.operator)

    def _masked(self, value: bytes, oid: int, operator: Operator) -> bytes | None:
        sort = types.sort_of(oid)
        if sort is Sort.ARRAY:
            return self._array(value, oid, operator)
        self.masking.count(self.kind)
        match sort:
            case Sort.TEXT | Sort.XML:
                return self._cover(value, operator)
            case Sort.JSON:
                return self._json(value, operator)
            case Sort.JSONB:
                version = JSONB_VERSION if self.binary else b""
                return version + self._json(value[len(version) :], operator)
            case Sort.BYTES:
                return (
                    self._cover(value, operator)
                    if self.binary
                    else spelt_bytes(self._cover(meant_bytes(value), operator))
                )
        return None

    def _cover(self, value: bytes, operator: Operator) -> bytes:
        covering = cover(operator, self.kind, self.masking.plan.hash_key)
        return covering.feed(value) + covering.end()

    def _json(self, value: bytes, operator: Operator) -> bytes:
        value = value.strip(b" \t\r\n")
        if value.startswith(b'"'):
            return _quoted(self._cover(unescape(value[1:-1]), operator))
        return _quoted(mask_text(self.kind).encode()) if value[:1] in (b"{", b"[") else b"null"

    def _array(self, value: bytes, oid: int, operator: Operator) -> bytes | None:
        """Element by element: an array of the same shape. Together several parts would show too much."""
        items = nested.binary_array_items(value) if self.binary else nested.array_items(value)
        if operator is Operator.PARTIAL and len(items) > 1:
            operator = Operator.REDACT
        spell: Callable[[bytes | None], bytes] = nested.binary_item if self.binary else nested.array_item
        out: list[tuple[nested.Item, bytes]] = []
        emptied = False
        for item in items:
            if item.value is None or not item.value:
                continue
            masked = self._masked(item.value, item.type or types.ARRAYS[oid], operator)
            emptied = emptied or masked is None
            out.append((item, spell(masked)))
        respelt = nested.respelt(value, out)
        return nested.with_nulls(respelt) if emptied and self.binary else respelt


_KEPT_EMPTY = frozenset({Sort.TEXT, Sort.XML, Sort.BYTES})


def _quoted(text: bytes) -> bytes:
    return json.dumps(text.decode("utf-8", "replace"), ensure_ascii=False).encode()
