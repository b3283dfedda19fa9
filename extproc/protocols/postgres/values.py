"""Bind values as policy and approvers read them.

A text value is text. A binary one is read where its type is one of those that drivers send in binary (asyncpg, JDBC,
psycopg): the wire formats are those of the types' send functions in PostgreSQL. Anything else is told by its size.
"""

import struct
import uuid
from collections.abc import Sequence

from extproc.domain.json import JSON

LONGEST = 64 << 10
"""Characters of one value that policy reads."""

_TEXTS = frozenset({18, 19, 25, 114, 142, 705, 1042, 1043})
"""Types whose binary form is their text: "char", name, text, json, xml, unknown, bpchar, varchar."""

_JSONB = 3802
_UUID = 2950
_BOOL = 16
_NUMBERS = {21: ">h", 23: ">i", 20: ">q", 26: ">I", 700: ">f", 701: ">d"}
"""int2, int4, int8, oid, float4, float8."""


def told(value: bytes | None, form: int, kind: int) -> JSON:
    """A value for policy: text, None for NULL, or what is known of one that can't be read: `bytes`, its size, and
    `why` (`binary`, `large`, `encoding`). `form` is 0 for text and 1 for binary, `kind` the type's OID, or 0."""
    if value is None:
        return None
    if len(value) > LONGEST:
        return {"bytes": len(value), "why": "large"}
    try:
        text = value.decode() if form == 0 else _binary(value, kind)
    except UnicodeDecodeError:
        return {"bytes": len(value), "why": "encoding"}
    return text if text is not None else {"bytes": len(value), "why": "binary"}


def form_of(formats: Sequence[int], index: int) -> int:
    """The format of a value: none means all text, one means it for all (Bind)."""
    if not formats:
        return 0
    return formats[0] if len(formats) == 1 else formats[index]


def _binary(value: bytes, kind: int) -> str | None:
    if kind in _TEXTS:
        return value.decode()
    if kind == _JSONB and value[:1] == b"\x01":
        return value[1:].decode()
    if kind == _UUID and len(value) == 16:
        return str(uuid.UUID(bytes=value))
    if kind == _BOOL and len(value) == 1:
        return "true" if value != b"\0" else "false"
    number = _NUMBERS.get(kind)
    if number is not None and len(value) == struct.calcsize(number):
        return str(struct.unpack(number, value)[0])
    return None
