"""Frames: what is written is read, and nothing else is."""

from hashlib import sha256
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.audit.frame import (
    HEAD,
    LENGTH,
    MAX_PAYLOAD,
    ZERO,
    Erased,
    Fault,
    FrameError,
    Record,
    chain,
    decode,
    encode,
    erased,
    frame,
    split,
)

AT = "2026-01-31T12:00:00.123456Z"
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SCALAR = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(-1e9, 1e9) | TEXT
JSON = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=12
)
BODY = st.dictionaries(TEXT, JSON, max_size=5)


def _payload(framed: bytes) -> bytes:
    return framed[HEAD.size :]


@given(BODY, st.integers(0, 2**53), TEXT, TEXT)
def test_what_is_written_is_read(body: dict[str, Any], seq: int, stream: str, kind: str) -> None:
    """All members come back, the bytes are canonical, and the hash is that of prev and digest."""
    framed, digest = encode(stream, seq, kind, AT, ZERO, body)
    assert split(framed, 0) == len(framed)
    payload = _payload(framed)
    assert payload == orjson.dumps(orjson.loads(payload), option=orjson.OPT_SORT_KEYS)
    inner = sha256(payload)
    assert chain(ZERO, inner.digest()) == digest
    expected = Record(stream, seq, kind, AT, ZERO, body, inner.hexdigest(), digest, 7, 7 + len(framed))
    assert decode(payload, 7) == expected


@given(BODY, BODY)
def test_at_every_cut_there_is_what_is_whole(one: dict[str, Any], other: dict[str, Any]) -> None:
    """However much of two frames is there, it is none, one or two of them, and never an error."""
    first, digest = encode("s", 0, "x", AT, ZERO, one)
    data = first + encode("s", 1, "x", AT, digest, other)[0]
    for cut in range(len(data) + 1):
        assert split(data[:cut], 0) == (len(first) if cut >= len(first) else None)
        assert split(data[:cut], min(cut, len(first))) == (len(data) if cut == len(data) else None)


@given(st.data(), BODY)
def test_every_changed_bit_is_seen(data: st.DataObject, body: dict[str, Any]) -> None:
    """By the CRC or the length; or it looks like a frame that is longer than what is there."""
    framed = encode("s", 0, "x", AT, ZERO, body)[0]
    at, bit = data.draw(st.integers(0, len(framed) - 1)), data.draw(st.integers(0, 7))
    changed = framed[:at] + bytes([framed[at] ^ 1 << bit]) + framed[at + 1 :]
    length = LENGTH.unpack_from(changed)[0]
    if len(framed) - HEAD.size < length <= MAX_PAYLOAD:
        assert split(changed, 0) is None
    else:
        with pytest.raises(FrameError):
            split(changed, 0)


@given(BODY, st.integers(0, 2**53))
def test_an_erased_record_keeps_its_length_and_its_hash(body: dict[str, Any], seq: int) -> None:
    """And nothing of what it said."""
    framed, digest = encode("stream", seq, "x", AT, ZERO, body)
    left = frame(erased(_payload(framed), seq))
    assert len(left) == len(framed) == split(left, 0)
    found = decode(_payload(left), 3, ZERO)
    assert found == Erased(seq, sha256(_payload(framed)).hexdigest(), digest, 3, 3 + len(framed))
    with pytest.raises(FrameError, match="was erased"):
        decode(_payload(left), 3)


_D = "a" * 64


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"{}",
        b'{"at":1,"body":{},"kind":"x","prev":"%b","seq":0,"stream":"s"}' % ZERO.encode(),
        b'{"at":"","body":{},"kind":"x","prev":"%b","seq":true,"stream":"s"}' % ZERO.encode(),
        b'{"at":"","body":[],"kind":"x","prev":"%b","seq":0,"stream":"s"}' % ZERO.encode(),
        b'{"at":"","body":{},"kind":"x","prev":"%b","seq":0,"stream":"s"}' % (b"A" * 64),
        b'{"at":"","body":{},"kind":"x","prev":"ab","seq":0,"stream":"s"}',
        b'{"at":"","body":{},"kind":"x","more":1,"prev":"%b","seq":0,"stream":"s"}' % ZERO.encode(),
        b'{"digest":"%b","erased":true,"seq":01}' % _D.encode(),
        b'{"digest":"%b","erased":true,"seq":1}x' % _D.encode(),
        b'{"digest":"%b","erased":false,"seq":1}' % _D.encode(),
        b'{"digest":"%b","erased":true,"seq":1}' % _D[1:].encode(),
    ],
)
def test_what_is_no_record_is_an_error(payload: bytes) -> None:
    """Whoever makes the CRC right has to make the rest right too."""
    with pytest.raises(FrameError) as caught:
        decode(payload, 5, ZERO)
    assert (caught.value.fault, caught.value.offset) == (Fault.BAD_RECORD, 5)
