"""Tables for a terminal and for pages, and the places in pages that are generated."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

Table = tuple[Sequence[str], Sequence[Sequence[str]]]
"""A head and rows."""


def aligned(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table for a terminal: the first column to the left, the others to the right."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (head, *rows)
    )


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The same as Markdown."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows))


def refresh(page: Path, parts: Mapping[str, str]) -> None:
    """Put parts into a page, each between its `<!-- bench: name -->` and `<!-- end -->`. Raises OSError, and ValueError
    where a mark is missing."""
    text = page.read_text("utf-8")
    for name, part in parts.items():
        found = re.search(rf"(<!-- bench: {re.escape(name)} -->\n)(?:(?!<!--).)*(<!-- end -->)", text, re.DOTALL)
        if found is None:
            raise ValueError(f"{page.name} has no `<!-- bench: {name} -->` … `<!-- end -->`")
        before, after = text[: found.end(1)], text[found.start(2) :]
        text = f"{before}{part}\n{after}"
    page.write_text(text, "utf-8")
