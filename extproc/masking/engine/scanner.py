"""Finding: which spans of a text are sensitive values, whole (`scan`) or as it streams by (`Scanner`).

What is found does not depend on how the text was cut, nor on which other kinds are looked for: each rule finds its own
values, leftmost first, as long as its validator accepts; a candidate that fails is tried again from the next byte.
Where values overlap, the spans cover all that any of them covers. A stream decides an offset only when no rule could
still begin a match there: that is the prefix closure of all rules, anchored at the end of what has arrived.
"""

from dataclasses import replace

from extproc.masking.engine.context import WINDOW
from extproc.masking.engine.engine import Detector
from extproc.masking.engine.escapes import Text
from extproc.masking.engine.finder import Track
from extproc.masking.engine.span import Span, counted

SLICE = 16 << 10
"""Bytes that are looked at in one go."""

START = b"\n" * WINDOW
"""What stands before the first byte: nothing that a boundary refuses, and no context."""

NOTHING: frozenset[int] = frozenset()

_Found = tuple[int, int, float, int, int, int]
"""A value as (start, rank, minus its score, minus the end of its head, index of its finder, end); offsets are the
stream's. Ranks are -1 for credentials, 0 for secrets, 1 for the rest. So sorted, the first of those that begin together
gives the name."""


def scan(detector: Detector, text: bytes | str, named: frozenset[int] = NOTHING) -> list[Span]:
    """The values in a whole text, in order, not overlapping. Offsets are bytes of its UTF-8. A value of more than
    16 KiB can be several spans, of which only one is `first`. `named` is `detector.named` of the field it stands in."""
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if len(data) <= SLICE:
        active = detector.opens(data)
        return Scanner(detector, named).feed(data, True, active) if named or active else []
    scanner, spans = Scanner(detector, named), list[Span]()
    for at in range(0, len(data), SLICE):
        spans += scanner.feed(data[at : at + SLICE])
    return spans + scanner.feed(b"", final=True)


def whole(spans: list[Span]) -> list[Span]:
    """Spans with those that go on from one before joined to it."""
    joined: list[Span] = []
    for span in spans:
        if span.first or not joined:
            joined.append(span)
        else:
            joined[-1] = replace(joined[-1], end=span.end, more=joined[-1].more + span.more)
    return joined


def counts(detector: Detector, text: bytes | str) -> dict[str, int]:
    """How many values of each kind a whole text has."""
    return counted(scan(detector, text))


class Scanner:
    """A Detector over a stream. `settled` is the offset up to which everything is decided; what lies beyond it is
    held here, at most the longest head of a rule (some 200 bytes) or, once a credential may have begun, of the longest
    fingerprint, and looked at again with the next bytes."""

    __slots__ = (
        "_detector", "_named", "_context", "_held", "settled", "_tracks", "_pending", "_ends", "_name", "_covered",
        "_secret", "_credential",
    )  # fmt: skip

    def __init__(self, detector: Detector, named: frozenset[int] = NOTHING) -> None:
        self._detector = detector
        self._named = named
        self._context = START
        self._held = b""
        self.settled = 0
        self._tracks: dict[int, Track] = {}  # by the finder's index; only what reaches beyond `settled`
        self._pending: list[_Found] = []  # accepted, of which only the lead is settled yet
        self._ends: dict[str, int] = {}  # up to where values of a kind go: two rules of it may find the same
        self._name = ("", 0.0, "")  # kind, score and rule of the value that a mark was given for last
        self._covered = self._secret = 0  # up to where values, and values that are secrets, go
        self._credential = 0  # up to where credentials go

    @property
    def inside(self) -> bool:
        """Whether the last value may go on: its tail is being swallowed, or not all of it is settled."""
        return self._covered > self.settled or any(track.open for track in self._tracks.values())

    @property
    def unsettled(self) -> Span | None:
        """What of the bytes held belongs to a value that was begun before them: the next part of it, but for more."""
        if self._covered <= self.settled:
            return None
        return _span(self._name, self.settled, self._covered, False, [])

    def feed(self, data: bytes, final: bool = False, active: list[int] | None = None) -> list[Span]:
        """Take the next bytes, give the spans that are decided, in order; with `final` everything is. Time is linear
        in the data, whatever it is; feed slices (16 KiB) to keep a single call short. `active` is what
        `detector.opens` said of a whole text, where that was asked."""
        detector, named = self._detector, self._named
        before = self._context + self._held
        end = len(before) + len(data)
        buffer = before + data + b"\n\n" if final else before + data
        shift = self.settled - WINDOW
        for track in self._tracks.values():
            if track.open:
                track.swallow(buffer, end, shift)
                self._cover(track)
        texts: list[Text] = []
        if active is None:
            texts = detector.texts(buffer, WINDOW, end, final)
            active = detector.opens(buffer, texts)
        if named:
            active = sorted(named.union(active))
        hold = end if final else detector.hold(buffer, WINDOW, active, texts)
        found = self._pending
        if found:
            self._pending = []
        for index in active:
            if index == detector.credentials:
                texts = texts or detector.texts(buffer, WINDOW, end, final)
                found += self._credentials(texts, hold, final, shift)
                continue
            found += self._find(index, buffer, hold, end + 1 if final else end, end, shift)
        spans = self._merge(found, hold + shift) if found or self._covered > self.settled else []
        self._context, self._held, self.settled = buffer[hold - WINDOW : hold], buffer[hold:end], hold + shift
        if self._tracks:
            self._tracks = {i: t for i, t in self._tracks.items() if t.open or t.at > self.settled}
        return spans

    def _cover(self, track: Track) -> None:
        if track.start >= self.settled:  # nothing of it was given yet: it goes on where it waits
            self._pending = [(*item[:5], track.at) if item[0] == track.start else item for item in self._pending]
            return
        self._covered = max(self._covered, track.at)
        if not track.finder.rank:
            self._secret = max(self._secret, track.at)
        self._ends[track.finder.kind] = max(self._ends.get(track.finder.kind, 0), track.at)

    def _find(self, index: int, data: bytes, hold: int, limit: int, end: int, shift: int) -> list[_Found]:
        """What one rule finds that starts before `hold`."""
        finder = self._detector.finders[index]
        track = self._tracks.get(index)
        if track is not None and track.open:
            return []
        at = WINDOW if track is None else max(WINDOW, track.at - shift)
        named = index in self._named
        if not finder.rule.after:
            limit = end  # what stands behind the text is for boundaries, and no part of a value
        values: list[_Found] = []
        while at < hold and (hit := finder.next(data, at, hold, limit, named)):
            at = hit.head
            if finder.tail is not None or at > hold:
                track = self._tracks[index] = Track(finder, hit.start + shift, at + shift)
                track.open = track.open and not hit.cut
                if track.open:
                    at = track.swallow(data, end, shift)
            values.append((hit.start + shift, finder.rank, -hit.score, -hit.head - shift, index, at + shift))
            if track is not None and track.open:
                break
        return values

    def _credentials(self, texts: list[Text], hold: int, final: bool, shift: int) -> list[_Found]:
        """Credentials that start before `hold`, without those inside another one (of `user:password` the password).
        Unlike the values of a rule they may overlap: whatever is part of one is covered."""
        search, index = self._detector.search, self._detector.credentials
        values: list[_Found] = []
        for start, stop in search.find(texts, hold, final) if search is not None else ():
            if stop + shift > self._credential:
                self._credential = stop + shift
                values.append((start + shift, -1, -1.0, 0, index, stop + shift))
        return values

    def _merge(self, found: list[_Found], hold: int) -> list[Span]:
        """Spans that cover what was found and what still goes on, cut off at `hold`. Each is named after the value that
        begins it: a credential, another secret, the rest, in this order; then the surest rule, the longest head. A
        secret inside other data begins a span of its own; whatever else begins inside another value is only counted."""
        found.sort()
        covered, secret, ends = self._covered, self._secret, self._ends
        spans: list[Span] = []
        name, begin, first, more = self._name, self.settled, False, list[str]()
        detector = self._detector
        for at, item in enumerate(found):
            start, rank, score, _, index, stop = item
            if start >= hold:
                self._pending = found[at:]
                break
            kind = detector.kind(index)
            again = start < ends.get(kind, 0)  # another rule of the kind has it
            ends[kind] = max(stop, ends.get(kind, 0))
            if start >= covered or (rank <= 0 and start >= secret):
                if min(start, covered) > begin:
                    spans.append(_span(name, begin, min(start, covered), first, more))
                name = (kind, -score, "" if index == detector.credentials else detector.finders[index].rule.id)
                begin, first, more = start, True, []
            elif not again:
                more.append(kind)
            covered = max(covered, stop)
            if rank <= 0:
                secret = max(secret, stop)
        if min(covered, hold) > begin:
            spans.append(_span(name, begin, min(covered, hold), first, more))
        self._name, self._covered, self._secret = name, covered, secret
        return spans


def _span(name: tuple[str, float, str], start: int, end: int, first: bool, more: list[str]) -> Span:
    kind, score, rule = name
    return Span(kind, start, end, first, tuple(more), score, rule)
