"""`find`: what is in a text, in characters."""

import pytest
from hypothesis import given

from extproc.masking import Span, find
from extproc.masking.engine.scanner import SLICE, scan, whole
from tests.masking.streams import PLAN, SECRETS, pieces


@pytest.mark.parametrize("kind", sorted(SECRETS))
@pytest.mark.parametrize("before", ["", "é ", "\u20ac\U0001f600 ", "\ud800 "])
@pytest.mark.parametrize("after", ["", " é", " \ud800"])
def test_offsets_are_characters(kind: str, before: str, after: str) -> None:
    """Whatever stands around a value, and however many bytes that takes."""
    (span,) = find(before + SECRETS[kind] + after)
    assert (span.kind, span.start, span.end) == (kind, len(before), len(before) + len(SECRETS[kind]))
    assert 0.5 <= span.score <= 1
    assert span.rule


def test_several() -> None:
    """In order, with what stands between them."""
    text = " é ; ".join(SECRETS.values())
    assert [(span.kind, text[span.start : span.end]) for span in find(text)] == list(SECRETS.items())


def test_nothing() -> None:
    """Empty, and innocent."""
    assert find("") == find("nothing here") == []


def test_a_value_over_several_slices_is_one() -> None:
    """However long it is."""
    token = "eyJhbGciOiJIUzI1NiJ9." + "A" * 3 * SLICE
    (span,) = find(f"é {token} x")
    assert (span.kind, span.start, span.end) == ("jwt", 2, 2 + len(token))


@given(pieces)
def test_it_is_what_a_scan_finds(text: str) -> None:
    """The same values, in the same places."""
    data = text.encode()

    def characters(offset: int) -> int:
        return len(data[:offset].decode(errors="ignore"))

    assert find(text) == [
        Span(characters(span.start), characters(span.end), span.kind, span.score, span.rule)
        for span in whole(scan(PLAN.detector, data))
    ]
