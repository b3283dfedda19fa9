"""Where one message ends and the next begins: lengths, chunks, trailers, pipelining, cut connections."""

from tests.attacks.rows import HOST, TOKEN, Row, Status, ask, at
from tests.attacks.wire import CONTINUE, HALF_CLOSE, RESET

CLEAN = ask(b"GET /clean")
FORBIDDEN = ask(b"GET /forbidden")
_SMUGGLED = b"GET /smuggled HTTP/1.1\r\n" + HOST + b"\r\n" + TOKEN + b"\r\n\r\n"
_TEXT = b"Content-Type: text/plain"
_CHUNKED = b"Transfer-Encoding: chunked"
_ABC = b"3\r\nabc\r\n0\r\n\r\n"
_NO: tuple[Status, ...] = ()

_LENGTHS: list[tuple[tuple[bytes, ...], bytes, tuple[Status, ...]]] = [
    ((b"Content-Length: 3",), b"abc", (200,)),
    ((b"Content-Length: 0003",), b"abc", (200,)),
    ((b"Content-Length: 3", b"Content-Length: 3"), b"abc", (400,)),
    ((b"Content-Length: 3", b"Content-Length: 0"), b"abc", (400,)),
    ((b"Content-Length: 3, 3",), b"abc", (400,)),
    ((b"Content-Length: +3",), b"abc", (400,)),
    ((b"Content-Length: -3",), b"abc", (400,)),
    ((b"Content-Length: 0x3",), b"abc", (400,)),
    ((b"Content-Length: 3 3",), b"abc", (400,)),
    ((b"Content-Length: 3_0",), b"abc", (400,)),
    ((b"Content-Length: ",), b"abc", (400,)),
    ((b"Content-Length : 3",), b"abc", (400,)),
    ((b"Content_Length: 3",), b"abc", (400,)),
    ((b"Content-Length: 18446744073709551619",), b"abc", (400,)),
    ((b"Content-Length: 4294967299",), b"abc", (413,)),
    ((b"Content-Length: 6", _CHUNKED), b"0\r\n\r\n" + _SMUGGLED, (400,)),
    ((_CHUNKED, b"Content-Length: 4"), _ABC, (400,)),
    ((_CHUNKED,), _ABC, (200,)),
    ((b"Transfer-Encoding: CHUNKED",), _ABC, (200,)),
    ((b"Transfer-Encoding:\tchunked",), _ABC, (200,)),
    ((b"Transfer-Encoding:\r\n chunked",), _ABC, (200,)),
    ((b"Transfer-Encoding: chunked, identity",), _ABC, (501,)),
    ((b"Transfer-Encoding: identity, chunked",), _ABC, (501,)),
    ((b"Transfer-Encoding: gzip, chunked",), _ABC, (501,)),
    ((b"Transfer-Encoding: xchunked",), _ABC, (501,)),
    ((b'Transfer-Encoding: "chunked"',), _ABC, (501,)),
    ((b"Transfer-Encoding: chunked;x=1",), _ABC, (501,)),
    ((b"Transfer-Encoding: chunked,",), _ABC, (501,)),
    ((b"Transfer-Encoding:\x0bchunked",), _ABC, (400,)),
    ((b"Transfer-Encoding : chunked",), _ABC, (400,)),
    ((b"Transfer_Encoding: chunked", b"Content-Length: 3"), b"abc", (400,)),
    ((_CHUNKED, _CHUNKED), _ABC, (501,)),
    ((_CHUNKED, b"Transfer-Encoding: identity"), _ABC, (501,)),
    ((b"Transfer-Encoding: identity", b"Content-Length: 3"), b"abc", (400,)),
    ((b"Connection: content-length", b"Content-Length: 3"), b"abc", ((200, 400),)),
    ((b"Connection: transfer-encoding", _CHUNKED), _ABC, ((200, 400),)),
]

_CHUNKS: list[tuple[bytes, tuple[Status, ...]]] = [
    (b"3;a=b\r\nabc\r\n0\r\n\r\n", (200,)),
    (b"3;" + b"a" * 2_000 + b"\r\nabc\r\n0\r\n\r\n", ((200, 400),)),
    (b"3 \r\nabc\r\n0\r\n\r\n", ((200, 400),)),
    (b"0000000000000003\r\nabc\r\n0\r\n\r\n", ((200, 400),)),
    (b'3;a="\n"\r\nabc\r\n0\r\n\r\n', _NO),
    (b"3;\nabc\r\n0\r\n\r\n", _NO),
    (b"3\nabc\n0\n\n", _NO),
    (b"3\r\nabc0\r\n\r\n", _NO),
    (b"0x3\r\nabc\r\n0\r\n\r\n", _NO),
    (b"-3\r\nabc\r\n0\r\n\r\n", _NO),
    (b"10000000000000003\r\nabc\r\n0\r\n\r\n", _NO),
    (b"0\r\n" + _SMUGGLED.replace(b"Authorization", b"X-A"), _NO),
    (b"3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n", (400,)),
    (b"3\r\nabc\r\n0\r\nContent-Length: 1\r\n\r\n", (400,)),
    (b"0\r\nAuthorization: x\r\n\r\n", (400,)),
]


def _more() -> list[Row]:
    def post(*headers: bytes, body: bytes = b"", path: bytes = b"/x", target: str = "tap") -> bytes:
        return ask(b"POST " + path, _TEXT, *headers, body=body, host=at(target))

    expect, three = b"Expect: 100-continue", b"Content-Length: 3"
    long = b"Content-Length: %d" % len(_SMUGGLED)
    trailers = b"3\r\nabc\r\n0\r\nX-HTTP-Method-Override: DELETE\r\nX-T: 1\r\n\r\n"
    x, clean = "POST /x", "GET /clean"
    return [
        Row("no length, then a request", (post(b"Content-Length: 0") + CLEAN,), (200, 200), (x, clean)),
        Row("no length at all, then bytes", (post(body=b"abc\r\n\r\n"),), (200, 400), (x,)),
        Row("a request behind the last chunk", (post(_CHUNKED, body=b"0\r\n\r\n") + CLEAN,), (200, 200), (x, clean)),
        Row("a request as body", (post(long, body=_SMUGGLED),), (200,), (x,)),
        Row("a request as a GET's body", (ask(b"GET /x", long, body=_SMUGGLED),), (200,), ("GET /x",)),
        Row("a blocked request's body is a request", (post(long, path=b"/forbidden", body=_SMUGGLED),), (403,)),
        Row("the same before it is read", (post(long, path=b"/forbidden", body=_SMUGGLED, target="lean"),), (403,)),
        Row("an unread body is requests", (post(b"Content-Length: 2097152", body=CLEAN * 3),), (413,)),
        Row("an unreadable body is a request", (post(b"Content-Encoding: gzip", long, body=_SMUGGLED),), (400,)),
        Row("pipelined: allowed, blocked", (CLEAN + FORBIDDEN,), (200, 403), (clean,)),
        Row("pipelined: blocked, allowed", (FORBIDDEN + CLEAN,), (403, 200), (clean,)),
        Row("pipelined: three", (CLEAN + FORBIDDEN + CLEAN,), (200, 403, 200), (clean, clean)),
        Row("pipelined: the second has no token", (CLEAN + ask(b"GET /x", token=b""),), (200, 401), (clean,)),
        Row("pipelined: the second has no target", (CLEAN + CLEAN.replace(b"tap.", b"nobody."),), (200, 404), (clean,)),
        Row("pipelined: the second is malformed", (CLEAN + b"GET /\x00 HTTP/1.1\r\n\r\n",), (200, 400), (clean,)),
        Row("expect: then the body", (post(expect, three), CONTINUE, b"abc"), (200,), (x,)),
        Row("expect: the body at once", (post(expect, three, body=b"abc"),), (200,), (x,)),
        Row("expect: blocked", (post(expect, three, path=b"/forbidden"), CONTINUE, b"abc"), (403,)),
        Row("expect: never a body", (post(expect, three), CONTINUE, HALF_CLOSE), _NO),
        Row("cut: half a head", (b"GET /x HTTP/1.1\r\nHost: tap", HALF_CLOSE), _NO),
        Row("cut: half a body", (post(b"Content-Length: 10", body=b"abc"), HALF_CLOSE), _NO),
        Row("cut: half the chunks", (post(_CHUNKED, body=b"3\r\nabc\r\n"), HALF_CLOSE), _NO),
        Row("cut: a huge chunk", (post(_CHUNKED, body=b"ffffffffffffffff\r\nabc\r\n0\r\n\r\n"), HALF_CLOSE), _NO),
        Row("cut: reset in the body", (post(b"Content-Length: 10", body=b"abc"), RESET), _NO),
        Row("too many chunks", (post(_CHUNKED, body=b"10000\r\n%b\r\n" % bytes(65536) * 17 + b"0\r\n\r\n"),), (413,)),
        Row("byte by byte", (*(CLEAN[i : i + 1] for i in range(60)), CLEAN[60:]), (200,), (clean,)),
        Row("a TLS hello", (bytes.fromhex("16030100a5010000a10303") + bytes(160),)),
        Row("a PROXY line", (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + CLEAN,)),
        Row("lean: chunks", (post(_CHUNKED, body=b"3;x=y\r\nabc\r\n0\r\n\r\n", target="lean"),), (200,), (x,), "lean"),
        Row("lean: trailers", (post(_CHUNKED, body=trailers, target="lean"),), ((400, 500),), (), "lean", cut=True),
        Row("flow: trailers", (post(_CHUNKED, body=trailers, target="flow"),), ((400, 500),), (), "flow", cut=True),
        Row("flow: chunks", (post(_CHUNKED, body=_ABC, target="flow"),), (200,), (x,), "flow"),
    ]


def _short(data: bytes) -> str:
    return repr(data[:60])[2:-1]


def _rows() -> list[Row]:
    lengths = [
        Row(f"length {_short(b', '.join(h))}", (ask(b"POST /x", _TEXT, *h, body=body),), statuses, ("POST /x",))
        for h, body, statuses in _LENGTHS
    ]
    chunks = [
        Row(f"chunks {_short(body)}", (ask(b"POST /x", _TEXT, _CHUNKED, body=body),), statuses, ("POST /x",))
        for body, statuses in _CHUNKS
    ]
    return [*lengths, *chunks, *_more()]


ROWS = _rows()
