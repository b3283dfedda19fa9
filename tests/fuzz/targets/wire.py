"""PostgreSQL's messages are the same however their bytes are cut, and what was read can be written again."""

from collections.abc import Callable, Iterable

from extproc.protocols.postgres.wire.backend import decode_backend
from extproc.protocols.postgres.wire.fields import Malformed
from extproc.protocols.postgres.wire.frame import PART_BYTES, Frame, Framer, Part, Unframed
from extproc.protocols.postgres.wire.frontend import decode_frontend
from extproc.protocols.postgres.wire.startup import read_startup
from tests.fuzz.source import Source

CHOICES = 4
LIMIT = 1 << 12
"""Bytes of a message that may not come in parts: fewer than of one that does, so that both ends are reached."""

_BYTEWISE = 4096
_HELD = max(LIMIT, PART_BYTES)
_COPY, _ROW = ord("d"), ord("D")

Piece = tuple[int, bytes, Part]


def wire(data: bytes) -> None:
    """The first bytes choose whose messages these are, a long one behind them, and the cuts."""
    source = Source(data, CHOICES)
    read = source.one((_client, _server, _first))
    long = source.byte()
    read(source.rest + _long(long, source.byte()), source)


def _client(data: bytes, source: Source) -> None:
    _stream(data, source, frozenset({_COPY}), decode_frontend)


def _server(data: bytes, source: Source) -> None:
    _stream(data, source, frozenset({_COPY, _ROW}), decode_backend)


def _long(choice: int, size: int) -> bytes:
    """A message of about as many bytes as one part has, or two, or nothing; and one behind it."""
    if choice & 3 == 0:
        return b""
    length = PART_BYTES * (choice & 3) + size % 16 - 8
    body = bytes((choice,)) * (length - 5)
    return bytes((_COPY,)) + (length - 1).to_bytes(4, "big") + body + b"d\0\0\0\5x"


def _stream(data: bytes, source: Source, bulk: frozenset[int], decode: Callable[[int, bytes], object]) -> None:
    """Frames of a stream, by three ways of cutting it."""
    whole, broken = _framed(data, (), bulk)
    step = 1 if len(data) <= _BYTEWISE else 977
    for cuts in (range(step, len(data), step), source.cuts(len(data))):
        assert _framed(data, cuts, bulk) == (whole, broken), "frames"
    came = b"".join(piece for _, piece, _ in whole)
    assert data.startswith(came), "other bytes than those that came"
    for kind, message, part in whole:
        if part is Part.WHOLE:
            _again(kind, message, decode)


def _framed(data: bytes, cuts: Iterable[int], bulk: frozenset[int]) -> tuple[list[Piece], str]:
    """Each message, or part of one, and what was wrong with the next."""
    framer = Framer(LIMIT, bulk)
    found: list[Frame] = []
    broken, at = "", 0
    for end in (*cuts, len(data)):
        try:
            found += framer.feed(data[at:end])
        except Unframed as error:
            found += error.before
            broken = str(error)
        assert framer.pending < _HELD, "more is held than a frame has"
        at = end
    return [piece for frame in found for piece in _pieces(frame)], broken


def _pieces(frame: Frame) -> Iterable[Piece]:
    if frame.part is not Part.WHOLE:
        assert frame.count == int(frame.part is Part.FIRST)
        return [(frame.kind, frame.data, frame.part)]
    bodies = frame.bodies()
    assert len(bodies) == frame.count
    made = [(frame.kind, bytes((frame.kind,)) + (4 + len(b)).to_bytes(4, "big") + b, Part.WHOLE) for b in bodies]
    assert b"".join(message for _, message, _ in made) == frame.data, "messages that are not the frame's"
    return made


def _again(kind: int, message: bytes, decode: Callable[[int, bytes], object]) -> None:
    """What a message says is what it says when it is written again."""
    try:
        said = decode(kind, message[5:])
    except Malformed:
        return
    written: bytes = said.encode()  # type: ignore[attr-defined]
    assert decode(kind, written[5:]) == said, type(said).__name__


def _first(data: bytes, source: Source) -> None:
    """A message without a kind: nothing, until it is there, and then the same whatever follows."""
    wanted = _read_first(data)
    for end in sorted({*range(min(len(data), 600)), *source.cuts(len(data))}):
        found = _read_first(data[:end])
        assert found in (None, wanted), "a first message that changes as more comes"
    if isinstance(wanted, tuple):
        message, used = wanted
        assert used <= len(data)
        assert _read_first(data[: used - 1]) is None
        assert message.encode() == data[:used], "a first message that is written otherwise"  # type: ignore[attr-defined]


def _read_first(data: bytes) -> tuple[object, int] | str | None:
    try:
        return read_startup(data)
    except Malformed as error:
        return str(error)
