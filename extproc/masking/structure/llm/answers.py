"""Answers of language models as JSON documents in a row (Ollama, Cohere) or one array (Gemini), and all other JSON."""

from collections.abc import Callable, Iterator

from extproc.masking.engine.scanner import SLICE
from extproc.masking.engine.span import add
from extproc.masking.plan import Plan
from extproc.masking.stage import MaskError, Stage
from extproc.masking.structure.llm.deltas import Deltas, Document, Look
from extproc.masking.structure.llm.items import Items
from extproc.masking.structure.llm.places import read
from extproc.masking.structure.llm.shapes import JSON, TEXT, shape_of
from extproc.masking.structure.llm.spelling import loads
from extproc.masking.text import TextStage

FIRST = 16 << 10
"""Bytes in which the first document, or item, has to end to be looked at."""


class AnswerStage:
    """Masks JSON whose first document (of several, or item of an array) carries a piece of a text as the stream of
    pieces that it is, document by document. All other JSON passes through the stage that `otherwise` makes, which waits
    for the first document, at most FIRST bytes of it. Raises MaskError for what is not JSON, and a document of more
    than 1 MiB; with a lenient plan what follows then is masked as text."""

    __slots__ = (
        "_plan",
        "_otherwise",
        "_first",
        "_held",
        "_stage",
        "_items",
        "_deltas",
        "_broken",
        "_text",
        "_open_line",
    )

    def __init__(self, plan: Plan, otherwise: Callable[[], Stage]) -> None:
        self._plan = plan
        self._otherwise = otherwise
        self._first: Items | None = Items()
        self._held = b""  # while it is not decided
        self._stage: Stage | None = None  # it is other JSON
        self._items = Items()
        self._deltas = Deltas(plan)
        self._broken = False
        self._text: Stage | None = None  # it was JSON
        self._open_line = False  # the last byte that went on ends no line

    @property
    def counts(self) -> dict[str, int]:
        """Number of masked values so far, by kind."""
        if self._stage is not None:
            return self._stage.counts
        counts = self._deltas.counts
        if self._text is not None:
            add(counts, self._text.counts)
        return counts

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes, give those that are final. Raises MaskError."""
        if self._stage is not None:
            return self._stage.feed(data)
        if self._first is None:
            return b"".join(self._masked(data[at : at + SLICE], False) for at in range(0, len(data), SLICE))
        self._held += data
        if not self._decide(data, final=False):
            return b""
        held, self._held = self._held, b""
        return self.feed(held)

    def finish(self) -> bytes:
        """The input has ended: give the rest. Raises MaskError."""
        out = b""
        if self._first is not None:
            self._decide(b"", final=True)
            held, self._held = self._held, b""
            out = self.feed(held)
        return out + (self._stage.finish() if self._stage is not None else self._masked(b"", True))

    def _decide(self, data: bytes, final: bool) -> bool:
        """Look for the first item in what came; says whether it is known now what it is. That must not depend on how
        the data was cut."""
        if self._first is None:
            return True
        room = FIRST - (len(self._held) - len(data))
        item = b""
        try:
            for _, item in self._first.feed(data[: max(0, room)]):
                if item:
                    break
        except MaskError:
            final = True
        if not item and not final and len(self._held) < FIRST:
            return False
        self._first = None
        if not item or not _carries(item):
            self._stage = self._otherwise()
        return True

    def _masked(self, data: bytes, final: bool) -> bytes:
        if self._text is not None:
            return self._text.feed(data) + (self._text.finish() if final else b"")
        out: list[bytes] = []
        pairs = [*self._cut(data, final)]
        looks = iter(self._deltas.look([item for _, item in pairs if item], whole=True))
        for gap, item in pairs:
            self._between(gap, out)
            if item:
                self._item(next(looks), out)
        if self._broken or (final and not self._items.array):
            rest = b"".join(document.payload + b"\n" for document in self._deltas.end())
            out.append(b"\n" * (self._open_line and rest != b"") + rest)
        if self._broken:
            text = self._text = TextStage(self._plan.in_text())
            out.append(text.feed(self._items.held) + (text.finish() if final else b""))
        return b"".join(out)

    def _cut(self, data: bytes, final: bool) -> Iterator[tuple[bytes, bytes]]:
        try:
            yield from self._items.feed(data, final)
        except MaskError:
            if not self._plan.lenient:
                raise
            self._broken = True

    def _between(self, gap: bytes, out: list[bytes]) -> None:
        if (at := gap.rfind(b"]")) >= 0 and (rest := self._deltas.end()):
            out += (gap[:at], *(b"," + document.payload for document in rest), gap[at:])
        else:
            out.append(gap)
        if gap:
            self._open_line = not gap.endswith(b"\n")

    def _item(self, look: Look, out: list[bytes]) -> None:
        documents: list[Document] | None = self._deltas.take(look)
        if documents is None:
            raise MaskError("malformed JSON in a stream of documents")
        between = b"," if self._items.array else b"\n"
        out.append(between.join(document.payload for document in documents))
        self._open_line = True


def _carries(item: bytes) -> bool:
    """Whether a document carries a piece of a text."""
    document = loads(item)
    shape = shape_of(document) if isinstance(document, dict) else None
    return shape is not None and any(slot.mark in (TEXT, JSON) for slot in read(shape, document).slots)
