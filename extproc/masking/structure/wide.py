"""Text in UTF-16 or UTF-32, where the bytes of a value have others between them: told by how it begins."""

from extproc.masking.stage import MaskError, Stage

HEAD = 4
"""Bytes of a text that tell it."""

_MARKS = (b"\xfe\xff", b"\xff\xfe")


def is_wide(head: bytes) -> bool:
    """Whether text that begins like this is in UTF-16 or UTF-32: a byte order mark, or a NUL among the first bytes."""
    return head.startswith(_MARKS) or b"\0" in head[:HEAD]


class NarrowStage:
    """A stage for text in any encoding that keeps ASCII as it is. Raises MaskError for text in UTF-16 or UTF-32,
    whatever its content type says."""

    __slots__ = ("_stage", "_head")

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._head = b""

    @property
    def counts(self) -> dict[str, int]:
        """How many values were masked so far, by kind."""
        return self._stage.counts

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes, give those that are final. Raises MaskError."""
        if len(self._head) < HEAD:
            self._head = (self._head + data[:HEAD])[:HEAD]
            if is_wide(self._head):
                raise MaskError("text in UTF-16 or UTF-32 can't be inspected; UTF-8 can")
        return self._stage.feed(data)

    def finish(self) -> bytes:
        """The input has ended: give the rest. Raises MaskError."""
        return self._stage.finish()
