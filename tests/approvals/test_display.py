"""Text made safe to show."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.approvals.display import is_plain, visible, visible_lines


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("DELETE /customers/7", "DELETE /customers/7"),
        ("Ä € ✓ 漢", "Ä € ✓ 漢"),
        ("\x1b[2Jgone", "<U+001B>[2Jgone"),
        ("a\rb\x7f", "a<U+000D>b<U+007F>"),
        ("pay \u202e001\u202c", "pay <U+202E>001<U+202C>"),
        ("in\u200bvis\ufeffible", "in<U+200B>vis<U+FEFF>ible"),
        ("\u3164\ufe0f\u00ad\u00a0", "<U+3164><U+FE0F><U+00AD><U+00A0>"),
        ("\U000e0041", "<U+E0041>"),
        ("\ud800", "<U+D800>"),
    ],
)
def test_visible(text: str, expected: str) -> None:
    """What can't be seen is spelled, and the rest stays."""
    assert expected == visible(text)


@given(st.text())
def test_nothing_unseen_is_left(text: str) -> None:
    """The result is printable, plain, and stays as it is."""
    shown = visible(text)
    assert shown.isprintable()
    assert is_plain(shown)
    assert "\n".join(visible_lines(text)).replace("\n", "<U+000A>") == shown
