"""One rule, compiled: the next accepted value in a buffer."""

import re
from dataclasses import dataclass
from functools import cached_property

from extproc.masking.engine._re2 import Groups, Pattern
from extproc.masking.engine.context import Context
from extproc.masking.rules import pattern
from extproc.masking.rules.model import CERTAIN, Family, Rule

BLOCK_BLIND = 16 << 10
"""Bytes of an unterminated PEM block that are swallowed whatever they are."""

_BLOCK_END = re.compile(rb"-----END [A-Z0-9 ]{0,48}-----")
_BLOCK_CARRY = 61  # one byte less than the longest END line


@dataclass(frozen=True, slots=True)
class Hit:
    """A candidate that was accepted: the match begins at `begin`, the value is [start, head), and may go on if the rule
    has a tail, unless the check `cut` it short."""

    begin: int
    start: int
    head: int
    score: float
    cut: bool


class Finder:
    """Compiled when first asked; shared by all streams (it has no state but that)."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.kind = rule.kind
        self.rank = 0 if rule.family is Family.SECRET else 1
        self.context = Context(rule)
        self.tail: re.Pattern[bytes] | None = None
        if rule.tail is not None and rule.tail.block:
            # The continuation bytes keep the end of a swallowed block from falling inside a UTF-8 character.
            self.tail = re.compile(rb"[^\x80-\xbf" + rule.tail.members.encode("latin-1") + rb"]")
        elif rule.tail is not None:
            self.tail = re.compile(b"[" + rule.tail.members.encode("latin-1") + b"]*")

    @cached_property
    def _search(self) -> Pattern:
        rule = self.rule
        before = f"[^{rule.before}]" if rule.before else "."
        after = f"[^{rule.after}]" if rule.after else ""
        return Pattern(before + pattern.full(rule.pattern) + after)

    @cached_property
    def _lead(self) -> Groups:
        return Groups(f"({pattern.full(self.rule.lead)}){pattern.full(self.rule.value)}")

    @cached_property
    def closure(self) -> Pattern:
        """Anchored at the end of a buffer: where a match may have begun that is unfinished there, and the byte before
        it."""
        before = f"[^{self.rule.before}]" if self.rule.before else "."
        return Pattern(rf"(?:{before}{pattern.prefixes(self.rule.pattern)})\z")

    def next(self, data: bytes, at: int, hold: int, limit: int, named: bool = False) -> Hit | None:
        """The first accepted value whose match begins in [at, hold), looking at bytes before `limit` only. `named`: the
        field's name is context. At least WINDOW bytes stand before `at`."""
        rule, search = self.rule, self._search.search
        after, at = 1 if rule.after else 0, at - 1
        while found := search(data, at, limit):
            begin, stop = found[0] + 1, found[1] - after
            if begin >= hold:
                return None
            score = rule.score if not named else rule.context_score
            if score < CERTAIN:
                if not self.context.near(data, begin):
                    at = begin
                    continue
                score = rule.context_score
            start = begin
            if rule.lead:
                start = self._lead.first(data, begin, stop)
            head = stop
            if rule.check is not None:
                stop = rule.check(data, start, head)
            if stop:
                if rule.context and score < rule.context_score and self.context.near(data, begin):
                    score = rule.context_score
                return Hit(begin, start, stop, score, stop < head)
            at = begin
        return None

    def extent(self, data: bytes, at: int, end: int) -> int:
        """Where a value goes to whose head ends at `at`, in a text that ends at `end`."""
        return Track(self, at, at).swallow(data, end, 0) if self.tail is not None else at


class Track:
    """Where one rule is in the stream: everything before `at` it has decided or swallowed; the value that it found last
    began at `start`."""

    __slots__ = ("finder", "start", "at", "open", "swallowed", "carry")

    def __init__(self, finder: Finder, start: int, at: int) -> None:
        self.finder = finder
        self.start = start
        self.at = at
        self.open = finder.tail is not None  # the value may go on
        self.swallowed = 0
        self.carry = b""

    def swallow(self, data: bytes, end: int, shift: int) -> int:
        """Swallow what belongs to the open tail before `end`; gives the offset after it, and closes the tail unless it
        may go on there."""
        rule, tail = self.finder.rule, self.finder.tail
        if rule.tail is None or tail is None:
            raise TypeError(f"the rule {rule.id} has no tail")
        at = self.at - shift
        stop = end
        if rule.tail.block:
            window = self.carry + data[at:end]
            if found := _BLOCK_END.search(window):
                stop = at + found.end() - len(self.carry)
            if other := tail.search(data, max(at, at + BLOCK_BLIND - self.swallowed), stop):
                found, stop = other, other.start()
            self.open = found is None
            self.carry = window[-_BLOCK_CARRY:]
            self.swallowed += stop - at
        else:
            run = tail.match(data, at, end)
            stop = run.end() if run else at
            self.open = stop == end
        self.at = stop + shift
        return stop
