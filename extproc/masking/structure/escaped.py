"""The inside of a JSON string: values are looked for in what it means, and masked in the bytes that spell it."""

import re

from extproc.masking.engine.detect import Detector, Scanner, tally
from extproc.masking.text import mask_text

_PLAIN = {b'\\"': b'"', b"\\/": b"/", b"\\b": b"\b", b"\\f": b"\f", b"\\n": b"\n", b"\\r": b"\r", b"\\t": b"\t"}
_HEX = re.compile(rb"\\u([0-9a-fA-F]{4})")
_WIDE = re.compile(rb"\\u(?!00[0-7])[0-9a-fA-F]{4}")
_ESCAPE = re.compile(rb"\\(?:u[0-9a-fA-F]{4}|[^u])", re.DOTALL)
_OPEN = re.compile(rb"\\(?:u[0-9a-fA-F]{0,3})?\Z")
_KNOWN_ESCAPES = frozenset(spelt[1:] for spelt in (*_PLAIN, b"\\\\", b"\\u"))  # a backslash before others is one
_BYTES = [bytes((code,)) for code in range(128)]


def unescape(raw: bytes) -> bytes:
    """What JSON string content means, for finding values in it: every escape becomes one byte, and one that is not
    ASCII becomes 0x80, for no rule looks for it. Malformed escapes stay as they are."""
    if b"\\" not in raw:
        return raw
    parts = raw.split(b"\\\\")
    for i, part in enumerate(parts):
        if b"\\u" in part:
            part = parts[i] = _WIDE.sub(b"\x80", part)  # most of them, for a fraction of what decoding costs
        if b"\\" in part:
            for spelt, meant in _PLAIN.items():
                part = part.replace(spelt, meant)
            parts[i] = _HEX.sub(_decode, part)  # last: it can yield a backslash, which begins nothing
    return b"\\".join(parts)


def _decode(found: re.Match[bytes]) -> bytes:
    return _BYTES[int(found[1], 16)]


def spelling(raw: bytes, offsets: list[int]) -> list[int]:
    """Where in `raw` the ascending offsets of its meaning lie."""
    if b"\\" not in raw:
        return offsets
    found: list[int] = []
    grown, wanted = 0, iter(offsets)
    target = next(wanted, -1)
    for escape in _ESCAPE.finditer(raw):
        length = escape.end() - escape.start()
        if escape.group()[1:2] in _KNOWN_ESCAPES:
            while target >= 0 and target <= escape.start() - grown:
                found.append(target + grown)
                target = next(wanted, -1)
            if target < 0:
                return found
            grown += length - 1
    while target >= 0:
        found.append(target + grown)
        target = next(wanted, -1)
    return found


class EscapedMasker:
    """Masks the content of one JSON string as it streams by, bytes outside the values untouched. `counts` is shared
    with its owner. With `bare`, the content is itself JSON text: a value outside its quotes becomes null."""

    __slots__ = ("_scanner", "_held", "_escape", "_counts", "_bare", "_quoted")

    def __init__(self, detector: Detector, counts: dict[str, int], bare: bool = False) -> None:
        self._scanner = Scanner(detector)
        self._held = b""
        self._escape = b""
        self._counts = counts
        self._bare = bare
        self._quoted = False

    def feed(self, raw: bytes, final: bool = False) -> bytes:
        """Take the next bytes of the content, give those that are final."""
        raw = self._escape + raw
        self._escape = b""
        if not final and (cut := _unfinished(raw)) < len(raw):
            raw, self._escape = raw[:cut], raw[cut:]
        base = self._scanner.settled
        spans = self._scanner.feed(unescape(raw), final)
        known = self._held + raw
        bounds = [offset - base for span in spans for offset in (span.start, span.end)]
        *cuts, end = spelling(known, [*bounds, self._scanner.settled - base])
        self._held = known[end:]
        out: list[bytes] = []
        at = 0
        for i, span in enumerate(spans):
            start, stop = cuts[2 * i], cuts[2 * i + 1]
            self._pass(known[at:start], out)
            tally(self._counts, span)
            if span.first:
                text = mask_text(span.kind)
                out.append(b"null" if self._bare and not self._quoted else text.encode())
            if self._bare:
                self._track(known[start:stop])
            at = stop
        self._pass(known[at:end], out)
        return b"".join(out)

    def _pass(self, piece: bytes, out: list[bytes]) -> None:
        out.append(piece)
        if self._bare:
            self._track(piece)

    def _track(self, piece: bytes) -> None:
        bare = _ESCAPE.sub(b"", piece)
        if bare.count(b'"') & 1:
            self._quoted = not self._quoted


def _unfinished(raw: bytes) -> int:
    """Where an escape starts that the end of `raw` cuts; its length when there is none."""
    if b"\\" not in raw[-5:]:
        return len(raw)
    found = _OPEN.search(raw, max(0, len(raw) - 5))
    if found is None:
        return len(raw)
    at = found.start()
    run = at
    while run > 0 and raw[run - 1] == 92:
        run -= 1
    if (at - run) & 1:  # the backslash is itself escaped
        return len(raw)
    return at


def mask_escaped(detector: Detector, raw: bytes, counts: dict[str, int]) -> bytes | None:
    """The content of a whole JSON string, masked; None when there is nothing to mask."""
    if len(raw) < 5:
        return None
    spans = detector.scan(unescape(raw))
    if not spans:
        return None
    cuts = spelling(raw, [offset for span in spans for offset in (span.start, span.end)])
    out: list[bytes] = []
    at = 0
    for i, span in enumerate(spans):
        tally(counts, span)
        out += (raw[at : cuts[2 * i]], mask_text(span.kind).encode())
        at = cuts[2 * i + 1]
    out.append(raw[at:])
    return b"".join(out)
