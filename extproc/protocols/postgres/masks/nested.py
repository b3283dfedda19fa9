"""Values that consist of values: arrays, records and hstores, as text and in binary. Read strictly, and written so that
whatever was not changed keeps its bytes.

PostgreSQL's documentation: "Array Input and Output Syntax", "Composite Type Input and Output Syntax", hstore's
"External Representation"; the binary forms are those of array_send and record_send.
"""

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from extproc.masking.stage import MaskError
from extproc.protocols.postgres.masks import types

_DIMENSIONS = re.compile(rb"(?:\[-?[0-9]{1,10}:-?[0-9]{1,10}\]){1,6}=")
# Possessive, so that hostile text can't make them try again and again.
_ITEM = re.compile(rb'"((?:[^"\\]|\\.)*+)"|((?:[^{},"\\\s]|\\.)++)', re.DOTALL)
_FIELD = re.compile(rb'((?:[^(),"\\]|\\.|"(?:[^"\\]|""|\\.)*+")*+)([,)])', re.DOTALL)
_FIELD_PART = re.compile(rb'"((?:[^"\\]|""|\\.)*+)"|\\(.)', re.DOTALL)
_IN_QUOTES = re.compile(rb'"(")|\\(.)', re.DOTALL)
_PAIR = re.compile(rb'"((?:[^"\\]|\\.)*+)"=>(?:"((?:[^"\\]|\\.)*+)"|(NULL))(?:, |\Z)', re.DOTALL)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_DEEPEST = 6  # MAXDIM
_INT = struct.Struct(">i")
_ARRAY = struct.Struct(">iiI")
_RECORD_ITEM = struct.Struct(">Ii")


@dataclass(frozen=True, slots=True)
class Item:
    """A value inside another one: what it means (None is NULL), and the bytes [start, end) that spell it. `type` is
    its object id where the bytes say it; `name` what it is called there."""

    value: bytes | None
    start: int
    end: int
    type: int = types.ANY
    name: bytes = b""


def array_items(text: bytes) -> list[Item]:
    """The elements of an array in text format, of whatever dimensions. Raises MaskError where it is no array."""
    found = _DIMENSIONS.match(text)
    at, depth, items, fresh = found.end() if found else 0, 0, list[Item](), True
    while at < len(text):
        mark = text[at]
        if mark == 123 and fresh and depth < _DEEPEST:  # {
            depth, at = depth + 1, at + 1
            continue
        if mark == 125 and depth and (not fresh or text[at - 1] == 123):  # }
            depth, at, fresh = depth - 1, at + 1, False
            if not depth:
                break
            continue
        if mark == 44 and depth and not fresh:  # ,
            at, fresh = at + 1, True
            continue
        item = _ITEM.match(text, at) if depth and fresh else None
        if item is None:
            break
        items.append(Item(_element(item), at, item.end()))
        at, fresh = item.end(), False
    if depth or at != len(text) or not text.endswith(b"}"):
        raise MaskError("a value of an array's type that is no array")
    return items


def _element(found: re.Match[bytes]) -> bytes | None:
    raw = found[1] if found[1] is not None else found[2]
    if found[1] is None and raw.upper() == b"NULL":
        return None
    return _ESCAPED.sub(rb"\1", raw) if b"\\" in raw else raw


def array_item(value: bytes | None) -> bytes:
    """How an element is spelt."""
    return b"NULL" if value is None else _backslashed(value)


def record_items(text: bytes) -> list[Item]:
    """The fields of a record in text format. Raises MaskError where it is none."""
    if text == b"()":
        return []
    at, items = 1, list[Item]()
    while text[:1] == b"(" and (found := _FIELD.match(text, at)):
        raw = found[1]
        value = raw if b'"' not in raw and b"\\" not in raw else _FIELD_PART.sub(_field_part, raw)
        items.append(Item(value if raw else None, at, at + len(raw)))
        at = found.end()
        if found[2] == b")":
            break
    if not items or at != len(text) or text[-1:] != b")":
        raise MaskError("a value of a record's type that is no record")
    return items


def _field_part(found: re.Match[bytes]) -> bytes:
    if found[1] is None:
        return found[2]
    return _IN_QUOTES.sub(lambda one: one[1] or one[2], found[1])


def record_item(value: bytes | None) -> bytes:
    """How a field is spelt."""
    return b"" if value is None else b'"' + value.replace(b"\\", b"\\\\").replace(b'"', b'""') + b'"'


def hstore_items(text: bytes) -> list[Item] | None:
    """The names (which have no name themselves) and values of an hstore in text format; None where it is none."""
    at, items = 0, list[Item]()
    while at < len(text) and (found := _PAIR.match(text, at)):
        name = _ESCAPED.sub(rb"\1", found[1])
        items.append(Item(name, found.start(1) - 1, found.end(1) + 1))
        if found[2] is not None:
            items.append(Item(_ESCAPED.sub(rb"\1", found[2]), found.start(2) - 1, found.end(2) + 1, name=name))
        else:
            items.append(Item(None, found.start(3), found.end(3), name=name))
        at = found.end()
    return items if items and at == len(text) and not text.endswith(b", ") else None


def _backslashed(value: bytes) -> bytes:
    return b'"' + value.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def respelt(text: bytes, items: Sequence[tuple[Item, bytes]]) -> bytes:
    """The text, with other bytes in the place of some of its items, which are in order."""
    out, at = list[bytes](), 0
    for item, spelt in items:
        out += (text[at : item.start], spelt)
        at = item.end
    return b"".join((*out, text[at:]))


def binary_array_items(value: bytes) -> list[Item]:
    """The elements of an array in binary format. Raises MaskError where it is none."""
    if len(value) < _ARRAY.size:
        raise MaskError("a binary array that is cut short")
    dimensions, flags, oid = _ARRAY.unpack_from(value)
    at = _ARRAY.size + 8 * dimensions
    if not 0 <= dimensions <= _DEEPEST or flags not in (0, 1) or at > len(value):
        raise MaskError("a binary array that can't be")
    count = 1 if dimensions else 0
    for axis in range(dimensions):
        size = _INT.unpack_from(value, _ARRAY.size + 8 * axis)[0]
        if size < 0:
            raise MaskError("a binary array that can't be")
        count *= size
    items = list[Item]()
    while at < len(value):
        content, end = _counted(value, at)
        items.append(Item(content, at, end, oid))
        at = end
    if len(items) != count:
        raise MaskError("a binary array that has not the elements that it says")
    return items


def binary_record_items(value: bytes) -> list[Item]:
    """The fields of a record in binary format. Raises MaskError where it is none."""
    if len(value) < _INT.size:
        raise MaskError("a binary record that is cut short")
    items, at = list[Item](), _INT.size
    while at < len(value):
        if len(value) < at + _RECORD_ITEM.size:
            raise MaskError("a binary record that is cut short")
        oid = _RECORD_ITEM.unpack_from(value, at)[0]
        content, end = _counted(value, at + 4)
        items.append(Item(content, at + 4, end, oid))
        at = end
    if len(items) != _INT.unpack_from(value)[0]:
        raise MaskError("a binary record that has not the fields that it says")
    return items


def binary_hstore_names(value: bytes) -> list[bytes]:
    """The names in an hstore in binary format, if it can be one (hstore_send)."""
    names, at = list[bytes](), _INT.size
    try:
        while at < len(value):
            name, at = _counted(value, at)
            _, at = _counted(value, at)
            names.append(name or b"")
    except MaskError:
        return []
    return names


def _counted(value: bytes, at: int) -> tuple[bytes | None, int]:
    if len(value) < at + _INT.size:
        raise MaskError("a binary value that is cut short")
    size = _INT.unpack_from(value, at)[0]
    at += _INT.size
    if size == -1:
        return None, at
    if size < 0 or at + size > len(value):
        raise MaskError("a binary value that is cut short")
    return value[at : at + size], at + size


def binary_item(value: bytes | None) -> bytes:
    """How an item is written in binary format."""
    return _INT.pack(-1) if value is None else _INT.pack(len(value)) + value


def with_nulls(array: bytes) -> bytes:
    """A binary array that says that it has NULLs."""
    return array[:4] + _INT.pack(1) + array[8:]
