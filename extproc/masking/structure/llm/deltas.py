"""Masking of documents that stream by one after the other, of which some carry a text in pieces.

What is held of a text goes on with its next piece, or before what ends it in a document of our own, made like those of
the stream. All other documents are masked one by one.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from extproc.masking.engine.scanner import scan
from extproc.masking.engine.span import add
from extproc.masking.plan import Plan
from extproc.masking.stage import MaskError, Stage
from extproc.masking.structure.llm.arguments import Arguments
from extproc.masking.structure.llm.places import Name, Reading, Slot, carrier, read
from extproc.masking.structure.llm.shapes import TEXT, VARIES, WHOLE, Shape, shape_of
from extproc.masking.structure.llm.spelling import blank, blanks, cut, dumps, filled, loads
from extproc.masking.structure.llm.whole import is_whole, mask_each, mask_whole
from extproc.masking.text import TextStage

STREAMS = 256
"""Texts that one stream may carry side by side."""


@dataclass(frozen=True, slots=True)
class Document:
    """One that goes on. `label` is whatever the stream calls such documents (an event's type)."""

    payload: bytes
    label: bytes


@dataclass(slots=True)
class Look:
    """A document that was looked at. `bare` is it but for its pieces, and `masked` what is left of that: None where it
    is not JSON. `delta` is where its pieces are, if it has any."""

    payload: bytes
    bare: bytes
    masked: bytes | None
    delta: tuple[Shape, dict[str, Any], Reading] | None = None


@dataclass(slots=True)
class _Text:
    """One text: its stage, and a document to carry what is held of it."""

    stage: Stage
    carrier: Document = Document(b"", b"")
    half: str = ""

    def feed(self, piece: str, final: bool = False) -> str:
        piece = self.half + piece
        self.half = ""
        if not final and piece and "\ud800" <= piece[-1] <= "\udbff":
            piece, self.half = piece[:-1], piece[-1]
        return _through(self.stage, piece, final)


class Deltas:
    """Masks a stream of JSON documents. Raises MaskError when it carries too many texts at once, or an id of one is too
    long."""

    __slots__ = ("_plan", "_counts", "_texts", "_over", "_clean")

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._counts: dict[str, int] = {}
        self._texts: dict[Name, _Text] = {}
        self._over: list[Name] = []  # texts of which the last document had a piece, and said that it was the last
        self._clean = b""  # the last document but for its pieces, if there was nothing to mask

    @property
    def counts(self) -> dict[str, int]:
        """Number of masked values so far, by kind."""
        counts = dict(self._counts)
        for text in self._texts.values():
            add(counts, text.stage.counts)
        return counts

    def look(self, payloads: Sequence[bytes], whole: bool = False) -> list[Look]:
        """Look at documents that are to be taken one after the other: it is less work for all of them together. With
        `whole` it is known that they are JSON, and complete. Raises MaskError."""
        looks = [self._look(payload, whole) for payload in payloads]
        new = [look for look in looks if look.masked is not None and look.bare != self._clean]
        for look, masked in zip(new, mask_each([look.bare for look in new], self._plan, self._counts), strict=True):
            look.masked = masked
        if looks and looks[-1].delta is not None and looks[-1].masked == looks[-1].bare:
            self._clean = looks[-1].bare
        return looks

    def take(self, look: Look, label: bytes = b"") -> list[Document] | None:
        """The documents that go on in one's place, itself the last; None when it is not JSON."""
        if look.masked is None:
            return None
        if look.delta is None:
            return [Document(look.masked, label)]
        return self._pieces(look, look.masked, *look.delta, label)

    def end(self) -> list[Document]:
        """The stream has ended: what is held of its texts."""
        self._over = []
        return self._close(list(self._texts))

    def _look(self, payload: bytes, whole: bool) -> Look:
        document = loads(payload)
        if isinstance(document, dict) and (shape := shape_of(document)) is not None:
            reading = read(shape, document)
            if reading.slots or reading.ends:
                slots = [slot for slot in reading.slots if slot.mark is not VARIES or self._innocent(slot)]
                bare = cut(payload, document, slots) if slots else payload
                return Look(payload, bare, bare, (shape, document, Reading(slots, reading.ends)))
        whole = whole or document is not None or is_whole(payload)
        return Look(payload, payload, payload if whole else None)

    def _pieces(
        self, look: Look, masked: bytes, shape: Shape, document: dict[str, Any], reading: Reading, label: bytes
    ) -> list[Document]:
        """A piece is masked as part of its text and never by itself; the rest of the document as any other."""
        slots = reading.slots
        ends = frozenset(map(frozenset, reading.ends))
        last = {
            slot.name: index for index, slot in enumerate(slots) if slot.mark is not VARIES and _ended(slot.name, ends)
        }
        # Some say with each piece that it is the last (Gemini did): it is, if the next document does not go on.
        going_on = {slot.name for slot in slots if slot.piece and slot.mark is not VARIES}
        before = self._close([name for name in self._over if name not in going_on])
        changed = masked != look.bare
        left, outs = blanks(masked), dict[int, bytes]()
        for index, slot in enumerate(slots):
            if index not in left:
                continue  # masked by its name
            piece = out = slot.piece
            if not isinstance(piece, str) or slot.mark is VARIES:
                pass
            elif slot.mark is WHOLE:
                out = self._finish(_Text(Arguments(self._plan)), piece)
            else:
                text = self._text(slot, label, shape, document)
                over = last.get(slot.name) == index and (shape.ends or slot.name not in going_on)
                out = self._finish(self._texts.pop(slot.name), piece) if over else text.feed(piece)
            changed = changed or out != piece
            outs[index] = dumps(out)
        masked = filled(masked, outs)
        ended = [name for name in self._texts if _ended(name, ends)] if ends else []
        self._over = [] if shape.ends else [name for name in ended if name in going_on]
        before += self._close([name for name in ended if name not in self._over])
        # More quotes than it has now: a name occurs twice, and the reader may take the one that we did not see.
        kept = not changed and look.payload.count(b'"') == masked.count(b'"')
        return [*before, Document(look.payload if kept else masked, label)]

    def _innocent(self, slot: Slot) -> bool:
        """Whether there is nothing to mask in a value by itself."""
        detector = self._plan.detector
        return not scan(detector, str(slot.piece), detector.named(slot.member))

    def _text(self, slot: Slot, label: bytes, shape: Shape, document: dict[str, Any]) -> _Text:
        text = self._texts.get(slot.name)
        if text is None:
            if len(self._texts) >= STREAMS:
                raise MaskError(f"more than {STREAMS} texts in one stream of pieces")
            stage = TextStage(self._plan) if slot.mark is TEXT else Arguments(self._plan)
            made = dumps(carrier(shape, document, slot, blank(0)[1:-1].decode()))
            text = self._texts[slot.name] = _Text(stage, Document(made, label))
        return text

    def _finish(self, text: _Text, piece: str = "") -> str:
        """The last of a text."""
        out = text.feed(piece, final=True)
        add(self._counts, text.stage.counts)
        return out

    def _close(self, names: list[Name]) -> list[Document]:
        """Nothing follows in these texts: what is held of them, in documents of our own."""
        out: list[Document] = []
        for name in names:
            text = self._texts.pop(name)
            if rest := self._finish(text):
                # What is masked in the stream's documents is masked here, and was counted there.
                made = mask_whole(text.carrier.payload, self._plan, {})
                out.append(Document(made.replace(blank(0), dumps(rest)), text.carrier.label))
        return out


def _ended(name: Name, ends: Collection[frozenset[tuple[str, str | int]]]) -> bool:
    """Whether one of these ends has no other ids than a text has: a document may have thousands of both."""
    return any(frozenset(some) in ends for n in range(len(name.ids) + 1) for some in combinations(name.ids, n))


def _through(stage: Stage, piece: str, final: bool) -> str:
    try:
        data = piece.encode()
    except UnicodeEncodeError:  # halves of characters: those that belong together are one
        data = piece.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()
    out = stage.feed(data)
    return (out + stage.finish() if final else out).decode()
