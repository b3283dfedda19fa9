"""Masking of XML and HTML as text streams by: what elements and attributes say, with entities read as what they mean.

A name is context for the texts and attributes of its element and of those right inside, or selects all that is in it.
What is not masked keeps its bytes. Well-formedness is no concern here, but for what hides text: entities of a
document's own, and the end of an element that is masked whole.
"""

import re
from enum import Enum, auto

from extproc.masking.engine.scanner import SLICE
from extproc.masking.engine.span import add
from extproc.masking.plan import Plan
from extproc.masking.stage import MaskError, Stage
from extproc.masking.structure import markup
from extproc.masking.structure.elements import Elements
from extproc.masking.structure.mapped import PLAIN, Spelling
from extproc.masking.structure.names import NOT_ASKED, Asked
from extproc.masking.structure.xmlhead import check, known
from extproc.masking.structure.xmllook import Look
from extproc.masking.structure.xmltag import Tag
from extproc.masking.structure.xmltexts import Texts
from extproc.masking.text import TextStage

_COMMENT, _CDATA, _DOCTYPE = b"<!--", b"<![CDATA[", b"<!DOCTYPE"
_OPENINGS = (_COMMENT, b"<?", _CDATA, _DOCTYPE)
_LONGEST_OPENING = 9
_LONGEST_HTML = 6  # <!--->
_ANGLE = re.compile(b">")


class _At(Enum):
    START = auto()
    TEXT = auto()
    TAG = auto()  # behind the name of a tag
    VALUE = auto()  # up to a mark: an attribute's value, a comment, an instruction, a script
    CDATA = auto()  # more of the text around it
    MALFORMED = auto()  # and the plan is lenient


class XmlStage:
    """Masks XML or, with `html`, HTML. Raises MaskError for a document type with entities of its own, an end inside a
    tag or a section (HTML may), names over 1 KiB, and where names select: for a tag over 4 KiB that may call at its end
    what stands before it, and in XML for an end tag that does not belong where it is inside such an element; unless the
    plan is lenient and selects no names. Raises it always for a document that says it is in a character set that hides
    ASCII, and for over 32 KiB of comments and the like in the middle of what may be a value. `null` and `drop` leave
    nothing of what a name selects; values in text are redacted."""

    __slots__ = (
        "_plan", "_html", "_counts", "_held", "_at", "_look", "_elements", "_texts", "_asked", "_spelling", "_unsafe",
        "_until", "_then", "_tag", "_text",
    )  # fmt: skip

    def __init__(self, plan: Plan, html: bool = False) -> None:
        self._plan = plan
        self._html = html
        self._counts: dict[str, int] = {}
        self._held = b""
        self._elements = Elements(plan, html)
        self._look = Look(plan, self._elements, html)
        self._texts = Texts(plan, self._look, self._counts)
        self._section(_ANGLE, NOT_ASKED, _At.START, PLAIN)
        self._at = _At.START
        self._tag = Tag()
        self._text: Stage | None = None

    @property
    def counts(self) -> dict[str, int]:
        """Number of masked values so far, by kind."""
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
            if not final and not known(buffer):
                self._held = buffer
                return b""
            check(buffer)
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
        if final and (at < len(buffer) or self._at in (_At.TAG, _At.VALUE, _At.CDATA)):
            self._break_off(buffer, at, out)
        self._texts.give(out)
        self._held = buffer[at:]
        return b"".join(out)

    def _on_text(self, buffer: bytes, at: int, final: bool, out: list[bytes]) -> tuple[int, bool]:
        """Gives up to where the buffer was taken, and whether more of it may be."""
        if not self._texts.open and (end := self._look.skip(at)) > at:
            out.append(buffer[at:end])
            at = end
        found = markup.OPENINGS[self._html].search(buffer, at)
        end = found.start() if found else len(buffer)
        rest = buffer[end : end + _LONGEST_OPENING].upper()
        open_ended = len(rest) < _LONGEST_OPENING and any(mark.startswith(rest) for mark in _OPENINGS)
        if self._html and len(rest) < _LONGEST_HTML and not final:
            open_ended = open_ended or rest.startswith((b"<!", b"</"))
        if not rest or open_ended:
            if final:
                end = len(buffer)
            self._words(buffer, at, end, final, final, out)
            return end, False
        section = self._opening(rest)
        self._words(buffer, at, end, True, section is None, out)
        if section is not None:
            return self._on_section(buffer, end, *section, out)
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
        self._texts.marks(buffer, end, tag.end(), out)
        self._at = _At.TAG
        return tag.end(), True

    def _opening(self, rest: bytes) -> tuple[bytes, re.Pattern[bytes]] | None:
        """What begins a section, and what ends it; None where a tag or a document type begins."""
        for mark, until in markup.SECTIONS:
            if rest.startswith(mark):
                return mark, until
        bogus = markup.BOGUS.match(rest) if self._html else None
        return (bogus[0], _ANGLE) if bogus is not None else None

    def _on_section(
        self, buffer: bytes, at: int, mark: bytes, until: re.Pattern[bytes], out: list[bytes]
    ) -> tuple[int, bool]:
        """Comments and instructions stand under no name, but for one that selects what is around."""
        here = self._elements.here
        end, asked = at + len(mark), here if mark == _CDATA or here.kind is not None else NOT_ASKED
        if self._html:
            if (empty := markup.NO_COMMENT.match(buffer, at)) is not None:
                self._texts.put(empty[0], out)
                return empty.end(), True
            if mark == _COMMENT:
                until = markup.COMMENT_END
            elif mark != _CDATA or here.kind is None:  # it is one in drawings; of two ways to read it, the safe one
                until = _ANGLE
        if mark == b"<?" and here.kind is not None:
            target = markup.TARGET.match(buffer, at)
            if target is None:
                return self._wait(buffer, at)
            if target.end() - at > markup.NAME:
                return self._malformed(at, "a name of more than 1 KiB")
            end = target.end()
        unsafe = markup.UNSAFE + b"-" if mark == _COMMENT else markup.UNSAFE
        self._section(until, asked, _At.TEXT, PLAIN, unsafe)
        if mark == _CDATA and not self._html and here.kind is None:
            self._at = _At.CDATA
        self._texts.marks(buffer, at, end, out)
        return end, True

    def _on_doctype(self, buffer: bytes, at: int, out: list[bytes]) -> tuple[int, bool]:
        found = markup.DOCTYPE.match(buffer, at, at + 4 * markup.NAME)
        if found is None:
            over = len(buffer) - at >= 4 * markup.NAME
            return self._malformed(at, "a document type of more than 4 KiB") if over else (at, False)
        if found[1] == b"[":
            return self._malformed(at, "a document type with declarations of its own, which may hide values")
        self._texts.marks(buffer, at, found.end(), out)
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
            if minded and not self._tag.look_ahead(self._plan, self._elements, self._html, buffer, at, final):
                return at, False
            unsafe = markup.UNSAFE if found[2] else markup.UNSAFE_BARE
            asked = self._tag.attribute(self._elements, found[1], local)
            self._section(markup.VALUES[found[2]], asked, _At.TAG, markup.ENTITIES, unsafe)
        self._texts.marks(buffer, at, found.end(), out)
        if found.re is markup.TAG_END:
            self._end_tag(found[1].endswith(b"/"))
        return found.end(), True

    def _on_value(self, buffer: bytes, at: int, final: bool, out: list[bytes]) -> tuple[int, bool]:
        """In an attribute's value or a section."""
        found = self._until.search(buffer, at)
        end = found.start() if found else max(at, len(buffer) - markup.LONGEST_END)
        if self._at is _At.CDATA:
            self._texts.words(buffer, at, end, self._asked, self._spelling, False, out)
        else:
            self._field(buffer, at, end, found is not None, out)
        if found is None:
            return end, False
        self._texts.put(found[0], out)
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
        if self._at is _At.CDATA:
            self._texts.words(buffer, at, len(buffer), self._asked, self._spelling, False, out)
        else:
            if self._at is not _At.VALUE:
                self._section(_ANGLE, self._elements.here | self._tag.asked, _At.TEXT, PLAIN)
            self._field(buffer, at, len(buffer), True, out)
        self._texts.give(out, ended=True)

    # Tags.

    def _begin_tag(self, name: bytes, asked: Asked) -> None:
        """The name of a start tag is here."""
        self._tag = Tag(name, asked)
        if asked.kind is not None and self._elements.kind is None:
            self._texts.again = False

    def _end_tag(self, closed: bool) -> None:
        tag, self._tag, self._at = self._tag, Tag(), _At.TEXT
        content = tag.asked | tag.content
        if not tag.name or tag.name[:1] in b"!?" or (self._html and tag.name in markup.VOID):
            return
        if closed and not (self._html and content.kind is not None):  # for HTML the slash means nothing
            return
        if self._elements.kind is None and tag.asked.kind is None:
            self._texts.again = False
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

    def _field(self, buffer: bytes, start: int, end: int, ended: bool, out: list[bytes]) -> None:
        """More of that value, or with `ended` the rest of it."""
        asked, spelling = self._asked, self._spelling
        self._texts.field(buffer, start, end, asked, spelling, ended, out, self._selected, self._unsafe)

    def _words(self, buffer: bytes, start: int, end: int, cut: bool, ended: bool, out: list[bytes]) -> None:
        """More of the text between two tags; it is `cut` by what follows, or even `ended`. In a selected element, each
        part between two cuts is masked whole."""
        here = self._elements.here
        if here.kind is not None:
            self._texts.field(buffer, start, end, here, markup.ENTITIES, cut, out, selected=True)
        else:
            self._texts.words(buffer, start, end, here, markup.ENTITIES, ended, out)

    @property
    def _selected(self) -> bool:
        """Whether we are in an element, or its tag, that is masked whole."""
        return self._elements.kind is not None or self._tag.asked.kind is not None


_STEPS = {
    _At.TEXT: XmlStage._on_text,
    _At.TAG: XmlStage._on_tag,
    _At.VALUE: XmlStage._on_value,
    _At.CDATA: XmlStage._on_value,
    _At.MALFORMED: XmlStage._on_malformed,
}
