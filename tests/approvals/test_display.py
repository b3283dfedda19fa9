"""Text made safe to show."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.domain.display import is_plain, visible, visible_lines


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
        ("id>1\u0336\u0336", "id>1<U+0336><U+0336>"),
        ("a\u0338b=\u0338c>\u20d2", "a<U+0338>b=<U+0338>c><U+20D2>"),
        ("\U0001d159\ufffc\u2d7f", "<U+1D159><U+FFFC><U+2D7F>"),
        ("e\u0301 a\u0323\u0302 \u304b\u3099", "e\u0301 a\u0323\u0302 \u304b\u3099"),
        ("x\u0301 1\u20e3", "x<U+0301> 1<U+20E3>"),
        ("e\u0301\u0301", "e\u0301<U+0301>"),
        ("e\u0336\u0301", "e<U+0336><U+0301>"),
        ("हिन्दी שָׁלוֹם ภาษาไทย العَرَبِيَّة", "हिन्दी שָׁלוֹם ภาษาไทย العَرَبِيَّة"),
        ("a\u093f \u093f", "a<U+093F> <U+093F>"),
        ("\u0e19" + "\u0e34" * 6, "\u0e19" + "\u0e34" * 4 + "<U+0E34>" * 2),
    ],
)
def test_visible(text: str, expected: str) -> None:
    """What can't be seen is spelled, and the rest stays."""
    assert expected == visible(text)


MARKS = [chr(i) for i in range(0x110000) if unicodedata.category(chr(i))[0] == "M"]
IGNORABLE = [
    *(0xAD, 0x34F, 0x61C, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810), *range(0x200B, 0x2010)),
    *(*range(0x202A, 0x202F), *range(0x2060, 0x2070), 0x3164, *range(0xFE00, 0xFE10), 0xFEFF, 0xFFA0),
    *(*range(0xFFF0, 0xFFF9), *range(0x1BCA0, 0x1BCA4), *range(0x1D173, 0x1D17B), *range(0xE0000, 0xE1000)),
]
"""Default_Ignorable_Code_Point of Unicode 16."""


def test_every_character() -> None:
    """Of all that there are: nothing that is no letter, number, symbol or punctuation of its own is shown alone or
    behind a letter that it does not belong to; letters without marks are shown."""
    for c in map(chr, range(0x110000)):
        category, spelled = unicodedata.category(c), f"<U+{ord(c):04X}>"
        if category[0] in "CZM" and c != " ":
            assert visible(c) == spelled
            if category[0] == "M":
                assert visible(f"={c}") == f"={spelled}"
            if unicodedata.combining(c) == 1 or category == "Me":
                assert visible(f"a{c}\u0915{c}") == f"a{spelled}\u0915{spelled}"
        elif category in ("Lu", "Ll", "Lt", "Nd", "Pd", "Ps", "Pe", "Sc", "Sm"):
            assert visible(c) == c
    assert all(visible(f"a{chr(i)}") == f"a<U+{i:04X}>" for i in IGNORABLE)


@given(st.text(st.one_of(st.sampled_from("aelnox=<>1\u0915\u05d0"), st.sampled_from(MARKS)), max_size=12))
def test_a_mark_is_shown_only_on_its_letter(text: str) -> None:
    """Each mark that is left follows, with other marks, a letter or number; and no stroke is left."""
    shown = visible(text)
    assert is_plain(shown)
    for at, c in enumerate(shown):
        if unicodedata.category(c)[0] == "M":
            assert unicodedata.combining(c) != 1
            assert unicodedata.category(shown[at - 1])[0] in "LNM"


@given(st.text())
def test_nothing_unseen_is_left(text: str) -> None:
    """The result is printable, plain, and stays as it is."""
    shown = visible(text)
    assert shown.isprintable()
    assert is_plain(shown)
    assert "\n".join(visible_lines(text)).replace("\n", "<U+000A>") == shown


def test_blanks_move_nothing_off_the_screen() -> None:
    """Long runs are counted, short ones are shown as they are."""
    text = "DELETE\n" + " \n" * 9 + " " * 65 + "a\n\n  b" + " " * 64 + "c"
    assert visible_lines(text) == ["DELETE", "<9 empty lines>", "<65 blanks>a", "", "  b" + " " * 64 + "c"]
