"""An example of each message, byte by byte, and strategies that make any of them."""

from hypothesis import strategies as st

from extproc.protocols.postgres.wire.authentication import (
    AuthenticationResponse,
    PasswordMessage,
    SASLInitialResponse,
    SASLResponse,
)
from extproc.protocols.postgres.wire.backend import (
    Authentication,
    AuthenticationCleartextPassword,
    AuthenticationMD5Password,
    AuthenticationOk,
    AuthenticationOther,
    AuthenticationSASL,
    AuthenticationSASLContinue,
    AuthenticationSASLFinal,
    Backend,
    BackendKeyData,
    BindComplete,
    CloseComplete,
    CommandComplete,
    CopyBothResponse,
    CopyData,
    CopyDone,
    CopyInResponse,
    CopyOutResponse,
    DataRow,
    EmptyQueryResponse,
    ErrorResponse,
    Field,
    NegotiateProtocolVersion,
    NoData,
    NoticeResponse,
    NotificationResponse,
    ParameterDescription,
    ParameterStatus,
    ParseComplete,
    PortalSuspended,
    ReadyForQuery,
    RowDescription,
    Transaction,
)
from extproc.protocols.postgres.wire.frontend import (
    Bind,
    Close,
    CopyFail,
    Describe,
    Execute,
    Flush,
    Frontend,
    FunctionCall,
    Of,
    Parse,
    Query,
    Sync,
    Terminate,
)
from extproc.protocols.postgres.wire.startup import (
    PROTOCOL_3_0,
    PROTOCOL_3_2,
    CancelRequest,
    GSSENCRequest,
    SSLRequest,
    Startup,
    StartupMessage,
)

SECRET = bytes(range(256))
_COLUMNS = (
    b"T\0\0\0\x30\0\x02ctid\0\0\0\x40\0\xff\xff\0\0\0\x1b\0\x06\xff\xff\xff\xff\0\0"
    b"\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\0\0\0\x08\0\x01"
)

STARTUP_EXAMPLES: list[tuple[Startup, bytes]] = [
    (SSLRequest(), b"\0\0\0\x08\x04\xd2\x16\x2f"),
    (GSSENCRequest(), b"\0\0\0\x08\x04\xd2\x16\x30"),
    (CancelRequest(77, b"abcd"), b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0Mabcd"),
    (CancelRequest(0xFFFFFFFF, SECRET), b"\0\0\x01\x0c\x04\xd2\x16\x2e\xff\xff\xff\xff" + SECRET),
    (StartupMessage(PROTOCOL_3_0, ()), b"\0\0\0\x09\0\x03\0\0\0"),
    (
        StartupMessage(PROTOCOL_3_2, (("user", "ä"), ("database", ""), ("_pq_.x", "1"))),
        b"\0\0\0\x24\0\x03\0\x02user\0\xc3\xa4\0database\0\0_pq_.x\x001\0\0",
    ),
]

FRONTEND_EXAMPLES: list[tuple[Frontend, bytes]] = [
    (Query("SELECT 'ß'"), b"Q\0\0\0\x10SELECT '\xc3\x9f'\0"),
    (Query(""), b"Q\0\0\0\x05\0"),
    (Parse("", "x"), b"P\0\0\0\x09\0x\0\0\0"),
    (Parse("s", "x", (0, 0xFFFFFFFF)), b"P\0\0\0\x12s\0x\0\0\x02\0\0\0\0\xff\xff\xff\xff"),
    (Bind("", ""), b"B\0\0\0\x0c\0\0\0\0\0\0\0\0"),
    (
        Bind("p", "s", (0, 1), (None, b"\0v"), (1,)),
        b"B\0\0\0\x1ep\0s\0\0\x02\0\0\0\x01\0\x02\xff\xff\xff\xff\0\0\0\x02\0v\0\x01\0\x01",
    ),
    (Describe(Of.STATEMENT, "s"), b"D\0\0\0\x07Ss\0"),
    (Describe(Of.PORTAL, ""), b"D\0\0\0\x06P\0"),
    (Execute("p", 50), b"E\0\0\0\x0ap\0\0\0\x002"),
    (Execute("", -1), b"E\0\0\0\x09\0\xff\xff\xff\xff"),
    (Close(Of.STATEMENT, ""), b"C\0\0\0\x06S\0"),
    (Close(Of.PORTAL, "n" * 63), b"C\0\0\0\x45P" + b"n" * 63 + b"\0"),
    (Sync(), b"S\0\0\0\x04"),
    (Flush(), b"H\0\0\0\x04"),
    (Terminate(), b"X\0\0\0\x04"),
    (CopyData(b"a\tb\n"), b"d\0\0\0\x08a\tb\n"),
    (CopyData(b""), b"d\0\0\0\x04"),
    (CopyDone(), b"c\0\0\0\x04"),
    (CopyFail("no"), b"f\0\0\0\x07no\0"),
    (AuthenticationResponse(b"secret\0"), b"p\0\0\0\x0bsecret\0"),
    (FunctionCall(5, (), (b"", None), 1), b"F\0\0\0\x16\0\0\0\x05\0\0\0\x02\0\0\0\0\xff\xff\xff\xff\0\x01"),
]

AUTHENTICATION_EXAMPLES: list[tuple[Authentication, bytes]] = [
    (AuthenticationOk(), b"R\0\0\0\x08\0\0\0\0"),
    (AuthenticationCleartextPassword(), b"R\0\0\0\x08\0\0\0\x03"),
    (AuthenticationMD5Password(b"\0\1\2\3"), b"R\0\0\0\x0c\0\0\0\x05\0\1\2\3"),
    (
        AuthenticationSASL(("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256")),
        b"R\0\0\0\x2a\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0",
    ),
    (AuthenticationSASLContinue(b"r="), b"R\0\0\0\x0a\0\0\0\x0br="),
    (AuthenticationSASLFinal(b"v="), b"R\0\0\0\x0a\0\0\0\x0cv="),
    (AuthenticationOther(7, b""), b"R\0\0\0\x08\0\0\0\x07"),
    (AuthenticationOther(8, b"tok"), b"R\0\0\0\x0b\0\0\0\x08tok"),
]

BACKEND_EXAMPLES: list[tuple[Backend, bytes]] = [
    (NegotiateProtocolVersion(PROTOCOL_3_0, ("_pq_.x",)), b"v\0\0\0\x13\0\x03\0\0\0\0\0\x01_pq_.x\0"),
    (BackendKeyData(9, b"abcd"), b"K\0\0\0\x0c\0\0\0\x09abcd"),
    (BackendKeyData(9, SECRET), b"K\0\0\x01\x08\0\0\0\x09" + SECRET),
    (ParameterStatus("TimeZone", "UTC"), b"S\0\0\0\x11TimeZone\0UTC\0"),
    (ReadyForQuery(Transaction.IDLE), b"Z\0\0\0\x05I"),
    (ReadyForQuery(Transaction.OPEN), b"Z\0\0\0\x05T"),
    (ReadyForQuery(Transaction.FAILED), b"Z\0\0\0\x05E"),
    (ParseComplete(), b"1\0\0\0\x04"),
    (BindComplete(), b"2\0\0\0\x04"),
    (CloseComplete(), b"3\0\0\0\x04"),
    (ParameterDescription((23, 0xFFFFFFFF)), b"t\0\0\0\x0e\0\x02\0\0\0\x17\xff\xff\xff\xff"),
    (RowDescription(()), b"T\0\0\0\x06\0\0"),
    (RowDescription((Field("ctid", 16384, -1, 27, 6, -1, 0), Field("", 0, 0, 25, -1, 8, 1))), _COLUMNS),
    (NoData(), b"n\0\0\0\x04"),
    (DataRow(()), b"D\0\0\0\x06\0\0"),
    (DataRow((b"7", None, b"")), b"D\0\0\0\x13\0\x03\0\0\0\x017\xff\xff\xff\xff\0\0\0\0"),
    (CommandComplete("SELECT 1"), b"C\0\0\0\x0dSELECT 1\0"),
    (EmptyQueryResponse(), b"I\0\0\0\x04"),
    (PortalSuspended(), b"s\0\0\0\x04"),
    (CopyInResponse(0, (0, 0)), b"G\0\0\0\x0b\0\0\x02\0\0\0\0"),
    (CopyOutResponse(1, (1, 0)), b"H\0\0\0\x0b\x01\0\x02\0\x01\0\0"),
    (CopyBothResponse(0, ()), b"W\0\0\0\x07\0\0\0"),
    (CopyData(b"\0\xff"), b"d\0\0\0\x06\0\xff"),
    (CopyDone(), b"c\0\0\0\x04"),
    (NotificationResponse(3, "c", ""), b"A\0\0\0\x0b\0\0\0\x03c\0\0"),
    (ErrorResponse((("S", "ERROR"), ("M", "ä"))), b"E\0\0\0\x10SERROR\0M\xc3\xa4\0\0"),
    (NoticeResponse(()), b"N\0\0\0\x05\0"),
    *AUTHENTICATION_EXAMPLES,
]

_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
_NAME = _TEXT.filter(lambda name: len(name.encode()) < 64)
_BYTES = st.binary(max_size=12)
_UINT32 = st.integers(0, 2**32 - 1)
_INT32 = st.integers(-(2**31), 2**31 - 1)
_INT16 = st.integers(-(2**15), 2**15 - 1)
_FORMATS = st.lists(st.integers(0, 1), max_size=4).map(tuple)
_OIDS = st.lists(_UINT32, max_size=4).map(tuple)
_SECRET = st.binary(min_size=4, max_size=256)
VALUES = st.lists(st.none() | _BYTES, max_size=5).map(tuple)
_FIELD = st.builds(Field, _TEXT, _UINT32, _INT16, _UINT32, _INT16, _INT32, st.integers(0, 1))
_REPORT = st.lists(st.tuples(st.characters(min_codepoint=1, max_codepoint=255), _TEXT), max_size=4).map(tuple)
_OF = st.sampled_from(Of)
_BINDING = VALUES.flatmap(
    lambda values: st.builds(
        Bind,
        _NAME,
        _NAME,
        st.just(()) | st.tuples(st.integers(0, 1)) | st.tuples(*[st.integers(0, 1)] * len(values)),
        st.just(values),
        _FORMATS,
    )
)
_COPYING = st.tuples(st.just(0), st.integers(0, 4).map(lambda n: (0,) * n)) | st.tuples(st.just(1), _FORMATS)

STARTUPS: st.SearchStrategy[Startup] = st.one_of(
    st.just(SSLRequest()),
    st.just(GSSENCRequest()),
    st.builds(CancelRequest, _UINT32, _SECRET),
    st.builds(
        StartupMessage,
        st.integers(PROTOCOL_3_0, PROTOCOL_3_0 + 0xFFFF),
        st.lists(st.tuples(_TEXT.filter(bool), _TEXT), max_size=5, unique_by=lambda pair: pair[0].lower()).map(tuple),
    ),
)
FRONTENDS: st.SearchStrategy[Frontend] = st.one_of(
    st.builds(Query, _TEXT),
    st.builds(Parse, _NAME, _TEXT, _OIDS),
    _BINDING,
    st.builds(Describe, _OF, _NAME),
    st.builds(Execute, _NAME, _INT32),
    st.builds(Close, _OF, _NAME),
    st.sampled_from([Sync(), Flush(), Terminate(), CopyDone()]),
    st.builds(CopyData, _BYTES),
    st.builds(CopyFail, _TEXT),
    st.builds(AuthenticationResponse, _BYTES),
    st.builds(FunctionCall, _UINT32, _FORMATS, VALUES, st.integers(0, 1)),
)
BACKENDS: st.SearchStrategy[Backend] = st.one_of(
    st.builds(NegotiateProtocolVersion, _UINT32, st.lists(_TEXT, max_size=3).map(tuple)),
    st.builds(BackendKeyData, _UINT32, _SECRET),
    st.builds(ParameterStatus, _TEXT, _TEXT),
    st.builds(ReadyForQuery, st.sampled_from(Transaction)),
    st.sampled_from([ParseComplete(), BindComplete(), CloseComplete(), NoData()]),
    st.sampled_from([EmptyQueryResponse(), PortalSuspended(), CopyDone()]),
    st.builds(ParameterDescription, _OIDS),
    st.builds(RowDescription, st.lists(_FIELD, max_size=3).map(tuple)),
    st.builds(DataRow, VALUES),
    st.builds(CommandComplete, _TEXT),
    _COPYING.map(lambda made: CopyInResponse(*made)),
    _COPYING.map(lambda made: CopyOutResponse(*made)),
    _COPYING.map(lambda made: CopyBothResponse(*made)),
    st.builds(CopyData, _BYTES),
    st.builds(NotificationResponse, _UINT32, _TEXT, _TEXT),
    st.builds(ErrorResponse, _REPORT),
    st.builds(NoticeResponse, _REPORT),
    st.sampled_from([AuthenticationOk(), AuthenticationCleartextPassword()]),
    st.builds(AuthenticationMD5Password, st.binary(min_size=4, max_size=4)),
    st.builds(AuthenticationSASL, st.lists(_TEXT.filter(bool), max_size=3).map(tuple)),
    st.builds(AuthenticationSASLContinue, _BYTES),
    st.builds(AuthenticationSASLFinal, _BYTES),
    st.builds(AuthenticationOther, st.integers(13, 2**32 - 1), _BYTES),
)
RESPONSES: st.SearchStrategy[PasswordMessage | SASLInitialResponse | SASLResponse] = st.one_of(
    st.builds(PasswordMessage, _TEXT),
    st.builds(SASLInitialResponse, _TEXT, st.none() | _BYTES),
    st.builds(SASLResponse, _BYTES),
)
