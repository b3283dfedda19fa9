"""Rows as they stream by: what passes untouched, what is written anew, and that cuts make no difference."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from extproc.domain.mask import Mask, Operator
from extproc.masking.stage import MaskError
from extproc.protocols.postgres.masks import row_mask
from extproc.protocols.postgres.sql import Column, Origins
from extproc.protocols.postgres.wire.frame import Frame, Part
from extproc.protocols.postgres.wire.results import Field
from tests.postgres.masks.answers import (
    CARD,
    EMAIL,
    KNOWN,
    ROW,
    SSN,
    Value,
    field,
    frames,
    mask,
    masked,
    masker,
    message,
    origin,
    parts,
    rows,
    through,
)

ALL = mask("*")
KEYED = b"[masked:key:email]"

NAMES: list[tuple[str, str, Origins, bool]] = [
    ("email", "email", origin("email"), True),
    ("EMAIL", "Email", origin("x"), True),
    ("email", "e", origin("email"), True),
    ("email", "e", origin("EMAIL"), True),
    ("email", "e", origin("mail"), False),
    ("customers.email", "e", origin("email"), True),
    ("customers.email", "e", origin("email", "staff"), False),
    ("customers.email", "e", origin("email", None, None), True),
    ("public.customers.email", "e", origin("email"), True),
    ("public.customers.email", "e", origin("email", "customers", None), True),
    ("public.customers.email", "e", origin("email", "customers", "work"), False),
    ("customers.email", "customers.email", (), True),
    ("a.b", "e", origin("a.b"), True),
    ("email", "e", (Column("public", "customers", "name"), Column("public", "customers", "email")), True),
    ("email", "e", (Column("public", "customers", "*"),), True),
    ("staff.email", "e", (Column("public", "customers", "*"),), False),
    ("email", "count", (), False),
]


@pytest.mark.parametrize(("key", "label", "origins", "wanted"), NAMES)
def test_a_key_names_a_column_by_where_it_comes_from_or_its_label(
    key: str, label: str, origins: Origins, wanted: bool
) -> None:
    """In any case; with a table and a schema before it. What is not known might be what is named."""
    (value,) = masked([mask(keys=[key])], [field(label)], [b"x"], [origins])
    assert value == (b"[masked:key:%s]" % key.lower().encode() if wanted else b"x")


def test_a_column_of_unknown_origin_is_masked_whole_where_columns_are_named() -> None:
    """Whatever is in it, and as strictly as any of the columns that are named; not where only kinds are."""
    fields = [field("a"), field("b", 23)]
    assert masked([mask(keys=["ssn"])], fields, [b"x", b"1"], [None, None]) == [b"[masked:column]", None]
    assert masked([mask(keys=["ssn"], operator=Operator.PARTIAL)], fields[:1], [b"x"], [None]) == [b"[masked:column]"]
    assert masked([mask(keys=["ssn"], operator=Operator.NULL)], fields[:1], [b"x"], [None]) == [None]
    assert masked([ALL], fields, [b"x", b"1"], [None, None]) == [b"x", b"1"]


def test_what_a_server_keeps_as_samples_is_masked_where_columns_are_named() -> None:
    """They are values of columns that nobody names there."""
    samples = (Column("pg_catalog", "pg_stats", "most_common_vals"),)
    assert masked([mask(keys=["ssn"])], [field("v", 2277)], [b"{1}"], [samples]) == [None]


UNTOUCHED: list[tuple[list[Mask], list[Field]]] = [
    ([], [field("email")]),
    ([mask(keys=["ssn"])], [field("n", 23), field("at", 1184)]),
    ([Mask("p", ("*",), (), Operator.REDACT, ("request",))], [field("email")]),
    ([ALL], []),
]


@pytest.mark.parametrize(("masks", "fields"), UNTOUCHED)
def test_rows_that_no_mask_applies_to_have_none(masks: list[Mask], fields: list[Field]) -> None:
    """They may pass without a look."""
    assert masker(masks, fields) is None


def test_a_mask_that_can_not_be_carried_out_is_refused() -> None:
    """Before any row."""
    with pytest.raises(MaskError):
        masker([mask("no-such-kind")], [field("a")])


FIELDS = [field("id", 23), field("name"), field("email"), field("doc", 3802), field("tags", 1009), field("n", 20)]
TABLE: list[list[Value]] = [
    [b"1", b"Ada", EMAIL, b'{"a": "%s"}' % EMAIL, b"{x,%s}" % EMAIL, CARD],
    [b"2", b"", None, b"{}", b"{}", b"7"],
    [b"3", b"card " + CARD, b"none", b'{"email": "x"}', None, None],
    [None, None, None, None, None, None],
]
DATA = b"".join(map(message, TABLE))


def test_masked_rows_have_the_shape_that_they_had() -> None:
    """Lengths are written anew, NULL stays NULL but in a column that is masked whole, and each value is counted."""
    masking = masker([ALL, mask(keys=["email"])], FIELDS)
    assert masking is not None
    assert rows(through(masking, DATA)) == [
        [b"1", b"Ada", KEYED, b'{"a": "[masked:email]"}', b'{x,"[masked:email]"}', None],
        [b"2", b"", KEYED, b"{}", b"{}", b"7"],
        [b"3", b"card [masked:card]", KEYED, b'{"email": "[masked:key:email]"}', None, None],
        [None, None, KEYED, None, None, None],
    ]
    assert masking.counts == {"key:email": 3, "email": 2, "card": 2}


def test_rows_without_a_value_are_the_bytes_that_came() -> None:
    """The same object even, where it is one batch."""
    masking = masker([ALL], FIELDS)
    assert masking is not None
    frame = Frame(ROW, b"".join(map(message, TABLE[1:2] * 9)), 9)
    assert masking.feed(frame) is frame.data


@pytest.mark.parametrize("keys", [[], ["email"]])
def test_every_cut_gives_the_same(keys: list[str]) -> None:
    """At one place, and byte by byte."""
    masks = [ALL, mask(keys=keys)]
    whole = through(masker(masks, FIELDS), DATA)
    for cut in range(1, len(DATA)):
        assert through(masker(masks, FIELDS), DATA, [cut]) == whole
    assert through(masker(masks, FIELDS), DATA, range(1, len(DATA))) == whole


def test_a_row_in_parts_is_masked_as_a_whole_one() -> None:
    """Up to a megabyte."""
    row = message([b"1", b"x" * 70_000 + b" " + EMAIL + b" " + b"y" * 70_000, EMAIL, None, None, None])
    masking = masker([ALL], FIELDS)
    assert masking is not None
    out = b"".join(masking.feed(frame) for frame in parts(row, 1 << 16))
    whole = b"x" * 70_000 + b" [masked:email] " + b"y" * 70_000
    assert rows(out) == [[b"1", whole, b"[masked:email]", None, None, None]]


MALFORMED: list[tuple[str, bytes]] = [
    ("other columns", message([b"1"])),
    ("a negative length", message([b"1"] * 6).replace(b"\0\0\0\1", b"\xff\xff\xff\xfe", 1)),
    ("a length beyond the row", message([b"1"] * 6)[:-5] + b"\0\0\0\x091"),
]


@pytest.mark.parametrize(("what", "data"), MALFORMED)
def test_a_row_that_is_not_what_was_described_ends_it(what: str, data: bytes) -> None:
    """Nothing of it goes on."""
    masking = masker([ALL], FIELDS)
    assert masking is not None
    with pytest.raises(MaskError):
        masking.feed(Frame(ROW, data, 1))


def test_another_message_is_no_row() -> None:
    """It can't be masked as one."""
    masking = masker([ALL], FIELDS)
    assert masking is not None
    with pytest.raises(MaskError):
        masking.feed(Frame(ord("d"), DATA, 1))


PLANTED = [EMAIL, CARD, b"4242 4242 4242 4242", b"AKIAIOSFODNN7EXAMPLQ"]
words = st.sampled_from(
    [
        *PLANTED,
        SSN,
        b"",
        b" ",
        b"\n",
        b"ssn",
        b"password=",
        b"machine x",
        b"login y",
        b"password z",
        b"-",
        b"4",
        b"x",
        b",",
    ]
)
texts = st.none() | st.lists(words, max_size=4).map(b"".join)


def alone(value: Value, named: Field) -> Value:
    """A value masked in a row of its own."""
    return masked([ALL], [named], [value], [None])[0]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(texts, texts, texts), max_size=12))
def test_what_is_masked_does_not_depend_on_which_values_come_together(table: list[tuple[Value, Value, Value]]) -> None:
    """Many values are looked at together, and each is masked as if it was alone."""
    fields = [field("a"), field("ssn"), field("n", 20)]
    masking = row_mask((ALL,), KNOWN, fields, [None] * 3)
    out = rows(through(masking, b"".join(map(message, table))))
    assert out == [[alone(value, named) for value, named in zip(row, fields, strict=True)] for row in table]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(texts, max_size=8), st.data())
def test_no_planted_value_appears(noise: list[Value], data: st.DataObject) -> None:
    """Wherever the stream is cut; rows and columns are as many as before, and others keep their bytes."""
    planted = b"planted.person@example.org"
    stream = b"".join(message([b"id", b"to " + planted + b" - " + (text or b"")]) for text in noise)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=5)))
    out = rows(through(masker([ALL], [field("a"), field("b")]), stream, cuts))
    assert [row[0] for row in out] == [b"id"] * len(noise)
    assert not any(planted in (row[1] or b"") for row in out)


def test_frames_of_parts_need_no_size() -> None:
    """However long the parts are."""
    row = message([b"1", EMAIL, EMAIL, None, None, None])
    masking = masker([ALL], FIELDS)
    assert masking is not None
    out = b"".join(masking.feed(frame) for frame in parts(row, 7))
    assert out == through(masker([ALL], FIELDS), row)
    assert [frame.part for frame in frames(row)] == [Part.WHOLE]
