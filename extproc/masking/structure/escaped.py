"""The inside of a JSON string: values are looked for in what it means, and masked in the bytes that spell it."""

import re
from functools import lru_cache

from extproc.masking.engine.engine import Detector
from extproc.masking.engine.scanner import NOTHING, Scanner, scan
from extproc.masking.engine.span import bounds, sole, tally
from extproc.masking.plan import Plan
from extproc.masking.rules.pattern import shortest
from extproc.masking.text import Painter, paint

_PLAIN = {b'\\"': b'"', b"\\/": b"/", b"\\b": b"\b", b"\\f": b"\f", b"\\n": b"\n", b"\\r": b"\r", b"\\t": b"\t"}
_HEX = re.compile(rb"\\u00([0-7][0-9a-fA-F])")
_HIGH = rb"u[dD][89abAB][0-9a-fA-F]{2}"  # the first half of what is spelt as two (RFC 8259, section 7)
_PAIR = _HIGH + rb"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_WIDE = re.compile(rb"\\(?:" + _PAIR + rb"|u(?!00[0-7])[0-9a-fA-F]{4})")
_ESCAPE = re.compile(rb"\\(?:" + _PAIR + rb"|u[0-9a-fA-F]{4}|[^u])", re.DOTALL)
_OPEN = re.compile(rb"\\(?:" + _HIGH + rb"(?:\\(?:u(?:[dD](?:[c-fC-F][0-9a-fA-F]?)?)?)?)?|u[0-9a-fA-F]{0,3})?\Z")
_OPEN_LENGTH = 11
_KNOWN_ESCAPES = frozenset(spelt[1:] for spelt in (*_PLAIN, b"\\\\", b"\\u"))  # a backslash before others is one
_BYTES = [bytes((code,)) for code in range(128)]


def unescape(raw: bytes, quote: bytes = b'"') -> bytes:
    """What JSON string content means, in UTF-8, for finding values in it. Malformed escapes stay as they are. `quote`
    is the byte that an escaped quotation mark becomes."""
    if b"\\" not in raw:
        return raw
    parts = raw.split(b"\\\\")
    for i, part in enumerate(parts):
        if b"\\u" in part:
            part = parts[i] = _WIDE.sub(_wide, part)
        if b"\\" in part:
            part = part.replace(b'\\"', quote).replace(b"\\u0022", quote)
            for spelt, meant in _PLAIN.items():
                part = part.replace(spelt, meant)
            parts[i] = _HEX.sub(_decode, part)  # last: it can yield a backslash, which begins nothing
    return b"\\".join(parts)


def _decode(found: re.Match[bytes]) -> bytes:
    return _BYTES[int(found[1], 16)]


def _wide(found: re.Match[bytes]) -> bytes:
    return _utf8(found[0])


@lru_cache(maxsize=4096)
def _utf8(escape: bytes) -> bytes:
    code = int(escape[2:6], 16)
    if len(escape) > 6:
        code = 0x10000 + ((code & 0x3FF) << 10) + (int(escape[8:], 16) & 0x3FF)
    return chr(code).encode("utf-8", "surrogatepass")


def spelling(raw: bytes, offsets: list[int]) -> list[int]:
    """Where in `raw` the ascending offsets of its meaning lie; of one inside an escape, where that begins."""
    return _spelling(raw, offsets)[0]


def _spelling(raw: bytes, offsets: list[int]) -> tuple[list[int], int]:
    """As `spelling`, and how far inside an escape the last offset lies."""
    if b"\\" not in raw:
        return offsets, 0
    found: list[int] = []
    grown, inside, wanted = 0, 0, iter(offsets)
    target = next(wanted, -1)
    for escape in _ESCAPE.finditer(raw):
        spelt = escape.group()
        if spelt[1:2] not in _KNOWN_ESCAPES:
            continue
        at, size = escape.start() - grown, len(_utf8(spelt)) if spelt[1] == 117 else 1
        while 0 <= target < at + size:
            found.append(min(target, at) + grown)
            inside = max(0, target - at)
            target = next(wanted, -1)
        if target < 0:
            return found, inside
        grown += len(spelt) - size
    while target >= 0:
        found.append(target + grown)
        target = next(wanted, -1)
    return found, 0


class EscapedMasker:
    """Masks the content of one JSON string as it streams by, bytes outside the values untouched. `counts` is shared
    with its owner. With `bare`, the content is itself JSON text: a value outside its quotes becomes null. `named` is
    `detector.named` of the member that the string stands in."""

    __slots__ = ("_scanner", "_held", "_inside", "_escape", "_counts", "_painter", "_bare", "_quoted")

    def __init__(self, plan: Plan, counts: dict[str, int], bare: bool = False, named: frozenset[int] = NOTHING) -> None:
        self._scanner = Scanner(plan.detector, named)
        self._held = b""
        self._inside = 0  # how much of what the first escape held means is decided
        self._escape = b""
        self._counts = counts
        self._painter = Painter(plan, counts)
        self._bare = bare
        self._quoted = False

    @property
    def inside(self) -> bool:
        """Whether a value has begun that may go on."""
        return self._scanner.inside

    @property
    def held(self) -> bytes:
        """What came and has not gone on."""
        return self._held + self._escape

    def feed(self, raw: bytes, final: bool = False) -> bytes:
        """Take the next bytes of the content, give those that are final."""
        raw = self._escape + raw
        self._escape = b""
        if not final and (cut := unfinished(raw)) < len(raw):
            raw, self._escape = raw[:cut], raw[cut:]
        base = self._scanner.settled - self._inside
        spans = self._scanner.feed(unescape(raw), final)
        known = self._held + raw
        wanted = [offset - base for offset in bounds(spans)]
        (*cuts, end), self._inside = _spelling(known, [*wanted, self._scanner.settled - base])
        self._held = known[end:]
        meant = unescape(known) if spans else b""
        out: list[bytes] = []
        at = 0
        for i, span in enumerate(spans):
            start, stop = cuts[2 * i], cuts[2 * i + 1]
            self._pass(known[at:start], out)
            if self._bare and not self._quoted:
                tally(self._counts, span)
                if span.first:
                    out.append(b"null")
            else:
                self._painter.value(span, meant[span.start - base : span.end - base], out)
            if self._bare:
                self._track(known[start:stop])
            at = stop
        self._pass(known[at:end], out)
        if final:
            self._painter.close(out)
        return b"".join(out)

    def _pass(self, piece: bytes, out: list[bytes]) -> None:
        if not piece:
            return
        self._painter.close(out)
        out.append(piece)
        if self._bare:
            self._track(piece)

    def _track(self, piece: bytes) -> None:
        bare = _ESCAPE.sub(b"", piece)
        if bare.count(b'"') & 1:
            self._quoted = not self._quoted


def unfinished(raw: bytes) -> int:
    """Where an escape starts that the end of `raw` cuts, or may cut in half; its length when there is none."""
    at = max(0, len(raw) - _OPEN_LENGTH)
    while b"\\" in raw[at:] and (found := _OPEN.search(raw, at)):
        at = run = found.start()
        while run > 0 and raw[run - 1] == 92:
            run -= 1
        if not (at - run) & 1:
            return at
        at += 1  # the backslash is itself escaped
    return len(raw)


@lru_cache(maxsize=64)
def shortest_of(detector: Detector) -> int:
    """Bytes below which a text has no value."""
    return min((shortest(finder.rule.pattern) for finder in detector.finders), default=1)


def mask_escaped(
    plan: Plan, raw: bytes, counts: dict[str, int], named: frozenset[int] = NOTHING
) -> tuple[bytes, str] | None:
    """The content of a whole JSON string, masked, and the kind of the value that it is from end to end ("" if it is
    more than one value); None when there is nothing to mask."""
    if len(raw) < shortest_of(plan.detector):
        return None
    meant = unescape(raw)
    spans = scan(plan.detector, meant, named)
    if not spans:
        return None
    cuts = spelling(raw, bounds(spans))
    return paint(plan, meant, spans, counts, (raw, cuts)), sole(spans, len(meant))
