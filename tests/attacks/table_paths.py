"""Paths, request lines, methods and hosts that two servers may read differently."""

from tests.attacks.rows import HOST, TOKEN, Row, Status, ask, at

_PATHS: list[tuple[bytes, Status, str]] = [
    (b"/a%2fforbidden", 400, ""),
    (b"/a%2Fforbidden", 400, ""),
    (b"/a%5cforbidden", 400, ""),
    (b"/a%252fforbidden", 400, ""),
    (b"/a%25252fforbidden", 400, ""),
    (b"/a/%252e%252e/forbidden", 400, ""),
    (b"/a/%2e%2e;x=1/forbidden", 400, ""),
    (b"/a/..%3b/forbidden", 400, ""),
    (b"/forbidden%00/x", 400, ""),
    (b"/a%0d%0aX:%20y", 400, ""),
    # Escapes that are none, and those of no UTF-8.
    (b"/a%c0%af..%c0%afforbidden", 400, ""),
    (b"/a%e0%80%afforbidden", 400, ""),
    (b"/%ff", 400, ""),
    (b"/a%u002fforbidden", 400, ""),
    (b"/a%zz", 400, ""),
    (b"/a%2", 400, ""),
    (b"/a%", 400, ""),
    (b"/a?b=%u0026c", 400, ""),
    (b"/a?b=%ff", 400, ""),
    (b"/x#/../forbidden", 400, ""),
    (b"/#", 400, ""),
    (b"/x?y#z", 400, ""),
    (b"/a\x00b", 400, ""),
    (b"/a\tb", 400, ""),
    ("/förbidden".encode(), 400, ""),
    (b"/a?\xc3\xa4", 400, ""),
    (b"forbidden", 400, ""),
    (b"", 400, ""),
    (b"*", 400, ""),
    (b"?x=1", 400, ""),
    (b"/x y", 400, ""),
    (b"/" + b"a" * 70_000, 431, ""),
    # More than anybody has to decide on.
    (b"/a" * 14_000, 414, ""),
    (b"/a" * 257, 414, ""),
    (b"/" + b"a" * 8192, 414, ""),
    (b"/x?" + b"a=1&" * 2048, 414, ""),
    (b"/x?" + b"&".join(b"%x=" % i for i in range(257)), 400, ""),
    (b"/a" * 256, 200, "/a" * 256),
    (b"file://tap.holdpoint.internal/x", 400, ""),
    # Dots and slashes are resolved before the decision: the word is seen.
    (b"/../../../../forbidden", 403, ""),
    (b"/a\\..\\forbidden", 403, ""),
    (b"/a/..;/forbidden", 403, ""),
    (b"/;/forbidden", 403, ""),
    (b"/.;/forbidden", 403, ""),
    (b"//forbidden", 403, ""),
    (b"/./forbidden/.", 403, ""),
    (b"/%2e/%66orbidden", 403, ""),
    (b"/%46ORBIDDEN", 403, ""),
    (b"/forbidden;x=1", 403, ""),
    (b"/forbidden.", 403, ""),
    (b"/forbidden%20", 403, ""),
    (b"/forbidden%2e", 403, ""),
    (b"/forbidden%09", 403, ""),
    (b"/forbidden\\x", 403, ""),
    (b"http://tap.holdpoint.internal/forbidden", 403, ""),
    (b"https://tap.holdpoint.internal/x", 403, ""),
    # What passes arrives as it was decided on.
    (b"/a/../b", 200, "/b"),
    (b"/a/%2e%2e/b", 200, "/b"),
    (b"/a/..;/b", 200, "/b"),
    (b"//a///b", 200, "/a/b"),
    (b"/./a/.", 200, "/a/"),
    (b"/forbidden/../x", 200, "/x"),
    (b"/a;x=1/b", 200, "/a;x=1/b"),
    (b"/.../b", 200, "/.../b"),
    (b"/a/..b", 200, "/a/..b"),
    (b"/a/%2e%2eb", 200, "/a/..b"),
    (b"/%61dmin", 200, "/admin"),
    (b"/a%20b+c", 200, "/a%20b+c"),
    (b"/a%3Fx%23", 200, "/a%3Fx%23"),
    (b"/a&b=c", 200, "/a&b=c"),
    (b"/a?", 200, "/a?"),
    (b"/a??x", 200, "/a??x"),
    (b"/a?b=/../forbidden", 200, "/a?b=/../forbidden"),
    (b"/a?x=%2e%2e%2f%00%0d%0a", 200, "/a?x=%2e%2e%2f%00%0d%0a"),
    (b"/a?x\\y", 200, "/a?x\\y"),
    (b"/a?x=1;y=2&x=3&&=&z", 200, "/a?x=1;y=2&x=3&&=&z"),
    (b"/a?_method=DELETE", 200, "/a?_method=DELETE"),
    (b"/" + b"a" * 8_000, 200, "/" + "a" * 8_000),
    (b"/" + b"%C3%A4" * 1_300, 200, "/" + "%C3%A4" * 1_300),
    (b"/a?b=" + b"%01" * 2_700, 200, "/a?b=" + "%01" * 2_700),
    (b"//other.holdpoint.internal/x", 200, "/other.holdpoint.internal/x"),
    (b"http://tap.holdpoint.internal", 200, "/"),
    (b"http://tap.holdpoint.internal:1/x", 200, "/x"),
]

_LINES: list[tuple[bytes, Status, str]] = [
    (b"GET /x HTTP/1.0", 426, ""),
    (b"GET /x HTTP/0.9", 426, ""),
    (b"GET /x HTTP/2.0", 426, ""),
    (b"GET /x HTTP/1.2", 426, ""),
    (b" GET /x HTTP/1.1", 400, ""),
    (b"GET /x http/1.1", 400, ""),
    (b"GET /x y HTTP/1.1", 400, ""),
    (b"GET /x HTTP/1.1 HTTP/1.1", 400, ""),
    (b"TRACE /x HTTP/1.1", (400, 405), ""),
    (b"trace /x HTTP/1.1", (400, 405), ""),
    (b"TRACK /x HTTP/1.1", (400, 405), ""),
    (b"DEBUG /x HTTP/1.1", (400, 405), ""),
    (b"CONNECT /x HTTP/1.1", (400, 405), ""),
    (b"CONNECT tap.holdpoint.internal:80 HTTP/1.1", (400, 403, 404, 405, 500), ""),
    (b"CONNECT other.holdpoint.internal:443 HTTP/1.1", (400, 403, 404, 405, 500), ""),
    (b"OPTIONS * HTTP/1.1", (400, 404), ""),
    (b"get /x HTTP/1.1", 400, ""),
    (b"FOO /x HTTP/1.1", 400, ""),
    (b"G(T /x HTTP/1.1", 400, ""),
    ("GÄT /x HTTP/1.1".encode(), 400, ""),
    (b"M" * 300 + b" /x HTTP/1.1", 400, ""),
    (b"PRI * HTTP/1.1", 400, ""),
    # Lax readings of white space end at the gateway: one line, one reading, goes on.
    (b"GET  /x  HTTP/1.1 ", 200, "GET /x"),
    (b"GET\t/x\tHTTP/1.1", 200, "GET /x"),
    (b"GET /x\rHTTP/1.1", 200, "GET /x"),
    (b"\r\n\r\nGET /x HTTP/1.1", 200, "GET /x"),
    (b"OPTIONS /x HTTP/1.1", 200, "OPTIONS /x"),
    (b"PROPFIND /x HTTP/1.1", 200, "PROPFIND /x"),
    (b"DELETE /x HTTP/1.1", 200, "DELETE /x"),
]

_HOSTS: list[tuple[bytes, Status]] = [
    (b"", 400),
    (b"Host:", 404),
    (b"Host: tap.holdpoint.internal/other", 400),
    (b"Host: tap.holdpoint.internal, other.holdpoint.internal", 400),
    (b"Host: tap.holdpoint.internal other", 400),
    (b"Host: tap.holdpoint.internal#", 400),
    (b"Host: tap.holdpoint.internal?x", 400),
    (b"Host: tap.holdpoint.internal\\x", 400),
    ("Host: täp.holdpoint.internal".encode(), 400),
    ("Host: \uff54ap.holdpoint.internal".encode(), 400),
    (b"Host: tap%2eholdpoint.internal", 404),
    (b"Host: tap.holdpoint.internal..", 404),
    (b"Host: u@tap.holdpoint.internal", (400, 404)),
    (b"Host: tap.holdpoint.internal@other.holdpoint.internal", (400, 404)),
    (b"Host: *.holdpoint.internal", 404),
    (b"Host: x.tap.holdpoint.internal", 404),
    (b"Host: [::1]", 404),
    (b"Host: 127.0.0.1", 404),
    (HOST + b"\r\nHost: other.holdpoint.internal", (400, 404)),
    (HOST + b"\r\n" + HOST, (400, 404)),
    (b"Host: TAP.Holdpoint.Internal", 200),
    (b"Host: tap.holdpoint.internal.", 200),
    (b"Host: tap.holdpoint.internal:80", 200),
    (b"Host: tap.holdpoint.internal:99999", (200, 400, 404)),
    (b"Host: tap.holdpoint.internal:x", (400, 404)),
    (b"Host: tap.holdpoint.internal:", (400, 404)),
    (b"Host: \ttap.holdpoint.internal\t", 200),
]

_MOUNTS: list[tuple[bytes, Status, str, str]] = [
    (b"/tap/x", 200, "/x", "tap"),
    (b"/tap", 200, "/", "tap"),
    (b"/tap?x=1", 200, "/?x=1", "tap"),
    (b"/tap/?/../other", 200, "/?/../other", "tap"),
    (b"/t%61p/x", 200, "/x", "tap"),
    (b"/tap//tap/x", 200, "/tap/x", "tap"),
    (b"/tap/../other/x", 200, "/x", "other"),
    (b"/tap/..;/other/x", 200, "/x", "other"),
    (b"/tap/forbidden", 403, "", "tap"),
    (b"//tap//forbidden", 403, "", "tap"),
    (b"/tap;x/y", 404, "", "tap"),
    (b"/TAP/x", 404, "", "tap"),
    (b"/tapx", 404, "", "tap"),
]


def _short(data: bytes) -> str:
    return repr(data[:40])[2:-1]


def _rows() -> list[Row]:
    rows = [
        Row(f"path {_short(path)}", (ask(b"GET " + path),), (status,), (f"GET {arrives}",) if arrives else ())
        for path, status, arrives in _PATHS
    ]
    for line, status, arrives in _LINES:
        head = b"\r\n".join([line, HOST, TOKEN]) + b"\r\n\r\n"
        method = line.split()[0] if line.split() else b"GET"
        rows.append(Row(f"line {_short(line)}", (head,), (status,), (arrives,) if arrives else (), method=method))
    for host, status in _HOSTS:
        rows.append(Row(f"host {_short(host[6:])}", (ask(b"GET /x", host=host),), (status,), ("GET /x",)))
    for path, status, arrives, target in _MOUNTS:
        bytes_ = ask(b"GET " + path, host=b"Host: gateway")
        rows.append(Row(f"mount {_short(path)}", (bytes_,), (status,), (f"GET {arrives}",) if arrives else (), target))
    rows += [
        Row("absolute: another target", (ask(b"GET http://other.holdpoint.internal/x"),), (200,), ("GET /x",), "other"),
        Row("absolute: nobody's", (ask(b"GET http://nobody.test/x"),), (404,)),
        Row("absolute: user information", (ask(b"GET http://tap.holdpoint.internal@nobody.test/x"),), ((400, 404),)),
        Row(
            "host: a port with a user",
            (ask(b"GET /x", host=b"Host: nobody.test:80@tap.holdpoint.internal"),),
            ((400, 404),),
        ),
        Row("mount: a long host", (ask(b"GET /tap/x", host=b"Host: " + b"a" * 50_000),), (200,), ("GET /x",)),
        Row("mount: a user in the host", (ask(b"GET /tap/x", host=b"Host: u@gateway"),)),
        Row("mount: a port that is none", (ask(b"GET /tap/x", host=b"Host: gateway:x"),)),
        Row("mount on a target's own host", (ask(b"GET /other/x"),), (200,), ("GET /other/x",)),
        Row("mount of another on lean", (ask(b"GET /../tap/x", host=at("lean")),), (200,), ("GET /tap/x",), "lean"),
    ]
    return rows


ROWS = _rows()
