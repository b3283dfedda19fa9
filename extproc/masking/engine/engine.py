"""All rules, compiled once; and views of them, one for each selection that a policy makes.

The gate says which rules may have a match in some bytes, for all rules in one pass. A rule that is found in context
only is gated by its words: where none of them occurs, it costs nothing. What a view finds does not depend on which
other kinds it selects, for each rule finds its own values.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache

from extproc.masking.engine._re2 import Pattern, PatternSet
from extproc.masking.engine.context import FieldNames
from extproc.masking.engine.finder import Finder
from extproc.masking.engine.fingerprint import CREDENTIAL, NONE, Fingerprints
from extproc.masking.engine.needles import Needles
from extproc.masking.rules import pattern
from extproc.masking.rules.model import Family, Rule
from extproc.masking.rules.text import in_text


class Gate:
    """Which of some finders may have a match, and what of theirs may be unfinished at the end of a buffer.

    One automaton for all prefixes of all patterns would be in as many states as there are texts, and make them anew for
    each. So most rules are told by what they begin with: one automaton knows all beginnings, whole ones near the end of
    the buffer, unfinished ones at its end. The few that may begin with anything have an automaton each. For the same
    reason there are three gates: for words of context, for what begins like nothing else, and for the rest."""

    __slots__ = ("finders", "_openings", "_broad", "_unbegun", "_begun", "_selective", "_reach", "_contextual")

    def __init__(self, finders: tuple[Finder, ...]) -> None:
        self.finders = finders
        self._contextual = frozenset(i for i, f in enumerate(finders) if f.rule.contextual)
        begins = {
            i: pattern.beginning(f.rule.pattern, _BEGIN) for i, f in enumerate(finders) if i not in self._contextual
        }
        rarely = {i: pattern.chance(begin) for i, begin in begins.items()}
        groups = (
            tuple(self._contextual),
            tuple(i for i, chance in rarely.items() if chance < _UNIQUE),
            tuple(i for i, chance in rarely.items() if chance >= _UNIQUE),
        )
        self._openings = [(group, PatternSet([_gate(finders[i]) for i in group])) for group in groups if group]
        begins = {i: begin for i, begin in begins.items() if rarely[i] < _RARE}
        broad = [i for i in range(len(finders)) if i not in begins and i not in self._contextual]
        self._broad = [
            Pattern(rf"(?:{'|'.join(map(_unfinished, (finders[i] for i in broad[at : at + _TOGETHER])))})\z")
            for at in range(0, len(broad), _TOGETHER)
        ]
        self._selective = tuple(begins)
        self._reach = 1 + max((finders[i].rule.reach for i in begins), default=0)
        ends = dict.fromkeys(_before(finders[i]) + pattern.prefixes(begin) for i, begin in begins.items())
        self._unbegun = Pattern(rf"(?:{'|'.join(ends)})\z") if begins else None
        self._begun = PatternSet([_before(finders[i]) + pattern.full(begin) for i, begin in begins.items()])

    def opens(self, data: bytes) -> list[int]:
        """Indexes of the finders that may have a match in the data, which begins with what stands before the text, or
        at a boundary. Nothing is found by others, but by those that a field's name is context for."""
        return [group[i] for group, openings in self._openings for i in openings.match(data)]

    def hold(self, data: bytes, at: int, active: Iterable[int]) -> int:
        """The first offset from `at` on from which a match may be unfinished at the end of the data. `active` are those
        that opened, or whose context is a name: no other that needs context can begin."""
        hold = len(data)
        closures = [*self._broad, *(self.finders[i].closure for i in active if i in self._contextual)]
        if self._unbegun is not None:
            closures.append(self._unbegun)
            near = data[max(at - 1, len(data) - self._reach) :]
            closures += [self.finders[self._selective[i]].closure for i in self._begun.match(near)]
        for closure in closures:
            if found := closure.search(data, at - 1, len(data)):
                hold = min(hold, found[0] + 1)
        return hold


_GATE = 16
"""Bytes of a pattern that its gate has."""

_BEGIN = 6
"""Bytes of a pattern's beginning that are looked at."""

_UNIQUE, _RARE = 1e-5, 0.003
"""How often chance may write a beginning for the rule to be told by it."""


_TOGETHER = 6
"""Rules that begin with anything, whose unfinished matches one automaton can know without having too many states."""


def _unfinished(finder: Finder) -> str:
    return _before(finder) + pattern.prefixes(finder.rule.pattern)


def _before(finder: Finder) -> str:
    return f"[^{finder.rule.before}]" if finder.rule.before else "."


def _gate(finder: Finder) -> str:
    rule = finder.rule
    if not rule.contextual:
        return pattern.gate(rule.pattern, rule.before, _GATE)
    return finder.context.gate or r"[^\x00-\xff]"  # in names only


class Engine:
    """Rules, compiled; make one and keep it. Raises ValueError for a rule that RE2 refuses."""

    __slots__ = ("rules", "gate", "families", "needles", "_names", "_views")

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = tuple(rules)
        self.gate = Gate(tuple(Finder(rule) for rule in self.rules))
        self.families: Mapping[str, Family] = {rule.kind: rule.family for rule in self.rules}
        self._names = FieldNames([finder.context for finder in self.gate.finders])
        # Compiled once for all views: it takes some 25 ms.
        self.needles = lru_cache(maxsize=4)(Needles)
        self._views = lru_cache(maxsize=64)(self._view)

    @property
    def kinds(self) -> frozenset[str]:
        """Every kind that a rule has."""
        return frozenset(self.families)

    def detector(
        self, kinds: frozenset[str] | None = None, keys: frozenset[str] = frozenset(), known: Fingerprints = NONE
    ) -> "Detector":
        """A shared view for these kinds (None: all of them), for `key=value` in text with these keys, and for the
        credentials that `known` has. Raises ValueError for an unknown kind."""
        return self._views(self.kinds if kinds is None else kinds, keys, known)

    def named(self, name: str) -> frozenset[int]:
        """Indexes of the rules for which a field's name is context."""
        return self._names.of(name)

    def _view(self, kinds: frozenset[str], keys: frozenset[str], known: Fingerprints) -> "Detector":
        if unknown := kinds - self.kinds:
            raise ValueError(f"unknown kinds of value: {sorted(unknown)}; known are {sorted(self.kinds)}")
        return Detector(self, kinds, keys, known)


class Detector:
    """What is looked for: a view of an engine, shared by all streams (it has no state). `finders` are the engine's,
    then those of keys in text; `credentials` is the index that stands for what fingerprints find."""

    __slots__ = (
        "engine",
        "finders",
        "kinds",
        "needles",
        "credentials",
        "_wanted",
        "_keys",
        "_own",
        "_blind",
        "_gate",
        "_known",
    )

    def __init__(self, engine: Engine, kinds: frozenset[str], keys: frozenset[str], known: Fingerprints) -> None:
        self.engine = engine
        self.kinds = kinds
        self._known = known
        self._own = len(engine.rules)
        self._keys = Gate(tuple(Finder(in_text(key)) for key in sorted(keys)))
        self.finders = engine.gate.finders + self._keys.finders
        self.credentials = len(self.finders)
        self._wanted = frozenset(i for i, rule in enumerate(engine.rules) if rule.kind in kinds)
        self.needles = engine.needles(known) if known else None
        self._gate = PatternSet([self.needles.gate]) if self.needles is not None else None
        self._blind = not self._wanted

    @property
    def rules(self) -> list[Rule]:
        """Those of the engine's that are looked for."""
        return [self.engine.rules[index] for index in sorted(self._wanted)]

    @property
    def any(self) -> bool:
        """Whether anything at all is looked for."""
        return bool(self._wanted or self._keys.finders or self.needles is not None)

    def opens(self, data: bytes) -> list[int]:
        """Indexes of the finders that may have a match in the data, `credentials` among them; the data begins with
        what stands before the text, or at a boundary."""
        found = [] if self._blind else [i for i in self.engine.gate.opens(data) if i in self._wanted]
        if self._keys.finders:
            found += [self._own + i for i in self._keys.opens(data)]
        if self._gate is not None and self._gate.match(data):
            found.append(self.credentials)
        return found

    def hold(self, data: bytes, at: int, active: Iterable[int]) -> int:
        """The first offset from `at` on from which a match may still be unfinished at the end of the data; `active` as
        `opens` said of the same data, and `named` of its name."""
        hold = len(data) if self._blind else self.engine.gate.hold(data, at, [i for i in active if i < self._own])
        if self._keys.finders:
            hold = min(hold, self._keys.hold(data, at, ()))
        return hold if self.needles is None else self.needles.hold(data, at, hold, len(data))

    def named(self, name: str) -> frozenset[int]:
        """Indexes of the finders for which a field's name (a member, a column, an element) is context."""
        found = self.engine.named(name)
        return found & self._wanted if found else found

    def with_keys(self, keys: frozenset[str]) -> "Detector":
        """The same, and the values of these names in text."""
        return self.engine.detector(self.kinds, keys, self._known)

    def kind(self, index: int) -> str:
        """What a finder's values are called."""
        return CREDENTIAL if index == self.credentials else self.finders[index].kind
