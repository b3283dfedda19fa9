"""Looking for credentials in a text as it is, with its escapes decoded, and with what separates the characters of a
code left out. Each of these readings is made in one pass, and searched as the text itself is."""

import re
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate

from extproc.masking.engine._re2 import PatternSet
from extproc.masking.engine.escapes import Decoded, Text, marked
from extproc.masking.engine.fingerprint import Alphabet, Fingerprints
from extproc.masking.engine.needles import Needles

LAYERS = 2
"""Layers of escapes that are decoded."""

REACH = 4 << 10
"""Bytes of the stream that a credential takes at most, escapes and separators included. No more is ever held back."""

_CODES = (Alphabet.HEX, Alphabet.UPPER, Alphabet.LOWER, Alphabet.WORD, Alphabet.TOKEN)
_BREAKS = b"\r\n"
_CODE = "0-9A-Za-z+/_-"
_IN_LINES = bytes(range(0x21, 0x7F)) + _BREAKS
_MIDDLE = re.compile(rb" .* ")
"""What of a line can't be part of a code in lines."""

_BROKEN = re.compile(rb"[^0-9A-Za-z+/_\r\n-][\r\n]|[\r\n][^0-9A-Za-z+/_\r\n-]")

_APART = " \t\r\n:,;_.|'\"-"
_BETWEEN = rf"[{_APART}]{{1,4}}(?:0[xX])?"
_HH = "[0-9A-Fa-f]{2}"
_PAIRS = rf"[{_APART}](?:0[xX])?(?:{_HH}{_BETWEEN}){{6}}{_HH}"
_QUADS = rf"[{_APART}](?:0[xX])?(?:{_HH}{_HH}{_BETWEEN}){{4}}{_HH}{_HH}"
"""What stands in separated hexadecimal of at least 8 and 12 bytes, wherever it begins."""

_SEPARATED = re.compile(
    rf"{_HH}(?:{_BETWEEN}{_HH}){{7,}}|{_HH}(?:{_HH})?(?:{_BETWEEN}{_HH}{_HH}){{5,}}(?:{_BETWEEN}{_HH})?".encode()
)
_LOWER = bytes(range(256)).lower()
_SEPARATORS = _APART.encode()
_IN_HEX = b"0123456789ABCDEFabcdefxX" + _SEPARATORS
_PAIR = re.compile(rb"[0-9A-Fa-f]{2}[" + _SEPARATORS + b"]")


class CredentialSearch:
    """Fingerprints, compiled for all readings (it has no state)."""

    def __init__(self, fingerprints: Fingerprints) -> None:
        self._plain = Needles(fingerprints)
        self._coded = _some(fingerprints, *_CODES)
        """Those that line breaks may stand in."""
        self._hex = _some(fingerprints, Alphabet.HEX)
        """Those that separators may stand in."""
        self._hints = PatternSet([f"[{_CODE}][\r\n]+[{_CODE}]", _PAIRS, _QUADS])

    def texts(self, data: bytes, at: int, end: int, final: bool) -> list[Text]:
        """data[at:end] as it is, then as its escapes are decoded, once and again. `at` is outside any escape."""
        texts = [Text(data[at:end], at)]
        while len(texts) <= LAYERS and marked(texts[-1].text):
            texts.append(Decoded(texts[-1], final))
        return texts

    def opens(self, texts: list[Text]) -> bool:
        """Whether there may be a credential in a text."""
        return any(self._opens(text.text) for text in _different(texts))

    def _opens(self, data: bytes) -> bool:
        if self._plain.opens(data):
            return True
        hints = self._hints.match(data)
        if not hints:
            return False
        # What all fingerprints have in common is looked for, for that automaton is warm.
        if hints[0] == 0:
            lines = data.replace(b"\r", b"\n")
            if self._plain.opens(_MIDDLE.sub(b" ", lines).translate(None, _BREAKS)):
                return True
        return hints[-1] > 0 and self._plain.opens(_digits(_marks_blank(data)))

    def hold(self, texts: list[Text], hold: int, end: int) -> int:
        """The first offset in the buffer, of those up to `hold`, from which a credential may be unfinished at `end`.
        From there on the stream can be decoded alone."""
        for text in texts:
            if isinstance(text, Decoded):
                hold = min(hold, text.unfinished)
                if not text.changed:
                    continue
            data = text.text
            found = self._hold(data, max(0, len(data) - REACH))
            if found < len(data) and text.start(found) <= end - REACH:  # too long already
                found = self._hold(data, text.at(end - REACH + 1))
            if found < len(data):
                hold = min(hold, text.start(found))
        return texts[-1].boundary(hold)

    def _hold(self, data: bytes, at: int) -> int:
        """The first offset from `at` on from which a credential may be unfinished in a text."""
        tail = data[at:]
        found = self._plain.hold(data, at, len(data), len(data))
        return min(found, at + self._hold_in_lines(tail), at + self._hold_in_hex(tail))

    def _hold_in_lines(self, tail: bytes) -> int:
        """The first offset from which a code in lines may be unfinished."""
        if self._coded is None or (b"\n" not in tail and b"\r" not in tail):
            return len(tail)
        at = len(tail.rstrip(_IN_LINES))
        return at + _held(self._coded, tail[at:], tail[at:].translate(None, _BREAKS), _BREAKS)

    def _hold_in_hex(self, tail: bytes) -> int:
        """The first offset from which separated hexadecimal may be unfinished."""
        at = len(tail.rstrip(_IN_HEX))
        if self._hex is None or not _PAIR.search(tail, at):
            return len(tail)
        source = _marks_blank(tail[at:])
        source = source.removesuffix(b"0")  # perhaps of 0x
        return at + _held(self._hex, source, _digits(source), _SEPARATORS) if _digits(source) else len(tail)

    def find(self, texts: list[Text], hold: int, final: bool) -> list[tuple[int, int]]:
        """The credentials that start before `hold` as (start, end) in the buffer, by start; of those that start
        together the longest first."""
        found: list[tuple[int, int]] = []
        for text in _different(texts):
            for start, stop in self._found(text.text, final):
                begin, end = text.start(start), text.end(stop)
                if begin < hold and end - begin <= REACH:
                    found.append((begin, end))
        return sorted(found, key=lambda one: (one[0], -one[1]))

    def _found(self, data: bytes, final: bool) -> Iterator[tuple[int, int]]:
        """The credentials in a text, in each of its readings."""
        size = len(data)
        yield from self._plain.find(data, 0, size, size)
        hints = self._hints.match(data)
        if not hints:
            return
        if hints[0] == 0 and self._coded is not None:
            for start, stop in _found(self._coded, data, data.translate(None, _BREAKS), _BREAKS):
                if not _BROKEN.search(data, start, stop):
                    yield start, stop
        if hints[-1] > 0 and self._hex is not None:
            source = _marks_blank(data)
            if not final:
                source = source.removesuffix(b"0")
            for start, stop in _found(self._hex, source, _digits(source), _SEPARATORS):
                if _SEPARATED.fullmatch(data, start, stop):
                    yield start, stop


def _some(known: Fingerprints, *alphabets: Alphabet) -> Needles | None:
    """Those of the fingerprints that have one of these alphabets."""
    items = tuple(item for item in known.items if item.alphabet in alphabets)
    return Needles(Fingerprints(known.key, items)) if items else None


def _different(texts: list[Text]) -> Iterator[Text]:
    """The texts without those that are the same as the one before."""
    return (text for text in texts if not isinstance(text, Decoded) or text.changed)


def _marks_blank(data: bytes) -> bytes:
    """The data with blanks for each 0x."""
    return data.replace(b"0x", b"  ").replace(b"0X", b"  ")


def _digits(data: bytes) -> bytes:
    """The data without separators, in lower case."""
    return data.translate(_LOWER, _SEPARATORS)


def _held(needles: Needles, data: bytes, kept: bytes, dropped: bytes) -> int:
    """The first offset in the data from which a credential may be unfinished in what is kept of it."""
    if len(kept) == len(data):
        return len(data)  # the same as in the text itself
    at = needles.hold(kept, 0, len(kept), len(kept))
    return _Places(data, dropped).of(at) if at < len(kept) else len(data)


def _found(needles: Needles, data: bytes, kept: bytes, dropped: bytes) -> Iterator[tuple[int, int]]:
    """The credentials in what is kept of the data, as offsets in the data; without those in the data itself."""
    places = None
    for start, stop in needles.find(kept, 0, len(kept), len(kept)):
        places = places or _Places(data, dropped)
        begin, end = places.of(start), places.of(stop - 1) + 1
        if end - begin > stop - start:
            yield begin, end


class _Places:
    """Where in the data the bytes are that are kept when some are dropped."""

    def __init__(self, data: bytes, dropped: bytes) -> None:
        runs = [found.span() for found in re.finditer(rb"[^" + re.escape(dropped) + rb"]+", data)]
        self._starts = [start for start, _ in runs]
        self._kept = list(accumulate((end - start for start, end in runs), initial=0))

    def of(self, at: int) -> int:
        """The offset of the byte that is kept as the one at this offset."""
        run = bisect_right(self._kept, at) - 1
        return self._starts[run] + at - self._kept[run]
