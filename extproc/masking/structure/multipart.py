"""Masking of multipart bodies (RFC 2046, section 5.1; forms are RFC 7578), part by part.

What stands before the first part and after the last is text. A part's headers are masked line by line, so that they
stay lines; its body goes through the stage for its own type, or, under a name that a mask selects, is masked whole.
"""

import re
from collections.abc import Callable
from enum import Enum, auto

from extproc.domain.mask import Operator
from extproc.masking.engine.scanner import NOTHING, SLICE, scan
from extproc.masking.engine.span import add
from extproc.masking.plan import Plan
from extproc.masking.stage import MaskError, Stage
from extproc.masking.structure.mapped import WholeStage
from extproc.masking.structure.names import names
from extproc.masking.structure.parts import Malformed, Part, boundary, field_name, read_part
from extproc.masking.structure.transfer import Base64Stage, QuotedStage, RequotedStage
from extproc.masking.text import TextStage, paint

DEPTH = 3
"""Multipart bodies inside one another, at most."""

HEAD = 16 << 10
"""Bytes of a part's headers, at most."""

PARTS = 10_000
"""Parts of one body, at most."""

Inner = Callable[[str, str | None], Stage]
"""Makes the stage for a part's body, from its content type ("" where it says none) and its name, if it has one."""

_LINES = re.compile(rb"[^\r\n]+")
_HEAD_END = re.compile(rb"\n\r?\n")
_AFTER = re.compile(rb"(--)?[ \t]{0,64}\r?\n")
_AFTER_PART = re.compile(rb"-?-?[ \t]{0,64}\r?\Z")
_UNCODED = ("", "7bit", "8bit", "binary")
_CODED = ("base64", "quoted-printable")
_PLAIN = ("", "text/plain")
_TEXTUAL = re.compile(
    r"|text/.*|multipart/.*|.*(?:json|xml|javascript|csv|yaml|x-www-form-urlencoded)|application/octet-stream"
)


class _At(Enum):
    PREAMBLE = auto()
    LINE = auto()  # the rest of a delimiter's line
    HEAD = auto()
    BODY = auto()
    EPILOGUE = auto()
    TEXT = auto()  # malformed, and the plan is lenient


class _NoStage:
    """Between two parts: there is nothing to mask."""

    @property
    def counts(self) -> dict[str, int]:
        return {}

    def feed(self, data: bytes) -> bytes:
        raise MaskError("malformed multipart: text between two parts")

    def finish(self) -> bytes:
        return b""


_NO_STAGE = _NoStage()


class MultipartStage:
    """Masks a multipart body of this content type. `inner` makes the stages of its parts, except for parts that are
    multipart themselves, down to DEPTH. Raises MaskError for what is malformed, unless the plan is lenient and selects
    no names."""

    __slots__ = (
        "_plan", "_inner", "_depth", "_delimiter", "_at", "_held", "_added", "_looked", "_line", "_stage", "_counts",
        "_parts", "_fed",
    )  # fmt: skip

    def __init__(self, plan: Plan, content_type: str, inner: Inner, depth: int = 1) -> None:
        self._plan = plan
        self._inner = inner
        self._depth = depth
        self._stage: Stage = TextStage(plan.in_text())
        self._counts: dict[str, int] = {}
        self._held = b"\n"
        # The first byte held is ours: a delimiter begins with a line's end, but for one at the very start.
        self._added = True
        self._looked = 0  # how many of the bytes held were looked at for the end of a part's headers
        self._line = b""  # of a delimiter: it goes on with the part behind it, if that does
        self._fed = False  # whether the stage was given anything
        self._parts = 0
        self._at = _At.PREAMBLE
        try:
            self._delimiter = b"\n--" + (mark := boundary(content_type))
            if scan(plan.detector, mark):
                raise Malformed("a multipart body with a value to mask in its boundary")
        except Malformed:
            if not plan.lenient or plan.keys:
                raise
            self._delimiter, self._at = b"", _At.TEXT

    @property
    def counts(self) -> dict[str, int]:
        """Number of masked values so far, by kind."""
        return add(dict(self._counts), self._stage.counts)

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes, give those that are final. Raises MaskError."""
        # In slices, for what is left of one is copied with each part.
        return b"".join(self._run(data[at : at + SLICE], False) for at in range(0, len(data), SLICE))

    def finish(self) -> bytes:
        """The input has ended: give the rest. Raises MaskError."""
        return self._run(b"", True)

    def _run(self, data: bytes, final: bool) -> bytes:
        out: list[bytes] = []
        self._held += data
        try:
            while self._step(final, out):
                pass
            # No bytes at all are no parts.
            if final and self._at not in (_At.EPILOGUE, _At.TEXT) and not (self._added and self._held == b"\n"):
                raise Malformed("malformed multipart: it ends before its last delimiter")
        except Malformed:
            # In text there are no names of parts.
            if not self._plan.lenient or self._plan.keys:
                raise
            self._become_text(out)
        if final:
            self._give(self._held, out)
            self._change(_NO_STAGE, out)
        return b"".join(out)

    def _step(self, final: bool, out: list[bytes]) -> bool:
        """One step; whether there may be another."""
        match self._at:
            case _At.LINE:
                return self._after(final, out)
            case _At.HEAD:
                return self._head(out)
            case _At.TEXT:
                self._give(self._held, out)
                self._held = b""
                return False
            case _:
                return self._content(out)

    def _content(self, out: list[bytes]) -> bool:
        """Preamble, body of a part or epilogue, up to the next delimiter."""
        held, delimiter = self._held, self._delimiter
        found = held.find(delimiter)
        if found < 0:
            at = held.rfind(b"\n")
            begun = at >= 0 and delimiter.startswith(held[at:])
            cut = at if begun else len(held)
            cut -= held[:cut].endswith(b"\r")
            self._give(held[:cut], out)
            self._held = held[cut:]
            return False
        cut = found - held[:found].endswith(b"\r")
        self._give(held[:cut], out)
        if self._at is _At.EPILOGUE:
            self._held = held[cut:]
            raise Malformed("malformed multipart: a part after its last delimiter")
        self._change(_NO_STAGE, out)
        end = found + len(delimiter)
        self._line, self._held, self._added = held[cut + self._added : end], held[end:], False
        self._at = _At.LINE
        return True

    def _after(self, final: bool, out: list[bytes]) -> bool:
        held = self._held
        rest = _AFTER.match(held)
        if rest is None and final and held.rstrip(b" \t\r") == b"--":
            held += b"\n"
            rest = _AFTER.match(held)
        if rest is None:
            if final or not _AFTER_PART.match(held):
                raise Malformed("malformed multipart: a line that begins with the boundary and goes on")
            return False
        line = self._line + self._held[: rest.end()]
        self._held = self._held[rest.end() :]
        if rest[1]:
            self._at, self._line, self._stage = _At.EPILOGUE, b"", TextStage(self._plan.in_text())
            out.append(line)
        else:
            self._at, self._line, self._looked = _At.HEAD, line, 0
            self._parts += 1
            if self._parts > PARTS:
                raise Malformed(f"a multipart body of more than {PARTS} parts")
        return True

    def _head(self, out: list[bytes]) -> bool:
        held = self._held
        if held.startswith((b"\n", b"\r\n")):
            end = held.index(b"\n") + 1
        else:
            found = _HEAD_END.search(held, max(0, self._looked - 2))
            end = found.end() if found else len(held) + 1
        if end > HEAD:
            raise Malformed(f"a part of a multipart body with more than {HEAD} bytes of headers")
        if end > len(held):
            self._looked = len(held)
            return False
        head = held[:end]
        if self._delimiter in head:
            raise Malformed("malformed multipart: a delimiter among a part's headers")
        part = read_part(head)
        kind = self._selected(part)
        if kind is None or self._plan.operator(kind) is not Operator.DROP:
            out += (self._line, self._masked(head, part))
        self._stage = WholeStage(self._plan, kind) if kind is not None else self._stage_for(part)
        self._line, self._held, self._added, self._at = b"", b"\n" + held[end:], True, _At.BODY
        return True

    def _selected(self, part: Part) -> str | None:
        known = names(self._plan)
        return next((kind for name in part.names if (kind := known.selected(name)) is not None), None)

    def _stage_for(self, part: Part) -> Stage:
        plan = self._plan
        name = part.names[0] if part.names else None
        named = plan.detector.named(name) if name is not None else NOTHING
        if part.transfer not in (*_UNCODED, *_CODED):
            raise Malformed("a part of a multipart body in a transfer encoding that can't be read")
        if part.transfer in _CODED and not _TEXTUAL.fullmatch(part.essence):
            return TextStage(plan.in_text(), named=named)
        if part.transfer == "quoted-printable" and part.essence in _PLAIN and not plan.keys:
            return QuotedStage(plan, named)
        if part.essence.startswith("multipart/"):
            if self._depth >= DEPTH:
                raise Malformed(f"multipart bodies nested deeper than {DEPTH}")
            stage: Stage = MultipartStage(plan, part.type, self._inner, self._depth + 1)
        else:
            stage = self._inner(part.type, name)
        if part.transfer == "quoted-printable":
            return RequotedStage(stage)
        return Base64Stage(stage) if part.transfer == "base64" else stage

    def _masked(self, head: bytes, part: Part) -> bytes:
        """The headers, line by line. Raises Malformed for a value beside what delimits a part's own parts."""
        nested = part.essence.startswith("multipart/")
        if not self._plan.detector.opens(head) and not any(map(self._context, _LINES.findall(head))):
            return head

        def line(found: re.Match[bytes]) -> bytes:
            raw = found[0]
            spans = scan(self._plan.detector, raw, self._context(raw))
            if spans and nested and b"boundary" in raw.lower():
                raise Malformed("a multipart body with a value to mask beside its boundary")
            return paint(self._plan, raw, spans, self._counts)

        return _LINES.sub(line, head)

    def _context(self, line: bytes) -> frozenset[int]:
        """For which rules a header's name is context."""
        name = field_name(line)
        return self._plan.detector.named(name) if name is not None else NOTHING

    def _give(self, piece: bytes, out: list[bytes]) -> None:
        if self._added and piece:
            piece, self._added = piece[1:], False
        if piece:
            self._fed = True
            out.append(self._stage.feed(piece))

    def _change(self, stage: Stage, out: list[bytes]) -> None:
        if self._fed:  # parts may be many and empty
            out.append(self._stage.finish())
            self._counts = self.counts
        self._stage, self._fed = stage, False

    def _become_text(self, out: list[bytes]) -> None:
        self._change(TextStage(self._plan.in_text()), out)
        self._give(self._line + self._held, out)
        self._line, self._held, self._at = b"", b"", _At.TEXT
