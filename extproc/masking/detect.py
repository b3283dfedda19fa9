"""Finding: which spans of a text are sensitive values, whole (`Detector.scan`) or as it streams by (`Scanner`).

What is found does not depend on how the text was cut. At each offset the rules are tried; the longest value that its
rule's validator accepts is the match, ties go to the earlier rule, and the search goes on after it. A candidate that
fails is tried again from the next byte. A stream decides an offset only when no rule could still begin a match there:
that is the prefix closure of all rules, anchored at the end of what has arrived.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from extproc.masking import pattern
from extproc.masking._re2 import Pattern, PatternSet
from extproc.masking.rules import BY_KIND, RULES, Kind, Rule, in_text

SLICE = 16 << 10
"""Bytes that are looked at in one go."""

BLOCK_BLIND = 16 << 10
"""Bytes of an unterminated PEM block that are swallowed whatever they are."""

_BLOCK_END = re.compile(rb"-----END [A-Z0-9 ]{0,48}-----")
_BLOCK_CARRY = 61  # one byte less than the longest END line
_START = b"\n\n"  # what stands before the first byte: nothing that a boundary refuses


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes [start, end) of the text are a value of this kind. `first` is false for the rest of a value whose
    beginning was given before, by an earlier feed."""

    kind: str
    start: int
    end: int
    first: bool = True


def counted(spans: Iterable[Span]) -> dict[str, int]:
    """How many values of each kind these are."""
    counts: dict[str, int] = {}
    for span in spans:
        if span.first:
            counts[span.kind] = counts.get(span.kind, 0) + 1
    return counts


class _Finder:
    """One rule, compiled."""

    __slots__ = ("rule", "kind", "_search", "_after", "tail")

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.kind = str(rule.kind)
        before = f"[^{rule.before}]" if rule.before else "."
        after = f"[^{rule.after}]" if rule.after else ""
        self._search = Pattern(before + pattern.full(rule.pattern) + after).search
        self._after = 1 if rule.after else 0
        self.tail: re.Pattern[bytes] | None = None
        if rule.tail is not None and rule.tail.block:
            # The continuation bytes keep the end of a swallowed block from falling inside a UTF-8 character.
            self.tail = re.compile(rb"[^\x80-\xbf" + rule.tail.members.encode("latin-1") + rb"]")
        elif rule.tail is not None:
            self.tail = re.compile(b"[" + rule.tail.members.encode("latin-1") + b"]*")

    def next(self, data: bytes, at: int, hold: int, limit: int) -> tuple[int, int] | None:
        """The first accepted value that starts in [at, hold), looking at bytes before `limit` only."""
        check, after, at = self.rule.check, self._after, at - 1
        while found := self._search(data, at, limit):
            start, stop = found[0] + 1, found[1] - after
            if start >= hold:
                return None
            if check is not None:
                stop = check(data, start, stop)
            if stop:
                return start, stop
            at = start
        return None


class Detector:
    """The rules for some kinds, compiled once and shared by all streams (it has no state). `keys` adds rules for
    `key=value` in plain text. Raises ValueError for an unknown kind."""

    __slots__ = ("rules", "finders", "_gate", "_opening", "_closure")

    def __init__(self, kinds: Iterable[str], keys: Iterable[str] = ()) -> None:
        wanted = set(kinds)
        if unknown := wanted - set(BY_KIND):
            raise ValueError(f"unknown kinds of value: {sorted(unknown)}; known are {sorted(BY_KIND)}")
        self.rules = tuple(r for r in RULES if r.kind in wanted) + tuple(in_text(k) for k in sorted(keys))
        self.finders = tuple(_Finder(r) for r in self.rules)
        self._gate = PatternSet([pattern.gate(r.pattern) for r in self.rules])
        self._opening = PatternSet([pattern.opening(r.pattern, r.before) for r in self.rules])
        ends = "|".join((f"[^{r.before}]" if r.before else ".") + pattern.prefixes(r.pattern) for r in self.rules)
        self._closure = Pattern(rf"(?:{ends})\z")

    def gate(self, data: bytes) -> list[int]:
        """Indexes of the rules that may have a match in the data; none has one if this is empty."""
        return self._gate.match(data) if self.rules else []

    def opens(self, data: bytes) -> list[int]:
        """As `gate`, and closer, for data with what stands before it, or whose start is a boundary."""
        return self._opening.match(data) if self.rules else []

    def hold(self, data: bytes, at: int, end: int) -> int:
        """The first offset in [at, end] from which a match may still be unfinished at `end`."""
        found = self._closure.search(data, at - 1, end) if self.rules else None
        return end if found is None else found[0] + 1

    def scan(self, text: bytes | str) -> list[Span]:
        """The values in a whole text, in order, not overlapping. Offsets are bytes of its UTF-8. A value of more than
        16 KiB can be several spans, of which only one is `first`."""
        data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
        if len(data) <= SLICE:
            return Scanner(self).feed(data, final=True) if self.opens(data) else []
        scanner, spans = Scanner(self), list[Span]()
        for at in range(0, len(data), SLICE):
            spans += scanner.feed(data[at : at + SLICE])
        return spans + scanner.feed(b"", final=True)

    def counts(self, text: bytes | str) -> dict[str, int]:
        """How many values of each kind a whole text has."""
        return counted(self.scan(text))


@lru_cache(maxsize=64)
def detector(kinds: frozenset[str], keys: frozenset[str] = frozenset()) -> Detector:
    """A shared Detector. Raises ValueError for an unknown kind."""
    return Detector(kinds, keys)


ALL: frozenset[str] = frozenset(kind.value for kind in Kind)
"""Every kind."""


class Scanner:
    """A Detector over a stream. `settled` is the offset up to which everything is decided; what lies beyond it is
    held here, at most the longest head of a rule (some 200 bytes), and looked at again with the next bytes."""

    __slots__ = ("_detector", "_context", "_held", "settled", "_tail", "_swallowed", "_carry")

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._context = _START
        self._held = b""
        self.settled = 0
        self._tail: _Finder | None = None
        self._swallowed = 0
        self._carry = b""

    @property
    def inside(self) -> bool:
        """Whether the last value may go on: its tail is being swallowed."""
        return self._tail is not None

    def feed(self, data: bytes, final: bool = False) -> list[Span]:
        """Take the next bytes, give the spans that are decided, in order; with `final` everything is. Time is linear
        in the data, whatever it is; feed slices (16 KiB) to keep a single call short."""
        before = self._context + self._held
        end = len(before) + len(data)
        buffer = before + data + _START if final else before + data
        spans: list[Span] = []
        at, shift = 2, self.settled - 2
        if self._tail is not None:
            at = self._swallow(self._tail, buffer, at, end, shift, spans)
        if self._tail is None:
            at = self._find(buffer, at, end, final, shift, spans)
        if final:
            at = end
        self._context, self._held, self.settled = buffer[at - 2 : at], buffer[at:end], at + shift
        return spans

    def _find(self, data: bytes, at: int, end: int, final: bool, shift: int, spans: list[Span]) -> int:
        hold = end if final else self._detector.hold(data, at, end)
        finders = [self._detector.finders[i] for i in self._detector.opens(data)]
        limit = end + 1 if final else end
        unknown = (-1, -1)
        ahead: list[tuple[int, int] | None] = [unknown] * len(finders)
        while finders:
            best, start, stop = None, hold, 0
            for i, finder in enumerate(finders):
                found = ahead[i]
                if found is not None and found[0] < at:
                    found = ahead[i] = finder.next(data, at, hold, limit)
                if found is not None and (found[0] < start or (found[0] == start and found[1] > stop)):
                    best, (start, stop) = finder, found
            if best is None:
                break
            spans.append(Span(best.kind, start + shift, stop + shift))
            at = stop
            if best.tail is not None:
                self._tail, self._swallowed, self._carry = best, 0, b""
                at = self._swallow(best, data, at, end, shift, spans)
                if self._tail is not None:
                    return at
            if at > hold:
                hold = self._detector.hold(data, at, end)
                ahead = [unknown] * len(finders)
        return max(at, hold)

    def _swallow(self, finder: _Finder, data: bytes, at: int, end: int, shift: int, spans: list[Span]) -> int:
        """Swallow what belongs to the open tail; gives the offset after it and closes it unless it may go on."""
        if finder.rule.tail is None or finder.tail is None:
            raise TypeError(f"the rule {finder.rule.kind} has no tail")
        stop = end
        if finder.rule.tail.block:
            window = self._carry + data[at:end]
            if found := _BLOCK_END.search(window):
                stop = at + found.end() - len(self._carry)
            if other := finder.tail.search(data, max(at, at + BLOCK_BLIND - self._swallowed), stop):
                found, stop = other, other.start()
            closed = found is not None
            self._carry = window[-_BLOCK_CARRY:]
            self._swallowed += stop - at
        else:
            run = finder.tail.match(data, at, end)
            stop = run.end() if run else at
            closed = stop < end
        if stop > at:
            last = spans[-1] if spans else None
            if last is not None and last.end == at + shift:
                spans[-1] = Span(last.kind, last.start, stop + shift, last.first)
            else:
                spans.append(Span(finder.kind, at + shift, stop + shift, first=False))
        if closed:
            self._tail = None
        return stop
