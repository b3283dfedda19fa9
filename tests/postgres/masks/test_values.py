"""Values of every type, in both formats, masked by what is found in them and by their column's name."""

import struct
from datetime import date
from uuid import UUID

import pytest

from extproc.domain.mask import Operator
from extproc.protocols.postgres.sql import Member
from tests.postgres.masks.answers import CARD, EMAIL, SSN, Value, field, mask, masked

ALL = mask("*")
COVERED = b"[masked:email]"
DAYS = struct.pack(">i", (date(1980, 5, 6) - date(2000, 1, 1)).days)
NUMERIC = struct.pack(">HhHH4H", 4, 3, 0, 0, 4111, 1111, 1111, 1111)


def array(oid: int, *values: Value) -> bytes:
    """A binary array of one dimension."""
    head = struct.pack(">iiIii", 1, int(None in values), oid, len(values), 1)
    return head + b"".join(struct.pack(">i", -1) if v is None else struct.pack(">i", len(v)) + v for v in values)


def record(*fields: tuple[int, bytes]) -> bytes:
    """A binary record."""
    return struct.pack(">i", len(fields)) + b"".join(struct.pack(">Ii", oid, len(v)) + v for oid, v in fields)


FOUND: list[tuple[str, int, bool, bytes, Value]] = [
    ("text", 25, False, b"to " + EMAIL + b"!", b"to " + COVERED + b"!"),
    ("text", 25, True, b"to " + EMAIL + b"!", b"to " + COVERED + b"!"),
    ("varchar", 1043, False, EMAIL, COVERED),
    ("bpchar", 1042, False, EMAIL + b"   ", COVERED + b"   "),
    ("name", 19, True, EMAIL, COVERED),
    ("int8", 20, False, CARD, None),
    ("int8", 20, True, struct.pack(">q", int(CARD)), None),
    ("numeric", 1700, False, CARD, None),
    ("numeric", 1700, False, CARD + b".00", None),
    ("numeric", 1700, True, NUMERIC, None),
    ("float8", 701, False, b"4.111111111111111e+15", None),
    ("float8", 701, True, struct.pack(">d", 4111111111111111.0), None),
    ("inet", 869, False, b"203.0.113.77", None),
    ("inet", 869, True, b"\x02\x20\x00\x04" + bytes((203, 0, 113, 77)), None),
    ("inet", 869, True, b"\x03\x80\x00\x10" + bytes.fromhex("20010db885a3000000008a2e03707334"), None),
    ("macaddr", 829, True, bytes.fromhex("3c22fb9a0417"), None),
    ("json", 114, False, b'{"a": "jane.doe\\u0040example.com"}', b'{"a": "[masked:email]"}'),
    ("json", 114, False, b'[4111111111111111, 1.10]', b"[null, 1.10]"),
    ("jsonb", 3802, False, b'{"a": "%s"}' % EMAIL, b'{"a": "[masked:email]"}'),
    ("jsonb", 3802, True, b'\x01{"a": "%s"}' % EMAIL, b'\x01{"a": "[masked:email]"}'),
    ("xml", 142, False, b"<a>jane.doe&#64;example.com</a>", b"<a>[masked:email]</a>"),
    ("bytea", 17, False, b"\\x" + EMAIL.hex().encode(), b"\\x" + (b"*" * len(EMAIL)).hex().encode()),
    ("bytea", 17, False, b"\\000 " + EMAIL, b"\\x0020" + (b"*" * len(EMAIL)).hex().encode()),
    ("bytea", 17, True, b"\0\1 " + EMAIL, b"\0\1 " + b"*" * len(EMAIL)),
    ("text[]", 1009, False, b'{a,"b c",NULL,%s}' % EMAIL, b'{a,"b c",NULL,"[masked:email]"}'),
    ("text[]", 1009, False, b'{{a,%s},{"\\"q\\"",b}}' % EMAIL, b'{{a,"[masked:email]"},{"\\"q\\"",b}}'),
    ("text[]", 1009, True, array(25, b"a", None, EMAIL), array(25, b"a", None, COVERED)),
    ("int8[]", 1016, False, b"{1,%s}" % CARD, b"{1,NULL}"),
    (
        "int8[]", 1016, True, array(20, struct.pack(">q", 1), struct.pack(">q", int(CARD))),
        array(20, struct.pack(">q", 1), None),
    ),
    ("jsonb[]", 3807, False, b'{"{\\"a\\": \\"%s\\"}"}' % EMAIL, b'{"{\\"a\\": \\"[masked:email]\\"}"}'),
    ("jsonb[]", 3807, True, array(3802, b'\x01"%s"' % EMAIL), array(3802, b'\x01"[masked:email]"')),
    ("record", 2249, False, b'(1,"a ""b""",%s,)' % EMAIL, b'(1,"a ""b""","[masked:email]",)'),
    (
        "record", 2249, True, record((23, b"\0\0\0\1"), (25, EMAIL), (20, struct.pack(">q", int(CARD)))),
        record((23, b"\0\0\0\1"), (25, COVERED))[:0] + struct.pack(">i", 3)
        + record((23, b"\0\0\0\1"), (25, COVERED))[4:] + struct.pack(">Ii", 20, -1),
    ),
    ("own", 70000, False, EMAIL, COVERED),
    ("own", 70000, False, b'(1,"%s")' % EMAIL, b'(1,"[masked:email]")'),
    ("own", 70000, False, b'{a,"(1,%s)"}' % EMAIL, b'{a,"(1,\\"[masked:email]\\")"}'),
    ("own", 70000, False, b'"a"=>"%s", "b"=>NULL' % EMAIL, b'"a"=>"[masked:email]", "b"=>NULL'),
    ("own", 70000, False, b'"%s"=>"1"' % EMAIL, b'"[masked:email]"=>"1"'),
    ("own", 70000, True, b"\0\0\0\7" + EMAIL, b"\0\0\0\7" + b"*" * len(EMAIL)),
    ("own", 70000, True, record((20, int(CARD).to_bytes(8, "big"))), b"\0\0\0\1\0\0\0\x14" + b"\xff" * 4),
    ("own", 70000, True, array(20, int(CARD).to_bytes(8, "big")), array(20, None)),
    ("tsvector", 3614, False, b"'%s':1" % EMAIL, None),
]  # fmt: skip


@pytest.mark.parametrize(("name", "oid", "binary", "value", "wanted"), FOUND)
def test_what_is_found_in_a_value_is_masked(name: str, oid: int, binary: bool, value: bytes, wanted: Value) -> None:
    """A mask fits the type's own text or bytes, or the value is NULL."""
    assert masked([ALL], [field("c", oid, binary)], [value]) == [wanted], name


HARMLESS: list[tuple[int, bool, bytes]] = [
    (16, False, b"t"), (16, True, b"\1"), (23, False, b"-7"), (23, True, b"\0\0\0\7"), (20, True, bytes(8)),
    (1700, False, b"NaN"), (1700, False, b"-Infinity"), (1700, True, struct.pack(">HhHH", 0, 0, 0xC000, 0)),
    (1700, True, struct.pack(">HhHHH", 1, -2, 0x4000, 8, 5000)), (1700, True, struct.pack(">HhHHH", 1, 9, 0, 0, 1)),
    (701, True, struct.pack(">d", float("nan"))), (701, False, b"1e+300"),
    (1700, False, "x é1".encode()), (701, False, b"snan1"), (1700, False, b"1e9999999999"),
    (1082, False, b"2026-01-02"), (1082, True, b"\x7f\xff\xff\xff"), (1184, True, b"\x7f" + b"\xff" * 7),
    (1114, True, bytes(8)), (2950, True, UUID(int=7).bytes), (114, False, b' {"a" : 1.10}\n'), (3802, True, b"\x01[]"),
    (17, False, b"\\x00ff"), (17, False, b"\\\\ \\012"), (17, True, b"\0\xff"),
    (1009, False, b'{"a,b","c\\"d\\\\","",NULL,"NULL"}'), (1009, True, array(25)),
    (1009, True, struct.pack(">iiI", 0, 0, 25)),
    (1009, False, b"[0:1]={a,b}"), (2249, False, b'(,"",a)'), (2249, True, record((25, b""))),
    (142, False, b"<a b='c'/>x"),
    (3904, False, b"[1,5)"), (3614, False, b"'a':1 'b':2"), (600, False, b"(1,2)"), (70000, False, b"happy"),
    (70000, False, b"{ not an array"), (70000, False, b"( nor a record"), (70000, True, b"\0\1\2"), (18, True, b"r"),
]  # fmt: skip


@pytest.mark.parametrize(("oid", "binary", "value"), HARMLESS)
def test_what_has_nothing_to_mask_keeps_its_bytes(oid: int, binary: bool, value: bytes) -> None:
    """Whatever the type."""
    assert masked([ALL], [field("c", oid, binary)], [value]) == [value]


KEY = b"[masked:key:c]"
SELECTED: list[tuple[int, bool, Value, Value]] = [
    (25, False, b"anything", KEY),
    (25, False, b"", KEY),
    (25, False, None, KEY),
    (23, True, None, None),
    (114, False, None, b'"[masked:key:c]"'),
    (3802, True, None, b'\x01"[masked:key:c]"'),
    (17, False, None, b"\\x" + KEY.hex().encode()),
    (1009, False, None, b'{"%s"}' % KEY),
    (1009, False, b"{}", b'{"%s"}' % KEY),
    (70000, False, None, None),
    (1043, True, b"anything", KEY),
    (23, False, b"7", None),
    (23, True, b"\0\0\0\7", None),
    (16, False, b"t", None),
    (1082, False, b"2026-01-02", None),
    (2950, True, bytes(16), None),
    (114, False, b'{"a": 1}', b'"[masked:key:c]"'),
    (114, False, b' "x"', b'"[masked:key:c]"'),
    (114, False, b"12.5", b'"[masked:key:c]"'),
    (114, False, b"null", b'"[masked:key:c]"'),
    (3802, True, b"\x01[1]", b'\x01"[masked:key:c]"'),
    (142, False, b"<a/>", KEY),
    (17, False, b"\\x0001", b"\\x" + KEY.hex().encode()),
    (17, True, b"\0\1", KEY),
    (1009, False, b'{a,NULL,"b c"}', b'{"%s"}' % KEY),
    (1009, True, array(25, b"a", None), array(25, KEY)),
    (1007, False, b"{{1,2},{3,4}}", None),
    (1007, True, array(23, b"\0\0\0\1"), None),
    (2249, False, b"(1,2)", None),
    (70000, False, b"happy", None),
    (70000, True, b"happy", None),
    (3614, False, b"'a':1", None),
]


@pytest.mark.parametrize(("oid", "binary", "value", "wanted"), SELECTED)
def test_a_value_of_a_named_column_is_masked_whole(oid: int, binary: bool, value: Value, wanted: Value) -> None:
    """As its type has room for it; NULL where it has none. What the value is does not show."""
    assert masked([mask(keys=["c"])], [field("c", oid, binary)], [value]) == [wanted]


OPERATORS: list[tuple[Operator, bytes, Value, Value]] = [
    (Operator.REDACT, b"4111 1111 1111 1111", b"[masked:card]", b"[masked:key:c]"),
    (Operator.PARTIAL, b"4111 1111 1111 1111", b"**** **** **** 1111", b"**** **** **** 1111"),
    (Operator.LENGTH, b"4111 1111 1111 1111", b"*" * 19, b"*" * 19),
    (Operator.NULL, b"4111 1111 1111 1111", None, None),
    (Operator.DROP, b"4111 1111 1111 1111", None, None),
    (Operator.NULL, b"card 4111 1111 1111 1111", b"card [masked:card]", None),
]


@pytest.mark.parametrize(("operator", "value", "found", "selected"), OPERATORS)
def test_every_operator_says_what_stands_there(operator: Operator, value: bytes, found: Value, selected: Value) -> None:
    """Found in a text, and of a column that is selected."""
    assert masked([mask("card", operator=operator)], [field("c")], [value]) == [found]
    assert masked([mask(keys=["c"], operator=operator)], [field("c")], [value]) == [selected]


def test_a_hash_is_the_same_for_the_same_value() -> None:
    """In every column and format."""
    hashed = mask("email", keys=["k"], operator=Operator.HASH)
    one, two, other = masked([hashed], [field("a"), field("b", 25, True), field("k")], [EMAIL, EMAIL, EMAIL])
    assert one == two
    assert one is not None
    assert one.startswith(b"[masked:email:")
    assert other is not None
    assert other.startswith(b"[masked:key:k:")


@pytest.mark.parametrize("operator", [Operator.PARTIAL, Operator.LENGTH, Operator.HASH])
def test_what_was_made_of_a_value_is_redacted(operator: Operator) -> None:
    """The last characters, the length or the hash of a part of it would tell of the rest; of an array, too."""
    partly, made = [mask(keys=["c"], operator=operator)], [(Member("public", "customers", "", "c"),)]
    assert masked(partly, [field("x")], [b"4111111111111111"], made) == [KEY]
    assert masked(partly, [field("c", 1009)], [b"{123456789}"]) == [b'{"%s"}' % KEY]
    assert masked(partly, [field("c")], [b""]) == masked(partly, [field("c")], [None]) == [KEY]


def test_json_in_text_is_masked_by_the_names_of_its_members() -> None:
    """As in a column of JSON; what only begins like it is text."""
    keyed = [mask("card", keys=["ssn"])]
    value = b' {"ssn": null, "a": [{"ssn": 7}], "n": 4111111111111111, "k": 1.10}'
    wanted = b' {"ssn": "[masked:key:ssn]", "a": [{"ssn": "[masked:key:ssn]"}], "n": null, "k": 1.10}'
    assert masked(keyed, [field("t")], [value]) == [wanted]
    assert masked(keyed, [field("t")], [b"{not json, " + CARD]) == [b"{not json, [masked:card]"]
    member = [(Member("public", "t", "bill", "doc"),)]
    assert masked(keyed, [field("t")], [b"[" * 200 + b"]" * 200], member) == [None]


@pytest.mark.parametrize("value", [b'"x"', b'""', b"NULL"])
def test_values_of_an_hstore_are_masked_alike(value: bytes) -> None:
    """NULL, too."""
    wanted = [b'"a"=>NULL, "ssn"=>"[masked:key:ssn]", "b"=>"2"']
    assert masked([mask(keys=["ssn"])], [field("h", 70000)], [b'"a"=>NULL, "ssn"=>%s, "b"=>"2"' % value]) == wanted


def test_members_of_json_are_named_as_in_any_json() -> None:
    """A key of a mask is a column's name and a member's."""
    fields = [field("ssn"), field("doc", 3802), field("many", 3807), field("x", 142), field("h", 70000)]
    values = [b"1", b'{"ssn": "1", "a": 2}', b'{"{\\"ssn\\": [1]}"}', b"<r><ssn>1</ssn></r>", b'"ssn"=>"1", "a"=>"2"']
    assert masked([mask(keys=["ssn"])], fields, values) == [
        b"[masked:key:ssn]",
        b'{"ssn": "[masked:key:ssn]", "a": 2}',
        b'{"{\\"ssn\\": \\"[masked:key:ssn]\\"}"}',
        b"<r><ssn>[masked:key:ssn]</ssn></r>",
        b'"ssn"=>"[masked:key:ssn]", "a"=>"2"',
    ]


def test_what_may_have_a_column_in_it_is_masked_where_columns_are_named() -> None:
    """Nobody says what the fields of a record are called."""
    fields = [field("r", 2249), field("rs", 2287), field("own", 70000), field("bin", 70000, True), field("e", 70000)]
    values = [b"(1,2)", b'{"(1,2)"}', b"(1,2)", record((23, b"\0\0\0\1")), b"happy"]
    assert masked([mask(keys=["ssn"])], fields, values) == [None, b"{NULL}", None, None, b"happy"]


MALFORMED: list[tuple[int, bool, bytes]] = [
    (1009, False, b"{a"), (1009, False, b"a"), (1009, True, b"\0"), (1009, True, array(25, b"a")[:-1]),
    (20, True, b"\0"), (1700, True, b"\0"), (1700, True, NUMERIC[:-1]), (2950, True, b"\0"), (701, True, b"\0"),
    (869, True, b"\2"), (2249, False, b"(a"), (2249, True, b"\0\0\0\1"), (3802, True, b"\x02{}"), (114, False, b"{"),
    (17, False, b"\\xzz"), (17, False, b"\\9"), (114, False, b"[" * 200 + b"]" * 200), (142, False, b"<a"),
    (829, True, b""),
]  # fmt: skip


@pytest.mark.parametrize(("oid", "binary", "value"), MALFORMED)
def test_what_can_not_be_read_is_null(oid: int, binary: bool, value: bytes) -> None:
    """Beside values that can."""
    fields = [field("c", oid, binary), field("d", oid, binary), field("e")]
    assert masked([ALL], fields, [value, None, EMAIL]) == [None, None, COVERED]


def test_a_columns_name_is_context() -> None:
    """Nine digits are nothing by themselves."""
    digits = SSN.replace(b"-", b"")
    fields = [field("n"), field("customer_ssn"), field("ssn_no", 23), field("label")]
    origins = [None, None, None, None]
    values = [digits, digits, digits, digits]
    assert masked([ALL], fields, values, origins) == [digits, b"[masked:ssn]", None, digits]
