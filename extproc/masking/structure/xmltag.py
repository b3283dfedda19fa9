"""A start tag of XML or HTML, and what the attributes in it are called, by themselves and by each other."""

from dataclasses import dataclass

from extproc.masking.plan import Plan
from extproc.masking.stage import MaskError
from extproc.masking.structure import markup
from extproc.masking.structure.elements import Elements
from extproc.masking.structure.names import NOT_ASKED, Asked

AHEAD = 4 << 10
"""Bytes of a tag that are looked through for what its attributes call each other, at most."""


@dataclass(slots=True)
class Tag:
    """A start tag that we are in: what the name of its element asks for, what its attributes `call` one another, and
    what they call the element's content, once they were `looked` at. Of other tags the name is empty."""

    name: bytes = b""
    asked: Asked = NOT_ASKED
    calls: Asked = NOT_ASKED
    content: Asked = NOT_ASKED
    looked: bool = False

    def look_ahead(self, plan: Plan, elements: Elements, html: bool, buffer: bytes, at: int, final: bool) -> bool:
        """Learn what an attribute calls another one, or what is in the element. False: there is too little to go on.
        Raises MaskError where it can't be known."""
        found, whole = markup.calls(buffer, at, at + AHEAD)
        if not whole and len(buffer) < at + AHEAD and not final:
            return False
        if not whole and plan.keys and not (b"name" in found or b"key" in found):
            raise MaskError("XML that can't be masked: a tag of more than 4 KiB, or without an end")
        self.looked = True
        for which, value in found.items():
            called = elements.asked(markup.meant(value))
            self.calls |= called
            if which != b"id" and (not html or self.name in markup.ESCAPED):
                self.content |= called
        return True

    def attribute(self, elements: Elements, raw: bytes, local: bytes) -> Asked:
        """What is asked for of the value of an attribute with this name."""
        if markup.declares(raw):
            return NOT_ASKED
        if elements.kind is not None:
            return Asked(elements.kind)
        return self.asked | (self.calls if local in markup.CALLED else NOT_ASKED) | elements.asked(raw)
