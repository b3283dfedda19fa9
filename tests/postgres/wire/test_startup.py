"""What a connection begins with: four messages, at every cut, and what else may come instead."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.protocols.postgres.wire.fields import Malformed
from extproc.protocols.postgres.wire.startup import (
    PROTOCOL_3_0,
    CancelRequest,
    Startup,
    StartupMessage,
    read_startup,
)
from tests.postgres.wire.making import STARTUP_EXAMPLES, STARTUPS

LENGTH = "a first message has a length that none has"
VERSION = "the first message is of a protocol that is not version 3"
KEY = "CancelRequest has a key that is too short or too long"
SHORT = "the first message is shorter than it says"
LONG = "the first message is longer than what it says"
OPEN = "the first message has a string without an end"
V3 = b"\0\x03\0\0"


def _sized(body: bytes) -> bytes:
    return (len(body) + 4).to_bytes(4) + body


MALFORMED = [
    (b"\0\0\0\0", LENGTH),
    (b"\0\0\0\x07", LENGTH),
    (b"\0\0\x27\x15", LENGTH),
    (b"\xff\xff\xff\xff", LENGTH),
    (b"\x16\x03\x01\x02\0\x01", LENGTH),
    (b"GET / HTTP/1.1\r\n", LENGTH),
    (b"SSH-2.0-x\r\n", LENGTH),
    (_sized(b"\0\x02\0\0"), VERSION),
    (_sized(b"\0\x04\0\0\0"), VERSION),
    (_sized(b"\x04\xd2\x16\x31"), VERSION),
    (_sized(b"\x04\xd2\x16\x2f\0"), LONG),
    (_sized(b"\x04\xd2\x16\x30\0"), LONG),
    (_sized(b"\x04\xd2\x16\x2e"), SHORT),
    (_sized(b"\x04\xd2\x16\x2e\0\0\0\x01abc"), KEY),
    (_sized(b"\x04\xd2\x16\x2e\0\0\0\x01" + b"k" * 257), KEY),
    (_sized(V3), OPEN),
    (_sized(V3 + b"user"), OPEN),
    (_sized(V3 + b"user\0"), OPEN),
    (_sized(V3 + b"user\0me"), OPEN),
    (_sized(V3 + b"user\0me\0"), OPEN),
    (_sized(V3 + b"user\0me\0\0\0"), LONG),
    (_sized(V3 + b"\0user\0me\0\0"), LONG),
    (_sized(V3 + b"user\0\xff\0\0"), "the first message has a string that is not UTF-8"),
    (_sized(V3 + b"user\0a\0user\0b\0\0"), "StartupMessage has a parameter twice"),
    (_sized(V3 + b"DateStyle\0a\0datestyle\0b\0\0"), "StartupMessage has a parameter twice"),
]


@pytest.mark.parametrize(("message", "data"), STARTUP_EXAMPLES)
def test_each_message_byte_by_byte_and_at_each_cut(message: Startup, data: bytes) -> None:
    """Until all of it is there it is nothing; then it is the message, however much follows."""
    assert message.encode() == data
    assert {read_startup(data[:cut]) for cut in range(len(data))} == {None}
    assert read_startup(data) == (message, len(data))
    assert read_startup(bytearray(data + b"more")) == (message, len(data))


@pytest.mark.parametrize(("data", "why"), MALFORMED)
def test_what_is_malformed(data: bytes, why: str) -> None:
    """Other protocols, other versions, lengths and layouts that cannot be are an error of ours that says which."""
    with pytest.raises(Malformed) as caught:
        read_startup(data)
    assert str(caught.value) == why


def test_the_longest_is_the_servers() -> None:
    """10,000 bytes after the length are read; a length of one more is malformed before anything is waited for."""
    message = StartupMessage(PROTOCOL_3_0, (("user", "u" * (10_000 - 11)),))
    data = message.encode()
    assert (len(data), read_startup(data)) == (10_004, (message, 10_004))
    with pytest.raises(ValueError):
        StartupMessage(PROTOCOL_3_0, (("user", "u" * (10_000 - 10)),)).encode()


@pytest.mark.parametrize(
    "message",
    [
        CancelRequest(1, b"abc"),
        CancelRequest(1, b"k" * 257),
        CancelRequest(2**32, b"abcd"),
        StartupMessage(PROTOCOL_3_0, (("", "x"),)),
        StartupMessage(PROTOCOL_3_0, (("user", "a\0database\0b"),)),
        StartupMessage(PROTOCOL_3_0, (("user", "a"), ("USER", "b"))),
        StartupMessage(0x00020000, ()),
    ],
)
def test_what_cannot_be_written(message: Startup) -> None:
    """What the server would read otherwise than we mean it is not written."""
    with pytest.raises(ValueError):
        message.encode()


def test_parameters_by_name() -> None:
    """A parameter is found by exactly its name."""
    message = StartupMessage(PROTOCOL_3_0, (("user", "u"), ("database", "")))
    assert [message.get(name) for name in ("user", "database", "User", "options")] == ["u", "", None, None]


def test_secrets_are_not_shown() -> None:
    """The key that cancels is not in what logs and errors would show."""
    assert "hunter2" not in repr(CancelRequest(1, b"hunter2"))


@given(STARTUPS)
def test_what_is_written_is_read(message: Startup) -> None:
    """Any message comes back as it was."""
    data = message.encode()
    assert read_startup(data) == (message, len(data))


@given(st.binary(max_size=60), st.sampled_from([V3, b"\x04\xd2\x16\x2e", b"\x04\xd2\x16\x2f", b""]))
def test_any_bytes(rest: bytes, code: bytes) -> None:
    """Any bytes are malformed or a message that is written as them."""
    data = _sized(code + rest)
    try:
        found = read_startup(data)
    except Malformed:
        return
    assert found is not None
    assert (found[0].encode(), found[1]) == (data, len(data))
