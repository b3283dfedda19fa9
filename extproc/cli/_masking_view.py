"""What `holdpoint masking explain` shows: what is found under the text, and what is not, place by place."""

import textwrap
from collections.abc import Callable, Iterator, Sequence

from extproc.cli._holds_view import Screen
from extproc.cli._terminal import fit, width
from extproc.domain.display import visible
from extproc.masking.checks import describe
from extproc.masking.engine.span import Span
from extproc.masking.explain import Candidate, Verdict, beginning, needs, written
from extproc.masking.nearly import Place
from extproc.masking.rules.model import Rule

_SHOWN = 60
_MARKED_LINES = 8
_RULES = 3
_WORDS = 3
_INDENT = "      "


class View:
    """A text and what is told of it, in so many columns."""

    def __init__(self, data: bytes, columns: int) -> None:
        self._data, self._columns, self._screen = data, columns, Screen()

    def text(self, spans: Sequence[Span]) -> Iterator[str]:
        """The text, if it is one line, with a mark under each value."""
        line = self._data.removesuffix(b"\n")
        if not line or b"\n" in line or len(line) > _MARKED_LINES * self._columns:
            return
        above, below, used, at = "", "", 0, 0
        for character in line.decode("utf-8", "surrogateescape"):
            shown = visible(character)
            wide = width(shown)
            if used + wide > self._columns:
                yield from self._marked(above, below)
                above, below, used = "", "", 0
            span = next((span for span in spans if span.start <= at < span.end), None)
            mark = " " if span is None else "~"
            above += shown
            below += ("^" if span is not None and span.start == at else mark) + mark * (wide - 1)
            used, at = used + wide, at + len(character.encode("utf-8", "surrogateescape"))
        yield from self._marked(above, below)
        yield ""

    def _marked(self, above: str, below: str) -> Iterator[str]:
        yield above
        if marks := below.rstrip():
            yield self._screen.style(marks, "green")

    def found(self, spans: Sequence[Span], candidates: Sequence[Candidate]) -> Iterator[str]:
        """Each value as it is masked: which rule names it and why, what else is counted, who else sees it."""
        if not spans:
            yield self._screen.style("nothing is found", "bold")
            return
        yield self._screen.style("found", "bold")
        won = [c for c in candidates if c.verdict is Verdict.FOUND]
        for span in spans:
            mine = [c for c in won if c.start < span.end and span.start < c.end]
            first = next((c for c in mine if (c.rule.id, c.start) == (span.rule, span.start)), None)
            kind = self._screen.style(f"{span.kind} {span.score:.2f}", "green")
            yield f"  {self._shown(span.start, span.end)}  {kind}  at {span.start}-{span.end}"
            yield from self._wrapped(f"rule {span.rule}: {visible(first.why) if first else 'found'}")
            if span.more:
                yield from self._wrapped(f"counted in it, too: {', '.join(span.more)}")
            others = [c for c in mine if c is not first]
            if others:
                yield from self._wrapped(f"seen by: {', '.join(self._other(c, span) for c in others)}")

    def _other(self, candidate: Candidate, span: Span) -> str:
        where = self._elsewhere(candidate, span.start, span.end)
        return f"{candidate.rule.id} ({candidate.rule.kind} {candidate.score:.2f}{where})"

    def nearly(self, places: Sequence[Place], hidden: int) -> Iterator[str]:
        """Each place in which nothing is found, and what it would take."""
        if places:
            yield ""
            yield self._screen.style("not found", "bold")
        for place in places:
            yield f"  {self._shown(place.start, place.end)}  at {place.start}-{place.end}"
            for title, verdict, told in (
                ("refused by its check", Verdict.REFUSED, self._check),
                ("touches its neighbour", Verdict.TOUCHED, self._neighbour),
                ("needs context", Verdict.NO_CONTEXT, self._words),
            ):
                of = [c for c in place.candidates if c.verdict is verdict]
                if of:
                    yield from self._wrapped(f"{title}: {self._several(of, place, told)}")
        if hidden:
            yield ""
            yield from self._wrapped(
                f"({hidden} less likely left out: --all has them, --rule ID all that one rule sees)", 0
            )

    def _several(self, of: list[Candidate], place: Place, told: Callable[[Candidate], str]) -> str:
        names = [f"{c.rule.id} ({told(c)}{self._elsewhere(c, place.start, place.end)})" for c in of[:_RULES]]
        more = [f"{len(of) - _RULES} more (--all)"] if len(of) > _RULES else []
        return ", ".join(names + more)

    def _words(self, candidate: Candidate) -> str:
        rule = candidate.rule
        words = [written(word) for word in rule.context] or [f"field {key}" for key in sorted(rule.keys)]
        return visible(", ".join(words[:_WORDS]) + ("…" if len(words) > _WORDS else ""))

    def _check(self, candidate: Candidate) -> str:
        return f"{candidate.detail}: {_asked(candidate.detail)}"

    def _neighbour(self, candidate: Candidate) -> str:
        return visible(candidate.detail)

    def _elsewhere(self, candidate: Candidate, start: int, end: int) -> str:
        if (candidate.start, candidate.end) == (start, end):
            return ""
        return f"; at {candidate.start}-{candidate.end}"

    def every(self, candidates: Sequence[Candidate]) -> Iterator[str]:
        """Each candidate of every rule."""
        for c in candidates:
            mark = self._screen.style("+", "green") if c.verdict is Verdict.FOUND else "-"
            yield f"{mark} {c.start}-{c.end}  {self._shown(c.start, c.end)}"
            score = f" {c.score:.2f}" if c.verdict is Verdict.FOUND else ""
            yield from self._wrapped(f"{c.rule.kind} (rule {c.rule.id}): {c.verdict}{score}: {visible(c.why)}", 4)
        if not candidates:
            yield "no rule sees anything in this text"

    def one(self, rule: Rule, candidates: Sequence[Candidate], name: str, named: bool) -> Iterator[str]:
        """All that one rule sees, and what it looks for."""
        yield f"{self._screen.style(rule.id, 'bold')}  {rule.kind}, {visible(rule.about)}"
        if rule.text:
            yield from self._wrapped(f"shape: {rule.text}", 2)
        for check in rule.checks.split(", ") if rule.checks else ():
            yield from self._wrapped(f"check: {check}: {_asked(check)}", 2)
        if rule.contextual:
            yield from self._wrapped(visible(needs(rule)), 2)
        if name:
            yield f"  the field's name {visible(name)!r} is {'context for it' if named else 'no context for it'}"
        yield ""
        if candidates:
            yield from self.every(candidates)
            return
        yield "no such shape: nothing in the text has it"
        start, end = beginning(rule, self._data)
        if start < end:
            rest = f"'{self._shown(end, len(self._data))}'" if end < len(self._data) else "the text ends"
            yield f"  the longest beginning of it: {self._shown(start, end)}  at {start}-{end}, then {rest}"

    def name(self, name: str, rules: Sequence[Rule]) -> Iterator[str]:
        """For which rules the field's name is context."""
        ids = [rule.id for rule in rules]
        told = ", ".join(ids[:_WORDS] + ([f"{len(ids) - _WORDS} more"] if len(ids) > _WORDS else [])) or "no rule"
        yield from self._wrapped(f"the field's name {visible(name)!r} is context for {told}", 0)
        yield ""

    def _shown(self, start: int, end: int) -> str:
        text = visible(self._data[start:end].decode("utf-8", "replace"))
        most = min(_SHOWN, self._columns // 2)
        return text if width(text) <= most else fit(text, most)

    def _wrapped(self, text: str, indent: int = len(_INDENT)) -> Iterator[str]:
        yield from textwrap.wrap(
            text,
            self._columns,
            initial_indent=" " * indent,
            subsequent_indent=" " * (indent + 2),
            break_on_hyphens=False,
        )


def _asked(check: str) -> str:
    """What a check asks for, in words."""
    told = describe()
    family = check.partition(":")[0]
    if family == "stdnum":
        return "check digits and parts, as python-stdnum knows them"
    return told.get(check) or next((about for form, about in told.items() if form.startswith(f"{family}:")), "")
