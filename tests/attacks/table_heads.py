"""Headers: hop by hop, claimed, doubled, malformed; upgrades; credentials."""

from tests.attacks.rows import EITHER, Row, Status, ask

_UPGRADE = b"Connection: Upgrade\r\nUpgrade: "
_WEBSOCKET = b"websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13"

# Refused, or passed on exactly as policy saw it: a name that does not go on is named third.
_HEADERS: list[tuple[bytes, Status]] = [
    (b"X_Under: 1", 400),
    (b"X-A : a", 400),
    (b": a", 400),
    (b"X-A", 400),
    (b"X A: a", 400),
    ("X-Ä: a".encode(), 400),
    (b"X(A): a", 400),
    (b'X"A: a', 400),
    (b"X-A: a\x00b", 400),
    (b"X-A: a\x01b", 400),
    (b"X-A: a\x7fb", 400),
    (b":path: /forbidden", 400),
    (b":method: DELETE", 400),
    (b":authority: other.holdpoint.internal", 400),
    (b"X-A: " + b"a" * 70_000, 431),
    (b"\r\n".join(b"X-%d: a" % i for i in range(200)), 431),
    (b"Connection: close, host", (400, 404)),
    (b"Content-Type: text/plain\r\nContent-Type: application/json", 400),
    (_UPGRADE + _WEBSOCKET, 403),
    (_UPGRADE + b"TLS/1.0", 403),
    (_UPGRADE + b"SPDY/3.1", 403),
    (_UPGRADE + b"h2c, websocket", 403),
    (b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__", 200),
    (b"Upgrade: h2c", 200),
    (b"X-A: a\r\n X-B: b", 200),
    (b"X-A: a\r\n\tb", 200),
    (b"X-A: a\nX-B: b", 200),
    (b"X-A: a\rX-B: b", 200),
    (b"X:A: a", 200),
    (b"X-A:", 200),
    (b"X-A: \xc3\xa4\xff", 200),
    (b"X-A: a\r\nx-a: b", 200),
    (b"X-A: " + b"a" * 30_000, 200),
    (b"Traceparent: 00-" + b"1" * 32 + b"-" + b"2" * 16 + b"-01\r\nTracestate: a=" + b"b" * 50_000, 200),
    (b"Traceparent: " + b"b" * 50_000, 200),
    (b"\r\n".join(b"X-%d: a" % i for i in range(79)), 200),
    # One more is the token.
    (b"\r\n".join(b"X-%d: a" % i for i in range(80)), 431),
    (b"TE: gzip, trailers", 200),
    (b"Trailer: x-a", 200),
    (b"Range: bytes=0-1", 200),
    (b"Expect: 200-ok", (200, 400, 417)),
    (b"Max-Forwards: 0", 200),
    (b"Content-Encoding: gzip", 200),
    (b"Cookie: a=b\r\nCookie: c=d", 200),
    (b"X-Api-Key: k", 200),
    (b"Transfer-Encoding: identity", 501),
    (b"Proxy-Authorization: CLAIM", EITHER),
]

# Said by a client, these words reach nobody: `CLAIM` is looked for in what arrives and in what policy saw.
_CLAIMED = [
    b"Connection: x-foo\r\nX-Foo: CLAIM",
    b"Connection: close, x-foo\r\nX-Foo: CLAIM",
    b"Keep-Alive: CLAIM",
    b"Proxy-Connection: CLAIM",
    b"Connection: x-request-id\r\nX-Request-Id: CLAIM",
    b"X-Envoy-Retry-On: CLAIM",
    b"X-Envoy-Original-Path: /CLAIM",
    b"X-Envoy-Upstream-Rq-Timeout-Ms: CLAIM",
    b"X-Envoy-Decorator-Operation: CLAIM",
    b"X-Forwarded-For: CLAIM",
    b"X-Forwarded-Host: CLAIM",
    b"X-Forwarded-Proto: CLAIM",
    b"X-Forwarded-Prefix: CLAIM",
    b"X-Forwarded-Uri: CLAIM",
    b"X-Forwarded-Client-Cert: CLAIM",
    b"Forwarded: host=CLAIM",
    b"X-Original-Url: /CLAIM",
    b"X-Original-Uri: /CLAIM",
    b"X-Rewrite-Url: /CLAIM",
    b"X-Http-Method-Override: CLAIM",
    b"X-Http-Method: CLAIM",
    b"X-Method-Override: CLAIM",
    b"X-Holdpoint-Target: CLAIM",
    b"X-Holdpoint-Strip: /CLAIM",
    b"X-Holdpoint-Via: CLAIM",
    b"X-Holdpoint-Refuse: CLAIM",
    b"X-Holdpoint-Ticket: CLAIM",
    b"X-Host: CLAIM",
    b"X-Real-Ip: CLAIM",
    b"True-Client-Ip: CLAIM",
    b"X-Client-Trace-Id: CLAIM",
]

# Policy is shown them; they do not go on.
_DROPPED = [
    b"tracestate: CLAIM",
    b"baggage: CLAIM",
    b"b3: CLAIM",
    b"x-b3-traceid: CLAIM",
    b"x-stainless-os: CLAIM",
    b"traceparent: CLAIM",
]

_TOKENS: list[tuple[bytes, Status]] = [
    (b"", 401),
    (b"Authorization: <TOKEN>", 401),
    (b"Authorization: Basic <TOKEN>", (400, 401, 403)),
    (b"Authorization: Bearer <TOKEN>,Bearer x", 401),
    (b"Authorization: Bearer <TOKEN>\r\nAuthorization: Bearer <TOKEN>", (400, 401)),
    (b"Authorization: Bearer x\r\nAuthorization: Bearer <TOKEN>", (400, 401)),
    (b"Authorization: Bearer <TOKEN>\r\nAuthorization: Bearer x", (400, 401)),
    (b"Connection: authorization\r\nAuthorization: Bearer <TOKEN>", 401),
    (b"Cookie: access_token=<TOKEN>", 401),
    (b"Authorization: bearer <TOKEN>", EITHER),
    (b"Authorization: BEARER <TOKEN>", EITHER),
    (b"Authorization: Bearer  <TOKEN>", EITHER),
    (b"Authorization: Bearer\t<TOKEN>", EITHER),
    (b"Authorization: Bearer <TOKEN> x", EITHER),
    (b"Authorization: Basic x\r\nAuthorization: Bearer <TOKEN>", EITHER),
    (b"Proxy-Authorization: Bearer <TOKEN>", EITHER),
    (b"Authorization: Bearer <TOKEN>\r\nProxy-Authorization: Bearer <TOKEN>", EITHER),
]


def _short(data: bytes) -> str:
    return repr(data[:50])[2:-1]


def _rows() -> list[Row]:
    every = [*_HEADERS, *((h, 200) for h in (*_CLAIMED, *_DROPPED))]
    rows = [Row(f"header {_short(h)}", (ask(b"GET /x", h),), (status,), ("GET /x",)) for h, status in every]
    rows += [Row(f"token {_short(t)}", (ask(b"GET /x", token=t),), (status,), ("GET /x",)) for t, status in _TOKENS]
    rows += [
        Row("token in the query alone", (ask(b"GET /x?access_token=<TOKEN>", token=b""),), (401,)),
        Row("a second copy of the token", (ask(b"GET /x", b"X-Copy: <TOKEN>"),), (200,), ("GET /x",), own=True),
        Row("a field line that folds into the token", (ask(b"GET /x", b" x"),), (EITHER,), ("GET /x",)),
    ]
    return rows


ROWS = _rows()
