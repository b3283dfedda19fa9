"""A request and its response as lines: side by side, or one below the other where the terminal is narrow."""

import json
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest

from extproc.cli._holds_view import Screen
from extproc.cli._terminal import fit, size, wrap
from extproc.domain.display import visible, visible_lines

NARROW = 90
"""Columns below which panes are stacked."""
MOST_BYTES = 256 * 1024
"""Of a body, decoded; more is not shown."""
_MASKED = re.compile(r"\[masked:[^\]\s]{1,64}\]")
_INFLATE = {"gzip": 31, "x-gzip": 31, "deflate": 15}
_TEXT = re.compile(r"text/.*|.*[/+](json|xml|javascript|x-www-form-urlencoded|x-ndjson|graphql|yaml)")


@dataclass(frozen=True, slots=True)
class Pane:
    """A title, what stands below it, and a last line about the whole; all made visible."""

    title: str
    lines: tuple[str, ...]
    note: str = ""


def body(pieces: Iterable[bytes], content_type: str, coding: str, kept: int, passed: int) -> tuple[list[str], str]:
    """The lines of a recorded body, and a note where they are not all of it. Raises what `pieces` raises. What is not
    text is shown as its size and type."""
    what = visible(content_type) or "of no named type"
    whole = kept >= passed
    note = "" if whole else f"the first {size(kept)} of {size(passed)} were recorded"
    data = _decoded(pieces, coding.strip().lower())
    if data is None or not _is_text(content_type, data):
        return [f"({size(passed)}, {what}{f', {visible(coding)}' if coding else ''})"], note
    text = data.decode("utf-8", "replace")
    if len(data) >= MOST_BYTES:
        note = f"shown: the first {size(len(data))}"
    return _lines(text), note


def draw(screen: Screen, left: Pane, right: Pane, columns: int, most: int) -> Iterator[str]:
    """Both panes, each of `most` lines at most."""
    if columns < NARROW:
        for pane in (left, right):
            yield screen.style(pane.title, "bold")
            yield from (f"  {_lit(screen, line)}" for line in _within(pane, columns - 2, most))
        return
    each = (columns - 3) // 2
    bar = screen.style("│", "dim")
    yield f"{screen.style(fit(left.title, each), 'bold')} {bar} {screen.style(left_of(right.title, each), 'bold')}"
    for one, other in zip_longest(_within(left, each, most), _within(right, each, most), fillvalue=""):
        yield f"{_lit(screen, fit(one, each))} {bar} {_lit(screen, other)}".rstrip()


def left_of(text: str, most: int) -> str:
    """The text cut to so many columns, not filled."""
    return fit(text, most).rstrip()


def _within(pane: Pane, columns: int, most: int) -> Iterator[str]:
    """The pane's lines, wrapped, and no more than so many."""
    wrapped = [piece for line in pane.lines for piece in wrap(line, columns)]
    yield from wrapped[:most]
    if len(wrapped) > most:
        yield f"… {len(wrapped) - most} more lines (--lines shows more)"[:columns]
    if pane.note:
        yield from wrap(f"({pane.note})", columns)


def _lit(screen: Screen, line: str) -> str:
    """With masked values highlighted."""
    return _MASKED.sub(lambda found: screen.style(found[0], "yellow"), line)


def _lines(text: str) -> list[str]:
    """Text as lines; JSON laid out. Escapes of what is not ASCII stay as they are made here: visible."""
    try:
        laid_out = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        laid_out = text
    return visible_lines(laid_out.rstrip("\n").replace("\r\n", "\n").replace("\t", "  "))


def _decoded(pieces: Iterable[bytes], coding: str) -> bytes | None:
    """The start of the content, with its coding undone; None for a coding that is not known here."""
    inflate = zlib.decompressobj(_INFLATE[coding]) if coding in _INFLATE else None
    if inflate is None and coding not in ("", "identity"):
        return None
    taken = bytearray()
    for piece in pieces:
        try:
            taken += piece if inflate is None else inflate.decompress(piece, MOST_BYTES + 1)
        except zlib.error:
            return None if not taken else bytes(taken)
        if len(taken) >= MOST_BYTES:
            break
    return bytes(taken[:MOST_BYTES])


def _is_text(content_type: str, data: bytes) -> bool:
    named = content_type.partition(";")[0].strip().lower()
    if named:
        return _TEXT.fullmatch(named) is not None
    return b"\0" not in data
