"""Text on a terminal: how wide it is there, cut and wrapped to columns. What comes in has been made visible."""

import shutil
import sys
import unicodedata
from collections.abc import Iterator, Mapping, Sequence

PIPED_COLUMNS = 120


def columns() -> int:
    """Columns of the terminal; PIPED_COLUMNS where there is none."""
    if not sys.stdout.isatty():
        return PIPED_COLUMNS
    return max(40, shutil.get_terminal_size((PIPED_COLUMNS, 24)).columns)


def width(text: str) -> int:
    """Columns that the text takes."""
    return len(text) if text.isascii() else sum(map(_width, text))


def fit(text: str, most: int) -> str:
    """The text in just so many columns: cut with an ellipsis, or filled with spaces."""
    if width(text) > most:
        text = next(wrap(text, max(0, most - 1)), "") + "…"
    return text + " " * (most - width(text))


def widths_of(rows: Sequence[Sequence[str]], flexible: Mapping[int, tuple[int, int]], most: int) -> list[int]:
    """The widths of the columns of a table in so many columns of the terminal, with two between each. Those that are
    `flexible` give way, in that order: the least that they need and the most that they get."""
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    giving = {i: range_ for i, range_ in flexible.items() if i < len(widths)}
    for i, (_, longest) in giving.items():
        widths[i] = min(widths[i], longest)
    for i, (least, _) in giving.items():
        over = sum(widths) + 2 * (len(widths) - 1) - most
        if over > 0:
            widths[i] = max(min(least, widths[i]), widths[i] - over)
    return widths


def wrap(text: str, most: int) -> Iterator[str]:
    """The text in lines of at most so many columns; one empty line where it is empty."""
    if most < 2 or width(text) <= most:
        yield text[: max(0, most)] if most < 2 else text
        return
    line, used = "", 0
    for character in text:
        wide = _width(character)
        if used + wide > most:
            yield line
            line, used = "", 0
        line, used = line + character, used + wide
    if line:
        yield line


def size(n: int) -> str:
    """Bytes, for people."""
    for unit, below in (("B", 1), ("kB", 1e3), ("MB", 1e6)):
        if n < 1000 * below:
            return f"{n} B" if unit == "B" else f"{n / below:.1f} {unit}"
    return f"{n / 1e9:.1f} GB"


def span(seconds: float) -> str:
    """A time between two moments, for people."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m {rest}s" if minutes < 60 else f"{minutes // 60}h {minutes % 60}m"


def _width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
