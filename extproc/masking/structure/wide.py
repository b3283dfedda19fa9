"""UTF-16 and UTF-32: a value's bytes have NULs between them, so that no rule matches them."""

from extproc.masking.stage import MaskError, Stage

_BYTE_ORDER_MARKS = (b"\xfe\xff", b"\xff\xfe")
_MARK_BYTES = 2


def is_wide(data: bytes, start: bytes) -> bool:
    """Whether text is in UTF-16 or UTF-32: it starts with a byte order mark, or `data`, any part of it, has a NUL,
    as each ASCII character has in these encodings. `start` is the first two bytes of the text, as far as known."""
    return start.startswith(_BYTE_ORDER_MARKS) or b"\0" in data


class NarrowStage:
    """A stage for text in any encoding that keeps ASCII as it is. Raises MaskError for text in UTF-16 or UTF-32,
    whatever its content type says, and so for any text with a NUL."""

    __slots__ = ("_stage", "_start")

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._start = b""

    @property
    def counts(self) -> dict[str, int]:
        """Number of masked values so far, by kind."""
        return self._stage.counts

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes, give those that are final. Raises MaskError."""
        if len(self._start) < _MARK_BYTES:
            self._start = (self._start + data[:_MARK_BYTES])[:_MARK_BYTES]
        if is_wide(data, self._start):
            raise MaskError("text in UTF-16 or UTF-32, or with a NUL, can't be inspected; UTF-8 can")
        return self._stage.feed(data)

    def finish(self) -> bytes:
        """The input has ended: give the rest. Raises MaskError."""
        return self._stage.finish()
