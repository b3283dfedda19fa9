"""The attacks over HTTP/2: frames, and what must become of them."""

from dataclasses import dataclass

from tests.attacks.wire2 import Fields, Stream

Result = int | str | tuple[int | str, ...]
ENDED = ("goaway", "reset", 400)
_AUTH = (b"authorization", b"Bearer <TOKEN>")
_TEXT = (b"content-type", b"text/plain")
_SMUGGLED = b"GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Row2:
    """Streams sent at once over one connection. `results` are a status, "reset" or "goaway" for each; `arrived` are the
    request lines for those answered 200."""

    id: str
    streams: tuple[Stream, ...]
    results: tuple[Result, ...] = (ENDED,)
    arrived: tuple[str, ...] = ()
    target: str = "tap"
    cut: bool = False
    finding: str = ""


def fields(*more: tuple[bytes, bytes], token: bool = True, **pseudo: bytes | None) -> Fields:
    """Header fields of a request; a pseudo header by its name, None to leave it out."""
    usual = {"method": b"GET", "scheme": b"http", "authority": b"tap.holdpoint.internal", "path": b"/x"}
    named = ((f":{n}".encode(), v) for n, v in {**usual, **pseudo}.items() if v is not None)
    return (*named, *((_AUTH,) if token else ()), *more)


_PSEUDO: list[tuple[str, Fields, Result, str]] = [
    ("plain", fields(), 200, "GET /x"),
    ("a forbidden path", fields(path=b"/forbidden"), 403, ""),
    ("dots", fields(path=b"/a/../x"), 200, "GET /x"),
    ("backslashes", fields(path=b"/a\\..\\forbidden"), 403, ""),
    ("bytes are escaped", fields(path=b"/\xc3\xa4"), (200, *ENDED), "GET /%C3%A4"),
    ("a fragment", fields(path=b"/x#y"), ENDED, ""),
    ("an escaped slash", fields(path=b"/x%2fforbidden"), ENDED, ""),
    ("escaped twice", fields(path=b"/%252e%252e/forbidden"), ENDED, ""),
    ("a request line in the path", fields(path=b"/x HTTP/1.1\r\nX-A: b"), ENDED, ""),
    ("a blank in the path", fields(path=b"/x y"), ENDED, ""),
    ("a tab in the path", fields(path=b"/x\ty"), ENDED, ""),
    ("a NUL in the path", fields(path=b"/x\0y"), ENDED, ""),
    ("no slash", fields(path=b"forbidden"), ENDED, ""),
    ("an empty path", fields(path=b""), ENDED, ""),
    ("no path", fields(path=None), ENDED, ""),
    ("a star", fields(path=b"*"), ENDED, ""),
    ("a star of OPTIONS", fields(path=b"*", method=b"OPTIONS"), (404, *ENDED), ""),
    ("an absolute path", fields(path=b"http://other.holdpoint.internal/x"), ENDED, ""),
    ("two paths", ((b":path", b"/forbidden"), *fields()), ENDED, ""),
    ("two methods", ((b":method", b"DELETE"), *fields()), ENDED, ""),
    ("two authorities", ((b":authority", b"other.holdpoint.internal"), *fields()), ENDED, ""),
    ("a pseudo header behind a header", (*fields(path=None), (b":path", b"/x")), ENDED, ""),
    ("an unknown pseudo header", ((b":foo", b"bar"), *fields()), ENDED, ""),
    ("a response's pseudo header", ((b":status", b"200"), *fields()), ENDED, ""),
    ("a protocol", ((b":protocol", b"websocket"), *fields()), ENDED, ""),
    ("another host", fields((b"host", b"other.holdpoint.internal")), (200, *ENDED), "GET /x"),
    ("host alone", fields((b"host", b"tap.holdpoint.internal"), authority=None), 200, "GET /x"),
    ("two hosts", fields((b"host", b"tap.x"), (b"host", b"other.holdpoint.internal"), authority=None), ENDED, ""),
    ("no host", fields(authority=None), ENDED, ""),
    ("a user in the authority", fields(authority=b"tap.holdpoint.internal@other.holdpoint.internal"), ENDED, ""),
    ("a header in the authority", fields(authority=b"tap.holdpoint.internal\r\nX-A: b"), ENDED, ""),
    ("a path in the authority", fields(authority=b"tap.holdpoint.internal/x"), ENDED, ""),
    ("upper case", fields(authority=b"TAP.holdpoint.internal."), 200, "GET /x"),
    ("https", fields(scheme=b"https"), (200, *ENDED), "GET /x"),
    ("an address as scheme", fields(scheme=b"http://other.holdpoint.internal/x?"), ENDED, ""),
    ("a line end in the scheme", fields(scheme=b"http\r\nX: y"), ENDED, ""),
    ("no scheme", fields(scheme=None), ENDED, ""),
    ("no method", fields(method=None), ENDED, ""),
    ("an empty method", fields(method=b""), ENDED, ""),
    ("a request line as method", fields(method=b"GET /forbidden HTTP/1.1\r\nX:"), ENDED, ""),
    ("a blank in the method", fields(method=b"GET /forbidden"), ENDED, ""),
    ("a method in lower case", fields(method=b"get"), (200, *ENDED), "get /x"),
    ("an unknown method", fields(method=b"FOO"), (200, *ENDED), "FOO /x"),
    ("TRACE", fields(method=b"TRACE"), 405, ""),
    ("trace", fields(method=b"trace"), 405, ""),
    ("TRACK", fields(method=b"TRACK"), 405, ""),
    (
        "CONNECT",
        ((b":method", b"CONNECT"), (b":authority", b"tap.holdpoint.internal:80"), _AUTH),
        (403, 404, 405, 500, *ENDED),
        "",
    ),
    ("extended CONNECT", ((b":protocol", b"websocket"), *fields(method=b"CONNECT")), ENDED, ""),
    ("no token", fields(token=False), 401, ""),
    ("two tokens", fields((b"authorization", b"Bearer y")), (400, 401), ""),
    ("many headers", fields(*((b"x-%d" % i, b"a") for i in range(200))), ("reset", 431), ""),
    ("crumbs of cookies", fields((b"cookie", b"a=b"), (b"cookie", b"c=d")), 200, "GET /x"),
]

_HEADERS: list[tuple[bytes, bytes, Result]] = [
    *(
        (name, b"a", ENDED)
        for name in (b"X-Upper", b"x a", b"x:a", b"x-a\r\nx-b", b"x-a\0", b"", b"x-\xc3\xa4", b"x_a")
    ),
    *((b"x-a", v, ENDED) for v in (b"b\r\nx-c: d", b"b\nx-c: d", b"b\rc", b"b\0c", b"\x01", b"x\r\n\r\n" + _SMUGGLED)),
    *((n, b"close", ENDED) for n in (b"connection", b"keep-alive", b"proxy-connection", b"upgrade", b"te")),
    (b"transfer-encoding", b"chunked", ENDED),
    (b"content-length", b"5", ENDED),
    (b"content-length", b"x", ENDED),
    (b"X-Holdpoint-Target", b"CLAIM", ENDED),
    (b"x-a", b"\xff", 200),
    (b"x-a", b"", 200),
    (b"te", b"trailers", 200),
    (b"content-length", b"0", 200),
    (b"expect", b"100-continue", 200),
    *(
        (n, b"CLAIM", 200)
        for n in (
            b"x-envoy-max-retries",
            b"x-holdpoint-target",
            b"x-forwarded-for",
            b"x-http-method-override",
            b"forwarded",
        )
    ),
]


def _post(*more: tuple[bytes, bytes], target: bytes = b"tap") -> Fields:
    return fields(_TEXT, *more, method=b"POST", authority=target + b".holdpoint.internal")


def _bodies() -> list[Row2]:
    length, trailer = b"content-length", ((b"x-http-method-override", b"DELETE"), (b"x-t", b"1"))
    rows = [
        Row2("body", (Stream(_post((length, b"3")), (b"a", b"bc")),), (200,), ("POST /x",)),
        Row2("body: GET", (Stream(fields(_TEXT), (b"abc",)),), (200,), ("GET /x",)),
        Row2("body: never ends", (Stream(_post(), (b"abc",), end=False, reset=True),), ("reset",)),
        Row2("body: chunked", (Stream(_post((b"transfer-encoding", b"chunked")), (b"0\r\n\r\n" + _SMUGGLED,)),)),
        Row2("body: two lengths", (Stream(_post((length, b"3"), (length, b"4")), (b"abc",)),)),
        Row2("trailers", (Stream(_post(), (b"abc",), trailer),), (400,)),
        Row2("trailers without a body", (Stream(_post(), (), trailer),), (400,)),
        Row2("trailers: a path", (Stream(_post(), (b"abc",), ((b":path", b"/forbidden"),)),)),
        Row2("trailers: a request", (Stream(_post(), (b"abc",), ((b"x-t", b"1\r\n\r\n" + _SMUGGLED),)),)),
        Row2(
            "trailers: flow",
            (Stream(_post(target=b"flow"), (b"abc",), trailer),),
            ((400, 500),),
            target="flow",
            cut=True,
        ),
    ]
    for target in (b"tap", b"lean", b"flow"):
        for said in (b"0", b"1", b"9"):
            stream = Stream(_post((length, said), target=target), (_SMUGGLED[:5] if said != b"9" else b"abc",))
            name = target.decode()
            rows.append(Row2(f"body: {name}, a length of {said.decode()}", (stream,), (ENDED,), target=name, cut=True))
    for body in ((), (b"abc",)):
        stream = Stream(_post(target=b"lean"), body, trailer)
        rows.append(Row2(f"trailers: lean, {body!r}", (stream,), ((400, 500),), target="lean", cut=True))
    return rows


def _rows() -> list[Row2]:
    rows = [Row2(n, (Stream(f),), (r,), (a,) if a else ()) for n, f, r, a in _PSEUDO]
    rows += [Row2(f"header {n!r}: {v[:20]!r}", (Stream(fields((n, v))),), (r,), ("GET /x",)) for n, v, r in _HEADERS]
    padded = Stream(fields((b"x-a", b" b\t")))
    rows.append(Row2("header padded", (padded,), ((200, *ENDED),), ("GET /x",)))
    good, bad, nobody = Stream(fields()), Stream(fields(path=b"/forbidden")), Stream(fields(token=False))
    many = tuple(Stream(fields(path=b"/%d" % i)) for i in range(40))
    return [
        *rows,
        *_bodies(),
        Row2("together: allowed, blocked", (good, bad, good), (200, 403, 200), ("GET /x", "GET /x")),
        Row2("together: one without a token", (good, nobody, good), (200, 401, 200), ("GET /x", "GET /x")),
        Row2("together: forty", many, (200,) * 40, tuple(f"GET /{i}" for i in range(40))),
    ]


ROWS = _rows()
