"""Coded bodies: decoded for a stage in bounded pieces, and coded again."""

import contextlib
import gzip
import itertools
import tracemalloc
import zlib
from collections.abc import Callable

import brotli  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.audit.bodies.coding import Coder
from extproc.masking.stage import MaskError
from extproc.masking.structure.coding import Decoded, TooLong, codings, decoded
from extproc.masking.text import TextStage
from tests.masking.fields import CARD, EMAIL, plan
from tests.masking.streams import pieces


def _zstd(data: bytes) -> bytes:
    return Coder().frame(data)


CODE: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, 6, mtime=0),
    "deflate": zlib.compress,
    "br": lambda data: bytes(brotli.compress(data, quality=5)),
    "zstd": _zstd,
}
NESTED = [("gzip", "br"), ("zstd", "gzip"), ("deflate", "zstd")]
APPLIED = [*((name,) for name in CODE), *NESTED]
TEXT = f"to {EMAIL}, card {CARD} ".encode() * 3
MASKED = b"to [masked:email], card [masked:card] " * 3


def _code(data: bytes, applied: tuple[str, ...]) -> bytes:
    for name in applied:
        data = CODE[name](data)
    return data


def _stage(applied: tuple[str, ...], plain: bool = False) -> Decoded:
    return Decoded(TextStage(plan()), applied, plain)


def _through(stage: Decoded, *fed: bytes) -> bytes:
    return b"".join(stage.feed(piece) for piece in fed) + stage.finish()


@pytest.mark.parametrize("applied", APPLIED, ids=",".join)
def test_every_single_cut(applied: tuple[str, ...]) -> None:
    """What goes on means the same wherever the coded body was cut, and it is in the same codings."""
    coded = _code(TEXT, applied)
    for cut in range(len(coded) + 1):
        stage = _stage(applied)
        out = _through(stage, coded[:cut], coded[cut:])
        assert decoded(out, applied, 1 << 20) == MASKED, cut
        assert stage.counts == {"email": 3, "card": 3}
    bytewise = [coded[i : i + 1] for i in range(len(coded))]
    assert decoded(_through(_stage(applied), *bytewise), applied, 1 << 20) == MASKED
    assert _through(_stage(applied, plain=True), *bytewise) == MASKED


@given(pieces, st.sampled_from(APPLIED), st.data())
def test_any_text_comes_out_as_it_would_uncoded(text: str, applied: tuple[str, ...], data: st.DataObject) -> None:
    """A coding in between changes nothing of what the stage makes of a text."""
    raw = text.encode()
    coded = _code(raw, applied)
    cut = data.draw(st.integers(0, len(coded)))
    bare = TextStage(plan())
    expected = bare.feed(raw) + bare.finish()
    assert decoded(_through(_stage(applied), coded[:cut], coded[cut:]), applied, 1 << 20) == expected
    assert _through(_stage(applied, plain=True), coded) == expected


@pytest.mark.parametrize("applied", APPLIED, ids=",".join)
def test_a_stream_goes_on_at_once(applied: tuple[str, ...]) -> None:
    """What the stage lets go of can be decoded by the client before the next bytes are here."""
    stage, client = _stage(applied), _stage(applied, plain=True)
    sent = stage.feed(_code(TEXT + b"\n", applied))
    assert client.feed(sent) == MASKED + b"\n"
    assert client.feed(stage.finish()) + client.finish() == b""


@pytest.mark.parametrize("applied", APPLIED, ids=",".join)
def test_all_that_a_decoder_has_is_asked_for(applied: tuple[str, ...]) -> None:
    """One may have more to give although it could take more: near the ends of its window, above all."""
    for length in [*range(32_700, 33_100, 17), *range(98_200, 98_700, 17), *range(131_000, 131_200, 17)]:
        text = (b"<r>&quot;" * (length // 9 + 1))[:length]
        assert decoded(_code(text, applied), applied, 1 << 20) == text


@pytest.mark.parametrize("applied", APPLIED, ids=",".join)
def test_an_end_in_the_middle_is_refused(applied: tuple[str, ...]) -> None:
    """A half body is none, wherever it ends; no bytes at all are a body without any."""
    coded = _code(TEXT, applied)
    for end in range(1, len(coded)):
        stage = _stage(applied)
        stage.feed(coded[:end])
        with pytest.raises(MaskError):
            stage.finish()
    assert _through(_stage(applied)) == b""


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("gzip", CODE["gzip"](b"a") + b"x"),
        ("gzip", CODE["gzip"](b"a") + b"\0" * 8),
        ("gzip", CODE["gzip"](b"a")[:-1] + b"\xff"),
        ("gzip", b"plain text, whatever the header says"),
        ("gzip", zlib.compress(b"a")),
        ("deflate", zlib.compress(b"a") + zlib.compress(b"b")),
        ("deflate", zlib.compress(b"a" * 99)[2:-4]),
        ("br", CODE["br"](b"a") + b"x"),
        ("br", b"\x11\x18" + CODE["br"](b"a" * 100)),
        ("zstd", _zstd(b"a") + b"x"),
        ("zstd", b"plain text"),
    ],
)
def test_what_is_not_whole_and_nothing_else_is_refused(name: str, body: bytes) -> None:
    """Garbage, bytes after the end, a wrong checksum, another format under the name."""
    with pytest.raises(MaskError):
        _through(_stage((name,)), body)
    with pytest.raises(MaskError):
        _through(_stage((name,)), *(body[i : i + 1] for i in range(len(body))))


def test_dictionaries_are_refused() -> None:
    """What they stand for is not in the body."""
    compressor = zlib.compressobj(zdict=b"4111111111111111")
    with pytest.raises(MaskError):
        _through(_stage(("deflate",)), compressor.compress(b"4111111111111111") + compressor.flush())
    # A frame's head (RFC 8878, 3.1.1.1) with the identifier 7 of a dictionary, then one empty block.
    with pytest.raises(MaskError):
        _through(_stage(("zstd",)), b"\x28\xb5\x2f\xfd\x21\x07\x00\x01\x00\x00")


def test_windows_are_bounded() -> None:
    """A frame that asks for 16 MiB of memory is refused at its head; 8 MiB are what the coding may ask for."""
    for log, taken in ((23, True), (24, False)):
        # No single segment; a window of 2 ** log; one raw block, the last, of one byte.
        frame = b"\x28\xb5\x2f\xfd\x00" + bytes([(log - 10) << 3]) + b"\x09\x00\x00a"
        if taken:
            assert _through(_stage(("zstd",), plain=True), frame) == b"a"
        else:
            with pytest.raises(MaskError):
                _through(_stage(("zstd",)), frame)


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_members_follow_each_other(name: str) -> None:
    """A value may lie across two of them."""
    body = CODE[name](b"card 4111 1111") + CODE[name](b"") + CODE[name](b" 1111 1111.")
    for cut in range(len(body) + 1):
        assert _through(_stage((name,), plain=True), body[:cut], body[cut:]) == b"card [masked:card]."


@pytest.mark.parametrize("applied", [("gzip",), ("br",), ("zstd",), ("gzip", "gzip")], ids=",".join)
def test_a_bomb_is_refused_in_bounded_memory(applied: tuple[str, ...]) -> None:
    """It is never whole in memory, and is refused once it has grown past what text grows, however it is cut."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
    zeros = b"\0" * (1 << 20)
    if applied[0] == "gzip":
        bomb = b"".join(compressor.compress(zeros) for _ in range(80)) + compressor.flush()
        bomb = gzip.compress(bomb) if len(applied) > 1 else bomb
    elif applied[0] == "br":
        bomb = brotli.compress(zeros * 40, quality=3)
    else:
        bomb = CODE["zstd"](zeros * 40)
    for size in (len(bomb), 7):
        stage = _stage(applied)
        cut = [bomb[at : at + size] for at in range(0, len(bomb), size)]
        tracemalloc.start()
        with pytest.raises(MaskError, match="grows"):
            _through(stage, *cut)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 4 << 20


def test_decoded_bytes_come_in_pieces() -> None:
    """Whatever a body grows to, a stage is given 64 KiB of it at most."""
    seen: list[int] = []

    class Sizes(TextStage):
        def feed(self, data: bytes) -> bytes:
            seen.append(len(data))
            return data

    body = gzip.compress(b"0123456789abcdef" * 65536)
    Decoded(Sizes(plan()), ("gzip",), plain=True).feed(body)
    assert sum(seen) == 1 << 20
    assert max(seen) <= 1 << 16


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], ()),
        (["identity"], ()),
        (["", " , "], ()),
        (["GZIP"], ("gzip",)),
        (["x-gzip"], ("gzip",)),
        (["gzip, br"], ("gzip", "br")),
        (["gzip", "identity", "zstd"], ("gzip", "zstd")),
    ],
)
def test_names(values: list[str], expected: tuple[str, ...]) -> None:
    """Every header of the name counts, in order; `identity` says nothing."""
    assert codings(values) == expected


@pytest.mark.parametrize(
    "values", [["compress"], ["x-br"], ["dcb"], ["gzip, aes128gcm"], ["gzip", "br", "gzip"], ["*"]]
)
def test_names_that_are_refused(values: list[str]) -> None:
    """What is not known can't be read, and nobody needs three."""
    with pytest.raises(MaskError):
        codings(values)


@pytest.mark.parametrize("name", CODE)
def test_a_whole_body_is_decoded_up_to_a_length(name: str) -> None:
    """The length counts decoded bytes."""
    assert decoded(CODE[name](b"a" * 100), (name,), 100) == b"a" * 100
    with pytest.raises(TooLong):
        decoded(CODE[name](b"a" * 101), (name,), 100)


def test_any_bytes_are_decoded_or_refused() -> None:
    """A damaged body, one bit at a time, ends in text or in a MaskError and in nothing else."""
    for (name, code), bit in itertools.product(CODE.items(), range(0, 400, 3)):
        body = bytearray(code(TEXT))
        body[bit // 8 % len(body)] ^= 1 << bit % 8
        with contextlib.suppress(MaskError):
            _through(_stage((name,)), bytes(body))
