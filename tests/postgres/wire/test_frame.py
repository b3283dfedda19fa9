"""Framing: the same messages wherever the stream is cut, long ones in parts, and bounds that hold."""

import tracemalloc
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.protocols.postgres.wire.fields import MAX_MESSAGE_BYTES, Malformed, message
from extproc.protocols.postgres.wire.frame import PART_BYTES, Frame, Framer, Part, Unframed

BULK = frozenset(b"dD")
LIMIT = 100
LONG = message(ord("d"), bytes(range(256)) * 600)

SHORT_LENGTH = "a message's length is less than that of the length itself"
LONG_LENGTH = "a message's length is more than any message has"
OVER_LIMIT = "a message is longer than allowed"


def _cut(data: bytes, cuts: Iterable[int]) -> Iterator[bytes]:
    """The data, cut at these places."""
    at = 0
    for cut in sorted(cuts):
        yield data[at:cut]
        at = cut
    yield data[at:]


def _framed(pieces: Iterable[bytes], framer: Framer) -> list[Frame]:
    """What comes of these pieces, with messages of a bulk kind that came in one Frame apart: how many came together is
    all that cuts may change."""
    found: list[Frame] = []
    for piece in pieces:
        for frame in framer.feed(piece):
            if frame.kind in BULK and frame.part is Part.WHOLE:
                assert frame.count > 0
                alone = [Frame(frame.kind, message(frame.kind, body)) for body in frame.bodies()]
                assert b"".join(each.data for each in alone) == frame.data
                found += alone
            else:
                found.append(frame)
    return found


def _feed(framer: Framer, pieces: Iterable[bytes], found: list[Frame]) -> None:
    """Put all that comes of these pieces into `found`."""
    for piece in pieces:
        found += framer.feed(piece)


def test_a_transcript_at_every_cut() -> None:
    """Wherever two cuts are, the frames are the same, and all bytes are in them."""
    expected = [
        Frame(ord("T"), message(ord("T"), b"\0\0")),
        Frame(ord("D"), message(ord("D"), b"\0\0")),
        Frame(ord("D"), message(ord("D"), b"\0\x01\xff\xff\xff\xff")),
        Frame(ord("d"), message(ord("d"))),
        Frame(ord("D"), message(ord("D"), b"\0\0")),
        Frame(ord("C"), message(ord("C"), b"SELECT 3\0")),
        Frame(ord("Z"), message(ord("Z"), b"I")),
    ]
    data = b"".join(frame.data for frame in expected)
    for first in range(len(data) + 1):
        for second in range(first, len(data) + 1):
            framer = Framer(LIMIT, BULK)
            assert _framed(_cut(data, (first, second)), framer) == expected
            assert (framer.pending, framer.between) == (0, True)
    assert _framed((data[at : at + 1] for at in range(len(data))), Framer(LIMIT, BULK)) == expected


def test_rows_that_come_together_are_one_frame() -> None:
    """Whole messages of one bulk kind are one Frame with their count, as they came; other kinds never are."""
    rows = b"".join(message(ord("D"), bytes([n])) for n in range(5))
    syncs = message(ord("S")) * 2
    frames = Framer(LIMIT, BULK).feed(rows + message(ord("d")) * 3 + syncs)
    assert [(chr(frame.kind), frame.count, len(frame.data)) for frame in frames] == [
        ("D", 5, 30),
        ("d", 3, 15),
        ("S", 1, 5),
        ("S", 1, 5),
    ]
    assert (frames[0].data, frames[0].bodies()) == (rows, [bytes([n]) for n in range(5)])
    assert [frame.count for frame in Framer(LIMIT, BULK).feed(message(ord("d")) * 3)] == [3]
    assert (frames[2].body, frames[2].bodies()) == (b"", [b""])


@given(
    st.lists(st.tuples(st.sampled_from(b"dDQZ"), st.binary(max_size=20)), max_size=12),
    st.lists(st.integers(0, 300), max_size=12),
)
def test_any_messages_at_any_cuts(messages: list[tuple[int, bytes]], cuts: list[int]) -> None:
    """Whatever the messages and the cuts, they come out, in order."""
    expected = [Frame(kind, message(kind, body)) for kind, body in messages]
    data = b"".join(frame.data for frame in expected)
    assert _framed(_cut(data, cuts), Framer(LIMIT, BULK)) == expected


@given(st.lists(st.integers(0, len(LONG) + 20), max_size=20))
def test_a_long_message_comes_in_parts(cuts: list[int]) -> None:
    """Parts have one size, and the last the rest, however the input was cut; what stands around is not touched."""
    before, after = Frame(ord("d"), message(ord("d"), b"before")), Frame(ord("Z"), message(ord("Z"), b"I"))
    first = Frame(ord("d"), LONG[:PART_BYTES], 1, Part.FIRST)
    middle = Frame(ord("d"), LONG[PART_BYTES : 2 * PART_BYTES], 0, Part.MIDDLE)
    last = Frame(ord("d"), LONG[2 * PART_BYTES :], 0, Part.LAST)
    framer = Framer(LIMIT, BULK)
    assert _framed(_cut(before.data + LONG + after.data, cuts), framer) == [before, first, middle, last, after]
    assert framer.between


@pytest.mark.parametrize(
    ("size", "parts"),
    [
        (PART_BYTES, [Part.WHOLE]),
        (PART_BYTES + 1, [Part.FIRST, Part.LAST]),
        (2 * PART_BYTES, [Part.FIRST, Part.LAST]),
        (2 * PART_BYTES + 1, [Part.FIRST, Part.MIDDLE, Part.LAST]),
    ],
)
def test_where_parts_begin(size: int, parts: list[Part]) -> None:
    """A message of exactly a part is whole; no part is empty."""
    data = message(ord("d"), bytes(size - 5))
    for pieces in ([data], [data[:5], data[5:]], [data[:-1], data[-1:]]):
        frames = _framed(pieces, Framer(LIMIT, BULK))
        assert [frame.part for frame in frames] == parts
        assert b"".join(frame.data for frame in frames) == data


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"Q\0\0\0\0", SHORT_LENGTH),
        (b"Q\0\0\0\x03", SHORT_LENGTH),
        (b"D\0\0\0\x03", SHORT_LENGTH),
        (b"d\0\0\0\0", SHORT_LENGTH),
        (b"Q\0\0\0\x64", OVER_LIMIT),
        (b"Q\x7f\xff\xff\xff", LONG_LENGTH),
        (b"d\x40\0\0\0", LONG_LENGTH),
        (b"D\xff\xff\xff\xff", LONG_LENGTH),
        (b"Q\x80\0\0\0", LONG_LENGTH),
        (b"HTTP/1.1 400 Bad Request\r\n", LONG_LENGTH),
    ],
)
def test_lengths_that_cannot_be(data: bytes, why: str) -> None:
    """They are an error as soon as they are there, from then on always, and lose nothing of what came before."""
    before = message(ord("D"), b"\0\0") + message(ord("Z"), b"I")
    whole = [Frame(ord("D"), message(ord("D"), b"\0\0")), Frame(ord("Z"), message(ord("Z"), b"I"))]
    stream = before + data
    for cut in range(len(stream) + 1):
        framer = Framer(LIMIT, BULK)
        found: list[Frame] = []
        with pytest.raises(Unframed) as caught:
            _feed(framer, (stream[:cut], stream[cut:]), found)
        assert (str(caught.value), found + list(caught.value.before)) == (why, whole)
        with pytest.raises(Malformed):
            framer.feed(b"")


def test_nothing_longer_than_a_message_is_written() -> None:
    """What no server would take is not begun."""
    part = bytes(1 << 24)
    with pytest.raises(ValueError):
        message(ord("d"), *[part] * 64)


def test_the_limit_is_of_the_whole_message() -> None:
    """Kind and length count; a bulk kind has another bound."""
    most = message(ord("Q"), bytes(LIMIT - 5))
    assert Framer(LIMIT, BULK).feed(most) == [Frame(ord("Q"), most)]
    bulk = message(ord("d"), bytes(LIMIT))
    assert Framer(LIMIT, BULK).feed(bulk) == [Frame(ord("d"), bulk)]
    head = b"d" + MAX_MESSAGE_BYTES.to_bytes(4)
    framer = Framer(LIMIT, BULK)
    assert (framer.feed(head), framer.pending, framer.between) == ([], 5, False)


def test_what_is_held() -> None:
    """Only what is not whole yet is pending; a stream may end between messages and nowhere else."""
    framer = Framer(LIMIT, BULK)
    assert framer.feed(message(ord("Q"), b"x\0") + b"Q\0\0") != []
    assert (framer.pending, framer.between) == (3, False)
    assert framer.feed(b"\0\x05") == []
    assert (framer.pending, framer.between) == (5, False)
    assert framer.feed(b"\0") == [Frame(ord("Q"), b"Q\0\0\0\x05\0")]
    assert (framer.pending, framer.between) == (0, True)
    long = LONG[:PART_BYTES]
    assert framer.feed(long) == [Frame(ord("d"), long, 1, Part.FIRST)]
    assert (framer.pending, framer.between) == (0, False)


def test_a_message_of_100_mb_is_never_in_memory() -> None:
    """It goes through in parts: a few of them are all that is ever held."""
    size = 100 << 20
    piece = bytes(100_000)
    framer = Framer(LIMIT, BULK)
    tracemalloc.start()
    try:
        passed = sum(len(frame.data) for frame in framer.feed(b"d" + (size + 4).to_bytes(4)))
        left = size
        while left:
            taken = piece[:left]
            left -= len(taken)
            passed += sum(len(frame.data) for frame in framer.feed(taken))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (passed, framer.between, peak < 1 << 20) == (size + 5, True, True)


SKIPPED = frozenset(b"QP")


@given(
    st.lists(st.tuples(st.sampled_from(b"dDQPZ"), st.integers(0, 3 * LIMIT)), max_size=8),
    st.lists(st.integers(0, 1000), max_size=12),
)
def test_what_is_too_long_is_skipped(messages: list[tuple[int, int]], cuts: list[int]) -> None:
    """Of some kinds: nothing of it comes out or is held, and what follows it is read from its beginning."""
    framer, framed = Framer(LIMIT, BULK, SKIPPED), [message(kind, bytes(size)) for kind, size in messages]
    expected = [
        Frame(data[0], b"", 1, Part.SKIPPED) if data[0] in SKIPPED and len(data) > LIMIT else Frame(data[0], data)
        for data in framed
        if data[0] != ord("Z") or len(data) <= LIMIT
    ]
    data = b"".join(one for one in framed if one[0] != ord("Z") or len(one) <= LIMIT)
    assert _framed(_cut(data, cuts), framer) == expected
    assert (framer.pending, framer.between) == (0, True)


def test_what_is_skipped_has_an_end() -> None:
    """It is told of then, and not held; longer than a message can be it may not be."""
    framer = Framer(LIMIT, BULK, SKIPPED)
    assert framer.feed(b"Q" + (4 + (1 << 20)).to_bytes(4)) == []
    for _ in range(15):
        assert framer.feed(bytes(1 << 16)) == []
        assert (framer.pending, framer.between) == (0, False)
    assert framer.feed(bytes(1 << 16) + b"S\0\0\0\4") == [
        Frame(ord("Q"), b"", 1, Part.SKIPPED),
        Frame(ord("S"), b"S\0\0\0\4"),
    ]
    for data in (b"Q\x40\0\0\0", b"Z" + LIMIT.to_bytes(4)):
        with pytest.raises(Unframed):
            Framer(LIMIT, BULK, SKIPPED).feed(data)


class Counted(Framer):
    """Counts the bytes that it looks at."""

    looked = 0

    def _frames(self, data: bytes) -> list[Frame]:
        self.looked += len(data)
        return super()._frames(data)


def test_a_message_that_comes_byte_by_byte_is_read_once() -> None:
    """Until a message is whole its bytes are only put away: they are looked at when all of them are there."""
    data = message(ord("Q"), bytes(1 << 20))
    framer = Counted(len(data))
    for at in range(len(data) - 1):
        assert framer.feed(data[at : at + 1]) == []
    assert framer.feed(data[-1:]) == [Frame(ord("Q"), data)]
    assert framer.looked == len(data) + 5
