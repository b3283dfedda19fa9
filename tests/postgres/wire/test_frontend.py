"""What clients send: read and written byte by byte, and nothing read that would be written otherwise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.protocols.postgres.wire.authentication import PasswordMessage, SASLInitialResponse, SASLResponse
from extproc.protocols.postgres.wire.fields import Malformed
from extproc.protocols.postgres.wire.frontend import (
    FRONTEND,
    Bind,
    Close,
    CopyFail,
    Describe,
    Execute,
    Frontend,
    FunctionCall,
    Of,
    Parse,
    Query,
    decode_frontend,
    format_at,
)
from tests.postgres.wire.making import FRONTEND_EXAMPLES, FRONTENDS, RESPONSES

SHORT = "is shorter than it says"
LONG = "is longer than what it says"
OPEN = "has a string without an end"
UTF8 = "has a string that is not UTF-8"
FORMAT = "has a format code that is neither text nor binary"
NAME = "has a name longer than the server tells apart"

MALFORMED = [
    (b"Q", b"", f"Query {OPEN}"),
    (b"Q", b"SELECT 1", f"Query {OPEN}"),
    (b"Q", b"SELECT 1\0; DROP\0", f"Query {LONG}"),
    (b"Q", b"\xff\0", f"Query {UTF8}"),
    (b"Q", b"\xc0\xa7\0", f"Query {UTF8}"),
    (b"Q", b"\xed\xa0\x80\0", f"Query {UTF8}"),
    (b"P", b"s\0x", f"Parse {OPEN}"),
    (b"P", b"s\0x\0", f"Parse {SHORT}"),
    (b"P", b"s\0x\0\0\x01", f"Parse {SHORT}"),
    (b"P", b"s\0x\0\0\x01\0\0\0\0\0", f"Parse {LONG}"),
    (b"P", b"s\0x\0\xff\xff\0\0\0\0", f"Parse {SHORT}"),
    (b"P", b"n" * 64 + b"\0x\0\0\0", f"Parse {NAME}"),
    (b"P", "ä".encode() * 32 + b"\0x\0\0\0", f"Parse {NAME}"),
    (b"B", b"\0\0\0\x01\0\x02\0\0\0\0", f"Bind {FORMAT}"),
    (b"B", b"\0\0\0\x01\xff\xff\0\0\0\0", f"Bind {FORMAT}"),
    (b"B", b"\0\0\0\0\0\x01\0\0\0\x02v\0\0", f"Bind {SHORT}"),
    (b"B", b"\0\0\0\0\0\x01\xff\xff\xff\xfe\0\0", f"Bind {SHORT}"),
    (b"B", b"\0\0\0\0\0\x01\x7f\xff\xff\xff\0\0", f"Bind {SHORT}"),
    (b"B", b"\0\0\0\0\0\x02\0\0\0\x01v\0\0", f"Bind {SHORT}"),
    (b"B", b"\0\0\0\0\0\0\0\0\0", f"Bind {LONG}"),
    (b"B", b"\0\0\0\x02\0\0\0\x01\0\x01\0\0\0\x01v\0\0", "Bind has formats that do not fit its values"),
    (b"B", b"\0" + b"n" * 64 + b"\0\0\0\0\0\0\0", f"Bind {NAME}"),
    (b"D", b"", f"Describe {SHORT}"),
    (b"D", b"X\0", "Describe is of neither a statement nor a portal"),
    (b"D", b"Sname", f"Describe {OPEN}"),
    (b"C", b"s\0", "Close is of neither a statement nor a portal"),
    (b"C", b"P\0\0", f"Close {LONG}"),
    (b"C", b"S" + b"n" * 64 + b"\0", f"Close {NAME}"),
    (b"E", b"\0\0\0\0", f"Execute {SHORT}"),
    (b"E", b"\0\0\0\0\0\0", f"Execute {LONG}"),
    (b"S", b"\0", f"Sync {LONG}"),
    (b"H", b"\0", f"Flush {LONG}"),
    (b"X", b"\0", f"Terminate {LONG}"),
    (b"c", b"\0", f"CopyDone {LONG}"),
    (b"f", b"why", f"CopyFail {OPEN}"),
    (b"F", b"\0\0\0\x05\0\0\0\x01\0\0\0\x01v", f"FunctionCall {SHORT}"),
    (b"F", b"\0\0\0\x05\0\0\0\0\0\x02", f"FunctionCall {FORMAT}"),
    (b"T", b"\0\0", "a client sends no message of this kind"),
    (b"\0", b"", "a client sends no message of this kind"),
    (b"\xff", b"", "a client sends no message of this kind"),
]

UNWRITABLE: list[Frontend] = [
    Query("SELECT 1\0; DROP"),
    Query("\ud800"),
    Parse("s\0", "x"),
    Parse("n" * 64, "x"),
    Parse("", "x", (-1,)),
    Parse("", "x", (0,) * 65536),
    Bind("", "n" * 64),
    Bind("", "", (2,)),
    Bind("", "", (0, 1), (b"v",)),
    Bind("", "", (), (None,) * 65536),
    Bind("", "", (), (), (-1,)),
    Describe(Of.PORTAL, "\0"),
    Close(Of.STATEMENT, "n" * 64),
    Execute("", 2**31),
    CopyFail("\0"),
    FunctionCall(-1, (), (), 0),
]


@pytest.mark.parametrize(("message", "data"), FRONTEND_EXAMPLES)
def test_each_message_byte_by_byte(message: Frontend, data: bytes) -> None:
    """What is written is what the documentation shows, and what is read of it is what was written."""
    assert (message.encode(), decode_frontend(data[0], data[5:])) == (data, message)


def test_an_example_of_each() -> None:
    """No message is without an example, and no two have one kind."""
    assert {type(message) for message, _ in FRONTEND_EXAMPLES} == set(FRONTEND.values())


@pytest.mark.parametrize(("kind", "body", "why"), MALFORMED)
def test_what_is_malformed(kind: bytes, body: bytes, why: str) -> None:
    """Lengths, counts, strings and codes that cannot be are an error of ours that says which."""
    with pytest.raises(Malformed) as caught:
        decode_frontend(kind[0], body)
    assert str(caught.value) == why


@pytest.mark.parametrize("message", UNWRITABLE)
def test_what_cannot_be_written(message: Frontend) -> None:
    """What the other side would read otherwise than we mean it is not written."""
    with pytest.raises(ValueError):
        message.encode()


def _reads_as_written(kind: int, body: bytes) -> None:
    """Whatever can be read is written as the same bytes: there is nothing in a body that was not looked at."""
    try:
        message = decode_frontend(kind, body)
    except Malformed:
        return
    assert message.encode() == kind.to_bytes() + (len(body) + 4).to_bytes(4) + body


@pytest.mark.parametrize(("message", "data"), FRONTEND_EXAMPLES)
def test_each_cut_and_each_byte_changed(message: Frontend, data: bytes) -> None:
    """A body cut anywhere, longer by a byte, or wrong in one, is malformed or another message, whole."""
    body = data[5:]
    for at in range(len(body)):
        _reads_as_written(data[0], body[:at])
        for wrong in (0, 1, 0x7F, 0x80, 0xFF):
            _reads_as_written(data[0], body[:at] + bytes([wrong]) + body[at + 1 :])
    _reads_as_written(data[0], body + b"\0")


@given(FRONTENDS)
def test_what_is_written_is_read(message: Frontend) -> None:
    """Any message comes back as it was."""
    data = message.encode()
    assert decode_frontend(data[0], data[5:]) == message


@given(st.sampled_from(sorted(FRONTEND)) | st.integers(0, 255), st.binary(max_size=40))
def test_any_bytes(kind: int, body: bytes) -> None:
    """Any bytes are malformed or a message that is written as them."""
    _reads_as_written(kind, body)


@given(RESPONSES)
def test_answers_to_authentication(message: PasswordMessage | SASLInitialResponse | SASLResponse) -> None:
    """All have one kind; who knows what was asked reads them as what they are."""
    data = message.encode()
    assert (data[0], type(message).decode(data[5:])) == (ord("p"), message)


@pytest.mark.parametrize(
    ("of", "body", "why"),
    [
        (PasswordMessage, b"secret", f"PasswordMessage {OPEN}"),
        (PasswordMessage, b"se\0cret\0", f"PasswordMessage {LONG}"),
        (SASLInitialResponse, b"SCRAM\0\0\0\0\x09n,,", f"SASLInitialResponse {SHORT}"),
        (SASLInitialResponse, b"SCRAM\0\xff\xff\xff\xfe", f"SASLInitialResponse {SHORT}"),
        (SASLInitialResponse, b"SCRAM\0\xff\xff\xff\xffn,,", f"SASLInitialResponse {LONG}"),
    ],
)
def test_malformed_answers(of: type[PasswordMessage] | type[SASLInitialResponse], body: bytes, why: str) -> None:
    """Passwords and first words of SASL are read as strictly as all else."""
    with pytest.raises(Malformed) as caught:
        of.decode(body)
    assert str(caught.value) == why


def test_secrets_are_not_shown() -> None:
    """What somebody proves themselves with is not in what logs and errors would show."""
    read = decode_frontend(ord("p"), b"hunter2\0")
    shown = [PasswordMessage("hunter2"), SASLInitialResponse("M", b"hunter2"), SASLResponse(b"hunter2"), read]
    assert [repr(message) for message in shown if "hunter2" in repr(message)] == []


@pytest.mark.parametrize(
    ("codes", "formats"), [((), [0, 0, 0]), ((1,), [1, 1, 1]), ((0, 1, 0), [0, 1, 0])], ids=["none", "one", "each"]
)
def test_which_format_is_whose(codes: tuple[int, ...], formats: list[int]) -> None:
    """No code is text for all, one is for all, more are one for each."""
    assert [format_at(codes, index) for index in range(3)] == formats
