"""Finding: which spans of a text are sensitive values, whole (`Detector.scan`) or as it streams by (`Scanner`).

What is found does not depend on how the text was cut, nor on which other kinds are looked for: each rule finds its own
values, leftmost first, as long as its validator accepts; a candidate that fails is tried again from the next byte.
Where values overlap, the spans cover all that any of them covers. A stream decides an offset only when no rule could
still begin a match there: that is the prefix closure of all rules, anchored at the end of what has arrived.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from extproc.masking.engine._re2 import Pattern, PatternSet
from extproc.masking.engine.fingerprint import CREDENTIAL, NONE, Fingerprints
from extproc.masking.engine.needles import Needles
from extproc.masking.rules import pattern
from extproc.masking.rules.builtin import BY_KIND, PERSONAL, RULES, Kind, Rule, in_text

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
    beginning was given before. `more` are the kinds of further values that begin inside it: a JWT after `Bearer`."""

    kind: str
    start: int
    end: int
    first: bool = True
    more: tuple[str, ...] = ()


def tally(counts: dict[str, int], span: Span) -> None:
    """Add the values that begin in a span to the counts by kind."""
    for kind in (span.kind, *span.more) if span.first else span.more:
        counts[kind] = counts.get(kind, 0) + 1


def counted(spans: Iterable[Span]) -> dict[str, int]:
    """How many values of each kind these are."""
    counts: dict[str, int] = {}
    for span in spans:
        tally(counts, span)
    return counts


class _Finder:
    """One rule, compiled."""

    __slots__ = ("rule", "kind", "secret", "_search", "_after", "tail")

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.kind = str(rule.kind)
        self.secret = rule.kind not in PERSONAL
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
    `key=value` in plain text; `needles` finds the credentials that `fingerprints` know, None where there are none.
    Raises ValueError for an unknown kind."""

    __slots__ = ("rules", "finders", "needles", "_gate", "_opening", "_closure", "_blind")

    def __init__(self, kinds: Iterable[str], keys: Iterable[str] = (), fingerprints: Fingerprints = NONE) -> None:
        wanted = set(kinds)
        if unknown := wanted - set(BY_KIND):
            raise ValueError(f"unknown kinds of value: {sorted(unknown)}; known are {sorted(BY_KIND)}")
        self.rules = tuple(r for r in RULES if r.kind in wanted) + tuple(in_text(k) for k in sorted(keys))
        self.finders = tuple(_Finder(r) for r in self.rules)
        self.needles = Needles(fingerprints) if fingerprints else None
        self._blind = not self.rules and self.needles is None
        credentials = [] if self.needles is None else [self.needles.gate]
        self._gate = PatternSet([pattern.gate(r.pattern) for r in self.rules] + credentials)
        self._opening = PatternSet([pattern.opening(r.pattern, r.before) for r in self.rules] + credentials)
        ends = "|".join((f"[^{r.before}]" if r.before else ".") + pattern.prefixes(r.pattern) for r in self.rules)
        self._closure = Pattern(rf"(?:{ends})\z")

    def gate(self, data: bytes) -> list[int]:
        """Indexes of the rules that may have a match in the data, one more than the last for credentials; nothing has
        one if this is empty."""
        return [] if self._blind else self._gate.match(data)

    def opens(self, data: bytes) -> list[int]:
        """As `gate`, and closer, for data with what stands before it, or whose start is a boundary."""
        return [] if self._blind else self._opening.match(data)

    def hold(self, data: bytes, at: int, end: int) -> int:
        """The first offset in [at, end] from which a match may still be unfinished at `end`."""
        found = self._closure.search(data, at - 1, end) if self.rules else None
        hold = end if found is None else found[0] + 1
        return hold if self.needles is None else self.needles.hold(data, at, hold, end)

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


def detector(kinds: frozenset[str], keys: frozenset[str] = frozenset(), fingerprints: Fingerprints = NONE) -> Detector:
    """A shared Detector. Raises ValueError for an unknown kind."""
    return _detector(kinds, keys, fingerprints)


@lru_cache(maxsize=64)
def _detector(kinds: frozenset[str], keys: frozenset[str], fingerprints: Fingerprints) -> Detector:
    return Detector(kinds, keys, fingerprints)


ALL: frozenset[str] = frozenset(kind.value for kind in Kind)
"""Every kind."""


class _Track:
    """Where one rule is in the stream: everything before `at` it has decided or swallowed."""

    __slots__ = ("finder", "at", "open", "swallowed", "carry")

    def __init__(self, finder: _Finder, at: int) -> None:
        self.finder = finder
        self.at = at
        self.open = finder.tail is not None  # the value may go on
        self.swallowed = 0
        self.carry = b""

    def swallow(self, data: bytes, end: int, shift: int) -> int:
        """Swallow what belongs to the open tail before `end`; gives the offset after it, and closes the tail unless it
        may go on there."""
        rule, tail = self.finder.rule, self.finder.tail
        if rule.tail is None or tail is None:
            raise TypeError(f"the rule {rule.kind} has no tail")
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


class Scanner:
    """A Detector over a stream. `settled` is the offset up to which everything is decided; what lies beyond it is
    held here, at most the longest head of a rule (some 200 bytes) or, once a credential may have begun, of the longest
    fingerprint, and looked at again with the next bytes."""

    __slots__ = ("_detector", "_context", "_held", "settled", "_tracks", "_kind", "_covered", "_secret", "_credential")

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._context = _START
        self._held = b""
        self.settled = 0
        self._tracks: dict[int, _Track] = {}  # by the finder's index; only what reaches beyond `settled`
        self._kind = ""  # of the value that a mark was given for last
        self._covered = self._secret = 0  # up to where values, and values that are secrets, go
        self._credential = 0  # up to where credentials go

    @property
    def inside(self) -> bool:
        """Whether the last value may go on: its tail is being swallowed."""
        return any(track.open for track in self._tracks.values())

    def feed(self, data: bytes, final: bool = False) -> list[Span]:
        """Take the next bytes, give the spans that are decided, in order; with `final` everything is. Time is linear
        in the data, whatever it is; feed slices (16 KiB) to keep a single call short."""
        before = self._context + self._held
        end = len(before) + len(data)
        buffer = before + data + _START if final else before + data
        shift = self.settled - 2
        for track in self._tracks.values():
            if track.open:
                track.swallow(buffer, end, shift)
                self._cover(track)
        hold = end if final else self._detector.hold(buffer, 2, end)
        found = [
            item
            for index in self._detector.opens(buffer)
            for item in self._find(index, buffer, hold, end + 1 if final else end, end, shift)
        ]
        spans = self._merge(found, hold + shift) if found or self._covered > self.settled else []
        self._context, self._held, self.settled = buffer[hold - 2 : hold], buffer[hold:end], hold + shift
        if self._tracks:
            self._tracks = {i: t for i, t in self._tracks.items() if t.open or t.at > self.settled}
        return spans

    def _cover(self, track: _Track) -> None:
        self._covered = max(self._covered, track.at)
        if track.finder.secret:
            self._secret = max(self._secret, track.at)

    def _find(self, index: int, data: bytes, hold: int, limit: int, end: int, shift: int) -> list["_Found"]:
        """What one rule finds that starts before `hold`."""
        if index == len(self._detector.finders):
            return self._credentials(index, data, hold, end, shift)
        finder = self._detector.finders[index]
        track = self._tracks.get(index)
        if track is not None and track.open:
            return []
        at = 2 if track is None else max(2, track.at - shift)
        values: list[_Found] = []
        while at < hold and (found := finder.next(data, at, hold, limit)):
            start, head = found
            at = head
            if finder.tail is not None or at > hold:
                track = self._tracks[index] = _Track(finder, at + shift)
                if track.open:
                    at = track.swallow(data, end, shift)
            values.append((start + shift, not finder.secret, -head, index, at + shift))
            if track is not None and track.open:
                break
        return values

    def _credentials(self, index: int, data: bytes, hold: int, end: int, shift: int) -> list["_Found"]:
        """Credentials that start before `hold`, without those inside another one (of `user:password` the password).
        Unlike the values of a rule they may overlap: whatever is part of one is covered."""
        needles = self._detector.needles
        values: list[_Found] = []
        for start, stop in needles.find(data, 2, hold, end) if needles is not None else ():
            if stop + shift > self._credential:
                self._credential = stop + shift
                values.append((start + shift, False, -_FIRST, index, stop + shift))
        return values

    def _merge(self, found: list["_Found"], hold: int) -> list[Span]:
        """Spans that cover what was found and what still goes on, cut off at `hold`. Each is named after the value that
        begins it: a credential, another secret, personal data, in this order; then the longest head. A secret inside
        personal data begins a span of its own; whatever else begins inside another value is only counted."""
        found.sort()
        covered, secret = self._covered, self._secret
        spans: list[Span] = []
        kind, begin, first, more = self._kind, self.settled, False, list[str]()
        finders = self._detector.finders
        for start, personal, _, index, stop in found:
            name = finders[index].kind if index < len(finders) else CREDENTIAL
            if start >= covered or (not personal and start >= secret):
                if min(start, covered) > begin:
                    spans.append(Span(kind, begin, min(start, covered), first, tuple(more)))
                kind, begin, first, more = name, start, True, []
            else:
                more.append(name)
            covered = max(covered, stop)
            if not personal:
                secret = max(secret, stop)
        if covered > begin:
            spans.append(Span(kind, begin, min(covered, hold), first, tuple(more)))
        self._kind, self._covered, self._secret = kind, covered, secret
        return spans


_FIRST = 1 << 62
"""In the place of a head's end: before every rule's."""

_Found = tuple[int, bool, int, int, int]
"""A value as (start, whether it is personal data, minus the end of its head, index of its finder, end); offsets are
the stream's."""
