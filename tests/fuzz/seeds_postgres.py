"""What fuzzing of PostgreSQL begins with: messages, texts, rows and sessions as they are when all goes well."""

# ruff: noqa: S608 (what is built here is read, and sent nowhere)

from collections.abc import Callable, Iterator, Mapping

from extproc.protocols.postgres.masks.copybinary import SIGNATURE
from extproc.protocols.postgres.wire import authentication, backend, common, frontend, startup
from extproc.protocols.postgres.wire.startup import PROTOCOL_3_0, StartupMessage
from extproc.server.terminator import proxy_v2
from tests.fuzz.sessions import LATER, NO
from tests.fuzz.targets.arrivals import NONCE

WORDS = (
    "SELECT ", "INSERT INTO t (a, email) VALUES ($1, 'x')", "UPDATE t SET a = 1", " FROM t WHERE a = $1", "DELETE FROM",
    "WITH c AS (", "COPY t TO STDOUT", "COPY t FROM STDIN", "(FORMAT csv)", "PREPARE s AS ", "EXECUTE s",
    "FETCH 1 FROM ",
    "DECLARE c CURSOR FOR ", "BEGIN; ", "COMMIT", "ROLLBACK", "SET search_path = a", "DO $$x$$", "CALL f()", "EXPLAIN ",
    "ALTER TABLE t ", "CREATE VIEW v AS ", "GRANT SELECT ON t TO b", " ON CONFLICT DO UPDATE SET ", " RETURNING *",
    "MERGE INTO t USING s ON true WHEN MATCHED THEN ", " UNION ALL ", " JOIN t USING (a)", "::text", "ARRAY[1]",
    "(t).a",
    "/*traceparent='00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'*/", "$$", "E'\\x41'", "U&\"d\\0061\"",
    NO, LATER, "holdpoint", '{a,"b",NULL}', '(1,"a""b",)', "\\.", "\\N", "PGCOPY\n", "user", "database", "options",
    "SCRAM-SHA-256-PLUS", "n,,n=,r=", "p=tls-server-end-point,,", "client_encoding", "standard_conforming_strings",
)  # fmt: skip
"""What a fuzzer would take long to come upon."""

TEXTS = (
    "SELECT a, t.*, count(*) FROM s.t JOIN u USING (a) WHERE email = $1 AND b IN (SELECT 1) GROUP BY a ORDER BY 1",
    "WITH RECURSIVE c AS (SELECT 1 UNION ALL SELECT n + 1 FROM c), d AS (DELETE FROM t RETURNING *) SELECT * FROM c, d",
    "INSERT INTO t (a, email) VALUES (1, 'x'), ($1, $2) ON CONFLICT (a) DO UPDATE SET email = excluded.email",
    "UPDATE t SET (a, email) = (SELECT 1, 'x'), b[1] = 2 WHERE ssn = '219-09-9998' OR true; SELECT 2 /* and */ -- on",
    "MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN UPDATE SET a = 'x' WHEN NOT MATCHED THEN INSERT VALUES (1)",
    "COPY (SELECT a, email FROM t) TO STDOUT WITH (FORMAT csv, HEADER); COPY t FROM PROGRAM 'cat'",
    "SELECT CASE WHEN a THEN 1 ELSE b END, (t).x, ARRAY[1, 2], f(VARIADIC a => 1), sum(a) OVER w FROM t WINDOW w AS ()",
    "EXECUTE s(1, 'x'); FETCH ALL FROM t\0SELECT email FROM t\0SELECT 1",
    "CREATE TABLE x AS SELECT * FROM t; ALTER TABLE t DROP a; GRANT SELECT ON t TO b; SET LOCAL a.b = 'c'; DO $$x$$",
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$; CREATE RULE r AS ON INSERT TO t DO ALSO SELECT 1",
    "SELECT 1 /*traceparent='00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',tracestate='a%3Db'*/",
    "SELECT * FROM ROWS FROM (f(1), g(2)) WITH ORDINALITY AS x(a, b), LATERAL (SELECT x.a) y, xmltable('x' PASSING b)",
    "ALTER ROLE r PASSWORD 'x'; CREATE USER MAPPING FOR u SERVER s OPTIONS (password 'x'); SELECT U&'d\\0061'",
)
_VALUES = b"\0".join(
    [
        *(b"1", b"4111 1111 1111 1111", b"\xff", b'{"secret": "x", "a": ["jane@example.com"]}', b"{a,\"b, c\",NULL}"),
        *(b'(1,"a ""b""",)', b"\\\\x4a616e65", b"a\tb\n\\c;|'", b"<a>jane@example.com</a>", b"12.5", b"", b"-"),
    ]
)  # fmt: skip
_TCP = (
    proxy_v2.SIGNATURE
    + b"\x21\x11\0\x22\x7f\0\0\x01\x7f\0\0\x01\x01\x02\x03\x04\x05\0\x01a\x04\0\0\x20\0\x0c"
    + bytes(12)
)


def _encoded(*messages: object) -> bytes:
    return b"".join(message.encode() for message in messages)  # type: ignore[attr-defined]


_STARTUP = StartupMessage(PROTOCOL_3_0, (("user", "me"), ("database", "crm-db/x"), ("application_name", "psql")))
_ASKED = _encoded(
    frontend.Query(TEXTS[0]), frontend.Parse("s", TEXTS[2], (23, 25)), frontend.Describe(frontend.Of.STATEMENT, "s"),
    frontend.Bind("", "s", (1, 0), (b"\0\0\0\1", None), (0,)), frontend.Execute("", 5), frontend.Sync(),
    frontend.Flush(), frontend.Close(frontend.Of.PORTAL, ""), common.CopyData(b"1\tx\n"), common.CopyDone(),
    frontend.CopyFail("no"),
    frontend.FunctionCall(1, (0,), (b"x",), 0), frontend.Terminate(),
)  # fmt: skip
_ANSWERED = _encoded(
    backend.AuthenticationOk(), backend.ParameterStatus("client_encoding", "UTF8"),
    backend.BackendKeyData(7, b"\1\2\3\4"), backend.ReadyForQuery(backend.Transaction.IDLE),
    backend.RowDescription((backend.Field("a", 1, 1, 25, -1, -1, 0),)),
    backend.DataRow((b"x",)), backend.DataRow((None,)), backend.CommandComplete("SELECT 2"), backend.ParseComplete(),
    backend.ParameterDescription((25,)), backend.ErrorResponse((("S", "ERROR"), ("M", "no"))), backend.NoData(),
    backend.CopyOutResponse(0, (0, 0)), common.CopyData(b"1\t2\n"), common.CopyDone(), backend.PortalSuspended(),
    backend.NotificationResponse(1, "a", "b"), backend.NegotiateProtocolVersion(PROTOCOL_3_0, ("_pq_.x",)),
)  # fmt: skip
_LOGIN = _encoded(
    backend.AuthenticationSASL(("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256")),
    backend.AuthenticationSASLContinue(f"r={NONCE}abc,s={'A' * 24},i=4096".encode()),
    backend.AuthenticationSASLFinal(b"v=" + b"A" * 43 + b"="),
)
_PINNED = (("client_encoding", "UTF8"), ("standard_conforming_strings", "on"))
_READY = _encoded(
    backend.AuthenticationOk(), *(backend.ParameterStatus(*pair) for pair in _PINNED),
    backend.BackendKeyData(7, b"\1\2\3\4"), backend.ReadyForQuery(backend.Transaction.IDLE),
)  # fmt: skip
_SCRAM = (
    authentication.SASLInitialResponse("SCRAM-SHA-256", b"n,,n=,r=abc").encode()
    + authentication.SASLResponse(f"c=biws,r=abc{NONCE},p={'A' * 43}=".encode()).encode()
)


def _do(kind: int, said: str | bytes = b"") -> bytes:
    """One doing of a session, as `targets.sessions` reads it."""
    data = said.encode() if isinstance(said, str) else said
    return bytes((kind, len(data))) + data


_SESSIONS = tuple(
    b"".join(doings)
    for doings in (
        (
            *(_do(0, "SELECT 1"), _do(9, b"\1"), _do(0, f"SELECT '{NO}'"), _do(9)),
            *(_do(0, "SELECT note FROM t"), _do(9, b"\3")),
        ),
        (_do(1, "SELECT $1"), _do(2, b"x"), _do(4), _do(5), _do(9, b"\1\1\1\1\1")),
        (
            *(_do(65, f"SELECT $1 /* {LATER} */"), _do(67), _do(5), _do(28), _do(9, b"\1\1\1")),
            *(_do(66, NO), _do(68), _do(5), _do(9, b"\1\1")),
        ),
        (
            *(_do(0, "COPY t FROM STDIN"), _do(9, b"\x08"), _do(6, b"1\tx\n"), _do(23), _do(9, b"\0\0")),
            *(_do(0, "COMMIT"), _do(9)),
        ),
        (
            *(_do(0, "COPY t TO STDOUT"), _do(9, b"\4"), _do(14), _do(14), _do(0, "SET ROLE x; SELECT 1")),
            _do(9, b"\0\1\0"),
        ),
        (
            *(_do(0, "COPY (SELECT 1) TO STDOUT BINARY"), _do(9, b"\1\1\1\1\1\4"), _do(14)),
            *(_do(1, "COPY (SELECT 1) TO STDOUT BINARY"), _do(2), _do(4), _do(5), _do(9, b"\1\1\1\1\1\1\1\7")),
        ),
        (
            *(_do(0, "BEGIN"), _do(9, b"\x10"), _do(0, f"DELETE FROM t /* {LATER} */"), _do(13), _do(9)),
            *(_do(0, "ROLLBACK"), _do(9)),
        ),
        (
            *(_do(0, "DECLARE c CURSOR FOR SELECT 1; FETCH c"), _do(9, b"\1\1"), _do(15)),
            *(_do(0, "EXECUTE b(1)"), _do(9), _do(71)),
        ),
        (*(_do(11 + 16 * which, "x") for which in range(4)), _do(8, b"F\0\0\0\5x"), _do(9)),
        (
            *(_do(1, "SELECT 1"), _do(5), _do(9, b"\7\0"), _do(0, "PREPARE a AS SELECT 1"), _do(9)),
            *(_do(66), _do(68), _do(5), _do(9, b"\1\1\1")),
        ),
        (
            *(_do(0, "SELEC 1"), _do(9), _do(0, "SET client_encoding = latin1"), _do(9)),
            *(_do(27, "LATIN1"), _do(247)),
        ),
    )
)


def _wire() -> Iterator[bytes]:
    for side, data in ((0, _ASKED), (1, _ANSWERED), (2, _STARTUP.encode()), (2, startup.SSLRequest().encode()),
                       (2, startup.CancelRequest(7, b"abcd").encode())):  # fmt: skip
        yield bytes((side, 0, 0, 7)) + data
    yield bytes((1, 1, 3, 9)) + _ANSWERED[:40]
    yield bytes((0, 2, 8, 9)) + common.CopyData(b"x").encode()


def _statements() -> Iterator[bytes]:
    for index, text in enumerate(TEXTS):
        yield bytes((0, 0, 0, index)) + text.encode()
    yield bytes((100, 180, 255, 9)) + b"SELECT 1 FROM t WHERE a = 1 AND b = 2"
    yield bytes((128, 255, 90, 7)) + b"SELECT 1, a + 1"


def _rows() -> Iterator[bytes]:
    for kind in range(16):
        for flags in (8, 0, 11):
            yield bytes((kind % 2, kind * 17 % 256, 36 + kind, flags, kind % 6, kind, kind)) + _VALUES
    for form in (0, 1, 2, 66, 65, 64):
        yield bytes((2, 16 * form % 256, 24, 8, 3, form, 5)) + _VALUES
    for form in (0, 1, 64, 66):  # columns whose names say nothing
        yield bytes((2, 0, 5, 8, 0, form, 5)) + _VALUES
    row = b"\0\2\0\0\0\1x\xff\xff\xff\xff"
    yield bytes((3, 0, 24, 8, 3, 5, 0)) + row + b"\0\xfe" + row
    yield bytes((4, 0, 24, 8, 3, 0, 0)) + b"1\tx\\\\n\n\\N\t4111 1111 1111 1111\n\\.\n"
    yield bytes((4, 0, 24, 8, 3, 1, 0)) + b'1,"a ""b""\n"\n,4111 1111 1111 1111\n'
    yield bytes((4, 0, 24, 8, 3, 2, 0)) + SIGNATURE + bytes(8) + row + b"\xff\xff"


def _sessions() -> Iterator[bytes]:
    for index, doings in enumerate(_SESSIONS):
        for masks in range(3):
            yield bytes((masks, index)) + doings


def _arrivals() -> Iterator[bytes]:
    yield bytes((0, 0, 0)) + _TCP + b"rest"
    yield bytes((0, 0, 0)) + proxy_v2.SIGNATURE + b"\x20\0\0\0"
    unix = b"\x21\x31\0\xe3" + b"/a".ljust(108, b"\0") + b"/b".ljust(108, b"\0") + b"\x05\0\x01a"
    crc = proxy_v2.SIGNATURE + unix + b"\x03\0\4"
    yield bytes((0, 0, 0)) + proxy_v2.SIGNATURE + unix.replace(b"\0\xe3", b"\0\xdc")
    yield bytes((0, 0, 0)) + crc + proxy_v2.crc32c(crc + bytes(4)).to_bytes(4, "big")
    for flags in (0, 2, 18, 50):
        yield bytes((1, flags, 5)) + _STARTUP.encode() + (_SCRAM if flags & 16 else b"p\0\0\0\6x\0") + b"rest"
    yield bytes((1, 1, 5)) + startup.SSLRequest().encode()
    yield bytes((1, 0, 5)) + startup.GSSENCRequest().encode() + startup.CancelRequest(7, b"abcd").encode()
    for flags in (1, 3, 5):
        yield bytes((2, flags, 3)) + _LOGIN
        yield bytes((2, flags, 3)) + _READY
    yield bytes((2, 5, 3)) + backend.AuthenticationCleartextPassword().encode() + _READY
    yield bytes((2, 1, 3)) + backend.AuthenticationMD5Password(b"salt").encode() + _READY
    yield bytes((3, 0, 0)) + f"n,,n=,r=abc\0c=biws,r=abc{NONCE},p={'A' * 43}=".encode()
    yield bytes((3, 1, 0)) + f"r={NONCE}abc,s={'A' * 24},i=4096\0v={'A' * 43}=".encode()
    yield bytes((3, 1, 0)) + f"SCRAM-SHA-256$4096:{'A' * 24}${'A' * 43}=:{'A' * 43}=".encode()


SEEDS: Mapping[str, Callable[[], Iterator[bytes]]] = {
    "wire": _wire,
    "statements": _statements,
    "rows": _rows,
    "sessions": _sessions,
    "arrivals": _arrivals,
}
"""The inputs for each target."""
