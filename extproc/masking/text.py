"""Masking of plain text and of bytes whose structure is not read."""

from dataclasses import replace

from extproc.domain.mask import Operator
from extproc.masking.engine.scanner import NOTHING, SLICE, Scanner, scan
from extproc.masking.engine.span import Span, bounds, counted, tally
from extproc.masking.operators import Cover, cover
from extproc.masking.plan import Plan


class Painter:
    """Writes a stream of which some spans are values: what stands between them as it is, a cover for each. Of a value
    that several pieces have, the cover goes on until another begins or text follows. With `fill` it is as long as the
    value, whatever the plan says."""

    __slots__ = ("_plan", "_counts", "_cover", "_fill")

    def __init__(self, plan: Plan, counts: dict[str, int], fill: bool = False) -> None:
        self._plan = plan
        self._fill = fill
        self._counts = counts
        self._cover: Cover | None = None

    def value(self, span: Span, piece: bytes, out: list[bytes]) -> None:
        """These bytes are (a part of) a value."""
        tally(self._counts, span if span.first or self._cover is not None else replace(span, first=True))
        if span.first or self._cover is None:
            self.close(out)
            self._cover = cover(Operator.LENGTH, span.kind, b"") if self._fill else self._plan.cover(span.kind)
        if not self._fill and any(self._plan.operator(kind) is not Operator.PARTIAL for kind in span.more):
            self._cover.hide()
        out.append(self._cover.feed(piece))

    def close(self, out: list[bytes]) -> None:
        """What was covered has ended."""
        if self._cover is not None:
            out.append(self._cover.end())
            self._cover = None


def paint(
    plan: Plan, meant: bytes, spans: list[Span], counts: dict[str, int], spelt: tuple[bytes, list[int]] | None = None
) -> bytes:
    """A whole text with its spans covered; `spelt` are the bytes that spell what is meant, and where in them the spans'
    bounds lie."""
    raw, cuts = spelt or (meant, bounds(spans))
    painter, out, at = Painter(plan, counts), list[bytes](), 0
    for i, span in enumerate(spans):
        if cuts[2 * i] > at:
            painter.close(out)
            out.append(raw[at : cuts[2 * i]])
        painter.value(span, meant[span.start : span.end], out)
        at = cuts[2 * i + 1]
    painter.close(out)
    out.append(raw[at:])
    return b"".join(out)


def mask_whole(plan: Plan, text: str, named: frozenset[int] = NOTHING) -> tuple[str, dict[str, int]]:
    """A whole text with every value masked, and how many by kind; the text itself where there is none. The same as a
    TextStage makes of it, for a fraction of the cost."""
    data = text.encode("utf-8", "surrogatepass")
    spans = scan(plan.detector, data, named)
    if not spans:
        return text, {}
    return paint(plan, data, spans, {}).decode("utf-8", "surrogatepass"), counted(spans)


class TextStage:
    """Masks values in a stream of text in any encoding that keeps ASCII as it is (UTF-8, Latin-1). Bytes outside the
    values are never changed. With `fill`, a value is overwritten with asterisks instead, byte for byte: a binary
    format keeps its offsets and lengths. `named` is `detector.named` of the field that the text stands in."""

    __slots__ = ("_scanner", "_held", "_counts", "_painter", "_given")

    def __init__(self, plan: Plan, fill: bool = False, named: frozenset[int] = NOTHING) -> None:
        self._scanner = Scanner(plan.detector, named)
        self._held = b""
        self._counts: dict[str, int] = {}
        self._painter = Painter(plan, self._counts, fill)
        self._given = 0  # how many of the bytes held went on already, when the stream was idle

    @property
    def counts(self) -> dict[str, int]:
        """Number of masked values so far, by kind."""
        return dict(self._counts)

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes, give those that are final."""
        if len(data) <= SLICE:
            return self._step(data, False)
        return b"".join(self._step(data[i : i + SLICE], False) for i in range(0, len(data), SLICE))

    def finish(self) -> bytes:
        """The input has ended: give the rest."""
        return self._step(b"", True)

    def flush(self) -> bytes:
        """The stream is idle, as a terminal that waits for its user: give what is held, although a value may have begun
        in it. It stays context: of a value that turns out to have begun there, the rest is masked."""
        held, out = self._held, list[bytes]()
        at, self._given = self._given, len(held)
        value = self._scanner.unsettled
        if value is not None and value.end - value.start > at:
            upto = value.end - value.start
            self._painter.value(value, held[at:upto], out)
            at = upto
        if at < len(held):
            self._painter.close(out)
            out.append(held[at:])
        return b"".join(out)

    def _step(self, data: bytes, final: bool) -> bytes:
        scanner = self._scanner
        base = scanner.settled
        spans = scanner.feed(data, final)
        known = self._held + data
        cut = scanner.settled - base
        self._held = known[cut:]
        at, self._given = min(self._given, cut), max(0, self._given - cut)
        out: list[bytes] = []
        for span in spans:
            start, end = span.start - base, span.end - base
            if start > at:
                self._painter.close(out)
                out.append(known[at:start])
            elif end <= at:
                continue  # all of it went on when the stream was idle
            self._painter.value(span, known[max(start, at) : end], out)
            at = end
        if at < cut or final:
            self._painter.close(out)
        out.append(known[at:cut])
        return b"".join(out)
