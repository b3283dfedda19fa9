"""COPY TO STDOUT, masked in its three formats."""

import csv
import io
import struct
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from extproc.domain.mask import Mask, Operator
from extproc.masking.stage import MaskError
from extproc.protocols.postgres.masks import CopyMask, CopyOptions, copy_mask
from extproc.protocols.postgres.masks.copybinary import SIGNATURE
from extproc.protocols.postgres.sql import Origins
from tests.postgres.masks.answers import CARD, EMAIL, KNOWN, Value, frames, mask, origin

ALL, KEY = mask("*"), mask(keys=["name"])
COLUMNS = [("id", 23), ("name", 25), ("note", 25)]


def masker(
    masks: Sequence[Mask],
    options: CopyOptions,
    columns: Sequence[tuple[str, int]] = COLUMNS,
    origins: Sequence[Origins] | None = None,
) -> CopyMask:
    """What masks a COPY of columns that come from columns of the same names."""
    found = copy_mask(masks, KNOWN, columns, origins or [origin(name) for name, _ in columns], options)
    assert found is not None
    return found


def messages(rows: Sequence[bytes]) -> bytes:
    """CopyData, one for each."""
    return b"".join(struct.pack(">BI", ord("d"), 4 + len(row)) + row for row in rows)


def bodies(data: bytes) -> list[bytes]:
    """What the messages of CopyData have."""
    found, at = list[bytes](), 0
    while at < len(data):
        start, at = at + 5, at + 1 + int.from_bytes(data[at + 1 : at + 5], "big")
        found.append(data[start:at])
    return found


def through(masking: CopyMask, data: bytes, cuts: Sequence[int] = ()) -> list[bytes]:
    """What a client gets of messages that arrive cut like this."""
    return bodies(b"".join(masking.feed(frame) for frame in frames(data, cuts)) + masking.finish())


TEXT = [b"1\tAda\tto " + EMAIL + b"\n", b"2\t\\N\ta\\tb\\\\c\\n\n", b"3\t\tnothing\n", b"\\N\tx\t" + CARD + b"\n"]
CSV = [b"id,name,note\n", b"1,Ada,to " + EMAIL + b"\n", b'2,,"a,""b""\nc"\n', b'3,"","' + EMAIL + b',"\n', b",x,y\n"]


def row(*values: Value) -> bytes:
    """A row in binary format."""
    counted = (b"\xff" * 4 if value is None else struct.pack(">i", len(value)) + value for value in values)
    return struct.pack(">h", len(values)) + b"".join(counted)


HEADER = SIGNATURE + bytes(8)
BINARY = [HEADER + row(b"\0\0\0\1", b"Ada", EMAIL), row(b"\0\0\0\2", None, b""), struct.pack(">h", -1)]

CASES: list[tuple[str, CopyOptions, list[Mask], list[bytes], list[bytes]]] = [
    ("text", CopyOptions(), [ALL], TEXT, [b"1\tAda\tto [masked:email]\n", *TEXT[1:3], b"\\N\tx\t[masked:card]\n"]),
    (
        "text, a column",
        CopyOptions(),
        [KEY],
        TEXT,
        [
            b"1\t[masked:key:name]\tto " + EMAIL + b"\n",
            b"2\t[masked:key:name]\ta\\tb\\\\c\\n\n",
            b"3\t[masked:key:name]\tnothing\n",
            b"\\N\t[masked:key:name]\t" + CARD + b"\n",
        ],
    ),
    (
        "text with its own marks",
        CopyOptions(delimiter="|", null="-", header=True),
        [ALL, mask("email", keys=["name"], operator=Operator.NULL)],
        [b"id|name|note\n", b"-|Ada|" + EMAIL + b"\n", b"1|-|a\\|%s\n" % CARD],
        [b"id|name|note\n", b"-|-|-\n", b"1|-|a\\|[masked:card]\n"],
    ),
    (
        "csv",
        CopyOptions("csv", header=True),
        [ALL],
        CSV,
        [CSV[0], b"1,Ada,to [masked:email]\n", CSV[2], b'3,"","[masked:email],"\n', CSV[4]],
    ),
    (
        "csv, a column",
        CopyOptions("csv", header=True),
        [KEY],
        CSV,
        [
            CSV[0],
            b"1,[masked:key:name],to " + EMAIL + b"\n",
            b'2,[masked:key:name],"a,""b""\nc"\n',
            b'3,[masked:key:name],"' + EMAIL + b',"\n',
            b",[masked:key:name],y\n",
        ],
    ),
    (
        "csv with its own marks",
        CopyOptions("csv", delimiter=";", null="NULL", quote="'", escape="\\"),
        [ALL],
        [b"1;NULL;'it\\'s %s; \\\\ x'\n" % EMAIL, b"NULL;NULL;x\n"],
        [b"1;NULL;'it\\'s [masked:email]; \\\\ x'\n", b"NULL;NULL;x\n"],
    ),
    (
        "csv whose delimiter is in the mask",
        CopyOptions("csv", delimiter=":"),
        [ALL],
        [b"1:Ada:%s\n" % EMAIL],
        [b'1:Ada:"[masked:email]"\n'],
    ),
    (
        "binary",
        CopyOptions("binary"),
        [ALL],
        BINARY,
        [HEADER + row(b"\0\0\0\1", b"Ada", b"[masked:email]"), *BINARY[1:]],
    ),
    (
        "binary, a column",
        CopyOptions("binary"),
        [KEY],
        BINARY,
        [
            HEADER + row(b"\0\0\0\1", b"[masked:key:name]", EMAIL),
            row(b"\0\0\0\2", b"[masked:key:name]", b""),
            BINARY[2],
        ],
    ),
]


@pytest.mark.parametrize(("name", "options", "masks", "given", "wanted"), CASES, ids=[case[0] for case in CASES])
def test_rows_are_masked_in_their_format(
    name: str, options: CopyOptions, masks: list[Mask], given: list[bytes], wanted: list[bytes]
) -> None:
    """What is not masked keeps its bytes; each row is a message."""
    assert through(masker(masks, options), messages(given)) == wanted


@pytest.mark.parametrize(("name", "options", "masks", "given", "wanted"), CASES, ids=[case[0] for case in CASES])
def test_messages_may_cut_rows_anywhere(
    name: str, options: CopyOptions, masks: list[Mask], given: list[bytes], wanted: list[bytes]
) -> None:
    """Rows in one message, each byte in its own, and the stream cut in any of them."""
    stream = b"".join(given)
    assert through(masker(masks, options), messages([stream])) == wanted
    single = messages([stream[at : at + 1] for at in range(len(stream))])
    assert through(masker(masks, options), single) == wanted
    assert through(masker(masks, options), single, range(1, len(single), 5)) == wanted
    for cut in range(1, len(stream)):
        assert through(masker(masks, options), messages([stream[:cut], stream[cut:]])) == wanted


def test_a_line_without_an_end_is_a_row() -> None:
    """The last one."""
    assert through(masker([ALL], CopyOptions()), messages([b"1\tx\t" + EMAIL])) == [b"1\tx\t[masked:email]"]


def test_types_that_nobody_knows_are_read_as_what_they_look_like() -> None:
    """A named column of such a type is NULL."""
    columns = [("a", 0), ("b", 0), ("name", 0)]
    given = [b'{"a": "jane.doe\\\\u0040example.com", "name": 1}\t{a,%s}\tAda\n' % EMAIL]
    assert through(masker([ALL, KEY], CopyOptions(), columns), messages(given)) == [
        b'{"a": "[masked:email]", "name": "[masked:key:name]"}\t{a,"[masked:email]"}\t\\N\n'
    ]


def test_a_binary_copy_of_unknown_types_is_refused() -> None:
    """A number in it could not be told from any other bytes; a column that is masked whole may be of any."""
    binary = CopyOptions("binary")
    with pytest.raises(MaskError):
        copy_mask([ALL], KNOWN, [("n", 0)], [()], binary)
    masking = copy_mask([KEY], KNOWN, [("name", 0)], [()], binary)
    assert masking is not None
    assert through(masking, messages([HEADER + row(b"Ada")])) == [HEADER + row(None)]


MALFORMED: list[tuple[CopyOptions, bytes]] = [
    (CopyOptions(), b"1\t2\n"),
    (CopyOptions(), b"1\t2\t3\t4\n"),
    (CopyOptions(), b"1\t2\t3\\"),
    (CopyOptions("csv"), b'1,2,"3'),
    (CopyOptions("csv"), b'1,2,3"\n'),
    (CopyOptions("binary"), b"PGCOPX" + bytes(30)),
    (CopyOptions("binary"), SIGNATURE + b"\0\1\0\0" + bytes(4)),
    (CopyOptions("binary"), HEADER + row(b"\0")),
    (CopyOptions("binary"), HEADER + row(b"\0", b"", b"")[:-1]),
    (CopyOptions("binary"), HEADER + struct.pack(">h", -2)),
    (CopyOptions("binary"), HEADER + struct.pack(">hi", 3, -2)),
]


@pytest.mark.parametrize(("options", "data"), MALFORMED)
def test_what_is_not_what_was_said_ends_it(options: CopyOptions, data: bytes) -> None:
    """At whichever cut."""
    for cut in (0, len(data) // 2):
        with pytest.raises(MaskError):
            through(masker([ALL], options), messages([data[:cut], data[cut:]]))


@pytest.mark.parametrize("options", [CopyOptions(), CopyOptions("csv"), CopyOptions("binary")])
def test_a_row_may_be_long(options: CopyOptions) -> None:
    """Some megabytes, and no more."""
    big = b"x " * (1 << 20)
    whole = {"text": b"1\t%s\t%s\n", "csv": b"1,%s,%s\n"}.get(options.form)
    given = whole % (big, EMAIL) if whole else HEADER + row(b"\0\0\0\1", big, EMAIL)
    pieces = [given[at : at + 8192] for at in range(0, len(given), 8192)]
    (masked,) = through(masker([ALL], options), messages(pieces))
    assert len(masked) == len(given) - len(EMAIL) + len(b"[masked:email]")
    with pytest.raises(MaskError):
        through(masker([ALL], options), messages([given[:-2].replace(b"\n", b"") + big] + [big] * 9))


def test_nothing_is_masked_where_nothing_is_asked_for() -> None:
    """It may pass without a look."""
    assert copy_mask((), KNOWN, COLUMNS, [None] * 3, CopyOptions()) is None


def test_a_copy_that_postgresql_would_refuse_is_refused() -> None:
    """Its rows could not be read."""
    for wrong in (("json",), ("text", "||"), ("csv", ",", None, "€")):
        with pytest.raises(ValueError):
            CopyOptions(*wrong)


values = st.none() | st.text(
    st.sampled_from("ab,;\"'\\\n\t|é") | st.characters(exclude_characters="\0", codec="utf-8"), max_size=6
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(values, values), min_size=1, max_size=6))
def test_csv_stays_what_it_was(table: list[tuple[str | None, str | None]]) -> None:
    """Another reader of CSV finds the masks, and every other value."""
    lines = [
        ",".join("" if v is None else '"' + v.replace('"', '""') + '"' for v in ("1", *row)) + "\n" for row in table
    ]
    masking = masker([KEY], CopyOptions("csv"))
    out = b"".join(through(masking, messages([line.encode() for line in lines]))).decode()
    assert list(csv.reader(io.StringIO(out, newline=""))) == [
        ["1", "[masked:key:name]", note or ""] for _, note in table
    ]


@pytest.mark.parametrize("value", [b"", b'""', b'"4111, 1111"', b"4111", b'"4111"'])
def test_quotes_do_not_tell_of_a_masked_value(value: bytes) -> None:
    """A server quotes an empty value, one with a delimiter, and with FORCE_QUOTE each that is not NULL."""
    masking = masker([KEY], CopyOptions("csv"))
    assert masking is not None
    assert through(masking, messages([b"1,%s,x\n" % value])) == [b"1,[masked:key:name],x\n"]
