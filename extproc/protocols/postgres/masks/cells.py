"""One value of a column, masked by what is found in it."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from extproc.domain.mask import Operator
from extproc.masking.engine.scanner import NOTHING, SLICE, scan
from extproc.masking.engine.span import Span, add, sole, tally
from extproc.masking.plan import Plan
from extproc.masking.stage import MaskError, Stage
from extproc.masking.structure.escaped import unescape
from extproc.masking.structure.jsonstage import whole_number
from extproc.masking.structure.llm.whole import mask_each
from extproc.masking.structure.mapped import PLAIN, mask_mapped
from extproc.masking.structure.spelt import RawBehind, SpeltStage
from extproc.masking.structure.xmlstage import XmlStage
from extproc.masking.text import TextStage, paint
from extproc.protocols.postgres.masks import types

UNREADABLE = "unreadable"
"""Counted as this: what can't be read as its type says, and is NULL for it."""

_NUMBER = re.compile(rb"[-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]{1,9})?")

GONE = (Operator.NULL, Operator.DROP)

JSONB_VERSION = b"\x01"
"""What a jsonb in binary format begins with (jsonb_send)."""


@dataclass(slots=True, eq=False)
class Masking:
    """What the rows of one result share. `plan` is what is looked for, `only` finds the credentials alone (None where
    there are none). `guarded`: nobody asked for a mask, and `plan` is `only`."""

    plan: Plan
    only: Plan | None
    guarded: bool
    counts: dict[str, int] = field(default_factory=dict)

    def count(self, kind: str) -> None:
        """One more value of a kind was masked."""
        self.counts[kind] = self.counts.get(kind, 0) + 1


class Cell(Protocol):
    """How the values of one column are masked."""

    def text(self, value: bytes) -> bytes | None:
        """What is to be looked through for this value: if nothing is found in it, the value stays as it is. None: it
        has to be looked at by itself. Raises MaskError for a value that is none of its type."""
        ...

    def mask(self, value: bytes) -> bytes | None:
        """The value, masked; None is NULL. Raises MaskError for one that is none of its type."""
        ...


@dataclass(slots=True, eq=False)
class TextCell:
    """Text: what is found is covered, the rest stays."""

    masking: Masking
    named: frozenset[int] = NOTHING

    def text(self, value: bytes) -> bytes:
        """The value."""
        return value

    def mask(self, value: bytes) -> bytes | None:
        """See Cell."""
        return self.cover(value, scan(self.masking.plan.detector, value, self.named))

    def cover(self, value: bytes, spans: list[Span]) -> bytes | None:
        """The value, in which this was found, masked."""
        if not spans:
            return value
        plan = self.masking.plan
        masked = paint(plan, value, spans, self.masking.counts)
        return None if (kind := sole(spans, len(value))) and plan.operator(kind) in GONE else masked


@dataclass(slots=True, eq=False)
class StrictCell:
    """A type that has no room for a mask: a value in which something is found is NULL. `read` gives its text."""

    masking: Masking
    named: frozenset[int] = NOTHING
    read: Callable[[bytes], bytes] | None = None
    fractional: bool = False

    def text(self, value: bytes) -> bytes:
        """The value's text; of a whole number that is spelt as a fraction its digits, too."""
        text = value if self.read is None else self.read(value)
        if self.fractional and not text.isdigit() and _NUMBER.fullmatch(text):
            digits = whole_number(text)
            return text if digits == text else text + b"\n" + digits
        return text

    def mask(self, value: bytes) -> bytes | None:
        """See Cell."""
        return self.cover(value, scan(self.masking.plan.detector, self.text(value), self.named))

    def cover(self, value: bytes, spans: list[Span]) -> bytes | None:
        """The value, in whose text this was found, masked."""
        if spans:
            self.masking.count(spans[0].kind)
        return None if spans else value


@dataclass(slots=True, eq=False)
class FilledCell:
    """Bytes of which nobody knows what they are: what is found is overwritten, and lengths in them stay true."""

    masking: Masking
    named: frozenset[int] = NOTHING

    def text(self, value: bytes) -> bytes:
        """The value."""
        return value

    def mask(self, value: bytes) -> bytes | None:
        """See Cell."""
        plan = self.masking.plan
        spans = scan(plan.detector, value, self.named)
        if not spans:
            return value
        if plan.operator(sole(spans, len(value))) in GONE:
            for span in spans:
                tally(self.masking.counts, span)
            return None
        return run(TextStage(plan, fill=True, named=self.named), value, self.masking)


@dataclass(slots=True, eq=False)
class HexCell:
    """A bytea in text format, in hexadecimal or, as an old setting has it, escaped ("Binary Data Types")."""

    inner: Cell

    def text(self, value: bytes) -> bytes | None:
        """The bytes that it means."""
        return self.inner.text(meant_bytes(value))

    def mask(self, value: bytes) -> bytes | None:
        """See Cell. What is masked is in hexadecimal."""
        meant = meant_bytes(value)
        masked = self.inner.mask(meant)
        return value if masked == meant else None if masked is None else spelt_bytes(masked)


def meant_bytes(value: bytes) -> bytes:
    """The bytes that a bytea in text format means. Raises MaskError."""
    try:
        if value.startswith(b"\\x"):
            return bytes.fromhex(value[2:].decode("ascii"))
        if b"\\" not in value:
            return value
        out, at = bytearray(), 0
        while (found := value.find(b"\\", at)) >= 0:
            out += value[at:found]
            double = value[found + 1 : found + 2] == b"\\"
            out.append(92 if double else int(value[found + 1 : found + 4], 8))
            at = found + (2 if double else 4)
        return bytes(out + value[at:])
    except ValueError:
        raise MaskError("a bytea that is none") from None


def spelt_bytes(value: bytes) -> bytes:
    """Bytes as a bytea in text format."""
    return b"\\x" + value.hex().encode()


@dataclass(slots=True, eq=False)
class JsonCell:
    """A json or jsonb, in binary format with its `version` byte. Members that a mask names are masked as in any JSON;
    what is too deep to be read is NULL."""

    masking: Masking
    version: bool = False

    def text(self, value: bytes) -> bytes | None:
        """Where credentials alone are looked for what it means, and the value."""
        return unescape(value) + b"\n" + value if self.masking.guarded else None

    def mask(self, value: bytes) -> bytes | None:
        """See Cell."""
        return self.each([value])[0]

    def each(self, values: Sequence[bytes]) -> list[bytes | None]:
        """Each of the values, masked. Raises MaskError."""
        masking, plan = self.masking, self.masking.plan
        if masking.guarded:
            return [run(RawBehind(SpeltStage(plan), plan), value, masking) for value in values]
        bare = [self._bare(value) for value in values]
        masked: list[bytes | None] = []
        for value, one in zip(bare, mask_each(bare, plan, masking.counts), strict=True):
            if one is None and plan.lenient:
                one = mask_mapped(plan, value, masking.counts, PLAIN)[0]
            elif one is None or one == b"" != value:
                masking.count(UNREADABLE)
                one = None
            masked.append(one)
        return self._behind(masked)

    def _bare(self, value: bytes) -> bytes:
        if not self.version:
            return value
        if not value.startswith(JSONB_VERSION):
            raise MaskError("a jsonb of an unknown version")
        return value[1:]

    def _behind(self, values: Sequence[bytes | None]) -> list[bytes | None]:
        """What RawBehind is for, and the version again."""
        only = self.masking.only
        if only is not None and only.detector.opens(b"\n".join(filter(None, values))):
            values = [v and mask_mapped(only, v, self.masking.counts, PLAIN)[0] for v in values]
        return [v if v is None or not self.version else JSONB_VERSION + v for v in values]


@dataclass(slots=True, eq=False)
class XmlCell:
    """An xml: elements and attributes that a mask names are masked as in any XML."""

    masking: Masking

    def text(self, value: bytes) -> None:
        """It has to be looked at by itself: values may be spelt with entities."""

    def mask(self, value: bytes) -> bytes | None:
        """See Cell."""
        masking = self.masking
        if masking.guarded:
            return mask_mapped(masking.plan, value, masking.counts, PLAIN)[0]
        return run(XmlStage(masking.plan, html=False), value, masking)


def run(stage: Stage, value: bytes, masking: Masking) -> bytes:
    """A whole value through a stage. Raises MaskError where the stage does."""
    out = b"".join([stage.feed(value[at : at + SLICE]) for at in range(0, len(value), SLICE)]) + stage.finish()
    add(masking.counts, stage.counts)
    return out


__all__ = [
    "Cell",
    "FilledCell",
    "HexCell",
    "JsonCell",
    "Masking",
    "StrictCell",
    "TextCell",
    "XmlCell",
    "meant_bytes",
    "run",
    "spelt_bytes",
    "types",
]
