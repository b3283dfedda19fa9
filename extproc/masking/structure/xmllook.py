"""One look at a buffer of XML or HTML: where it has to be read tag by tag."""

from bisect import bisect
from itertools import accumulate

from extproc.masking.engine.scanner import NOTHING, scan
from extproc.masking.plan import Plan
from extproc.masking.structure import markup
from extproc.masking.structure.delimiters import prefilter
from extproc.masking.structure.elements import Elements

_MANY = 24
"""Rules for which names in one buffer may be context, for them to be looked for in all of it."""

_Ranges = list[tuple[int, int]]  # sorted, the last first


class Look:
    """Where in a buffer there may be values, and where it has to be read tag by tag: there, and at tags whose names
    select something. Fields are not told apart for that, so what is found may be none; where nothing is found, no field
    has a value. Where names are context for so many rules that this is no gain, all of it is read, and each text under
    such a name is looked at."""

    __slots__ = (
        "_plan",
        "_elements",
        "_html",
        "_buffer",
        "_values",
        "_tags",
        "_stops",
        "_wide",
        "_follows",
        "_named",
        "_upto",
        "_joints",
    )

    def __init__(self, plan: Plan, elements: Elements, html: bool) -> None:
        self._plan = plan
        self._elements = elements
        self._html = html
        self._buffer = b""
        self._values: _Ranges = []
        self._stops: _Ranges = []
        self._wide = False
        self._follows = False  # whether it matters which elements are open
        self._named = NOTHING
        self._tags: _Ranges = []
        self._upto = 0  # up to where it is known which texts hide a value that is cut in two
        self._joints: _Ranges = []  # these

    def at(self, buffer: bytes, named: frozenset[int], text: bool, plain: bool) -> None:
        """Take a buffer. `named` are the rules for which the name is context of what is under way, if it is no `text`
        between tags; `plain`: it has no entities."""
        self._buffer = buffer
        asked_of = self._elements.asked
        known = markup.NAMES.findall(tags := buffer)
        if text and any(asked_of(name) for pair in set(known) for name in pair):
            known = markup.NAMES.findall(tags := markup.tags(buffer, self._html))
        named |= self._elements.named
        stops: set[bytes] = set()
        for name in {name for pair in set(known) for name in pair}:
            if asked := asked_of(name):
                named |= asked.named
            if asked.kind is not None or (self._html and name.lower() in markup.RAW_ENDS):
                stops.add(name)
        for call in {markup.meant(b"".join(found)) for found in markup.CALLINGS.findall(tags)}:
            if asked := asked_of(call):
                named |= asked.named
                stops.add(call)
        self._wide = len(named) > _MANY
        self._follows = bool(named)
        self._named = NOTHING if self._wide else named
        # In sections entities are none.
        plain = b"&" in buffer and (plain or self._html or b"<!" in buffer or b"<?" in buffer)
        self._values = sorted(self._found(buffer, not text, plain), reverse=True)
        self._tags = sorted(self._having(stops), reverse=True) if stops else []
        self._stops = sorted([*self._values, *self._tags], reverse=True)
        self._upto, self._joints = 0, []

    def skip(self, at: int) -> int:
        """Step over what asks for nothing, from between two texts."""
        if self._elements.kind is not None or self._wide:
            return at
        buffer = self._buffer
        if at >= self._upto:
            self._join(at)
        limit = min(_next(self._stops, at, self._upto), _next(self._joints, at, self._upto))
        end = max(at, markup.PLAIN_TAGS[self._html](buffer, at, limit)) if limit > at else at
        if self._follows and end > at:
            self._elements.follow(buffer[at:end])
        return end

    def clean(self, start: int, end: int, named: frozenset[int] = NOTHING) -> bool:
        """Whether it is known that there is no value in this part of the buffer, under a name that is context for these
        rules; asked of one part after the other."""
        values = self._values
        while values and values[-1][1] <= start:
            values.pop()
        return not (values and values[-1][0] < end) and named <= self._named

    def _join(self, at: int) -> None:
        """Learn how far nothing but tags, texts and sections follow that are written as they mostly are, and which of
        the texts may have a value when the sections in them are gone."""
        buffer, html = self._buffer, self._html
        self._upto, self._joints = _next(self._tags, at, len(buffer)), []
        if buffer.find(b"<!", at, self._upto) < 0:
            return
        lone = max(at, markup.LONE_TEXTS[html](buffer, at, self._upto))
        if buffer.find(b"<!", lone, self._upto) < 0:
            return
        self._upto = markup.PLAIN_TAGS[html](buffer, lone, self._upto)
        if self._upto <= lone:
            return
        runs = [*markup.joined(buffer, lone, self._upto)]
        begins = [0, *accumulate(len(run.text) + 1 for run in runs)]
        values = self._found(b"<".join(run.text for run in runs), False, False)
        found = {i for start, end in values for i in range(bisect(begins, start) - 1, bisect(begins, end - 1))}
        self._joints = [(run.start, run.end) for i, run in enumerate(runs) if i in found or run.unsure][::-1]

    def _found(self, buffer: bytes, inside: bool, plain: bool) -> set[tuple[int, int]]:
        plan, named = self._plan, self._named
        looks = [(buffer, plan.detector, named)]
        # To some rules a field is a line.
        for text, beside, between in markup.lines(buffer, inside):
            if (minds := prefilter(plan.detector, beside, between)) is not None:
                looks.append((text, minds[0], named & minds[1]))
        found: set[tuple[int, int]] = set()
        for text, detector, context in looks:
            # What can't be known may stand where it need not be, in a comment: whoever reads tag by tag sees.
            found |= set(markup.ENTITIES.unknown(text))
            spans = scan(detector, markup.ENTITIES.seen(text), context)
            bounds = sorted({offset for span in spans for offset in (span.start, span.end)})
            lies = dict(zip(bounds, markup.ENTITIES.offsets(text, bounds), strict=True))
            found |= {(lies[span.start], lies[span.end]) for span in spans}
            if plain:
                found |= {(span.start, span.end) for span in scan(detector, text, context)}
        return found

    def _having(self, stops: set[bytes]) -> _Ranges:
        """The tags that have one of these names."""
        buffer = self._buffer
        found = [name for name in markup.NAMES.finditer(buffer) if (name[1] or name[2]) in stops]
        found += [c for c in markup.CALLINGS.finditer(buffer) if markup.meant(b"".join(c.groups(b""))) in stops]
        return [(max(0, buffer.rfind(b"<", 0, name.start() + 1)), name.end()) for name in found]


def _next(ranges: _Ranges, at: int, end: int) -> int:
    """Where the first one begins that does not end before, `end` where there is none; asked of ascending offsets."""
    while ranges and ranges[-1][1] <= at:
        ranges.pop()
    return ranges[-1][0] if ranges else end
