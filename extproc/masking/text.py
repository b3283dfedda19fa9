"""Masking of plain text and of bytes whose structure is not read."""

from extproc.masking.engine.detect import SLICE, Detector, Scanner, counted, tally


def mask_text(kind: str) -> str:
    """What stands in a value's place."""
    return f"[masked:{kind}]"


def mask_whole(detector: Detector, text: str) -> tuple[str, dict[str, int]]:
    """A whole text with every value masked, and how many by kind; the text itself where there is none. The same as a
    TextStage makes of it, for a fraction of the cost."""
    data = text.encode("utf-8", "surrogatepass")
    spans = detector.scan(data)
    if not spans:
        return text, {}
    out: list[bytes] = []
    at = 0
    for span in spans:
        out.append(data[at : span.start])
        if span.first:
            out.append(mask_text(span.kind).encode())
        at = span.end
    out.append(data[at:])
    return b"".join(out).decode("utf-8", "surrogatepass"), counted(spans)


class TextStage:
    """Masks values in a stream of text in any encoding that keeps ASCII as it is (UTF-8, Latin-1). Bytes outside the
    values are never changed. With `fill`, a value is overwritten with asterisks instead, byte for byte: a binary
    format keeps its offsets and lengths."""

    __slots__ = ("_scanner", "_held", "_counts", "_fill")

    def __init__(self, detector: Detector, fill: bool = False) -> None:
        self._scanner = Scanner(detector)
        self._held = b""
        self._counts: dict[str, int] = {}
        self._fill = fill

    @property
    def counts(self) -> dict[str, int]:
        """How many values were masked so far, by kind."""
        return dict(self._counts)

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes, give those that are final."""
        if len(data) <= SLICE:
            return self._step(data, False)
        return b"".join(self._step(data[i : i + SLICE], False) for i in range(0, len(data), SLICE))

    def finish(self) -> bytes:
        """The input has ended: give the rest."""
        return self._step(b"", True)

    def _step(self, data: bytes, final: bool) -> bytes:
        scanner = self._scanner
        base = scanner.settled
        spans = scanner.feed(data, final)
        known = self._held + data
        cut = scanner.settled - base
        self._held = known[cut:]
        if not spans:
            return known[:cut]
        out: list[bytes] = []
        at = 0
        for span in spans:
            out.append(known[at : span.start - base])
            at = span.end - base
            tally(self._counts, span)
            if self._fill:
                out.append(b"*" * (span.end - span.start))
            elif span.first:
                out.append(mask_text(span.kind).encode())
        out.append(known[at:cut])
        return b"".join(out)
