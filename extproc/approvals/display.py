"""Text that other people wrote, made safe to show: what can't be seen, or would move what can, is spelled out."""

# Characters that str.isprintable() accepts although nothing, or nothing certain, is drawn for them: joiners,
# Hangul and Khmer fillers, Mongolian separators, the blank Braille cell, variation selectors.
_FILLERS = {0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810), 0x2800, 0x3164, 0xFFA0}
_UNSEEN = frozenset(_FILLERS | {*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)})


def visible(text: str) -> str:
    """`text` on one line, with every control, bidirectional, zero-width and otherwise unseen character written as
    `<U+202E>`. An ANSI sequence loses its escape character, so a terminal prints it instead of obeying it."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c.isprintable() and ord(c) not in _UNSEEN else f"<U+{ord(c):04X}>" for c in text)


def visible_lines(text: str) -> list[str]:
    """`text` cut at its line feeds, each line made visible. A carriage return is not a line's end: it overwrites."""
    return [visible(line) for line in text.split("\n")]


def is_plain(text: str) -> bool:
    """Whether `visible` would leave the text as it is."""
    return visible(text) == text
