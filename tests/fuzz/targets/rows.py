"""Rows of PostgreSQL and of its COPY are masked the same however they are cut, stay rows of their format, and have no
value that was to be masked."""

import json
import re
import struct
from collections.abc import Iterable, Sequence
from itertools import pairwise
from unittest.mock import patch

from extproc.domain.mask import Mask
from extproc.masking.stage import MaskError
from extproc.protocols.postgres.masks import CopyMask, CopyOptions, RowMask, copy_mask, row_mask, rows
from extproc.protocols.postgres.masks.copybinary import SIGNATURE
from extproc.protocols.postgres.sql import Column, Origins
from extproc.protocols.postgres.wire.frame import Frame, Framer, Part
from extproc.protocols.postgres.wire.results import Field
from extproc.protocols.postgres.wire.row import join_row, split_row
from tests.fuzz.plans import OPERATORS, SMALL
from tests.fuzz.source import Source

CHOICES = 7
Value = bytes | None

TYPES = (25, 114, 3802, 1009, 20, 17, 142, 2249, 70000, 0, 1016, 869, 1082, 3807, 2287, 1231)
"""text, json, jsonb, text[], int8, bytea, xml, record, one of the database's own, one that nobody said, and more."""

NULL = b"\xff"
"""What stands for NULL among the values of an input, which NULs part."""

PLANTED = b"4111 1111 1111 1111"
_ROW, _COPY = ord("D"), ord("d")
_NAMES = ("id", "note", "email", "secret")
_KEYS: tuple[tuple[str, ...], ...] = ((), (), ("secret",), ("secret", "email"))
_HELD = 48
"""Bytes of a row that is held, where long ones are tried."""

_ESCAPED = re.compile(rb"[\\\b\f\n\r\t\v]")
_SPELT = {b"\b": b"b", b"\f": b"f", b"\n": b"n", b"\r": b"r", b"\t": b"t", b"\v": b"v"}
_MEANS = re.compile(rb"\\(.)", re.DOTALL)
_MEANT = {letter: value for value, letter in _SPELT.items()}


def database_rows(data: bytes) -> None:
    """The first bytes choose how the rows come, types, formats, masks, options and cuts; the rest is values, or rows of
    a server that says anything."""
    source = Source(data, CHOICES)
    how = source.one((_rows, _long, _copied, _any_rows, _any_copy))
    first, second, flags = source.byte(), source.byte(), source.byte()
    binary = (flags & 1, flags >> 1 & 1)
    kinds = (TYPES[first & 15], TYPES[first >> 4])
    names = (_NAMES[second & 3], _NAMES[second >> 2 & 3])
    fields = [Field(n, 0, 0, k, -1, -1, b) for n, k, b in zip(names, kinds, binary, strict=True)]
    origins: list[Origins] = [None if flags & 4 else (Column("public", "t", name),) for name in names]
    masks = [Mask("p", ("*",) if flags & 8 else (), _KEYS[second >> 4 & 3], source.one(OPERATORS))]
    how(source, fields, origins, masks)


def _values(data: bytes, width: int) -> list[list[Value]]:
    """Rows of values."""
    flat: list[Value] = [None if value == NULL else value for value in data.split(b"\0")][:60]
    flat += [None] * (-len(flat) % width)
    return [flat[at : at + width] for at in range(0, len(flat), width)]


def _message(kind: int, body: bytes) -> bytes:
    return struct.pack(">BI", kind, 4 + len(body)) + body


def _frames(data: bytes, cuts: Iterable[int]) -> Iterable[Frame]:
    framer = Framer(1 << 20, frozenset({_ROW, _COPY}))
    at = 0
    for end in (*cuts, len(data)):
        yield from framer.feed(data[at:end])
        at = end


def _fed(masking: RowMask | CopyMask | None, frames: Iterable[Frame]) -> tuple[bytes, dict[str, int] | None]:
    """What a client gets, and the counts; None where it ends there."""
    if masking is None:
        return b"".join(frame.data for frame in frames), {}
    out: list[bytes] = []
    try:
        out += [masking.feed(frame) for frame in frames]
        if isinstance(masking, CopyMask):
            out.append(masking.finish())
    except MaskError:
        return b"".join(out), None
    return b"".join(out), masking.counts


def _bodies(data: bytes, kind: int) -> list[bytes]:
    """The bodies of messages that are nothing else."""
    framer = Framer(1 << 30, frozenset({kind}))
    found = [frame for frame in framer.feed(data) if frame.part is Part.WHOLE]
    assert framer.between
    assert all(frame.kind == kind for frame in found)
    return [body for frame in found for body in frame.bodies()]


def _masker(masks: Sequence[Mask], fields: Sequence[Field], origins: Sequence[Origins]) -> RowMask | None:
    return row_mask(masks, SMALL, fields, origins)


def _rows(source: Source, fields: list[Field], origins: list[Origins], masks: list[Mask]) -> None:
    """Rows as they should be."""
    table = _values(source.rest, len(fields))
    data = b"".join(_message(_ROW, join_row(row)) for row in table)
    out, counts = _fed(_masker(masks, fields, origins), _frames(data, ()))
    assert counts is not None, "rows that are rows were refused"
    for cuts in (range(1, len(data)), source.cuts(len(data))):
        assert _fed(_masker(masks, fields, origins), _frames(data, cuts)) == (out, counts), "rows by cuts"
    _same_shape(table, [split_row(body) for body in _bodies(out, _ROW)], fields, masks)


def _same_shape(before: list[list[Value]], after: list[list[Value]], fields: list[Field], masks: list[Mask]) -> None:
    """As many rows and columns; NULL is NULL, but where a mask names columns; JSON is JSON; and nothing is left that
    was to go."""
    named = any(mask.keys for mask in masks)
    assert len(after) == len(before), "rows"
    for was, now in zip(before, after, strict=True):
        assert len(was) == len(now), "columns"
        for field, old, new in zip(fields, was, now, strict=True):
            if old is None:
                assert new is None or named, "something in the place of NULL"
            elif new is not None and new != old:
                _still(field, old, new)
            if new is not None and old == PLANTED and field.type == 25:
                assert "*" not in masks[0].kinds or old not in new, "a value that was to be masked"


def _still(field: Field, old: bytes, new: bytes) -> None:
    if field.type in (114, 3802) and not field.format and _json(old):
        assert _json(new), "JSON that is none any more"
    if field.type == 25 and _text(old):
        assert _text(new), "text that is none any more"


def _json(value: bytes) -> bool:
    try:
        json.loads(value)
    except (ValueError, RecursionError):
        return False
    return True


def _text(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _parts(data: bytes, size: int) -> Iterable[Frame]:
    """One message in parts of this size."""
    for at in range(0, len(data), size):
        part = Part.FIRST if not at else Part.LAST if at + size >= len(data) else Part.MIDDLE
        yield Frame(_ROW, data[at : at + size], int(not at), part)


def _long(source: Source, fields: list[Field], origins: list[Origins], masks: list[Mask]) -> None:
    """A row that is too long to be held: every value keeps its length, but for what masks by name may change,
    and its bytes do not depend on the parts."""
    row = _values(source.rest, len(fields))[0]
    data = _message(_ROW, join_row(row))
    sizes = (len(data) - 1, 7, min(2 + source.byte(), len(data) - 1))
    with patch.object(rows, "HELD", _HELD):
        found = [_fed(_masker(masks, fields, origins), _parts(data, size)) for size in sizes]
    outs = [out for out, counts in found if counts is not None]
    # What is refused is so only when it is seen, and what was before it is out by then.
    assert len(outs) in (0, len(found)), "a long row that is refused by its parts"
    assert all(one == found[0] for one in found) or not outs, "a long row by its parts"
    if outs:
        (after,) = [split_row(body) for body in _bodies(outs[0], _ROW)]
        if len(data) - 1 > _HELD + 8 and not any(mask.keys for mask in masks):
            assert [one and len(one) for one in after] == [one and len(one) for one in row], "lengths"
        _same_shape([row], [after], fields, masks)


def _any_rows(source: Source, fields: list[Field], origins: list[Origins], masks: list[Mask]) -> None:
    """Whatever a server says for rows: the same by every cut, refused or not; and what is not refused is rows."""
    data = b"".join(_message(_ROW, body) for body in source.rest.split(b"\0\xfe"))
    out, counts = _fed(_masker(masks, fields, origins), _frames(data, ()))
    for cuts in (range(1, len(data)), source.cuts(len(data))):
        again, counted = _fed(_masker(masks, fields, origins), _frames(data, cuts))
        assert (counted is None) == (counts is None), "rows that are refused by cuts"
        both = min(len(out), len(again))
        assert counts is None or (again, counted) == (out, counts), "rows by cuts"
        assert again[:both] == out[:both], "rows before those that are refused"
    if counts is not None and _masker(masks, fields, origins) is not None:
        assert all(len(split_row(body)) == len(fields) for body in _bodies(out, _ROW))


def _options(flags: int) -> CopyOptions:
    form = ("text", "csv", "binary")[flags % 3]
    if form == "binary" or not flags & 64:
        return CopyOptions(form)
    if form == "text":
        return CopyOptions(form, delimiter="|", null="-")
    return CopyOptions(form, delimiter=";", null="NULL", quote="'", escape="\\")


def _copy_masker(
    masks: Sequence[Mask], fields: Sequence[Field], origins: Sequence[Origins], options: CopyOptions
) -> CopyMask | None:
    return copy_mask(masks, SMALL, [(field.name, field.type) for field in fields], origins, options)


def _copied(source: Source, fields: list[Field], origins: list[Origins], masks: list[Mask]) -> None:
    """A COPY as it should be, in any of the three formats, cut into messages anywhere."""
    options = _options(source.byte())
    table = _values(source.rest, len(fields))
    lines = [_written(row, options) for row in table]
    if options.form == "binary":
        lines = [SIGNATURE + bytes(8) + lines[0], *lines[1:], b"\xff\xff"]
    try:
        out, counts = _fed(
            _copy_masker(masks, fields, origins, options),
            _frames(b"".join(_message(_COPY, line) for line in lines), ()),
        )
    except MaskError:
        return
    assert counts is not None, "a COPY that is one was refused"
    stream = b"".join(lines)
    cuts = sorted({0, *source.cuts(len(stream)), len(stream)})
    pieces = [stream[start:end] for start, end in pairwise(cuts)]
    for parts in (pieces, [stream[at : at + 1] for at in range(len(stream))]):
        data = b"".join(_message(_COPY, part) for part in parts)
        again = _fed(_copy_masker(masks, fields, origins, options), _frames(data, ()))
        if _copy_masker(masks, fields, origins, options) is not None:
            assert again == (out, counts), "a COPY by its messages"
    read = _read_copy(b"".join(_bodies(out, _COPY)), options)
    binary = int(options.form == "binary")
    _same_shape(table, read, [Field(f.name, 0, 0, f.type, -1, -1, binary) for f in fields], masks)


def _any_copy(source: Source, fields: list[Field], origins: list[Origins], masks: list[Mask]) -> None:
    """Whatever a server says for a COPY: by every cut refused, or masked the same."""
    options, data = _options(source.byte()), source.rest
    found = []
    for step in (max(1, len(data)), 1, 5):
        frames = _frames(b"".join(_message(_COPY, data[at : at + step]) for at in range(0, len(data), step)), ())
        try:
            found.append(_fed(_copy_masker(masks, fields, origins, options), frames))
        except MaskError:
            return
        if _copy_masker(masks, fields, origins, options) is None:
            return
    (out, counts), *others = found
    for again, counted in others:
        assert (counted is None) == (counts is None), "a COPY that is refused by its messages"
        assert counts is None or (again, counted) == (out, counts), "a COPY by its messages"


def _written(row: Sequence[Value], options: CopyOptions) -> bytes:
    """A row as PostgreSQL writes it ("COPY", "File Formats")."""
    if options.form == "binary":
        counted = (b"\xff" * 4 if value is None else struct.pack(">i", len(value)) + value for value in row)
        return struct.pack(">h", len(row)) + b"".join(counted)
    if options.form == "text":
        mark = (options.delimiter or "\t").encode()
        null = ("\\N" if options.null is None else options.null).encode()
        return mark.join(null if value is None else _escaped(value, mark, null) for value in row) + b"\n"
    mark, null, quote = (options.delimiter or ",").encode(), (options.null or "").encode(), options.quote.encode()
    escape = (options.escape or options.quote).encode()
    found = []
    for value in row:
        if value is None:
            found.append(null)
        elif value in (null, b"\\.") or any(special in value for special in (mark, quote, b"\n", b"\r")):
            doubled = value if escape == quote else value.replace(escape, escape * 2)
            found.append(quote + doubled.replace(quote, escape + quote) + quote)
        else:
            found.append(value)
    return mark.join(found) + b"\n"


def _escaped(value: bytes, mark: bytes, null: bytes) -> bytes:
    spelt = _ESCAPED.sub(lambda found: b"\\" + _SPELT.get(found[0], found[0]), value)
    spelt = spelt.replace(mark, b"\\" + mark) if mark != b"\t" else spelt
    return b"\\" + spelt if spelt == null else spelt


def _read_copy(data: bytes, options: CopyOptions) -> list[list[Value]]:
    """The rows that a reader finds."""
    if options.form == "binary":
        return _read_binary(data)
    if options.form == "csv":
        return _read_csv(data, options)
    mark = ord(options.delimiter or "\t")
    null = ("\\N" if options.null is None else options.null).encode()
    found: list[list[Value]] = []
    row: list[Value] = []
    start = at = 0
    while at < len(data):
        if data[at] in (mark, 10):
            raw = data[start:at]
            row.append(None if raw == null else _MEANS.sub(lambda one: _MEANT.get(one[1], one[1]), raw))
            start = at + 1
            if data[at] == 10:
                found.append(row)
                row = []
        at += 1 + (data[at] == ord("\\"))
    assert start == len(data), "a row without an end"
    return found


def _read_binary(data: bytes) -> list[list[Value]]:
    assert data.startswith(SIGNATURE + bytes(8))
    found: list[list[Value]] = []
    at = len(SIGNATURE) + 8
    while data[at : at + 2] != b"\xff\xff":
        (count,) = struct.unpack_from(">h", data, at)
        at += 2
        row: list[Value] = []
        for _ in range(count):
            (size,) = struct.unpack_from(">i", data, at)
            at += 4
            row.append(None if size < 0 else data[at : at + size])
            at += max(0, size)
        found.append(row)
    assert at + 2 == len(data)
    return found


def _read_csv(data: bytes, options: CopyOptions) -> list[list[Value]]:
    """With what is in quotes told from what is not, as Python's csv does not."""
    mark, quote = ord(options.delimiter or ","), ord(options.quote)
    escape, null = ord(options.escape or options.quote), (options.null or "").encode()
    found: list[list[Value]] = []
    row: list[Value] = []
    value, quoted, inside, at = bytearray(), False, False, 0
    while at < len(data):
        byte = data[at]
        at += 1
        if inside and byte == escape and at < len(data) and data[at] in (quote, escape):
            value.append(data[at])
            at += 1
        elif byte == quote:
            inside, quoted = not inside, True
        elif not inside and byte in (mark, 10):
            row.append(None if not quoted and value == null else bytes(value))
            value, quoted = bytearray(), False
            if byte == 10:
                found.append(row)
                row = []
        else:
            value.append(byte)
    assert not inside, "a quote without an end"
    assert not value + b"".join(one or b"" for one in row), "a row without an end"
    return found
