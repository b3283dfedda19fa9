"""Rows: values and bodies, strictly both ways."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.protocols.postgres.wire.fields import Malformed
from extproc.protocols.postgres.wire.row import join_row, split_row
from tests.postgres.wire.making import VALUES

SHORT = "DataRow is shorter than it says"
LENGTH = "DataRow is not as long as its values"
NEGATIVE = "DataRow has a value of negative length"


@pytest.mark.parametrize(
    ("values", "body"),
    [
        ([], b"\0\0"),
        ([None], b"\0\x01\xff\xff\xff\xff"),
        ([b""], b"\0\x01\0\0\0\0"),
        ([b"7", None, b"\xff\0"], b"\0\x03\0\0\0\x017\xff\xff\xff\xff\0\0\0\x02\xff\0"),
        ([None] * 65535, b"\xff\xff" + b"\xff\xff\xff\xff" * 65535),
    ],
    ids=["none", "null", "empty", "some", "most"],
)
def test_values_and_bodies(values: list[bytes | None], body: bytes) -> None:
    """A count without a sign, then a length and as many bytes for each; NULL is the length -1."""
    assert (join_row(values), split_row(body)) == (body, values)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", SHORT),
        (b"\0", SHORT),
        (b"\0\x01", SHORT),
        (b"\0\x01\0\0\0", SHORT),
        (b"\xff\xff\xff\xff\xff\xff", SHORT),
        (b"\0\x02\0\0\0\x017", SHORT),
        (b"\0\x02\0\0\0\x05abc", SHORT),
        (b"\0\x01\0\0\0\x02a", LENGTH),
        (b"\0\x01\x7f\xff\xff\xffa", LENGTH),
        (b"\0\0\0", LENGTH),
        (b"\0\x01\0\0\0\x01ab", LENGTH),
        (b"\0\x01\xff\xff\xff\xff\0", LENGTH),
        (b"\0\x01\xff\xff\xff\xfe", NEGATIVE),
        (b"\0\x02\xff\xff\xff\xff\x80\0\0\0", NEGATIVE),
    ],
)
def test_what_is_malformed(body: bytes, why: str) -> None:
    """Counts and lengths must fill the body exactly."""
    with pytest.raises(Malformed) as caught:
        split_row(body)
    assert str(caught.value) == why


def test_what_cannot_be_written() -> None:
    """More values than the count can say are not written as fewer."""
    with pytest.raises(ValueError):
        join_row([None] * 65536)


@given(VALUES)
def test_what_is_written_is_read(values: tuple[bytes | None, ...]) -> None:
    """Any row comes back as it was, and none of its beginnings is a row."""
    body = join_row(values)
    assert split_row(body) == list(values)
    for cut in range(len(body)):
        with pytest.raises(Malformed):
            split_row(body[:cut])


@given(st.sampled_from([b"", b"\0\x01", b"\0\x02\0\0\0\0"]), st.binary(max_size=40))
def test_any_bytes(first: bytes, rest: bytes) -> None:
    """Any bytes are malformed or a row that is written as them."""
    body = first + rest
    try:
        values = split_row(body)
    except Malformed:
        return
    assert join_row(values) == body
