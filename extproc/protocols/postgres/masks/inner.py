"""Values that consist of values, masked by what is found in each of these."""

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from extproc.masking.engine.scanner import NOTHING
from extproc.masking.engine.span import add
from extproc.masking.operators import mask_text
from extproc.masking.stage import MaskError
from extproc.masking.structure.llm.whole import mask_whole
from extproc.masking.structure.names import names
from extproc.protocols.postgres.masks import nested, types
from extproc.protocols.postgres.masks.binary import READ
from extproc.protocols.postgres.masks.cells import (
    Cell,
    FilledCell,
    HexCell,
    JsonCell,
    Masking,
    StrictCell,
    TextCell,
    XmlCell,
)
from extproc.protocols.postgres.masks.nested import Item
from extproc.protocols.postgres.masks.types import Sort
from extproc.protocols.postgres.masks.whole import COLUMN

_DEEPEST = 8
"""Values inside values that are read."""

_Spell = Callable[[bytes | None], bytes]


def cell(masking: Masking, oid: int, binary: bool, named: frozenset[int] = NOTHING, depth: int = 0) -> Cell:
    """How values of a type are masked by what is found in them. `named` is `detector.named` of the column. Raises
    MaskError for values in values without end."""
    if depth > _DEEPEST:
        raise MaskError("values inside values that are too deep")
    match types.sort_of(oid):
        case Sort.TEXT:
            return TextCell(masking, named)
        case Sort.JSON:
            return JsonCell(masking)
        case Sort.JSONB:
            return JsonCell(masking, version=binary)
        case Sort.XML:
            return XmlCell(masking)
        case Sort.BYTES:
            return FilledCell(masking, named) if binary else HexCell(FilledCell(masking, named))
        case Sort.ARRAY:
            return ArrayCell(masking, types.ARRAYS[oid], binary, named, depth)
        case Sort.RECORD:
            return RecordCell(masking, binary, named, depth)
        case Sort.OWN:
            return OwnBinaryCell(masking, named, depth) if binary else OwnCell(masking, oid, named, depth)
    return StrictCell(masking, named, READ.get(oid) if binary else None, oid in types.FRACTIONAL)


@dataclass(slots=True, eq=False)
class ArrayCell:
    """An array: of each element what is found in it is masked."""

    masking: Masking
    of: int
    binary: bool
    named: frozenset[int]
    depth: int

    def text(self, value: bytes) -> bytes | None:
        """Those of the elements, in lines."""
        return _texts(self._items(value), self._cell)

    def mask(self, value: bytes) -> bytes | None:
        """See Cell."""
        masked, emptied = _masked(value, self._items(value), self._cell, self._spell)
        return nested.with_nulls(masked) if emptied and self.binary else masked

    @property
    def _spell(self) -> _Spell:
        return nested.binary_item if self.binary else nested.array_item

    def _items(self, value: bytes) -> list[Item]:
        return nested.binary_array_items(value) if self.binary else nested.array_items(value)

    def _cell(self, item: Item) -> Cell:
        return cell(self.masking, item.type or self.of, self.binary, self.named, self.depth + 1)


@dataclass(slots=True, eq=False)
class RecordCell:
    """A record. What its fields are called nobody says: where a mask names columns, it is NULL."""

    masking: Masking
    binary: bool
    named: frozenset[int]
    depth: int

    def text(self, value: bytes) -> bytes | None:
        """Those of the fields, in lines."""
        return None if self.masking.plan.keys else _texts(self._items(value), self._cell)

    def mask(self, value: bytes) -> bytes | None:
        """See Cell."""
        if self.masking.plan.keys:
            self.masking.count(COLUMN)
            return None
        return _masked(value, self._items(value), self._cell, self._spell)[0]

    @property
    def _spell(self) -> _Spell:
        return nested.binary_item if self.binary else nested.record_item

    def _items(self, value: bytes) -> list[Item]:
        return nested.binary_record_items(value) if self.binary else nested.record_items(value)

    def _cell(self, item: Item) -> Cell:
        return cell(self.masking, item.type, self.binary, self.named, self.depth + 1)


@dataclass(slots=True, eq=False)
class OwnCell:
    """A type that nobody knows, in text format: an array, a record or an hstore if it is spelt like one; of a type that
    nobody even said, JSON, too; else text, but NULL where it may be a number or the like."""

    masking: Masking
    type: int
    named: frozenset[int]
    depth: int

    def text(self, value: bytes) -> bytes | None:
        """None for what is spelt as if there were more in it."""
        return None if value[:1] in _BEGIN else value

    def mask(self, value: bytes) -> bytes | None:
        """See Cell."""
        masking = self.masking
        begin = value[:1]
        if begin in _DOCUMENT and self.type == types.ANY and not masking.guarded:
            own: dict[str, int] = {}
            with suppress(MaskError):
                masked = mask_whole(value, masking.plan, own)
                add(masking.counts, own)
                return masked
        if begin in _DOCUMENT and (items := _tried(nested.array_items, value)) is not None:
            return _masked(value, items, self._cell, nested.array_item)[0]
        if begin == b"(" and (items := _tried(nested.record_items, value)) is not None:
            return RecordCell(masking, False, self.named, self.depth).mask(value)
        if begin == b'"' and (items := nested.hstore_items(value)) is not None:
            return self._hstore(value, items)
        if _STRICT.fullmatch(value):
            return StrictCell(masking, self.named).mask(value)
        return TextCell(masking, self.named).mask(value)

    def _cell(self, item: Item) -> Cell:
        return cell(self.masking, types.FIRST_OWN, False, self.named, self.depth + 1)

    def _hstore(self, value: bytes, items: list[Item]) -> bytes:
        masking, asking = self.masking, names(self.masking.plan)
        out: list[tuple[Item, bytes]] = []
        for item in items:
            asked = asking.asked(item.name.decode("utf-8", "replace"))
            if asked.kind is not None and item.name:
                # Alike for NULL, empty and other values.
                masking.count(asked.kind)
                covering = masking.plan.cover(asked.kind)
                masked: bytes | None = (covering.feed(item.value) if item.value else b"") + covering.end()
                masked = masked or mask_text(asked.kind).encode()
            elif item.value is None:
                continue
            else:
                masked = TextCell(masking, self.named | asked.named).mask(item.value)
            if masked != item.value:
                out.append((item, nested.array_item(masked if item.name else masked or b"")))
        return nested.respelt(value, out)


# A number, a date, an address or the like: what has room for no mask.
_STRICT = re.compile(rb"[-+0-9a-fA-F:./ TZ]*")
_DOCUMENT = (b"{", b"[")
_BEGIN = (*_DOCUMENT, b"(", b'"')


@dataclass(slots=True, eq=False)
class OwnBinaryCell:
    """A type that nobody knows, in binary format: an array or a record if it is one, for these say what is in them; of
    anything else what is found is overwritten. NULL where a mask names columns, and it has fields with such names."""

    masking: Masking
    named: frozenset[int]
    depth: int

    def text(self, value: bytes) -> bytes | None:
        """None for what may have more in it."""
        return None if self.masking.plan.keys or value[:1] == b"\0" else value

    def mask(self, value: bytes) -> bytes | None:
        """See Cell."""
        masking = self.masking
        if _tried(nested.binary_array_items, value) is not None:
            return ArrayCell(masking, types.FIRST_OWN, True, self.named, self.depth).mask(value)
        if _tried(nested.binary_record_items, value):
            return RecordCell(masking, True, self.named, self.depth).mask(value)
        asking = names(masking.plan)
        if any(asking.selected(name.decode("utf-8", "replace")) for name in nested.binary_hstore_names(value)):
            masking.count(COLUMN)
            return None
        return FilledCell(masking, self.named).mask(value)


def _tried(read: Callable[[bytes], list[Item]], value: bytes) -> list[Item] | None:
    try:
        return read(value)
    except MaskError:
        return None


def _texts(items: list[Item], how: Callable[[Item], Cell]) -> bytes | None:
    texts: list[bytes] = []
    for item in items:
        if item.value is not None:
            text = how(item).text(item.value)
            if text is None:
                return None
            texts.append(text)
    return b"\n".join(texts)


def _masked(value: bytes, items: list[Item], how: Callable[[Item], Cell], spell: _Spell) -> tuple[bytes, bool]:
    """The value with its items masked, and whether one became NULL."""
    out: list[tuple[Item, bytes]] = []
    emptied = False
    for item in items:
        if item.value is not None:
            masked = how(item).mask(item.value)
            if masked != item.value:
                emptied = emptied or masked is None
                out.append((item, spell(masked)))
    return nested.respelt(value, out), emptied
