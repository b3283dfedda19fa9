"""Which rules are worth a look in some bytes, and from where on a match may be unfinished: for all of them at once."""

from collections.abc import Iterable
from functools import cached_property

from extproc.masking.engine._re2 import Pattern, PatternSet
from extproc.masking.engine.context import Mentions
from extproc.masking.engine.finder import Finder
from extproc.masking.rules import pattern

_GATE = 16
"""Bytes of a pattern that its gate has."""

_BEGIN = 6
"""Bytes of a pattern's beginning that are looked at."""

_UNIQUE, _RARE = 1e-5, 0.003
"""How often chance may write a beginning for the rule to be told by it."""

_TELLING = 0.25
"""How often a text of a rule's shape has to have the rule's own digits for the rule to be told by its shape."""

_TOGETHER, _FAR = 11, 100
"""Rules that begin with anything, whose unfinished matches one automaton can know without having too many states; those
that reach farther than so many bytes have one each."""

_NEAR = 32
"""Bytes that a rule may reach for its beginning to be looked for in so many only."""

_NUMBER = "number"
_DIGITS = b"0123456789"
_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class Gate:
    """Which of some finders may have a match, and what of theirs may be unfinished at the end of a buffer.

    An automaton makes its states when a text first needs them, which takes a hundred times as long as to be in them.
    One for all patterns would be in as many states as there are texts, and make them anew for each. So there are
    several, each for rules that hardly ever have begun together: words of context; numbers; what begins like nothing
    else; what begins with one of some common words; what begins with one of some characters. Numbers in groups that
    stand side by side are of more shapes than anything else, so their gate takes all digits for the same; rules that it
    would then let in with any long number are among the others.

    What is unfinished, most rules are told by how they begin: one automaton knows all beginnings, whole ones near the
    end of the buffer, unfinished ones at its end. For the few that may begin with anything there are some more."""

    __slots__ = ("finders", "_openings", "_broad", "_unbegun", "_begun", "_mentions", "_contextual")

    def __init__(self, finders: tuple[Finder, ...]) -> None:
        self.finders = finders
        self._contextual = frozenset(i for i, f in enumerate(finders) if f.rule.contextual)
        self._mentions = Mentions({i: finders[i].rule for i in sorted(self._contextual)})
        begins = {
            i: pattern.beginning(f.rule.pattern, _BEGIN) for i, f in enumerate(finders) if i not in self._contextual
        }
        groups: dict[str, list[int]] = {}
        for i, begin in begins.items():
            groups.setdefault(_group(begin, finders[i].rule.pattern), []).append(i)
        self._openings = [
            (group, PatternSet([_gate(finders[i], name == _NUMBER) for i in group])) for name, group in groups.items()
        ]
        rare = {i: begin for i, begin in begins.items() if pattern.chance(begin) < _RARE}
        self._broad = [alike.closure for alike in _apart([finders[i] for i in begins if i not in rare])]
        ends = dict.fromkeys(_before(finders[i]) + pattern.prefixes(begin) for i, begin in rare.items())
        self._unbegun = Pattern(rf"(?:{'|'.join(ends)})\z") if rare else None
        near = [i for i in rare if finders[i].rule.reach <= _NEAR]
        far = [i for i in rare if finders[i].rule.reach > _NEAR]
        self._begun = [self._beginnings({i: rare[i] for i in group}) for group in (near, far) if group]

    def _beginnings(self, begins: dict[int, pattern.Seq]) -> tuple[list["_Alike"], int, PatternSet]:
        """Finders by how they begin, in how many bytes at the end a match of theirs may be unfinished, and the look for
        all these beginnings."""
        reach = 1 + max(self.finders[i].rule.reach for i in begins)
        alike: dict[str, list[Finder]] = {}
        for i, begin in begins.items():
            alike.setdefault(_before(self.finders[i]) + pattern.full(begin), []).append(self.finders[i])
        return [_Alike(finders) for finders in alike.values()], reach, PatternSet(list(alike))

    def opens(self, data: bytes) -> list[int]:
        """Indexes of the finders that may have a match in the data, which begins with what stands before the text, or
        at a boundary. Nothing is found by others, but by those that a field's name is context for."""
        found = self._mentions.match(data)
        for group, openings in self._openings:
            found += [group[i] for i in openings.match(data)]
        return found

    def hold(self, data: bytes, at: int, active: Iterable[int]) -> int:
        """The first offset from `at` on from which a match may be unfinished at the end of the data. `active` are those
        that opened, or whose context is a name: no other that needs context can begin."""
        hold = len(data)
        closures = [*self._broad, *(self.finders[i].closure for i in active if i in self._contextual)]
        if self._unbegun is not None:
            closures.append(self._unbegun)
        for group, reach, begun in self._begun:
            near = data[max(at - 1, len(data) - reach) :]
            closures += [group[i].closure for i in begun.match(near)]
        for closure in closures:
            if found := closure.search(data, at - 1, len(data)):
                hold = min(hold, found[0] + 1)
        return hold


class _Alike:
    """Finders of which one automaton knows what is unfinished."""

    def __init__(self, finders: list[Finder]) -> None:
        self._finders = finders

    @cached_property
    def closure(self) -> Pattern:
        """Anchored at the end of a buffer: where a match may have begun that is unfinished there, and the byte before
        it."""
        return Pattern(rf"(?:{'|'.join(_before(f) + pattern.prefixes(f.rule.pattern) for f in self._finders)})\z")


def _apart(finders: list[Finder]) -> list[_Alike]:
    """Finders that may begin with anything, in as few groups as can be."""
    far = [finder for finder in finders if finder.rule.reach > _FAR]
    close = [finder for finder in finders if finder.rule.reach <= _FAR]
    together = [[finder] for finder in far] + [close[at : at + _TOGETHER] for at in range(0, len(close), _TOGETHER)]
    return list(map(_Alike, together))


def _group(begin: pattern.Seq, seq: pattern.Seq) -> str:
    """Which gate knows a pattern that begins so."""
    first = pattern.beginning(begin, 1)
    if pattern.writable(first, _DIGITS) and not pattern.writable(first, _LETTERS):
        shape = pattern.shape(seq)
        if not pattern.writable(shape, _DIGITS + b" ") or pattern.chance(seq) >= _TELLING * pattern.chance(shape):
            return _NUMBER
    if pattern.chance(begin) < _UNIQUE:
        return "unique"
    return "word" if isinstance(seq[0], pattern.Lit | pattern.Alt) else "characters"


def _gate(finder: Finder, number: bool) -> str:
    rule = finder.rule
    return pattern.gate(pattern.shape(rule.pattern) if number else rule.pattern, rule.before, _GATE)


def _before(finder: Finder) -> str:
    return f"[^{finder.rule.before}]" if finder.rule.before else "."
