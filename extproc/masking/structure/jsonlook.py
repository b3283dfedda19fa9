"""One look at many tokens of JSON: where there may be something to mask."""

import re
from collections.abc import Iterable

from extproc.masking.engine._re2 import Pattern
from extproc.masking.engine.scanner import NOTHING, scan
from extproc.masking.plan import Plan
from extproc.masking.structure.delimiters import absorbing, prefilter
from extproc.masking.structure.escaped import spelling, unescape
from extproc.masking.structure.names import QUOTE, Asked, names

_MANY = 24
"""Rules for which names in one slice may be context, for them to be looked for in all of it."""

_BETWEEN = b",:[]{}"
_BESIDE = _BETWEEN + b" \t\r"
"""What stands between numbers and what is next to them, and next to a number."""

_NUMERALS = b"+-.0123456789Ee"
_NO_MARKS = bytes.maketrans(_BESIDE, b"\n" * len(_BESIDE))
_ENDS = bytes.maketrans(b'"' + QUOTE, b'\n"')

# A number with an exponent: what it amounts to can be a card's number though its digits are not.
_EXPONENT = Pattern(r"(?:\A|[^+.0-9A-Za-z])[0-9]+(?:\.[0-9]+)?[eE][-+]?[0-9]+(?:\z|[^-+.0-9A-Za-z])")


# A string that may be a document itself, with names of its own; quotes inside it are no quotes here.
_DOCUMENT = re.compile(rb'"[ \t\r\n]*[{\[][^"]*"?')


class JsonLook:
    """A value that lies in a string is one here too, for a string's quotes become what stands around a whole text; what
    seems to be one across strings only makes a walk longer. What names are context for is looked for everywhere, but
    for rules that might take what stands between two values for part of one, or if it is too much: then what stands
    under such a name has to be looked at (`minds`). `asked`: whether names are context at all."""

    __slots__ = ("_plan", "_names", "_texts", "_numbers", "_beside", "_loose", "_loose_texts", "asked")

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._names = names(plan)
        self._texts = absorbing(plan.detector, b"\n")
        self._numbers = prefilter(plan.detector, _BESIDE, _BETWEEN, _NUMERALS)
        rules = plan.detector.engine.rules
        self._beside = self._numbers is not None and any(not rules[index].contextual for index in self._numbers[1])
        self._loose = self._loose_texts = NOTHING
        self.asked = False

    def at(self, data: bytes, contexts: Iterable[frozenset[int]]) -> list[tuple[int, int]]:
        """Where in tokens there may be something to mask, in order, apart from each other. `contexts` are the rules for
        which names are context that came before."""
        plan, numbers = self._plan, self._numbers
        meant = unescape(data, QUOTE)
        flat = meant.translate(_ENDS)
        hints = [(span, self._asked(meant, *span)) for span in self._names.hints(meant)]
        named = NOTHING.union(*(asked.named for _, asked in hints), *contexts)
        wide = len(named) > _MANY
        self.asked = bool(named)
        self._loose = named if wide else named & (numbers[1] if numbers is not None else NOTHING)
        self._loose_texts = named if wide else named & self._texts
        found = [span for span, asked in hints if asked.kind is not None or self._is_loose(meant, span[1], asked)]
        found += [(span.start, span.end) for span in scan(plan.detector, flat, NOTHING if wide else named)]
        if numbers is not None and self._beside:
            found += [(span.start, span.end) for span in scan(numbers[0], flat.translate(_NO_MARKS))]
        if plan.keys:
            found += [match.span() for match in _DOCUMENT.finditer(meant)]
        if plan.detector.any:
            found += _EXPONENT.spans(flat)
        if not found:
            return []
        found.sort()
        merged = [found[0]]
        for start, end in found[1:]:
            if start < merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((start, end))
        bounds = spelling(data, [offset for pair in merged for offset in pair])
        return list(zip(bounds[::2], bounds[1::2], strict=True))

    def minds(self, named: frozenset[int], text: bool = False) -> bool:
        """Whether a value (`text`: a string) has to be looked at because its name is context for these rules."""
        return bool(named & (self._loose_texts if text else self._loose))

    def _asked(self, meant: bytes, start: int, end: int) -> Asked:
        """What the name asks for that a hint points at."""
        name = meant[start + 1 : meant.rindex(b'"', start, end)].replace(QUOTE, b'"')
        return self._names.asked(name.decode("utf-8", "surrogatepass"))

    def _is_loose(self, meant: bytes, end: int, asked: Asked) -> bool:
        """Whether the value behind a name has to be looked at. An object has names of its own."""
        text = meant[end : end + 32].lstrip()[:1] in (b'"', b"{")
        return bool(asked.named) and self.minds(asked.named, text)
