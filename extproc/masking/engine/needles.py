"""Looking for credentials by their fingerprints: anchors at the speed of an automaton, the rest by keyed hash."""

from collections.abc import Iterable, Iterator

from extproc.masking.engine._re2 import Pattern
from extproc.masking.engine.fingerprint import MEMBERS, Alphabet, Fingerprint, Fingerprints, digest_of

_RUN = 12
"""Characters after the anchor that the automaton looks at: words that only begin alike are left to it."""

_IN = {
    Alphabet.HEX: b"0123456789ABCDEFabcdef",
    Alphabet.UPPER: b"234567ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    Alphabet.LOWER: b"234567abcdefghijklmnopqrstuvwxyz",
    Alphabet.WORD: b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
    Alphabet.TOKEN: b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._~+/=%-",
    Alphabet.GRAPHIC: bytes(range(0x21, 0x7F)),
    Alphabet.ANY: bytes(range(256)),
}

_Shape = tuple[int, bytes, frozenset[bytes]]
"""Fingerprints that differ in their digest only: (length, characters they are made of, digests)."""


class Needles:
    """Fingerprints, compiled (it has no state). A credential may touch anything, and one may lie inside another.
    `gate` is a pattern that occurs wherever one does, `longest` the most bytes that one has."""

    __slots__ = ("gate", "longest", "_key", "_shapes", "_widths", "_partial", "_candidate", "_anchor")

    def __init__(self, fingerprints: Fingerprints) -> None:
        self._key = fingerprints.key
        self._shapes = _by_anchor(fingerprints.items)
        self._widths = sorted({len(anchor) for anchor in self._shapes})
        self.longest = max(item.length for item in fingerprints.items)
        self._partial = frozenset(anchor[:n] for anchor in self._shapes for n in range(1, len(anchor)))
        self.gate = "|".join(_openings(fingerprints.items))
        self._candidate = Pattern(self.gate).search
        self._anchor = Pattern("|".join(map(_exactly, sorted(self._shapes)))).search

    def opens(self, data: bytes) -> bool:
        """Whether there may be a credential in the data."""
        return self._candidate(data, 0, len(data)) is not None

    def hold(self, data: bytes, at: int, hold: int, end: int) -> int:
        """The first offset in [at, hold) from which a credential may still be unfinished at `end`, or `hold`."""
        for width in range(min(self._widths[-1] - 1, end - at), 0, -1):
            if end - width < hold and data[end - width : end] in self._partial:
                hold = end - width
                break
        at = max(at, end - self.longest + 1)
        while (found := self._anchor(data, at, end)) and found[0] < hold:
            start = found[0]
            if any(
                start + length > end and not data[start:end].translate(None, members)
                for length, members, _ in self._shapes_at(data, start, end)
            ):
                return start
            at = start + 1
        return hold

    def find(self, data: bytes, at: int, hold: int, end: int) -> Iterator[tuple[int, int]]:
        """The credentials in data[:end] that start in [at, hold), as (start, end), by start; of those that start
        together the longest."""
        while (found := self._candidate(data, at, end)) and found[0] < hold:
            start = found[0]
            if stop := self._confirmed(data, start, end):
                yield start, stop
            at = start + 1

    def _confirmed(self, data: bytes, start: int, end: int) -> int:
        longest = 0
        for length, members, digests in self._shapes_at(data, start, end):
            window = data[start : start + length]
            if (
                longest < length == len(window)
                and start + length <= end
                and not window.translate(None, members)
                and digest_of(window, self._key) in digests
            ):
                longest = length
        return start + longest if longest else 0

    def _shapes_at(self, data: bytes, start: int, end: int) -> Iterator[_Shape]:
        for width in self._widths:
            if start + width <= end:
                yield from self._shapes.get(data[start : start + width], ())


def _by_anchor(items: Iterable[Fingerprint]) -> dict[bytes, tuple[_Shape, ...]]:
    digests: dict[bytes, dict[tuple[int, bytes], set[bytes]]] = {}
    for item in items:
        shapes = digests.setdefault(item.anchor, {})
        shapes.setdefault((item.length, _IN[item.alphabet]), set()).add(item.digest)
    return {
        anchor: tuple((length, members, frozenset(known)) for (length, members), known in shapes.items())
        for anchor, shapes in digests.items()
    }


def _openings(items: Iterable[Fingerprint]) -> Iterator[str]:
    """For each alphabet its anchors, followed by as many of its characters as every fingerprint has."""
    for alphabet in Alphabet:
        if own := [item for item in items if item.alphabet is alphabet]:
            run = min(_RUN, *(item.length - len(item.anchor) for item in own))
            anchors = "|".join(_exactly(anchor) for anchor in sorted({item.anchor for item in own}))
            yield f"(?:{anchors})[{MEMBERS[alphabet]}]{{{run}}}"


def _exactly(anchor: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in anchor)
