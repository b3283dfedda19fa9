"""Texts with their escapes decoded, and where in the original each byte of one comes from.

Decoding has no context: what is decoded from the beginning of an escape, or from a byte outside any, does not depend on
what stands before it. So a stream can be decoded again from there.
"""

import re
from bisect import bisect_right
from functools import cached_property
from html.entities import html5
from itertools import accumulate

_HEX = "[0-9A-Fa-f]"
_DIGITS = 10
"""Digits that an entity by number has at most."""

_NAME = 23
"""Characters that the name of an entity has at most, but for the first."""

_TOKEN = re.compile(
    (
        rf"(%(?:{_HEX}{{2}}|u{_HEX}{{4}})"
        rf"|\\(?:[^0-9A-Za-z\x80-\xff]|[nrt]|x{_HEX}{{2}}|u{_HEX}{{4}}|u\{{{_HEX}{{1,8}}\}}|U{_HEX}{{8}}|[0-3]?[0-7]{{2}})"
        rf"|&(?:#(?:[0-9]{{1,{_DIGITS}}}|[xX]{_HEX}{{1,{_DIGITS}}});?|[A-Za-z][0-9A-Za-z]{{0,{_NAME}}};))"
    ).encode("latin-1")
)
_UNFINISHED = re.compile(
    (
        rf"(?:%(?:{_HEX}|u{_HEX}{{0,3}})?"
        rf"|\\(?:x{_HEX}?|u{_HEX}{{0,3}}|u\{{{_HEX}{{0,8}}|U{_HEX}{{0,7}}|[0-3][0-7]?|[4-7])?"
        rf"|&(?:#(?:[0-9]{{0,{_DIGITS}}}|[xX]{_HEX}{{0,{_DIGITS}}})?|[A-Za-z][0-9A-Za-z]{{0,{_NAME}}})?)\Z"
    ).encode("latin-1")
)
_LONGEST = _NAME + 4


def marked(data: bytes) -> bool:
    """Whether there may be an escape in the data, or the beginning of one."""
    return b"%" in data or b"\\" in data or b"&" in data


class _Meanings(dict[bytes, bytes]):
    """What each escape stands for: those of one byte in a table, the others when asked."""

    def __missing__(self, token: bytes) -> bytes:
        digits, base = token[2:], 16
        if token[:2] == b"&#":
            digits = digits.rstrip(b";")
            if digits[:1] in (b"x", b"X"):
                digits = digits[1:]
            else:
                base = 10
        elif token[:1] == b"&":
            return token
        code = int(digits.strip(b"{}"), base)
        return chr(code).encode("utf-8", "surrogatepass") if code < 0x110000 else token


def _meanings() -> _Meanings:
    found = _Meanings()
    for code in range(256):
        byte, character = bytes((code,)), chr(code).encode()
        digits = f"{code:02x}"
        for high in {digits[0], digits[0].upper()}:
            for low in {digits[1], digits[1].upper()}:
                pair = (high + low).encode()
                found[b"%" + pair] = found[b"\\x" + pair] = byte
                found[b"\\u00" + pair] = found[b"&#x" + pair + b";"] = character
        found[b"&#%d;" % code] = character
        found[b"\\%03o" % code] = byte
        if code < 0o100:
            found[b"\\%02o" % code] = byte
        if code < 0x80 and not byte.isalnum():
            found[b"\\" + byte] = byte
    for name, meaning in html5.items():
        if name[-1] == ";" and len(meaning) == 1 and len(name) <= _NAME + 2:
            found[f"&{name}".encode()] = meaning.encode()
    found.update({b"\\n": b"\n", b"\\r": b"\r", b"\\t": b"\t"})
    return found


_MEANT = _meanings()


class Text:
    """Bytes of a stream as they are; `base` is the offset of the first one in the buffer they are taken from."""

    __slots__ = ("text", "_base")

    def __init__(self, text: bytes, base: int) -> None:
        self.text = text
        self._base = base

    def start(self, at: int) -> int:
        """The offset in the buffer where what the byte `at` is read from begins."""
        return self._base + at

    def end(self, at: int) -> int:
        """The offset in the buffer where what the bytes before `at` (at least one) are read from ends."""
        return self._base + at

    def at(self, offset: int) -> int:
        """The first byte that is read from what begins at this offset of the buffer, or behind it."""
        return max(0, offset - self._base)

    def boundary(self, offset: int) -> int:
        """The last offset in the buffer up to this one from which on the stream can be decoded alone."""
        return offset


class Decoded(Text):
    """A text with its escapes decoded, once. What may be the beginning of an escape at its end is left out, unless the
    text is `final`."""

    __slots__ = ("__dict__", "changed", "_below", "_parts", "_size")

    def __init__(self, below: Text, final: bool) -> None:
        parts = _TOKEN.split(below.text)
        cut = 0 if final else _leave_unfinished(parts)
        self._below = below
        meant = parts.copy()
        meant[1::2] = map(_MEANT.__getitem__, parts[1::2])
        self.text = b"".join(meant)
        self._parts = parts, meant
        self._size = len(below.text) - cut
        self.changed = len(parts) > 1 or cut > 0

    @cached_property
    def _from(self) -> list[int]:
        """Where in the text below each part begins: plain ones and escapes in turn."""
        return list(accumulate(map(len, self._parts[0]), initial=0))

    @cached_property
    def _to(self) -> list[int]:
        """Where in this text each begins."""
        return list(accumulate(map(len, self._parts[1]), initial=0))

    @property
    def unfinished(self) -> int:
        """The offset in the buffer where what was left out begins; where the buffer ends, if nothing was."""
        return self._below.start(self._size)

    def start(self, at: int) -> int:
        if at == len(self.text):
            return self.unfinished
        part = bisect_right(self._to, at) - 1
        return self._below.start(self._from[part] + (0 if part % 2 else at - self._to[part]))

    def end(self, at: int) -> int:
        part = bisect_right(self._to, at - 1) - 1
        return self._below.end(self._from[part + 1] if part % 2 else self._from[part] + at - self._to[part])

    def at(self, offset: int) -> int:
        below = self._below.at(offset)
        if below >= self._size:
            return len(self.text)
        part = bisect_right(self._from, below) - 1
        if part % 2:
            return self._to[part if below == self._from[part] else min(part + 1, len(self._to) - 1)]
        return self._to[part] + below - self._from[part]

    def boundary(self, offset: int) -> int:
        offset = self._below.boundary(offset)
        below = self._below.at(offset)
        if below == self._size:
            return offset
        part = bisect_right(self._from, below) - 1
        return self._below.start(self._from[part]) if part % 2 else offset


def _leave_unfinished(parts: list[bytes]) -> int:
    """Take from the end of a text, split into plain parts and escapes in turn, what may go on as an escape. Gives the
    length of that."""
    if not parts[-1] and len(parts) > 1:
        if not _UNFINISHED.match(parts[-2]):
            return 0
        cut = len(parts[-2])
        parts[-2:] = []
        return cut
    last = parts[-1]
    if found := _UNFINISHED.search(last, max(0, len(last) - _LONGEST)):
        parts[-1] = last[: found.start()]
    return len(last) - len(parts[-1])
