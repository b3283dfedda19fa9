"""Bodies that two parsers may read differently: refused, or shown to policy as they arrive."""

import gzip

from tests.attacks.rows import Row, Status, ask

_JSON = b"application/json"
_FORM = b"application/x-www-form-urlencoded"
_BYTES = b"application/octet-stream"
_TWICE = b'{"a": 1, "a": 2}'

_BODIES: list[tuple[str, bytes, bytes, Status]] = [
    ("JSON", _JSON, b'{"a": [1, "\xc3\xa4", null, -0.0, 1e-7]}', 200),
    ("a long number", _JSON, b'{"a": 123456789012345678901234567890}', 200),
    ("members that differ in case", _JSON, b'{"a": 1, "A": 2}', 200),
    ("a NUL in a name", _JSON, b'{"a\\u0000": 1}', 200),
    ("a scalar", _JSON, b"1", 200),
    ("nothing", _JSON, b"", 200),
    ("a member twice", _JSON, _TWICE, 400),
    ("a member twice, escaped", _JSON, b'{"a": 1, "\\u0061": 2}', 400),
    ("a member twice, deep", _JSON, b'[{"b": {"a": 1, "a": 2}}]', 400),
    ("a member twice, in a vendor's JSON", b"application/vnd.x+json", _TWICE, 400),
    ("a member twice, in upper case", b"APPLICATION/JSON", _TWICE, 400),
    ("a member twice, tab", b"application/json\t;x", _TWICE, 400),
    ("a member twice, two types", b"application/json, text/plain", _TWICE, 400),
    ("a member twice, text/json", b"text/json", _TWICE, 400),
    ("a member twice, blank in the type", b"application /json", _TWICE, 400),
    ("a member twice, x-json", b"application/x-json", _TWICE, 400),
    ("a member twice, bytes", _BYTES, _TWICE, 400),
    ("a member twice, json-seq", b"application/json-seq", b"\x1e" + _TWICE, 200),
    ("a member twice, bytes with a byte order mark", _BYTES, b"\xef\xbb\xbf" + _TWICE, 200),
    ("half a surrogate pair", _JSON, b'{"adm\\ud800in": 1}', 400),
    ("half a surrogate pair, bytes", _BYTES, b'{"adm\\udc00in": 1}', 400),
    ("UTF-16, bytes", _BYTES, '{"a": 1}'.encode("utf-16"), 400),
    ("NaN", _JSON, b'{"a": NaN}', 400),
    ("two documents", _JSON, b'{"a": 1}{"b": 2}', 400),
    ("two lines", _JSON, b'{"a": 1}\n{"b": 2}', 400),
    ("a byte order mark", _JSON, b'\xef\xbb\xbf{"a": 1}', 400),
    ("UTF-16", _JSON, '{"a": 1}'.encode("utf-16"), 400),
    ("UTF-16, declared", _JSON + b"; charset=utf-16", '{"a": 1}'.encode("utf-16"), 400),
    ("UTF-7, declared", _JSON + b"; charset=utf-7", b'{"a": "+AGE-"}', 400),
    ("EBCDIC, declared", _JSON + b"; charset=ibm037", '{"a": 1}'.encode("cp037"), 400),
    ("two charsets", _JSON + b"; charset=utf-8; charset=ibm037", '{"a": 1}'.encode("cp037"), 400),
    ("not UTF-8", _JSON, b'{"a": "\xff"}', 400),
    ("overlong UTF-8", _JSON, b'{"a": "\xc0\xaf"}', 400),
    ("a control character", _JSON, b'{"a": "\x01"}', 400),
    ("a comment", _JSON, b'{"a": 1 /* */}', 400),
    ("a comma too many", _JSON, b'{"a": 1,}', 400),
    ("single quotes", _JSON, b"{'a': 1}", 400),
    ("blanks only", _JSON, b"  ", 400),
    ("5000 deep", _JSON, b"[" * 5000 + b"]" * 5000, 400),
    ("5000 digits", _JSON, b'{"a": ' + b"1" * 5000 + b"}", 400),
    ("an exponent", _JSON, b'{"a": 1e999999999}', (400, 503)),
    ("a form", _FORM, b"a=1&_method=DELETE&a=2;b=3&%61=+", 200),
    ("a form that is JSON", _FORM, _TWICE, 200),
    ("a form not in UTF-8", _FORM, b"a=\xff", 400),
    ("a form of 1001 fields", _FORM, b"&".join(b"a=%d" % i for i in range(1001)), 400),
    ("a form in EBCDIC", _FORM + b"; charset=ibm037", "_method=DELETE".encode("cp037"), 400),
    ("multipart", b"multipart/form-data; boundary=x", b'--x\r\ncontent-disposition: form-data; name="a"\r\n\r\n1', 200),
    ("two boundaries", b"multipart/form-data; boundary=x; boundary=y", b"--x\r\n\r\n1\r\n--x--\r\n--y\r\n\r\n2", 200),
    ("multipart, binary", b"multipart/form-data; boundary=x", b"--x\r\n\r\n\xff\x00\r\n--x--\r\n", 200),
    ("XML with an entity", b"application/xml", b"<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///x'>]><a>&x;</a>", 200),
    (
        "code in what a rule takes for a value",
        _JSON,
        b'{"sql": "DELETE FROM b WHERE id=4/*password=*/or/**/id>1"}',
        200,
    ),
    (
        "code in what a rule takes for a value, a form",
        _FORM,
        b"q=4/*password=*/or/**/id>1&token='x1y2z3w4'or/**/1",
        200,
    ),
    ("code in what a rule takes for a value, text", b"text/plain", b"-----BEGIN PRIVATE KEY-----\nDROP TABLE b", 200),
    ("gRPC-Web", b"application/grpc-web", b"\0\0\0\0\1a", 200),
    ("bytes", b"application/octet-stream", bytes(range(256)), 200),
    ("lines of JSON", b"application/x-ndjson", _TWICE + b"\n{}", 200),
    ("text in Latin-1", b"text/plain; charset=latin1", b"\xff\xfe", 200),
    ("text in UTF-7", b"text/plain; charset=utf-7", b"+AGEAYg-", 400),
    ("an unknown charset", b"text/plain; charset=nonsense", b"abc", 400),
    ("a type of 300 characters", b"text/plain; x=" + b"a" * 300, b"abc", 400),
    ("no type's JSON", b"", _TWICE, 400),
    ("1 MiB", b"application/octet-stream", b"\1" * (1 << 20), 200),
    ("1 MiB and a byte", b"application/octet-stream", b"\1" * ((1 << 20) + 1), 413),
]

_CHAT = b'{"model": "%b", "messages": [{"role": "user", "content": "%b"}], "tools": [%b]}'
_LONG = [
    ("model", b"m" * 1_000_000, b"", b""),
    ("model in control characters", b"\\u0001" * 100_000, b"", b""),
    ("prompt", b"", b"\\u0001" * 100_000, b""),
    ("list of tools", b"", b"", b",".join(b'{"function": {"name": "t%d"}}' % i for i in range(300))),
    ("tool", b"", b"", b'{"function": {"name": "%b"}}' % (b"\\u0001" * 100_000)),
]

_CODINGS: list[tuple[bytes, Status]] = [
    (b"gzip", 200),
    (b"GZIP", 200),
    (b"x-gzip", 200),
    (b"br", 400),
    (b"zstd", 400),
    (b"gzip, gzip", 400),
    (b"gzip, gzip, gzip", 415),
    (b"aws-chunked", 415),
    (b"identity, gzip", 200),
    (b"identity\r\nContent-Encoding: gzip", 200),
    (b"identity", 200),
]


def _ask(kind: bytes, body: bytes, *more: bytes) -> bytes:
    typed = [b"Content-Type: " + kind] if kind else []
    return ask(b"POST /x", *typed, *more, b"Content-Length: %d" % len(body), body=body)


def _rows() -> list[Row]:
    x = ("POST /x",)
    rows = [Row(f"body: {name}", (_ask(kind, body),), (status,), x) for name, kind, body, status in _BODIES]
    for name, *parts in _LONG:
        body, line = _CHAT % tuple(parts), b"POST /v1/chat/completions"
        typed = (b"Content-Type: " + _JSON, b"Content-Length: %d" % len(body))
        rows.append(Row(f"a chat's long {name}", (ask(line, *typed, body=body),), (200,), (line.decode(),)))
    zipped = gzip.compress(b"abc", mtime=0)
    for coding, status in _CODINGS:
        sent = _ask(b"text/plain", zipped, b"Content-Encoding: " + coding)
        rows.append(Row(f"coding: {coding.decode()!r}", (sent,), (status,), x))
    return rows


ROWS = _rows()
