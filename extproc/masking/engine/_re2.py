"""google-re2 with types, over bytes. The package has none of its own, so everything untyped stays in this file.

Patterns are Latin-1: one byte is one character. What the rules look for is ASCII, and UTF-8 never uses ASCII bytes
inside another character, so no match can start or end inside one.
"""

from typing import Any

import re2  # type: ignore[import-untyped]

_MEMORY = 32 << 20


def _options() -> Any:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.longest_match = True
    options.never_capture = True
    options.dot_nl = True
    options.log_errors = False
    options.max_mem = _MEMORY
    return options


class Pattern:
    """One compiled pattern, leftmost-longest. Raises ValueError for a pattern that re2 refuses."""

    __slots__ = ("_match", "_unanchored", "_anchored")

    def __init__(self, pattern: str) -> None:
        try:
            compiled = re2.compile(pattern.encode("latin-1"), _options())
        except re2.error as error:
            raise ValueError(f"re2 refuses the pattern {pattern[:80]!r}: {error}") from None
        self._match = compiled._regexp.Match  # the public wrapper costs three times the search itself
        self._unanchored = re2._Anchor.UNANCHORED
        self._anchored = re2._Anchor.ANCHOR_START

    def search(self, data: bytes, start: int, end: int) -> tuple[int, int] | None:
        """The leftmost-longest match inside data[start:end] as (start, end), or None. Bytes outside are not seen."""
        found: tuple[int, int] = self._match(self._unanchored, data, start, end)[0]
        return None if found[0] < 0 else found

    def spans(self, data: bytes) -> list[tuple[int, int]]:
        """All matches, of two bytes or more, leftmost-longest; the last byte of one may be the first of the next."""
        found: list[tuple[int, int]] = []
        at = 0
        while hit := self.search(data, at, len(data)):
            found.append(hit)
            at = hit[1] - 1
        return found

    def match_end(self, data: bytes, start: int, end: int) -> int:
        """Where the longest match inside data[start:end] that begins at `start` ends, or -1."""
        found: int = self._match(self._anchored, data, start, end)[0][1]
        return found


class Groups:
    """One pattern that is known to match a text whole, for what its first group matches there: greedily, as it reads
    from left to right. Raises ValueError for a pattern that re2 refuses."""

    __slots__ = ("_match", "_whole")

    def __init__(self, pattern: str) -> None:
        options = _options()
        options.longest_match = options.never_capture = False
        try:
            self._match = re2.compile(pattern.encode("latin-1"), options)._regexp.Match
        except re2.error as error:
            raise ValueError(f"re2 refuses the pattern {pattern[:80]!r}: {error}") from None
        self._whole = re2._Anchor.ANCHOR_BOTH

    def first(self, data: bytes, start: int, end: int) -> int:
        """Where in data[start:end], which it matches, the first group ends. Raises ValueError where it does not
        match."""
        found: int = self._match(self._whole, data, start, end)[1][1]
        if found < 0:
            raise ValueError("no match where there was one")
        return found


class PatternSet:
    """Several patterns at once: which of them occur anywhere in the data. Raises ValueError for patterns that re2
    refuses, each or all together."""

    __slots__ = ("_match",)

    def __init__(self, patterns: list[str]) -> None:
        compiled = re2.Set.SearchSet(_options())
        try:
            for pattern in patterns:
                compiled.Add(pattern.encode("latin-1"))
            compiled.Compile()
        except re2.error:
            size = sum(map(len, patterns))
            raise ValueError(f"re2 can't take {len(patterns)} patterns of {size} characters together") from None
        self._match = compiled._set.Match

    def match(self, data: bytes) -> list[int]:
        """The indexes of the patterns that occur, ascending; an empty list where none does."""
        found: list[int] = self._match(data)
        return sorted(found) if found else found
