"""Masking of application/x-www-form-urlencoded bodies and query strings."""

from bisect import bisect_left, bisect_right
from itertools import accumulate
from urllib.parse import quote_plus, unquote_to_bytes

from extproc.domain.mask import Operator
from extproc.masking.engine.fingerprint import CREDENTIAL
from extproc.masking.engine.scanner import NOTHING, scan
from extproc.masking.engine.span import add
from extproc.masking.operators import mask_text
from extproc.masking.plan import Plan
from extproc.masking.stage import MaskError
from extproc.masking.structure.delimiters import absorbing
from extproc.masking.structure.names import Asked, Names, names
from extproc.masking.text import TextStage, paint

PAIR = 1 << 20
"""Bytes of one name=value pair, at most."""

_MANY = 24
"""Rules for which names may be context, for them to be looked for in all values at once."""

_MASK = mask_text(CREDENTIAL).encode()
_MASK_SPELT = quote_plus(_MASK).encode()


class FormStage:
    """Masks names and values in what they mean (percent and plus decoded); those that are not changed keep their
    bytes. A pair is kept until it ends; one over 1 MiB raises MaskError. `credentials`, which finds nothing else, looks
    at the bytes as they come: what calls itself a form need not be one, and then `+`, `%`, `=` and `&` are part of a
    secret. It looks first, for a rule that takes one end of a secret would hide the other from it."""

    __slots__ = ("_plan", "_names", "_raw", "_held", "_counts")

    def __init__(self, plan: Plan, credentials: Plan | None = None) -> None:
        self._plan = plan
        self._raw = TextStage(credentials) if credentials is not None else None
        self._names: Names = names(plan)
        self._held = bytearray()
        self._counts: dict[str, int] = {}

    @property
    def counts(self) -> dict[str, int]:
        """Number of masked values so far, by kind."""
        return add(dict(self._counts), self._raw.counts if self._raw is not None else {})

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes, give those of the pairs that ended. Raises MaskError."""
        return self._take(data if self._raw is None else self._raw.feed(data))

    def finish(self) -> bytes:
        """The input has ended: give the rest. Raises MaskError."""
        out = b"" if self._raw is None else self._take(self._raw.finish())
        return out + self._pairs(bytes(self._held))

    def _take(self, data: bytes) -> bytes:
        cut = data.rfind(b"&") + 1
        if not cut:
            self._held += data
            self._bound(len(self._held))
            return b""
        whole = bytes(self._held) + data[:cut]
        self._held = bytearray(data[cut:])
        self._bound(len(self._held))
        return self._pairs(whole)

    def _bound(self, length: int) -> None:
        if length > PAIR:
            raise MaskError(f"a form field longer than {PAIR} bytes")

    def _pairs(self, whole: bytes) -> bytes:
        if self._raw is not None:
            whole = whole.replace(_MASK, _MASK_SPELT)
        pairs = [raw.partition(b"=") for raw in whole.split(b"&")]
        if len(whole) > PAIR:
            for name, _, value in pairs:
                self._bound(len(name) + 1 + len(value))
        texts = [_decoded(part) for name, _, value in pairs for part in (name, value)]
        asked = [self._names.asked(name.decode("utf-8", "replace")) for name in texts[::2]]
        dirty = self._dirty(texts, asked)
        if not dirty:
            return whole
        kept: list[bytes] = []
        at = 0
        for index in sorted({index // 2 for index in dirty}):
            kept += map(b"".join, pairs[at:index])
            kept += self._pair(pairs[index], texts[2 * index : 2 * index + 2], asked[index])
            at = index + 1
        return b"&".join([*kept, *map(b"".join, pairs[at:])])

    def _dirty(self, texts: list[bytes], asked: list[Asked]) -> set[int]:
        """Which of the texts (names and values by turns) may have to be masked: one look at all, each on a line."""
        plan = self._plan
        named = NOTHING.union(*{one.named for one in asked if one.named})
        absorbing_lines = absorbing(plan.detector, b"\n")
        loose = named if len(named) > _MANY else named & absorbing_lines
        dirty = {2 * i + 1 for i, one in enumerate(asked) if one.kind is not None or one.named & loose}
        lines = b"\n".join(texts)
        spans = scan(plan.detector, lines, named - loose)
        if not absorbing_lines.isdisjoint(plan.detector.opens(lines)):
            return set(range(len(texts)))
        if not spans:
            return dirty
        ends = list(accumulate(len(text) + 1 for text in texts))
        for span in spans:
            dirty.update(range(bisect_right(ends, span.start), bisect_left(ends, span.end) + 1))
        return dirty

    def _pair(self, pair: tuple[bytes, bytes, bytes], texts: list[bytes], asked: Asked) -> list[bytes]:
        """The pair, masked; nothing where it is left out."""
        raw_name, equals, raw_value = pair
        if asked.kind is not None and equals:
            self._counts[asked.kind] = self._counts.get(asked.kind, 0) + 1
            masked: bytes | None = self._covered(asked.kind, texts[1])
        else:
            masked = self._masked(raw_value, texts[1], asked.named)
        if masked is None:
            return []
        return [(self._masked(raw_name, texts[0]) or b"") + equals + masked]

    def _covered(self, kind: str, value: bytes) -> bytes | None:
        """What stands in the place of a whole value; None for nothing, not even its name."""
        operator = self._plan.operator(kind)
        if operator is Operator.DROP:
            return None
        if operator is Operator.NULL:
            return b""
        cover = self._plan.cover(kind)
        return quote_plus(cover.feed(value) + cover.end()).encode()

    def _masked(self, raw: bytes, value: bytes, named: frozenset[int] = NOTHING) -> bytes | None:
        """A name or value that means this, masked; None where it is one value and is left out."""
        spans = scan(self._plan.detector, value, named)
        if not spans:
            return raw
        out = paint(self._plan, value, spans, self._counts)
        if spans[0].start == 0 and spans[0].end == len(value):
            operator = self._plan.operator(spans[0].kind)
            if operator in (Operator.NULL, Operator.DROP):
                return None if operator is Operator.DROP else b""
        return quote_plus(out).encode()


def _decoded(raw: bytes) -> bytes:
    raw = raw.replace(b"+", b" ")
    return unquote_to_bytes(raw) if b"%" in raw else raw
