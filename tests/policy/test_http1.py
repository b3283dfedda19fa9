"""Reading one HTTP response, cut anywhere, and refusing what is not one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.adapters.opa.http1 import MAX_BODY, MAX_HEAD, Nonsense, Response, ResponseReader

SIZED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n" + b'{"result": 1}'
CHUNKED = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\n{"res\r\n8\r\nult": 1}\r\n0\r\nX-T: 1\r\n\r\n'
CLOSING = b"HTTP/1.1 500 \r\nconnection: keep-alive, Close\r\ncontent-length: 0\r\n\r\n"
WHOLE = [
    (SIZED, Response(200, b'{"result": 1}', True)),
    (CHUNKED, Response(200, b'{"result": 1}', True)),
    (CLOSING, Response(500, b"", False)),
]


@pytest.mark.parametrize(("data", "expected"), WHOLE)
def test_every_cut_in_two_reads_the_same(data: bytes, expected: Response) -> None:
    """The response is whole with its last byte and not before, wherever the bytes were cut."""
    for cut in range(len(data)):
        reader = ResponseReader()
        assert reader.feed(data[:cut]) is None
        assert reader.feed(data[cut:]) == expected


@pytest.mark.parametrize(("data", "expected"), WHOLE)
def test_byte_by_byte_reads_the_same(data: bytes, expected: Response) -> None:
    """Slices of one byte are slices too."""
    reader = ResponseReader()
    assert [r for i in range(len(data)) if (r := reader.feed(data[i : i + 1]))] == [expected]


def _head(*lines: bytes, status: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return b"\r\n".join([status, *lines, b"", b""])


NONSENSE = {
    "another protocol": b"SSH-2.0-OpenSSH\r\n\r\n",
    "HTTP/1.0": _head(b"Content-Length: 0", status=b"HTTP/1.0 200 OK"),
    "an interim response": _head(b"Content-Length: 0", status=b"HTTP/1.1 100 Continue"),
    "a status without a body": _head(b"Content-Length: 0", status=b"HTTP/1.1 204 No Content"),
    "no length": _head(b"Content-Type: text/plain"),
    "two lengths": _head(b"Content-Length: 1", b"Content-Length: 1"),
    "a negative length": _head(b"Content-Length: -1"),
    "a length with a sign": _head(b"Content-Length: +1"),
    "length and chunks": _head(b"Content-Length: 1", b"Transfer-Encoding: chunked"),
    "another coding": _head(b"Transfer-Encoding: gzip, chunked"),
    "two codings": _head(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
    "compressed": _head(b"Content-Encoding: gzip", b"Content-Length: 1"),
    "a folded line": _head(b"A: b", b" c", b"Content-Length: 0"),
    "a space before the colon": _head(b"Content-Length : 0"),
    "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
    "a body too large": _head(b"Content-Length: %d" % (MAX_BODY + 1)),
    "a head without end": b"HTTP/1.1 200 OK\r\nA: " + b"a" * MAX_HEAD,
    "more than its length": _head(b"Content-Length: 1") + b"ab",
    "no chunk size": _head(b"Transfer-Encoding: chunked") + b"x\r\n",
    "a chunk too large": _head(b"Transfer-Encoding: chunked") + b"%x\r\n" % (MAX_BODY + 1),
    "a chunk longer than its size": _head(b"Transfer-Encoding: chunked") + b"1\r\nab\r\n",
    "an endless chunk line": _head(b"Transfer-Encoding: chunked") + b"1" * 2000,
    "a trailer that is none": _head(b"Transfer-Encoding: chunked") + b"0\r\nnonsense\r\n\r\n",
}


def _byte_by_byte(data: bytes) -> None:
    reader = ResponseReader()
    for i in range(len(data)):
        reader.feed(data[i : i + 1])


@pytest.mark.parametrize("data", NONSENSE.values(), ids=NONSENSE.keys())
def test_nonsense_is_refused_whole_and_cut(data: bytes) -> None:
    """What is not plainly one response is refused, in one slice and byte by byte."""
    with pytest.raises(Nonsense):
        ResponseReader().feed(data)
    with pytest.raises(Nonsense):
        _byte_by_byte(data)


@given(st.lists(st.binary(max_size=60), max_size=6))
def test_any_bytes_end_in_a_response_nonsense_or_waiting(slices: list[bytes]) -> None:
    """No input makes the reader fail in any other way."""
    reader = ResponseReader()
    try:
        for data in slices:
            reader.feed(data)
    except Nonsense:
        pass


@given(st.binary(max_size=300), st.lists(st.integers(1, 40), max_size=20), st.data())
def test_chunked_bodies_come_back_whole(body: bytes, sizes: list[int], data: st.DataObject) -> None:
    """Whatever the chunks and the slices, the body is what was sent."""
    rest, wire = body, _head(b"Transfer-Encoding: chunked")
    for size in sizes:
        part, rest = rest[:size], rest[size:]
        wire += b"%x\r\n%b\r\n" % (len(part), part) if part else b""
    wire += (b"%x\r\n%b\r\n" % (len(rest), rest) if rest else b"") + b"0\r\n\r\n"
    reader, found = ResponseReader(), None
    while wire:
        cut = data.draw(st.integers(1, len(wire)))
        found, wire = reader.feed(wire[:cut]), wire[cut:]
    assert found == Response(200, body, True)
