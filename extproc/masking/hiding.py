"""Hiding values in a text that goes on as it is: for approvers, who must see all that runs, and for records.

A mask on a lane changes what goes on, so whatever it covers does not run. Here nothing is changed but what people read,
so a mask may cover nothing that could be code: see `masking.bounded`.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

from extproc.masking.bounded import inert, key_block, opaque, open_kinds
from extproc.masking.engine.engine import Detector
from extproc.masking.engine.fingerprint import CREDENTIAL
from extproc.masking.engine.scanner import NOTHING, scan, whole
from extproc.masking.engine.span import Span, sole
from extproc.masking.operators import mask_text
from extproc.masking.plan import Knowledge
from extproc.masking.rules.model import Family
from extproc.masking.structure.delimiters import absorbing

_HIDDEN_FROM_APPROVERS = frozenset({Family.SECRET, Family.IDENTITY, Family.HEALTH})
_CARD = "card"
_SEPARATOR = re.compile(r"[;&|)\]}]")
_DIGIT = re.compile("[0-9]")

Hidden = tuple[int, int, str]
"""Where a value that is hidden begins and ends, in bytes of the text's UTF-8, and its kind."""


@dataclass(frozen=True, eq=False, slots=True)
class Hiding:
    """What is hidden. `everything` finds values of all the kinds, `closed` those of kinds whose values can't hold code.
    `fits` says of a value of such a kind in a text, and `fits_open` of one of another kind, whether it may be hidden
    there; `alone` of one that is the whole of a field."""

    everything: Detector
    closed: Detector
    fits: Callable[[str], bool]
    fits_open: Callable[[str], bool]
    alone: Callable[[str], bool]

    def inside(self, text: bytes, name: str = "") -> list[Hidden]:
        """The values that are hidden in a text, in order; `name` is that of the field in which it stands. They do not
        overlap."""
        found: list[Hidden] = []
        left = False
        for span in whole(scan(self.everything, text, self.everything.named(name) if name else NOTHING)):
            end = self._end(span, text)
            if end:
                found.append((span.start, end, span.kind))
            left = left or not end
        if left:
            # What may not be hidden may have other values in it, which may.
            found = apart(found, self.closed_inside(text, name))
        return found

    def closed_inside(self, text: bytes, name: str = "") -> list[Hidden]:
        """Those of kinds whose values can hold no code."""
        spans = whole(scan(self.closed, text, self.closed.named(name) if name else NOTHING))
        return [(span.start, end, span.kind) for span in spans if (end := self._end(span, text))]

    def field(self, text: bytes, name: str = "") -> list[Hidden]:
        """The same of the whole value of a field, such as a string in JSON."""
        spans = scan(self.everything, text, self.everything.named(name) if name else NOTHING)
        if not spans:
            return []
        kind = sole(spans, len(text))
        if kind and (kind == CREDENTIAL or self.alone(_meant(text))):
            return [(0, len(text), kind)]
        return self.inside(text, name)

    def fields(self, values: list[tuple[bytes, str]]) -> dict[int, list[Hidden]]:
        """The same of many (the value, and its name), by index; those in which nothing is hidden are left out."""
        joined = b"\n".join(value for value, _ in values)
        named = {i for i, (_, name) in enumerate(values) if name and self.everything.named(name)}
        if absorbing(self.everything, b"\n").isdisjoint(self.everything.opens(joined)):
            ends = list(accumulate(len(value) + 1 for value, _ in values))
            for span in scan(self.everything, joined):
                named.update(range(bisect_right(ends, span.start), bisect_left(ends, span.end) + 1))
            todo: Iterable[int] = sorted(named)
        else:
            todo = range(len(values))
        found = ((i, self.field(*values[i])) for i in todo)
        return {i: hidden for i, hidden in found if hidden}

    def _end(self, span: Span, text: bytes) -> int:
        """Where what is hidden of a value ends: with it, or before what separates and the signs that fill up base64, if
        that is a word with a digit; 0: nothing is."""
        kinds = {span.kind, *span.more}
        fits = self.fits if kinds <= {*self.closed.kinds, CREDENTIAL} else self.fits_open
        value = _meant(text[span.start : span.end])
        if kinds == {CREDENTIAL} or fits(value):
            return span.end
        bare = _SEPARATOR.split(value, maxsplit=1)[0].rstrip("=")
        return span.start + len(bare.encode()) if _DIGIT.search(bare) and fits(bare) else 0


def apart(found: list[Hidden], more: Iterable[Hidden]) -> list[Hidden]:
    """These, which do not overlap, and those of `more` that overlap none of them, in order."""
    kept = list(found)
    for one in more:
        at = bisect_left(found, one[1], key=_begins)
        if not at or found[at - 1][1] <= one[0]:
            kept.append(one)
    return sorted(kept)


def cover(text: bytes, hidden: Iterable[Hidden]) -> bytes:
    """A text with masks in the place of what is hidden."""
    pieces, at = list[bytes](), 0
    for start, end, kind in hidden:
        pieces += (text[at:start], mask_text(kind).encode())
        at = end
    return b"".join([*pieces, text[at:]])


@lru_cache(maxsize=4)
def for_approvers(knowledge: Knowledge) -> Hiding:
    """Secrets, cards and what identifies people are hidden. Names and accounts stay: a payee must be told from
    another."""
    families = knowledge.engine.families.items()
    kinds = frozenset(kind for kind, family in families if family in _HIDDEN_FROM_APPROVERS or kind == _CARD)
    return _hiding(knowledge, kinds, inert, lambda _: False, opaque)


@lru_cache(maxsize=4)
def for_records(knowledge: Knowledge) -> Hiding:
    """All values are hidden but network addresses, which say where something came from."""
    kinds = frozenset(kind for kind, family in knowledge.engine.families.items() if family is not Family.NETWORK)
    return _hiding(knowledge, kinds, lambda _: True, lambda text: opaque(text) or key_block(text), lambda _: True)


def _hiding(
    knowledge: Knowledge,
    kinds: frozenset[str],
    fits: Callable[[str], bool],
    fits_open: Callable[[str], bool],
    alone: Callable[[str], bool],
) -> Hiding:
    closed = kinds - open_kinds(knowledge.engine)
    return Hiding(knowledge.detector(kinds), knowledge.detector(closed), fits, fits_open, alone)


def _meant(text: bytes) -> str:
    return text.decode("utf-8", "surrogatepass")


def _begins(one: Hidden) -> int:
    return one[0]
