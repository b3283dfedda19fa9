"""Bodies in a content coding: decoded for the stage behind, and coded again.

What a decoder gives is not bounded by what it takes: a few bytes can mean gigabytes. So it is asked for pieces, the
stage has each piece before the next one is made, and a body that grows more than text ever does is refused.
"""

from collections.abc import Iterable, Iterator

from extproc.masking.stage import MaskError, Stage
from extproc.masking.structure.coders import CODERS, Encoder

MOST = 2
"""Codings of one body, one inside the other, at most."""

FREE = 1 << 20
RATIO = 1000
"""A body may decode to FREE bytes and RATIO more for each of its own. Text that repeats itself reaches 100 and deflate
ends at 1032: what comes near it says nothing, and costs the work of what does."""

WORKSPACE = 256 << 10
"""Bytes of windows and pieces that decoding takes, about; a sender can make a window 16 MiB (br) or 8 MiB (zstd)."""

_OTHER_NAMES = {"x-gzip": "gzip"}  # RFC 9110, section 8.4.1.3
_STEP = 4 << 10  # how much has come is counted in these, so that it does not depend on cuts what is refused


class UnknownCoding(MaskError):
    """A coding that can't be undone, or too many."""


class TooLong(MaskError):
    """A body decodes to more bytes than were asked for."""


def codings(values: Iterable[str]) -> tuple[str, ...]:
    """The codings that the values of all `content-encoding` headers of a message name, in the order in which they were
    applied, without `identity`. Raises UnknownCoding for one that can't be undone, and for more than two."""
    named = [name.strip().lower() for value in values for name in value.split(",")]
    found = tuple(_OTHER_NAMES.get(name, name) for name in named if name not in ("", "identity"))
    if len(found) > MOST:
        raise UnknownCoding(f"more than {MOST} content codings, one inside the other")
    if unknown := [name for name in found if name not in CODERS]:
        raise UnknownCoding(f"the content coding {unknown[0][:20]!r} can't be read; known are {', '.join(CODERS)}")
    return found


class Decoded:
    """A stage behind codings (as `codings` gives them): what comes is decoded for `inner`. What that gives is coded
    again, or with `plain` stays as it is. Coded output ends in a flush wherever `inner` gave something, so that what
    can go on does; its bytes depend on the cuts, but not what they mean. Raises MaskError for malformed bytes, an end
    in the middle, bytes after the end, and growth beyond FREE and RATIO."""

    __slots__ = ("_inner", "_decoders", "_encoders", "_taken", "_given")

    def __init__(self, inner: Stage, applied: tuple[str, ...], plain: bool = False) -> None:
        self._inner = inner
        self._decoders = [CODERS[name][0]() for name in reversed(applied)]
        self._encoders: list[Encoder] = [] if plain else [CODERS[name][1]() for name in applied]
        self._taken = 0
        self._given = [0] * len(applied)

    @property
    def counts(self) -> dict[str, int]:
        """Number of masked values so far, by kind."""
        return self._inner.counts

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes, give those that are final. Raises MaskError."""
        return b"".join(self._steps(data))

    def finish(self) -> bytes:
        """The input has ended: give the rest. Raises MaskError."""
        return b"".join(self._steps(b"", final=True))

    def _steps(self, data: bytes, final: bool = False) -> Iterator[bytes]:
        """As `feed` (with `final`, as `finish`), in steps that each handle 64 KiB of decoded bytes at most."""
        flushed = True
        for piece in self._decoded(data):
            out = self._inner.feed(piece)
            flushed = flushed and not out
            yield self._encoded(out)
        if final:
            if any(decoder.inside for decoder in self._decoders):
                raise MaskError("a coded body that ends in the middle")
            rest = self._inner.finish()
            # Nothing at all, as some servers send it with a coding's name on it, stays nothing.
            yield self._encoded(rest, "finish") if self._taken or rest else b""
        elif not flushed:
            yield self._encoded(b"", "flush")

    def _decoded(self, data: bytes) -> Iterator[bytes]:
        at = 0
        while at < len(data):
            step = data[at : at + _STEP - self._taken % _STEP]
            self._taken += len(step)
            at += len(step)
            yield from self._undone(0, step)

    def _undone(self, layer: int, data: bytes) -> Iterator[bytes]:
        if layer == len(self._decoders):
            yield data
            return
        for piece in self._decoders[layer].pieces(data):
            self._given[layer] += len(piece)
            if self._given[layer] > FREE + RATIO * -(-self._taken // _STEP) * _STEP:
                raise MaskError(f"a coded body that grows more than {RATIO} times as it is decoded")
            yield from self._undone(layer + 1, piece)

    def _encoded(self, data: bytes, then: str = "") -> bytes:
        for encoder in self._encoders:
            data = encoder.feed(data) if data else b""
            if then == "flush":
                data += encoder.flush()
            elif then:
                data += encoder.finish()
        return data


class Same:
    """A stage that changes nothing: what is behind it is only decoded and coded again."""

    __slots__ = ()

    @property
    def counts(self) -> dict[str, int]:
        """Nothing is masked."""
        return {}

    def feed(self, data: bytes) -> bytes:
        """The same bytes."""
        return data

    def finish(self) -> bytes:
        """Nothing was held."""
        return b""


class _Kept:
    """Keeps up to `most` bytes."""

    def __init__(self, most: int) -> None:
        self.data = bytearray()
        self._most = most
        self.counts: dict[str, int] = {}

    def feed(self, data: bytes) -> bytes:
        self.data += data
        if len(self.data) > self._most:
            raise TooLong(f"a body that decodes to more than {self._most} bytes")
        return b""

    def finish(self) -> bytes:
        return b""


def decoded(data: bytes, applied: tuple[str, ...], most: int) -> bytes:
    """A whole body, decoded. Raises TooLong where that is more than `most` bytes, and MaskError as Decoded does."""
    if not applied:
        return data
    kept = _Kept(most)
    stage = Decoded(kept, applied, plain=True)
    stage.feed(data)
    stage.finish()
    return bytes(kept.data)
