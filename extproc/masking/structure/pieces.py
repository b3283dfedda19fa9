"""A text that is put together of pieces: values are looked for in what they mean one after the other, and masked in the
bytes that spell them."""

from collections.abc import Iterable
from dataclasses import replace

from extproc.masking.engine.scanner import NOTHING, Scanner
from extproc.masking.engine.span import Span
from extproc.masking.plan import Plan
from extproc.masking.stage import MaskError
from extproc.masking.text import Painter

HELD = 32 << 10
"""Bytes that mean nothing and stand in the middle of what may be a value, at most: more than one step can have, so that
it makes no difference whether a text came at once."""

Piece = tuple[bytes | None, bytes]
"""How something is spelt, None where it is its own spelling, and what it means: nothing where it only stands there."""


class Pieces:
    """Masks such a text as it streams by. What means nothing keeps its bytes and its place: before a value, behind it,
    or among what stands for it. `counts` is shared with its owner. `named` is `detector.named` of the field. Where
    `apart` follows a mask, a blank is put into it: with the mask's end it would say something else."""

    __slots__ = ("_scanner", "_painter", "_covering", "_held", "_at", "_fresh", "_idle", "_out", "_apart", "_edge")

    def __init__(self, plan: Plan, counts: dict[str, int], named: frozenset[int] = NOTHING, apart: bytes = b"") -> None:
        self._scanner = Scanner(plan.detector, named)
        self._painter = Painter(plan, counts)
        self._covering = False  # what was given last stands for a value, which may go on
        self._held: list[tuple[bytes | bytearray | None, bytes]] = []
        self._at = 0  # where in what all pieces mean those held begin
        self._fresh: list[bytes] = []  # what pieces mean that nobody looked at
        self._idle = 0  # bytes held that mean nothing
        self._out: list[bytes] = []
        self._apart = apart
        self._edge = b""  # how `apart` would go on here

    def take(self, pieces: Iterable[Piece]) -> None:
        """Take the next pieces, some 16 KiB at most until `give`. Raises MaskError for more than HELD bytes that mean
        nothing where a value may go on."""
        for piece in pieces:
            if piece[1]:
                self._held.append(piece)
                self._fresh.append(piece[1])
            else:
                self.aside(piece[0] or b"")

    def aside(self, raw: bytes) -> None:
        """Take bytes that mean nothing. Raises MaskError as `take` does."""
        last = self._held[-1][0] if self._held else None
        if isinstance(last, bytearray):  # many small ones are one, to take no more room than they have bytes
            last += raw
        else:
            self._held.append((bytearray(raw), b""))
        self._idle += len(raw)
        if self._idle > HELD:
            self._make_room()

    def give(self, final: bool = False) -> bytes:
        """Look at what was taken, give what is decided."""
        self._look(final)
        out = b"".join(self._out)
        self._out.clear()
        return out

    def _look(self, final: bool) -> None:
        meant = b"".join(self._fresh)
        self._fresh.clear()
        self._write(self._scanner.feed(meant, final), final, self._out)

    def _make_room(self) -> None:
        """Decide as much as can be decided. Without what is, more may be; and what is refused must not depend on how
        much of it came at once."""
        settled = -1
        while self._idle > HELD:
            if settled == self._scanner.settled and not self._fresh:
                raise MaskError("more than 32 KiB of markup in the middle of what may be a value")
            settled = self._scanner.settled
            self._look(False)

    def _write(self, spans: list[Span], final: bool, out: list[bytes]) -> None:
        """Write what is decided. Raises nothing."""
        settled = self._scanner.settled
        ahead = spans[::-1]  # the next one last, without what is written of it
        free = ahead[-1].start if ahead else settled
        for done, (spelt, meant) in enumerate(self._held):
            if meant and self._at + len(meant) <= free and not self._covering and not self._edge:  # most are
                out.append(meant if spelt is None else bytes(spelt))
                self._at += len(meant)
            elif meant:
                size = min(len(meant), settled - self._at)
                self._meaning(meant[:size], spelt, ahead, size == len(meant), out)
                free = ahead[-1].start if ahead else settled
                if size < len(meant):
                    self._held = [(spelt, meant[size:]), *self._held[done + 1 :]]
                    return
            else:
                goes_on = ahead and ahead[-1].start == self._at and not ahead[-1].first
                if self._covering and not goes_on:
                    if self._at == settled and not final:  # whether it stands in a value or behind it is not known
                        self._held = self._held[done:]
                        return
                    self._close(out)
                out.append(bytes(spelt or b""))
                self._idle -= len(spelt or b"")
                self._edge = b""
        self._held = []
        if final:
            self._close(out)

    def _meaning(
        self, meant: bytes, spelt: bytes | bytearray | None, ahead: list[Span], whole: bool, out: list[bytes]
    ) -> None:
        """Write a piece, or as much of it as is decided. What is spelt goes with its last byte."""
        end = self._at + len(meant)
        covered = False
        while self._at < end:
            covered = bool(ahead) and ahead[-1].start <= self._at
            upto = min(end, ahead[-1].end if covered else ahead[-1].start) if ahead else end
            part, meant = meant[: upto - self._at], meant[upto - self._at :]
            self._at = upto
            if covered:
                span = ahead.pop()
                self._painter.value(span, part, out)
                self._covering = True
                if upto < span.end:
                    ahead.append(replace(span, start=upto, first=False, more=()))
            elif spelt is None:
                self._plain(part, out)
        if spelt is not None and whole and not covered:
            self._close(out)
            out.append(bytes(spelt))
            self._edge = b""

    def _plain(self, part: bytes, out: list[bytes]) -> None:
        if self._covering:
            self._close(out)
            self._edge = self._apart
        if edge := self._edge:
            self._edge = edge[len(part) :] if edge.startswith(part) else b""
            if part.startswith(edge):
                part = edge[:-1] + b" " + part[len(edge) - 1 :]
        out.append(part)

    def _close(self, out: list[bytes]) -> None:
        self._painter.close(out)
        self._covering = False
