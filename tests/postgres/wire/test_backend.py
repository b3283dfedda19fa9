"""What servers send: read and written byte by byte, and nothing read that would be written otherwise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.protocols.postgres.wire.backend import (
    BACKEND,
    AuthenticationMD5Password,
    AuthenticationOther,
    AuthenticationSASL,
    AuthenticationSASLFinal,
    Backend,
    BackendKeyData,
    CopyOutResponse,
    DataRow,
    ErrorResponse,
    Field,
    NoticeResponse,
    ParameterStatus,
    RowDescription,
    decode_backend,
)
from extproc.protocols.postgres.wire.fields import Malformed
from tests.postgres.wire.making import BACKEND_EXAMPLES, BACKENDS

SHORT = "is shorter than it says"
LONG = "is longer than what it says"
OPEN = "has a string without an end"
UTF8 = "has a string that is not UTF-8"
KEY = "has a key that is too short or too long"
COLUMN = b"name\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\0\0\0\0\0\0"

MALFORMED = [
    (b"R", b"", f"Authentication {SHORT}"),
    (b"R", b"\0\0\0\0\0", f"Authentication {LONG}"),
    (b"R", b"\0\0\0\x03\0", f"Authentication {LONG}"),
    (b"R", b"\0\0\0\x05abc", f"Authentication {SHORT}"),
    (b"R", b"\0\0\0\x05abcde", f"Authentication {LONG}"),
    (b"R", b"\0\0\0\x0aSCRAM-SHA-256\0", f"Authentication {OPEN}"),
    (b"R", b"\0\0\0\x0aSCRAM-SHA-256\0\0X\0", f"Authentication {LONG}"),
    (b"v", b"\0\x03\0\0\xff\xff\xff\xff", f"NegotiateProtocolVersion {OPEN}"),
    (b"v", b"\0\x03\0\0\0\0\0\0x\0", f"NegotiateProtocolVersion {LONG}"),
    (b"K", b"\0\0\0\x09abc", f"BackendKeyData {KEY}"),
    (b"K", b"\0\0\0\x09" + b"k" * 257, f"BackendKeyData {KEY}"),
    (b"S", b"TimeZone\0UTC", f"ParameterStatus {OPEN}"),
    (b"S", b"TimeZone\0UTC\0\0", f"ParameterStatus {LONG}"),
    (b"Z", b"", f"ReadyForQuery {SHORT}"),
    (b"Z", b"X", "ReadyForQuery has a status that there is not"),
    (b"Z", b"\0", "ReadyForQuery has a status that there is not"),
    (b"Z", b"II", f"ReadyForQuery {LONG}"),
    (b"1", b"\0", f"ParseComplete {LONG}"),
    (b"2", b"\0", f"BindComplete {LONG}"),
    (b"3", b"\0", f"CloseComplete {LONG}"),
    (b"n", b"\0", f"NoData {LONG}"),
    (b"I", b"\0", f"EmptyQueryResponse {LONG}"),
    (b"s", b"\0", f"PortalSuspended {LONG}"),
    (b"t", b"\0\x02\0\0\0\x17", f"ParameterDescription {SHORT}"),
    (b"t", b"\0\0\0\0\0\x17", f"ParameterDescription {LONG}"),
    (b"T", b"\0\x02" + COLUMN, f"RowDescription {OPEN}"),
    (b"T", b"\0\x01" + COLUMN + COLUMN, f"RowDescription {LONG}"),
    (b"T", b"\0\x01" + COLUMN[:-1], f"RowDescription {SHORT}"),
    (b"T", b"\0\x01" + COLUMN[:-1] + b"\x02", "RowDescription has a format code that is neither text nor binary"),
    (b"T", b"\0\x01\xe4" + COLUMN, f"RowDescription {UTF8}"),
    (b"D", b"", "DataRow is shorter than it says"),
    (b"C", b"SELECT 1", f"CommandComplete {OPEN}"),
    (b"C", b"SELECT 1\0\0", f"CommandComplete {LONG}"),
    (b"G", b"\x02\0\0", "CopyInResponse has a format that is neither text nor binary"),
    (b"H", b"\0\0\x01\0\x01", "CopyOutResponse has a binary column in text"),
    (b"W", b"\x01\0\x02\0\0", f"CopyBothResponse {SHORT}"),
    (b"A", b"\0\0\0\x03channel\0payload", f"NotificationResponse {OPEN}"),
    (b"E", b"", f"ErrorResponse {SHORT}"),
    (b"E", b"SERROR", f"ErrorResponse {OPEN}"),
    (b"E", b"SERROR\0", f"ErrorResponse {SHORT}"),
    (b"E", b"SERROR\0\0M", f"ErrorResponse {LONG}"),
    (b"N", b"\0\0", f"NoticeResponse {LONG}"),
    (b"Q", b"SELECT 1\0", "a server sends no message of this kind"),
    (b"V", b"\xff\xff\xff\xff", "a server sends no message of this kind"),
    (b"\0", b"", "a server sends no message of this kind"),
]

UNWRITABLE: list[Backend] = [
    BackendKeyData(1, b"abc"),
    BackendKeyData(1, b"k" * 257),
    BackendKeyData(-1, b"abcd"),
    ParameterStatus("a\0", "b"),
    RowDescription((Field("n", 0, 2**15, 25, -1, -1, 0),)),
    RowDescription((Field("n\0", 0, 0, 25, -1, -1, 0),)),
    DataRow((None,) * 65536),
    CopyOutResponse(2, ()),
    CopyOutResponse(0, (1,)),
    ErrorResponse((("", "text"),)),
    ErrorResponse((("\0", "text"),)),
    ErrorResponse((("SS", "text"),)),
    NoticeResponse((("M", "one\0Ctwo"),)),
    AuthenticationMD5Password(b"abc"),
    AuthenticationSASL(("",)),
    AuthenticationOther(0, b""),
]


@pytest.mark.parametrize(("message", "data"), BACKEND_EXAMPLES)
def test_each_message_byte_by_byte(message: Backend, data: bytes) -> None:
    """What is written is what the documentation shows, and what is read of it is what was written."""
    assert (message.encode(), decode_backend(data[0], data[5:])) == (data, message)


def test_an_example_of_each() -> None:
    """No message is without an example, and no two have one kind, but for those of authentication."""
    examples = {type(message) for message, data in BACKEND_EXAMPLES if data[:1] != b"R"}
    assert examples == set(BACKEND.values())


@pytest.mark.parametrize(("kind", "body", "why"), MALFORMED)
def test_what_is_malformed(kind: bytes, body: bytes, why: str) -> None:
    """Lengths, counts, strings and codes that cannot be are an error of ours that says which."""
    with pytest.raises(Malformed) as caught:
        decode_backend(kind[0], body)
    assert str(caught.value) == why


@pytest.mark.parametrize("message", UNWRITABLE)
def test_what_cannot_be_written(message: Backend) -> None:
    """What the other side would read otherwise than we mean it is not written."""
    with pytest.raises(ValueError):
        message.encode()


def _reads_as_written(kind: int, body: bytes) -> None:
    """Whatever can be read is written as the same bytes: there is nothing in a body that was not looked at. Errors and
    notices of another encoding are the exception."""
    try:
        message = decode_backend(kind, body)
    except Malformed:
        return
    written = message.encode()
    if isinstance(message, ErrorResponse | NoticeResponse):
        assert decode_backend(written[0], written[5:]) == message
    else:
        assert written == kind.to_bytes() + (len(body) + 4).to_bytes(4) + body


@pytest.mark.parametrize(("message", "data"), BACKEND_EXAMPLES)
def test_each_cut_and_each_byte_changed(message: Backend, data: bytes) -> None:
    """A body cut anywhere, longer by a byte, or wrong in one, is malformed or another message, whole."""
    body = data[5:]
    for at in range(len(body)):
        _reads_as_written(data[0], body[:at])
        for wrong in (0, 1, 0x7F, 0x80, 0xFF):
            _reads_as_written(data[0], body[:at] + bytes([wrong]) + body[at + 1 :])
    _reads_as_written(data[0], body + b"\0")


@given(BACKENDS)
def test_what_is_written_is_read(message: Backend) -> None:
    """Any message comes back as it was."""
    data = message.encode()
    assert decode_backend(data[0], data[5:]) == message


@given(st.sampled_from(sorted([*BACKEND, ord("R")])) | st.integers(0, 255), st.binary(max_size=40))
def test_any_bytes(kind: int, body: bytes) -> None:
    """Any bytes are malformed or a message that is written as them."""
    _reads_as_written(kind, body)


def test_an_error_in_another_encoding() -> None:
    """A server that is not in UTF-8 yet is heard all the same, and its bytes can be told."""
    error = decode_backend(ord("E"), b"SFATAL\0Mf\xfcr\0M\0\0")
    assert error == ErrorResponse((("S", "FATAL"), ("M", "f\\xfcr"), ("M", "")))
    assert isinstance(error, ErrorResponse)
    assert (error.get("M"), error.get("D")) == ("f\\xfcr", None)


def test_secrets_are_not_shown() -> None:
    """What cancels, and what proves, is not in what logs and errors would show."""
    shown = [BackendKeyData(1, b"hunter2"), AuthenticationSASLFinal(b"hunter2")]
    assert [repr(message) for message in shown if "hunter2" in repr(message)] == []
