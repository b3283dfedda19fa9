"""Rows over a megabyte, masked as they come: lengths have gone on before anything is known."""

import json

import pytest

from extproc.domain.mask import Mask
from extproc.masking.stage import MaskError
from extproc.protocols.postgres.masks.rows import HELD, row_mask
from extproc.protocols.postgres.sql import Member, Origins
from extproc.protocols.postgres.wire.frame import Frame, Part
from extproc.protocols.postgres.wire.results import Field
from tests.postgres.masks.answers import CARD, EMAIL, KNOWN, ROW, Value, field, mask, masker, message, parts, rows
from tests.postgres.masks.test_values import array, record

ALL = mask("*")
BIG = b"lorem ipsum " * (HELD // 12 + 1)


def long(masks: list[Mask], fields: list[Field], values: list[Value], size: int = 1 << 16) -> list[Value]:
    """The row that a client gets of one that is too long to be held, whose last value is BIG."""
    masking = masker(masks, [*fields, field("big")])
    assert masking is not None
    out = b"".join(masking.feed(frame) for frame in parts(message([*values, BIG]), size))
    (row,) = rows(out)
    assert row[-1] == BIG
    return row[:-1]


STARS = b"*" * len(EMAIL)
KEY = b"[masked:key:c]"
FOUND: list[tuple[int, bool, bytes, bytes]] = [
    (25, False, b"to " + EMAIL, b"to " + STARS),
    (25, True, EMAIL, STARS),
    (20, False, CARD, b"0" * 16),
    (20, True, int(CARD).to_bytes(8, "big"), bytes(8)),
    (869, True, b"\x02\x20\x00\x04\xcb\x00\x71\x4d", b"\x02\x20\x00\x04\0\0\0\0"),
    (17, False, b"\\x00" + EMAIL.hex().encode(), b"\\x00" + STARS.hex().encode()),
    (17, True, b"\0" + EMAIL, b"\0" + STARS),
    (1009, False, b'{a,"x, %s",%s}' % (EMAIL, EMAIL), b'{a,"x, %s",%s}' % (STARS, STARS)),
    (1009, True, array(25, b"a", None, EMAIL), array(25, b"a", None, STARS)),
    (1016, False, b"{1,%s}" % CARD, b"{1,0000000000000000}"),
    (2249, False, b'(1,"a, ""b""",%s)' % EMAIL, b'(1,"a, ""b""",%s)' % STARS),
    (2249, True, record((25, EMAIL), (23, b"\0\0\0\7")), record((25, STARS), (23, b"\0\0\0\7"))),
    (70000, False, b'"a"=>"%s"' % EMAIL, b'"a"=>"%s"' % STARS),
    (70000, True, b"\0\0\0\7" + EMAIL, b"\0\0\0\7" + STARS),
    (70000, True, record((20, int(CARD).to_bytes(8, "big"))), bytes(20)),
    (16, False, b"t", b"t"),
]


@pytest.mark.parametrize(("oid", "binary", "value", "wanted"), FOUND)
def test_what_is_found_is_overwritten(oid: int, binary: bool, value: bytes, wanted: bytes) -> None:
    """Byte for byte."""
    assert long([ALL], [field("c", oid, binary)], [value]) == [wanted]


@pytest.mark.parametrize("oid", [114, 3802])
def test_json_stays_json(oid: int) -> None:
    """What its mask is shorter than the value are blanks behind it."""
    value = b'{"a": "jane.doe\\u0040example.com", "n": 4111111111111111, "k": 1}'
    (masked,) = long([ALL], [field("c", oid)], [value])
    assert masked is not None
    assert len(masked) == len(value)
    assert json.loads(masked) == {"a": STARS.decode(), "n": None, "k": 1}
    (version,) = long([ALL], [field("c", 3802, True)], [b"\x01" + value])
    assert version == b"\x01" + masked


def test_xml_stays_xml() -> None:
    """As JSON."""
    value = b"<a>jane.doe&#64;example.com</a>"
    (masked,) = long([ALL], [field("c", 142)], [value])
    assert masked == b"<a>" + STARS + b"</a>" + b"    "


@pytest.mark.parametrize("value", [b"anything", b"", None])
@pytest.mark.parametrize(
    ("oid", "binary", "wanted"), [(25, False, KEY), (23, False, None), (3802, True, b'\x01"%s"' % KEY)]
)
def test_a_column_that_is_named_is_masked_alike(oid: int, binary: bool, wanted: Value, value: Value) -> None:
    """Neither its length nor whether it is NULL or empty shows, in a row that was made long for that."""
    assert long([mask(keys=["c"])], [field("c", oid, binary)], [value]) == [wanted]


def test_members_of_documents_are_masked_alike() -> None:
    """In a short document of a long row, in JSON and in the text of a member."""
    keyed = [mask(keys=["ssn"])]
    wanted = b'{"ssn": "[masked:key:ssn]"}'
    for value in (b'{"ssn": "219-09-9998"}', b'{"ssn": null}', b'{"ssn": ""}', b'{"ssn": 7}'):
        assert long(keyed, [field("doc", 3802)], [value]) == [wanted]
        member: Origins = (Member("public", "t", "person", "doc"),)
        masking = row_mask(tuple(keyed), KNOWN, [field("x"), field("big")], [member, ()])
        assert masking is not None
        (row,) = rows(b"".join(masking.feed(frame) for frame in parts(message([value, BIG]), 1 << 16)))
        assert row == [wanted, BIG]


def test_a_value_that_is_masked_whole_is_waited_for_only_so_long() -> None:
    """Nothing is let on behind more than memory is meant to hold."""
    masking = masker([mask(keys=["c"])], [field("big"), field("c")])
    assert masking is not None
    with pytest.raises(MaskError, match="in front of a value"):
        [masking.feed(frame) for frame in parts(message([b"x" * (17 << 20), b"secret"]), 1 << 16)]


def test_columns_that_nothing_asks_for_keep_their_bytes() -> None:
    """NULL and empty values, too."""
    fields = [field("a"), field("c"), field("n", 23), field("e")]
    assert long([mask(keys=["c"])], fields, [b"x", None, b"7", b""]) == [b"x", KEY, b"7", b""]


def test_a_long_value_itself_is_masked_as_it_comes() -> None:
    """At whatever size it is cut; in memory there is no more of it than a mask has to wait for."""
    text = BIG + EMAIL + b" " + BIG
    row = message([text])
    wanted = [[BIG + STARS + b" " + BIG]]
    for size in (1 << 16, 65_521):
        masking = masker([ALL], [field("c")])
        assert masking is not None
        taken = given = 0
        out = bytearray()
        for frame in parts(row, size):
            out += masking.feed(frame)
            taken, given = taken + len(frame.data), len(out)
            assert taken - given < 1024
        assert rows(bytes(out)) == wanted
        assert masking.counts == {"email": 1}


def test_long_json_is_masked_as_it_comes() -> None:
    """A value that is nearly all of the row, with named members."""
    value = json.dumps({"ssn": "1", "many": [EMAIL.decode()] * 50_000}).encode()
    masking = masker([ALL, mask(keys=["ssn"])], [field("c", 3802)])
    assert masking is not None
    (row,) = rows(b"".join(masking.feed(frame) for frame in parts(message([value]), 1 << 16)))
    assert row[0] is not None
    assert json.loads(row[0]) == {"ssn": "*", "many": [STARS.decode()] * 50_000}
    assert masking.counts == {"key:ssn": 1, "email": 50_000}


def test_every_cut_gives_the_same() -> None:
    """Of all that stands before the long value."""
    fields = [field("c", oid, binary) for oid, binary, *_ in FOUND] + [field("big")]
    row = message([*(value for _, _, value, _ in FOUND), BIG])
    wanted = [*(wanted for *_, wanted in FOUND), BIG]
    for size in (1, 2, 3, 7, 100):
        masking = masker([ALL], fields)
        assert masking is not None
        pieces = [row[at : at + size] for at in range(0, 2000, size)]
        pieces.append(row[size * len(pieces) :])
        out = masking.feed(Frame(ROW, pieces[0], 1, Part.FIRST))
        out += b"".join(masking.feed(Frame(ROW, piece, 0, Part.MIDDLE)) for piece in pieces[1:-1])
        out += masking.feed(Frame(ROW, pieces[-1], 0, Part.LAST))
        assert rows(out) == [wanted]


CUT: list[bytes] = [
    message([b"x", BIG])[:-1],
    message([BIG]),
    message([b"x", BIG, b"y"]),
]


@pytest.mark.parametrize("row", CUT)
def test_a_row_that_is_not_what_was_described_ends_it(row: bytes) -> None:
    """As far as it went it was masked."""
    masking = masker([ALL], [field("a"), field("b")])
    assert masking is not None
    frames = list(parts(row, 1 << 16))
    with pytest.raises(MaskError):
        b"".join(masking.feed(frame) for frame in frames)


IMPOSSIBLE: list[tuple[int, bool, bytes]] = [
    (1009, True, array(25, EMAIL * 100_000)),
    (3807, False, b'{"{\\"a\\": 1}"}'),
    (17, False, b"abc"),
]


@pytest.mark.parametrize(("oid", "binary", "value"), IMPOSSIBLE)
def test_what_can_not_keep_its_length_ends_it(oid: int, binary: bool, value: bytes) -> None:
    """Rather than passing."""
    with pytest.raises(MaskError):
        long([ALL], [field("c", oid, binary)], [value])
