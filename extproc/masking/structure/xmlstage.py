"""Masking of XML and HTML as text streams by: what elements and attributes say, with entities read as what they mean.

A name is context for the texts and attributes of its element and of those right inside, or selects all that is in it.
What is not masked keeps its bytes. Well-formedness is no concern here, but for what hides text: entities of a
document's own, and the end of an element that is masked whole.
"""

import re
from dataclasses import dataclass
from enum import Enum, auto

from extproc.masking.engine.scanner import SLICE
from extproc.masking.engine.span import add
from extproc.masking.plan import Plan
from extproc.masking.stage import MaskError, Stage
from extproc.masking.structure import markup
from extproc.masking.structure.elements import Elements
from extproc.masking.structure.mapped import PLAIN, MappedMasker, Spelling, WholeMasker, mask_mapped
from extproc.masking.structure.names import NOT_ASKED, Asked
from extproc.masking.structure.xmllook import Look
from extproc.masking.text import TextStage

AHEAD = 4 << 10
"""Bytes of a tag that are looked through for what its attributes call each other, at most."""

_HEAD = 1 << 10  # bytes in which an XML declaration says its encoding
_FIRST = 8  # a byte order mark and <?xml
_BOM = b"\xef\xbb\xbf"
_COMMENT, _CDATA, _DOCTYPE = b"<!--", b"<![CDATA[", b"<!DOCTYPE"
_OPENINGS = (_COMMENT, b"<?", _CDATA, _DOCTYPE)
_LONGEST_OPENING = 9
_LONGEST_HTML = 6  # <!--->
_ANGLE = re.compile(b">")


class _At(Enum):
    START = auto()
    TEXT = auto()
    TAG = auto()  # behind the name of a tag
    VALUE = auto()  # up to a mark: an attribute's value, a comment, CDATA, an instruction, a script
    MALFORMED = auto()  # and the plan is lenient


@dataclass(slots=True)
class _Tag:
    """A start tag that we are in: what the name of its element asks for, what its attributes `call` one another, and
    what they call the element's content, once they were `looked` at. Of other tags the name is empty."""

    name: bytes = b""
    asked: Asked = NOT_ASKED
    calls: Asked = NOT_ASKED
    content: Asked = NOT_ASKED
    looked: bool = False


class XmlStage:
    """Masks XML or, with `html`, HTML. Raises MaskError for a document type with entities of its own, an end inside a
    tag or a section (HTML may), names over 1 KiB, and where names select: for a tag over 4 KiB that may call at its end
    what stands before it, and in XML for an end tag that does not belong where it is inside such an element; unless the
    plan is lenient and selects no names. Raises it always for a document that says it is in a character set that hides
    ASCII. `null` and `drop` leave nothing of what a name selects; values in text are redacted."""

    __slots__ = (
        "_plan", "_html", "_counts", "_held", "_at", "_look", "_elements", "_again", "_masker", "_asked", "_spelling",
        "_unsafe", "_until", "_then", "_tag", "_text",
    )  # fmt: skip

    def __init__(self, plan: Plan, html: bool = False) -> None:
        self._plan = plan
        self._html = html
        self._counts: dict[str, int] = {}
        self._held = b""
        self._elements = Elements(plan, html)
        self._again = False  # a text of the selected element has been masked
        self._look = Look(plan, self._elements, html)
        self._masker: MappedMasker | WholeMasker | None = None  # of a text that is under way
        self._section(_ANGLE, NOT_ASKED, _At.START, PLAIN)
        self._at = _At.START
        self._tag = _Tag()
        self._text: Stage | None = None

    @property
    def counts(self) -> dict[str, int]:
        """How many values were masked so far, by kind."""
        return add(dict(self._counts), self._text.counts if self._text is not None else {})

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes, give those that are final. Raises MaskError."""
        return b"".join(self._step(data[at : at + SLICE], False) for at in range(0, len(data), SLICE))

    def finish(self) -> bytes:
        """The input has ended: give the rest. Raises MaskError."""
        return self._step(b"", True)

    def _step(self, data: bytes, final: bool) -> bytes:
        buffer, self._held = self._held + data, b""
        if self._at is _At.START:
            if not final and len(buffer) < _HEAD and not _begun(buffer):
                self._held = buffer
                return b""
            _check_encoding(buffer[:_HEAD])
            self._at = _At.TEXT
        out: list[bytes] = []
        at, more = 0, True
        if self._at is not _At.MALFORMED:
            tag, at_text = self._tag, self._at is _At.TEXT
            named = self._asked.named | tag.asked.named | tag.calls.named | tag.content.named
            self._look.at(buffer, named, at_text, not at_text and self._spelling is PLAIN)
        while more:
            step = _STEPS[self._at]
            at, more = step(self, buffer, at, final, out)
        if final and (at < len(buffer) or self._at in (_At.TAG, _At.VALUE)):
            self._break_off(buffer, at, out)
        self._held = buffer[at:]
        return b"".join(out)

    def _on_text(self, buffer: bytes, at: int, final: bool, out: list[bytes]) -> tuple[int, bool]:
        """Gives up to where the buffer was taken, and whether more of it may be."""
        if self._masker is None and (end := self._look.skip(at)) > at:
            out.append(buffer[at:end])
            at = end
        found = markup.OPENINGS[self._html].search(buffer, at)
        end = found.start() if found else len(buffer)
        rest = buffer[end : end + _LONGEST_OPENING].upper()
        open_ended = len(rest) < _LONGEST_OPENING and any(mark.startswith(rest) for mark in _OPENINGS)
        here = self._elements.here
        if not rest or open_ended:
            if final:
                end = len(buffer)
            self._field(buffer, at, end, here, markup.ENTITIES, final, out)
            return end, False
        self._field(buffer, at, end, here, markup.ENTITIES, True, out)
        if self._html and len(rest) < _LONGEST_HTML and rest.startswith((b"<!", b"</")) and not final:
            return end, False
        for mark, until in markup.SECTIONS:
            if rest.startswith(mark):
                return self._on_section(buffer, end, mark, until, here, out)
        if self._html and (bogus := markup.BOGUS.match(rest)) is not None:
            return self._on_section(buffer, end, bogus[0], _ANGLE, here, out)
        if rest.startswith(_DOCTYPE) and not self._html:
            return self._on_doctype(buffer, end, out)
        tag = markup.TAG.match(buffer, end)
        if tag is None:
            return self._wait(buffer, end)
        if tag.end() - end > markup.NAME:
            return self._malformed(end, "a name of more than 1 KiB")
        name = tag[2] if tag[1] is None else tag[1]
        lower = name.lower() if self._html else name
        if tag[1] is None:
            self._begin_tag(lower, self._elements.asked(name))
        else:
            self._elements.leave(lower)
        out.append(self._plain(buffer, end, tag.end()))
        self._at = _At.TAG
        return tag.end(), True

    def _on_section(
        self, buffer: bytes, at: int, mark: bytes, until: re.Pattern[bytes], here: Asked, out: list[bytes]
    ) -> tuple[int, bool]:
        """Comments and instructions stand under no name, but for one that selects what is around."""
        end, asked = at + len(mark), here if mark == _CDATA or here.kind is not None else NOT_ASKED
        if self._html:
            if (empty := markup.NO_COMMENT.match(buffer, at)) is not None:
                out.append(empty[0])
                return empty.end(), True
            if mark == _COMMENT:
                until = markup.COMMENT_END
            elif mark != _CDATA or here.kind is None:  # it is one in drawings; of two ways to read it, the safe one
                until = _ANGLE
        if mark == b"<?" and here.kind is not None:
            target = markup.TARGET.match(buffer, at)
            if target is None:
                return self._wait(buffer, at)
            end = target.end()
        unsafe = markup.UNSAFE + b"-" if mark == _COMMENT else markup.UNSAFE
        self._section(until, asked, _At.TEXT, PLAIN, unsafe)
        out.append(self._plain(buffer, at, end))
        return end, True

    def _on_doctype(self, buffer: bytes, at: int, out: list[bytes]) -> tuple[int, bool]:
        found = markup.DOCTYPE.match(buffer, at, at + 4 * markup.NAME)
        if found is None:
            over = len(buffer) - at >= 4 * markup.NAME
            return self._malformed(at, "a document type of more than 4 KiB") if over else (at, False)
        if found[1] == b"[":
            return self._malformed(at, "a document type with declarations of its own, which may hide values")
        out.append(self._plain(buffer, at, found.end()))
        return found.end(), True

    def _on_tag(self, buffer: bytes, at: int, final: bool, out: list[bytes]) -> tuple[int, bool]:
        found = markup.TAG_END.match(buffer, at)
        if found is not None:
            seen = found.end()
        elif (found := markup.ATTRIBUTE.match(buffer, at)) is not None:
            seen = found.end() + (not found[2])
        elif (found := markup.EMPTY.match(buffer, at)) is not None:
            seen = found.end() + 1
        elif (found := markup.BARE.match(buffer, at)) is not None:
            seen = found.end(1)
        else:
            return self._wait(buffer, at)
        if seen - at - 1 > markup.NAME:
            return self._malformed(at, "a name of more than 1 KiB")
        if found.re is markup.ATTRIBUTE:
            local = markup.local(found[1])
            minded = not self._tag.looked and (local in markup.CALLS or local in markup.CALLED)
            if minded and not self._look_ahead(buffer, at, final):
                return at, False
            unsafe = markup.UNSAFE if found[2] else markup.UNSAFE_BARE
            asked = self._attribute(found[1], local)
            self._section(markup.VALUES[found[2]], asked, _At.TAG, markup.ENTITIES, unsafe)
        out.append(self._plain(buffer, at, found.end()))
        if found.re is markup.TAG_END:
            self._end_tag(found[1].endswith(b"/"))
        return found.end(), True

    def _on_value(self, buffer: bytes, at: int, final: bool, out: list[bytes]) -> tuple[int, bool]:
        """In an attribute's value or a section."""
        found = self._until.search(buffer, at)
        if found is None:
            end = max(at, len(buffer) - markup.LONGEST_END)
            self._field(buffer, at, end, self._asked, self._spelling, False, out)
            return end, False
        self._field(buffer, at, found.start(), self._asked, self._spelling, True, out)
        out.append(found[0])
        self._at = self._then
        return found.end(), True

    def _on_malformed(self, buffer: bytes, at: int, final: bool, out: list[bytes]) -> tuple[int, bool]:
        if self._text is not None:
            out.append(self._text.feed(buffer[at:]))
            if final:
                out.append(self._text.finish())
        return len(buffer), False

    def _wait(self, buffer: bytes, at: int) -> tuple[int, bool]:
        """What is here of a tag is not enough to go on."""
        return self._malformed(at, "a name of more than 1 KiB") if len(buffer) - at > markup.NAME else (at, False)

    def _malformed(self, at: int, what: str) -> tuple[int, bool]:
        # In text there are no elements to mask.
        if not self._plan.lenient or self._plan.keys:
            raise MaskError(f"XML that can't be masked: {what}")
        self._text = TextStage(self._plan.in_text())
        self._at = _At.MALFORMED
        return at, True

    def _break_off(self, buffer: bytes, at: int, out: list[bytes]) -> None:
        if not (self._html or self._plan.lenient):
            raise MaskError("malformed XML: it ends inside a tag or a section")
        asked, spelling = self._elements.here | self._tag.asked, PLAIN
        if self._at is _At.VALUE:
            asked, spelling = self._asked, self._spelling
        self._field(buffer, at, len(buffer), asked, spelling, True, out)

    # Tags.

    def _begin_tag(self, name: bytes, asked: Asked) -> None:
        """The name of a start tag is here."""
        self._tag = _Tag(name, asked)
        if asked.kind is not None and self._elements.kind is None:
            self._again = False

    def _look_ahead(self, buffer: bytes, at: int, final: bool) -> bool:
        """Learn what an attribute calls another one, or what is in the element. False: there is too little to go on."""
        found, whole = markup.calls(buffer, at, at + AHEAD)
        if not whole and len(buffer) < at + AHEAD and not final:
            return False
        if not whole and self._plan.keys and not (b"name" in found or b"key" in found):
            raise MaskError("XML that can't be masked: a tag of more than 4 KiB, or without an end")
        tag = self._tag
        tag.looked = True
        for which, value in found.items():
            called = self._elements.asked(markup.meant(value))
            tag.calls |= called
            if which != b"id" and (not self._html or tag.name in markup.ESCAPED):
                tag.content |= called
        return True

    def _attribute(self, raw: bytes, local: bytes) -> Asked:
        if markup.declares(raw):
            return NOT_ASKED
        if self._elements.kind is not None:
            return Asked(self._elements.kind)
        tag = self._tag
        return tag.asked | (tag.calls if local in markup.CALLED else NOT_ASKED) | self._elements.asked(raw)

    def _end_tag(self, closed: bool) -> None:
        tag, self._tag, self._at = self._tag, _Tag(), _At.TEXT
        content = tag.asked | tag.content
        if not tag.name or tag.name[:1] in b"!?" or (self._html and tag.name in markup.VOID):
            return
        if closed and not (self._html and content.kind is not None):  # for HTML the slash means nothing
            return
        if self._elements.kind is None and tag.asked.kind is None:
            self._again = False
        self._elements.enter(tag.name, content)
        if self._html and tag.name in markup.RAW_ENDS:
            spelling = markup.ENTITIES if tag.name in markup.ESCAPED else PLAIN
            self._section(markup.RAW_ENDS[tag.name], self._elements.here, _At.TEXT, spelling)

    # Texts.

    def _section(
        self, until: re.Pattern[bytes], asked: Asked, then: _At, spelling: Spelling, unsafe: bytes = markup.UNSAFE
    ) -> None:
        """What comes is a value up to a mark. In its mask nothing of `unsafe` may be."""
        self._at, self._until, self._asked, self._then, self._spelling = _At.VALUE, until, asked, then, spelling
        self._unsafe = unsafe

    def _plain(self, buffer: bytes, start: int, end: int) -> bytes:
        """Names and the marks around them."""
        piece = buffer[start:end]
        return piece if self._look.clean(start, end) else mask_mapped(self._plan, piece, self._counts, PLAIN)[0]

    def _field(
        self, buffer: bytes, start: int, end: int, asked: Asked, spelling: Spelling, ended: bool, out: list[bytes]
    ) -> None:
        """More of a text, or with `ended` the rest of it."""
        raw = buffer[start:end]
        if self._masker is None:
            if not raw:
                return
            if ended and asked.kind is None:
                clean = self._look.clean(start, end, asked.named)
                out.append(raw if clean else mask_mapped(self._plan, raw, self._counts, spelling, asked.named)[0])
                return
            if asked.kind is not None:
                again = self._again and self._selected
                unsafe = self._unsafe if self._at is _At.VALUE else markup.UNSAFE
                self._masker = WholeMasker(self._plan, self._counts, asked.kind, spelling, unsafe, again)
            else:
                self._masker = MappedMasker(self._plan, self._counts, spelling, asked.named)
        out.append(self._masker.feed(raw, final=ended))
        if ended:
            if self._selected and isinstance(self._masker, WholeMasker):
                self._again = self._again or self._masker.begun
            self._masker = None

    @property
    def _selected(self) -> bool:
        """Whether we are in an element, or its tag, that is masked whole."""
        return self._elements.kind is not None or self._tag.asked.kind is not None


_STEPS = {
    _At.TEXT: XmlStage._on_text,
    _At.TAG: XmlStage._on_tag,
    _At.VALUE: XmlStage._on_value,
    _At.MALFORMED: XmlStage._on_malformed,
}


def _begun(buffer: bytes) -> bool:
    """Whether it is known what a document says of its encoding."""
    start = buffer.removeprefix(_BOM)
    return len(buffer) >= _FIRST and (not start.startswith(b"<?xml") or b">" in start)


def _check_encoding(head: bytes) -> None:
    if b"\0" in head[:4] or head.startswith((b"\xfe\xff", b"\xff\xfe")):
        raise MaskError("XML in UTF-16 or UTF-32 can't be inspected; UTF-8 can")
    declared = markup.DECLARED.match(head.removeprefix(_BOM))
    if declared is not None and not markup.READ.fullmatch(declared[1]):
        raise MaskError("XML that says it is in a character set that can't be inspected; UTF-8 can")
