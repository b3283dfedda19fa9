"""Text that other people wrote, made safe to show: what can't be seen, or would cover or move what can, is spelled out.

A character is shown as it is if it is printable (str.isprintable: no control, format, private, unassigned character, no
surrogate, no blank but the space), draws something, and is no combining mark. A combining mark is drawn into what
stands before it, so it is shown only where people write like that: where it is part of a letter that Unicode has as one
character (`e` and an acute), or where it belongs to the same script as the letter before it (Devanagari, Hebrew, Thai).
Never one that lies across its letter, as a stroke does, and never more than four in a row.
"""

import re
import unicodedata
from itertools import groupby

# Characters that are printable although nothing, or nothing certain, is drawn for them: joiners, fillers of Hangul,
# Khmer and Khitan, Mongolian separators, the blank Braille cell, the empty notehead, objects, variation selectors.
_BLANK = frozenset(
    {0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810), 0x2800, 0x2D7F, 0x3164, *range(0xFE00, 0xFE10)}
    | {0xFFA0, 0xFFFC, 0x1107F, 0x16FE4, 0x1D159, 0x1DA7F, 0x1DA80, *range(0xE0100, 0xE01F0)}
)
_OVERLAY = 1
"""The combining class of marks that lie across their letter (Unicode, section 4.3)."""
_MOST_MARKS = 4
_MOST_EMPTY = 8
"""Empty lines in a row that are shown as they are: more would move what stands before them off the screen."""
_BLANKS = re.compile(" {65,}")
"""Blanks in a row that are counted in place of being shown."""


def visible(text: str) -> str:
    """`text` on one line, with every character that is not shown as it is written as `<U+202E>`. An ANSI sequence loses
    its escape character, so a terminal prints it instead of obeying it."""
    if text.isascii() and text.isprintable():
        return text
    shown: list[str] = []
    letter = ""  # the last letter or digit with the marks on it; empty where a mark would be drawn into something else
    for c in text:
        if not c.isprintable() or ord(c) in _BLANK:
            fits, letter = False, ""
        elif (category := unicodedata.category(c))[0] == "M":
            fits = bool(letter) and category != "Me" and _belongs(letter, c)
            letter = letter + c if fits else ""
        else:
            fits, letter = True, c if category[0] in "LN" else ""
        shown.append(c if fits else f"<U+{ord(c):04X}>")
    return "".join(shown)


def _belongs(letter: str, mark: str) -> bool:
    """Whether a mark is shown behind a letter, which may have marks already."""
    if unicodedata.combining(mark) == _OVERLAY or len(letter) > _MOST_MARKS:
        return False
    if len(unicodedata.normalize("NFC", letter + mark)) == 1:
        return True
    name = unicodedata.name(mark, "").split()
    return "COMBINING" not in name and name[:1] == unicodedata.name(letter[0], "").split()[:1]


def visible_lines(text: str) -> list[str]:
    """`text` cut at its line feeds, each line made visible. A carriage return is not a line's end: it overwrites. Many
    blanks, and many lines without anything else, are counted: `<99 blanks>`, `<99 empty lines>`."""
    lines: list[str] = []
    for empty, some in groupby(text.split("\n"), lambda line: not line.strip(" ")):
        run = list(some)
        if empty and len(run) > _MOST_EMPTY:
            lines.append(f"<{len(run)} empty lines>")
        else:
            lines += [_BLANKS.sub(lambda blanks: f"<{len(blanks[0])} blanks>", visible(line)) for line in run]
    return lines


def is_plain(text: str) -> bool:
    """Whether `visible` would leave the text as it is."""
    return visible(text) == text
