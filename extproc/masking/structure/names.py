"""Names of fields (members of JSON, form fields, columns, elements): which of them ask for something."""

import re
from dataclasses import dataclass
from functools import lru_cache

from extproc.masking.engine._re2 import Pattern
from extproc.masking.engine.context import spelt
from extproc.masking.engine.scanner import NOTHING
from extproc.masking.plan import Plan

QUOTE = b"\xff"
"""What an escaped quote becomes where those around strings have to be told from it: no byte of UTF-8."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a name asks for: `kind` is the one under which all below it is masked, `named` the rules for which it is
    context."""

    kind: str | None = None
    named: frozenset[int] = NOTHING

    def __bool__(self) -> bool:
        return self.kind is not None or bool(self.named)

    def __or__(self, other: "Asked") -> "Asked":
        """What both ask for, the first before the other."""
        if not (self and other):
            return self or other
        return Asked(self.kind or other.kind, self.named | other.named)


NOT_ASKED = Asked()

_KNOWN, _LONGEST = 4096, 128
"""Names that are remembered, and their characters."""


class Names:
    """What the names of a plan ask for. Names that a mask selects are compared without regard to case; whether a name
    is context for a rule, the rule says (`detector.named`)."""

    __slots__ = ("_selected", "_detector", "_known", "_hint", "any")

    def __init__(self, plan: Plan) -> None:
        self._selected = {name.casefold(): f"key:{name.lower()}" for name in plan.keys}
        self._detector = plan.detector
        self._known: dict[str, Asked] = {}
        contextual = [rule for rule in plan.detector.rules if rule.contextual]
        self.any = bool(self._selected or contextual)
        gap = r"[^\x220-9A-Za-z]*"
        whole = [re.escape(name) for name in self._selected if name.isascii()]
        whole += [gap + gap.join(key) + gap for key in sorted({key for rule in contextual for key in rule.keys})]
        words = sorted({spelt(word) for rule in contextual for word in rule.context})
        forms = [rf"(?:{'|'.join(whole)})"] if whole else []
        forms += [rf"[^\x22]*(?:{'|'.join(words)})[^\x22]*"] if words else []
        # What is not ASCII may be the same in another case (Kelvin's K), and stand in what has a quote in it.
        forms += [r"[^\x22]*[\x80-\xff][^\x22]*"] if forms or self._selected else []
        # The colon may be yet to come.
        self._hint = Pattern(rf"\x22(?i:{'|'.join(forms)})\x22[ \t\r\n]*(?::|\z)") if forms else None

    def hints(self, flat: bytes) -> list[tuple[int, int]]:
        """Where unescaped JSON text, with QUOTE for an escaped quote, may have names that ask for something: from quote
        to colon."""
        if self._hint is None:
            return []
        return self._hint.spans(flat)

    def asked(self, name: str) -> Asked:
        """What a name asks for. It is remembered."""
        found = self._known.get(name)
        if found is None:
            kind, named = self.selected(name), self._detector.named(name)
            found = Asked(kind, named) if kind is not None or named else NOT_ASKED
            if len(self._known) >= _KNOWN:
                self._known.clear()
            if len(name) <= _LONGEST:
                self._known[name] = found
        return found

    def asked_by_header(self, name: str) -> Asked:
        """What masks ask for by a header's name. Hyphens count as underscores, as other fields have them."""
        return self.asked(name) | self.asked(name.replace("-", "_"))

    def selected(self, name: str) -> str | None:
        """The kind (`key:<name>`) under which everything below this name is masked."""
        return self._selected.get(name.casefold())


@lru_cache(maxsize=64)
def names(plan: Plan) -> Names:
    """Shared Names of a plan; they have no state."""
    return Names(plan)
