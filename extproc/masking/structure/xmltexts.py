"""The texts of XML or HTML, masked one after the other: what stands between two tags, attributes' values, comments."""

from extproc.masking.plan import Plan
from extproc.masking.structure import markup
from extproc.masking.structure.mapped import PLAIN, MappedMasker, Spelling, WholeMasker, mask_mapped
from extproc.masking.structure.names import Asked
from extproc.masking.structure.xmllook import Look


class Texts:
    """Two kinds: `field`s, which are a text each, and `words`, which are one text up to the next tag, whatever stands
    among them: who reads the document sees no comments, instructions and borders of CDATA. They stay where they are.
    Raises MaskError for over 32 KiB of them where a value may go on behind. `counts` is shared with its owner."""

    __slots__ = ("_plan", "_look", "_counts", "_words", "_field", "again")

    def __init__(self, plan: Plan, look: Look, counts: dict[str, int]) -> None:
        self._plan = plan
        self._look = look
        self._counts = counts
        self._words: MappedMasker | None = None  # of the text between tags that is under way
        self._field: MappedMasker | WholeMasker | None = None  # of the field that is
        self.again = False  # a text of the selected element has been masked

    @property
    def open(self) -> bool:
        """Whether a text is under way."""
        return self._words is not None or self._field is not None

    def put(self, piece: bytes, out: list[bytes]) -> None:
        """What stands here as it is."""
        if self._words is None:
            out.append(piece)
        else:
            self._words.aside(piece)

    def marks(self, buffer: bytes, start: int, end: int, out: list[bytes]) -> None:
        """Names and the marks around them."""
        piece = buffer[start:end]
        clean = self._look.clean(start, end)
        self.put(piece if clean else mask_mapped(self._plan, piece, self._counts, PLAIN)[0], out)

    def words(
        self, buffer: bytes, start: int, end: int, asked: Asked, spelling: Spelling, ended: bool, out: list[bytes]
    ) -> None:
        """More of the text between two tags, or with `ended` the rest of it; nothing selects it."""
        if self._words is None:
            if start == end:
                return
            if ended and self._clean(buffer, start, end, asked):
                out.append(buffer[start:end])
                return
            # A mask ends in the first of the three characters that end CDATA, and that no text may have (XML 2.4).
            self._words = MappedMasker(self._plan, self._counts, spelling, asked.named, apart=b"]>")
        self._words.spelling = spelling
        self._words.take(buffer[start:end])
        if ended:
            self.give(out, True)

    def give(self, out: list[bytes], ended: bool = False) -> None:
        """Give what is final of the words; of all that was taken, with `ended`."""
        if self._words is not None:
            out.append(self._words.give(ended))
            if ended:
                self._words = None

    def field(
        self, buffer: bytes, start: int, end: int, asked: Asked, spelling: Spelling, ended: bool, out: list[bytes],
        selected: bool = False, unsafe: bytes = markup.UNSAFE,
    ) -> None:  # fmt: skip
        """More of a field, or with `ended` the rest of it. `selected`: it stands in an element, or its tag, that is
        masked whole. In its mask nothing of `unsafe` may be."""
        raw = buffer[start:end]
        if self._field is None:
            if not raw:
                return
            if asked.kind is not None:
                again = self.again and selected
                self._field = WholeMasker(self._plan, self._counts, asked.kind, spelling, unsafe, again)
            elif ended:
                self.put(self._whole(buffer, start, end, asked, spelling), out)
                return
            else:
                self._field = MappedMasker(self._plan, self._counts, spelling, asked.named)
        self.put(self._field.feed(raw, final=ended), out)
        if ended:
            if selected and isinstance(self._field, WholeMasker):
                self.again = self.again or self._field.begun
            self._field = None

    def _whole(self, buffer: bytes, start: int, end: int, asked: Asked, spelling: Spelling) -> bytes:
        raw = buffer[start:end]
        # To a look, what begins and ends a section may be part of it.
        if spelling is not PLAIN and self._clean(buffer, start, end, asked):
            return raw
        return mask_mapped(self._plan, raw, self._counts, spelling, asked.named)[0]

    def _clean(self, buffer: bytes, start: int, end: int, asked: Asked) -> bool:
        """Whether one look at all has told that there is no value here; of a text with angle brackets it can't."""
        return markup.ANGLE.search(buffer, start, end) is None and self._look.clean(start, end, asked.named)
