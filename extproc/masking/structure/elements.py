"""Which elements of XML or HTML are open, and what their names ask for of the text in them."""

from extproc.masking.engine.scanner import NOTHING
from extproc.masking.plan import Plan
from extproc.masking.stage import MaskError
from extproc.masking.structure import markup
from extproc.masking.structure.names import NOT_ASKED, Asked, names

DEPTH = 64
"""Elements whose names are known at one time: what closes deeper ones is not looked for any further out."""

_KNOWN = 1024


class Elements:
    """The name of the innermost element, and of the one around it, is context for a text. A name that a mask selects
    selects all that is inside: `kind` says which, to the end of the element. HTML has elements that nobody ends, so
    there that is the next end tag of its name, but for those of elements of the same name inside."""

    __slots__ = ("_names", "_html", "_known", "_open", "kind", "_root", "_deep")

    def __init__(self, plan: Plan, html: bool) -> None:
        self._names = names(plan)
        self._html = html
        self._known: dict[bytes, Asked] = {}
        # Of the innermost elements, from the first one on that asks for something. Which ones are around that makes no
        # difference.
        self._open: list[tuple[bytes, Asked]] = []
        self.kind: str | None = None
        self._root = b""
        self._deep = 0  # elements open inside the selected one; of HTML those of its name

    def asked(self, raw: bytes) -> Asked:
        """What the name of an element or attribute asks for, with its prefix or without."""
        found = self._known.get(raw)
        if found is None:
            name = raw.decode("utf-8", "replace")
            found = self._names.asked(name.rpartition(":")[2])
            if ":" in name and (kind := self._names.selected(name)) is not None:
                found = Asked(kind, found.named)
            if len(self._known) >= _KNOWN:
                self._known.clear()
            self._known[raw] = found
        return found

    @property
    def here(self) -> Asked:
        """What is asked for of a text that stands here."""
        if self.kind is not None:
            return Asked(self.kind)
        around = self._open[-2:]
        return around[0][1] | around[-1][1] if around else NOT_ASKED

    @property
    def named(self) -> frozenset[int]:
        """All that may be context of texts here or further out."""
        return frozenset[int]().union(*(asked.named for _, asked in self._open)) if self._open else NOTHING

    @property
    def any(self) -> bool:
        """Whether anything may be asked for of a text here or further out."""
        return bool(self._open)

    def enter(self, name: bytes, asked: Asked) -> None:
        """An element with this name has begun, which asks for that."""
        if self.kind is not None:
            self._deep += not self._html or name == self._root
        elif asked.kind is not None:
            self.kind, self._root, self._deep = asked.kind, name, 0
        elif self._open or asked:
            del self._open[DEPTH - 1 :]
            self._open.append((name, asked))

    def leave(self, name: bytes) -> None:
        """An end tag. Raises MaskError for one that can't be where it is, where that makes a difference."""
        if self.kind is None:
            if any(name == known for known, _ in self._open):
                while self._open.pop()[0] != name:
                    pass
        elif name == self._root and not self._deep:
            self.kind = None
        elif not self._html and not self._deep:
            raise MaskError("malformed XML: an end tag of another element inside one that is masked whole")
        else:
            self._deep -= not self._html or name == self._root

    def follow(self, stepped: bytes) -> None:
        """As `enter` and `leave`, for what PLAIN_TAGS stepped over; no name in it selects anything."""
        for end, name, rest in markup.STEPPED.findall(stepped):
            raw = name.lower() if self._html else name
            if end:
                self.leave(raw)
            elif name and not rest.endswith(b"/") and not (self._html and raw in markup.VOID):
                self.enter(raw, self.asked(raw))
