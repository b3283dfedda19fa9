"""Text in which single bytes are spelt with several (entities, doubled quotes, quoted-printable): values are looked for
in what it means, and masked in the bytes that spell it. And fields that are masked whole."""

import re
from bisect import bisect_left
from collections.abc import Callable
from functools import lru_cache
from itertools import accumulate

from extproc.domain.mask import Operator
from extproc.masking.engine.scanner import NOTHING, scan
from extproc.masking.engine.span import bounds, sole
from extproc.masking.operators import Cover, cover
from extproc.masking.plan import Plan
from extproc.masking.stage import MaskError
from extproc.masking.structure.pieces import Piece, Pieces
from extproc.masking.text import paint


class Spelling:
    """How bytes are spelt. `whole` matches one sequence, which begins with `mark`; `part` matches the beginning of one
    at the end of a buffer, at most `longest` bytes. `meaning` gives the character that a sequence stands for, in UTF-8,
    or nothing; what it gave is remembered. `refused` matches what may be a sequence, but is too long to wait for."""

    __slots__ = ("_mark", "_split", "_part", "_longest", "_meaning", "_refused")

    def __init__(
        self, mark: bytes, whole: bytes, part: bytes, longest: int, meaning: Callable[[bytes], bytes],
        refused: bytes = rb"(?!)",
    ) -> None:  # fmt: skip
        self._mark = mark
        self._refused = re.compile(refused)
        # A group that captures makes `split` give the sequences, too.
        self._split = re.compile(b"(" + whole + b")").split
        self._part = re.compile(part)
        self._longest = longest
        self._meaning = lru_cache(maxsize=1024)(meaning)

    def decode(self, raw: bytes) -> bytes:
        """What the bytes mean. Raises MaskError where nobody can wait for it to be known."""
        self._check(raw)
        return self.seen(raw)

    def seen(self, raw: bytes) -> bytes:
        """As `decode`, but what can't be known means itself: `unknown` says where that is."""
        if self._mark not in raw:
            return raw
        parts = self._split(raw)
        parts[1::2] = map(self._meaning, parts[1::2])
        return b"".join(parts)

    def unknown(self, raw: bytes) -> list[tuple[int, int]]:
        """Where there is something for which `decode` raises MaskError."""
        return [found.span() for found in self._refused.finditer(raw)] if self._mark in raw else []

    def pieces(self, raw: bytes) -> list[Piece]:
        """The bytes, and by turns what they mean. Raises MaskError as `decode` does."""
        if self._mark not in raw:
            return [(None, raw)] if raw else []
        self._check(raw)
        found: list[Piece] = []
        for at, part in enumerate(self._split(raw)):
            if part:
                found.append((part, self._meaning(part)) if at & 1 else (None, part))
        return found

    def offsets(self, raw: bytes, wanted: list[int]) -> list[int]:
        """Where in `raw` these ascending offsets of its meaning lie; of one inside a character, where that begins."""
        if self._mark not in raw or not wanted:
            return wanted
        parts = self._split(raw)  # plain bytes and sequences by turns, the first and the last plain, though maybe empty
        ends = list(accumulate(map(len, parts)))
        parts[1::2] = map(self._meaning, parts[1::2])
        meant = list(accumulate(map(len, parts)))
        found: list[int] = []
        at = 0
        for offset in wanted:
            at = bisect_left(meant, offset, at)
            if offset == meant[at]:
                found.append(ends[at])
            else:
                found.append(ends[at - 1] if at & 1 else ends[at] - meant[at] + offset)
        return found

    def unfinished(self, raw: bytes) -> int:
        """Where a sequence begins that the end of `raw` may cut; its length where none does."""
        if self._mark not in raw[-self._longest :]:
            return len(raw)
        found = self._part.search(raw, max(0, len(raw) - self._longest))
        return len(raw) if found is None else found.start()

    def _check(self, raw: bytes) -> None:
        if self._mark in raw and self._refused.search(raw):
            raise MaskError("a character that is spelt with too many digits")


PLAIN = Spelling(b"\0", rb"(?!)", rb"(?!)", 1, bytes)
"""Bytes that mean themselves."""


class MappedMasker:
    """Masks one text as it streams by, bytes outside the values untouched. `counts` is shared with its owner. `named`
    is `detector.named` of the field that it stands in. Behind an aside, `spelling` may be another one. For `apart` see
    Pieces."""

    __slots__ = ("spelling", "_pieces", "_part")

    def __init__(
        self, plan: Plan, counts: dict[str, int], spelling: Spelling, named: frozenset[int] = NOTHING,
        apart: bytes = b"",
    ) -> None:  # fmt: skip
        self.spelling = spelling
        self._pieces = Pieces(plan, counts, named, apart)
        self._part = b""

    def feed(self, raw: bytes, final: bool = False) -> bytes:
        """Take the next bytes, at most SLICE, give those that are final."""
        self.take(raw)
        return self.give(final)

    def take(self, raw: bytes, ended: bool = False) -> None:
        """Take the next bytes for `give` to look at. Where they have `ended`, no sequence goes on behind them."""
        raw, self._part = self._part + raw, b""
        if not ended and (cut := self.spelling.unfinished(raw)) < len(raw):
            raw, self._part = raw[:cut], raw[cut:]
        self._pieces.take(self.spelling.pieces(raw))

    def aside(self, raw: bytes) -> None:
        """Take bytes that stand here and are no part of the text, which goes on behind them."""
        self.take(b"", ended=True)
        self._pieces.aside(raw)

    def give(self, final: bool = False) -> bytes:
        """Look at what was taken, give what is final: with `final` all of it. Raises MaskError for asides of more than
        HELD bytes in the middle of what may be a value."""
        if final:
            self.take(b"", ended=True)
        return self._pieces.give(final)


def mask_mapped(
    plan: Plan, raw: bytes, counts: dict[str, int], spelling: Spelling, named: frozenset[int] = NOTHING
) -> tuple[bytes, str]:
    """A whole text, masked, and the kind of the value that it is from end to end ("" where it is not one)."""
    meant = spelling.decode(raw)
    spans = scan(plan.detector, meant, named)
    if not spans:
        return raw, ""
    cuts = spelling.offsets(raw, bounds(spans))
    return paint(plan, meant, spans, counts, (raw, cuts)), sole(spans, len(meant))


class WholeMasker:
    """As a MappedMasker, for a text that is masked whole; blanks at its start stay. `unsafe` are the characters that
    its mask may not have: in their place it has question marks. `again`: see WholeStage; then it counts for nothing."""

    __slots__ = ("_stage", "_counts", "_kind", "_spelling", "_part", "_safe", "begun")

    def __init__(
        self, plan: Plan, counts: dict[str, int], kind: str, spelling: Spelling, unsafe: bytes, again: bool = False
    ) -> None:
        self._stage = WholeStage(plan, kind, again)
        self._counts = counts if not again else {}
        self._kind = kind
        self._spelling = spelling
        self._part = b""
        self._safe = bytes.maketrans(unsafe, b"?" * len(unsafe))
        self.begun = False

    def feed(self, raw: bytes, final: bool = False) -> bytes:
        """Take the next bytes, give those of the mask."""
        raw, self._part = self._part + raw, b""
        blank = b""
        if not self.begun:
            rest = raw.lstrip(b" \t\r\n")
            blank, raw = raw[: len(raw) - len(rest)], rest
            if raw:
                self.begun = True
                self._counts[self._kind] = self._counts.get(self._kind, 0) + 1
        if not final and (cut := self._spelling.unfinished(raw)) < len(raw):
            raw, self._part = raw[:cut], raw[cut:]
        out = self._stage.feed(self._spelling.decode(raw))
        if final:
            out += self._stage.finish()
        return blank + out.translate(self._safe)


class WholeStage:
    """A field that is masked whole, because of its name. An empty one stays empty; null and drop leave nothing. With
    `again` it is not the first of the texts below that name: together they would show too much, were each shown in
    part."""

    __slots__ = ("_kind", "_cover", "_gone", "_begun")

    def __init__(self, plan: Plan, kind: str, again: bool = False) -> None:
        self._kind = kind
        operator = plan.operator(kind)
        partly = again and operator is Operator.PARTIAL
        self._cover: Cover = plan.cover(kind) if not partly else cover(Operator.REDACT, kind, b"")
        self._gone = operator in (Operator.NULL, Operator.DROP)
        self._begun = False

    @property
    def counts(self) -> dict[str, int]:
        """One value of the kind, once there is any of it."""
        return {self._kind: 1} if self._begun else {}

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes of the field, give those of the mask."""
        if not data:
            return b""
        self._begun = True
        return b"" if self._gone else self._cover.feed(data)

    def finish(self) -> bytes:
        """The field has ended: give the rest."""
        return self._cover.end() if self._begun and not self._gone else b""
