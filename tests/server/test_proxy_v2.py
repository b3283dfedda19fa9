"""The head that Envoy puts before a connection: what is read from it, and all that is refused."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.protocols.handover import UNIQUE_ID
from extproc.server.terminator.proxy_v2 import (
    CRC32C,
    LONGEST,
    NOOP,
    SIGNATURE,
    Announced,
    Endpoint,
    NotAnnounced,
    crc32c,
    read_announced,
)

TCP4 = bytes([192, 0, 2, 7, 198, 51, 100, 1]) + struct.pack("!HH", 50_000, 5432)
TCP6 = bytes.fromhex("20010db8000000000000000000000007" + "00000000000000000000000000000001") + struct.pack("!HH", 1, 2)
UNIX = b"/run/a".ljust(108, b"\0") + b"/" + b"b" * 107
FOUR = Endpoint("192.0.2.7", 50_000), Endpoint("198.51.100.1", 5432)
ID = b"6bd53c0a-6a45-4a51-8a4f-0d5c3e9f3b11"


def head(body: bytes, command: int = 0x21, family: int = 0x11) -> bytes:
    """A head with this body."""
    return SIGNATURE + bytes([command, family]) + struct.pack("!H", len(body)) + body


def tlv(kind: int, value: bytes) -> bytes:
    """One of what may follow the addresses."""
    return bytes([kind]) + struct.pack("!H", len(value)) + value


def summed(body: bytes, change: int = 0) -> bytes:
    """A head with its checksum at its end, which is wrong where `change` is not 0."""
    blank = head(body + tlv(CRC32C, bytes(4)))
    return blank[:-4] + struct.pack("!I", crc32c(blank) ^ change)


GOOD = [
    (head(TCP4), Announced(*FOUR)),
    (head(TCP6, family=0x21), Announced(Endpoint("2001:db8::7", 1), Endpoint("::1", 2))),
    (head(UNIX, family=0x31), Announced(Endpoint("/run/a", 0), Endpoint("/" + "b" * 107, 0))),
    (head(bytes(216), family=0x31), Announced(Endpoint("", 0), Endpoint("", 0))),
    (head(b"", 0x20, 0x00), Announced()),
    (head(TCP4, 0x20), Announced()),
    (head(b"whatever", 0x20, 0xEE), Announced()),
    (head(TCP4 + tlv(UNIQUE_ID, ID)), Announced(*FOUR, ((UNIQUE_ID, ID),))),
    (head(TCP4 + tlv(NOOP, bytes(9)) + tlv(0xE0, b"")), Announced(*FOUR, ((0xE0, b""),))),
    (head(TCP4 + tlv(0xE0, b"a") + tlv(0xE0, b"b")), Announced(*FOUR, ((0xE0, b"a"), (0xE0, b"b")))),
    (summed(TCP4), Announced(*FOUR)),
    (summed(TCP4 + tlv(UNIQUE_ID, ID)), Announced(*FOUR, ((UNIQUE_ID, ID),))),
    (head(TCP4 + tlv(0xE0, bytes(LONGEST - 31))), Announced(*FOUR, ((0xE0, bytes(LONGEST - 31)),))),
]


@pytest.mark.parametrize(("data", "expected"), GOOD, ids=range(len(GOOD)))
@pytest.mark.parametrize("rest", [b"", b"\0\0\0\x08\x04\xd2\x16/", SIGNATURE])
def test_heads_are_read_however_they_are_cut(data: bytes, expected: Announced, rest: bytes) -> None:
    """Each beginning asks for more, the whole gives what it says, and what follows is not looked at."""
    assert [read_announced(data[:cut]) for cut in range(len(data))] == [None] * len(data)
    assert read_announced(data + rest) == (expected, len(data))


def test_what_is_said_of_a_connection() -> None:
    """Whose it is, and what the access log calls it."""
    assert (Announced().local, Announced(*FOUR).local) == (True, False)
    assert Announced(*FOUR, ((0xE0, b"\xff"), (UNIQUE_ID, ID))).unique_id == ID.decode()
    assert Announced(*FOUR).unique_id == ""


SUM = "its checksum is wrong"
CUT = "ends within a TLV"
PLAIN = "its unique id is not 1 to 128 plain characters"
UNSIGNED = "does not begin with the signature of the PROXY protocol, version 2"
UNPLACED = "a head without a stream's addresses; nobody could tell whose connection it is"
TOO_LONG = SIGNATURE + b"\x21\x11" + struct.pack("!H", LONGEST - 15)
BAD = [
    (b"\0", UNSIGNED),
    (b"PROXY TCP4 192.0.2.7 198.51.100.1 50000 5432\r\n", UNSIGNED),
    (SIGNATURE[:11] + b"\r", UNSIGNED),
    (SIGNATURE + b"\x11", "neither a LOCAL nor a PROXY head of version 2"),
    (SIGNATURE + b"\x22", "neither a LOCAL nor a PROXY head of version 2"),
    (SIGNATURE + b"\x21\x00", UNPLACED),
    (SIGNATURE + b"\x21\x12", UNPLACED),
    (TOO_LONG, f"a head of {LONGEST + 1} bytes; at most {LONGEST} are taken"),
    (SIGNATURE + b"\x20\x00\xff\xff", f"a head of 65551 bytes; at most {LONGEST} are taken"),
    (head(TCP4[:-1]), "ends within its addresses"),
    (head(TCP4, family=0x21), "ends within its addresses"),
    (head(b""), "ends within its addresses"),
    (head(TCP4 + b"\x05"), CUT),
    (head(TCP4 + b"\x05\0"), CUT),
    (head(TCP4 + b"\x05\0\x02a"), CUT),
    (head(TCP4 + b"\x04\xff\xff"), CUT),
    (summed(TCP4, change=1), SUM),
    (head(TCP4 + tlv(CRC32C, b"")), SUM),
    (head(TCP4 + tlv(CRC32C, bytes(5))), SUM),
    (summed(TCP4)[:16] + b"\xc1" + summed(TCP4)[17:], SUM),
    (head(TCP4 + tlv(UNIQUE_ID, ID) + tlv(UNIQUE_ID, ID)), "has two TLVs of type 5, of which only one can count"),
    (head(TCP4 + tlv(UNIQUE_ID, b"")), PLAIN),
    (head(TCP4 + tlv(UNIQUE_ID, b"a" * 129)), PLAIN),
    (head(TCP4 + tlv(UNIQUE_ID, b"a b")), PLAIN),
    (head(TCP4 + tlv(UNIQUE_ID, b"a\n")), PLAIN),
    (head(TCP4 + tlv(UNIQUE_ID, b"\xc3\xa4")), PLAIN),
]  # fmt: skip


@pytest.mark.parametrize(("data", "why"), BAD, ids=range(len(BAD)))
def test_what_is_refused(data: bytes, why: str) -> None:
    """Whatever is no head of ours is refused, and stays refused whatever follows it."""
    for rest in (b"", b"more"):
        with pytest.raises(NotAnnounced) as caught:
            read_announced(data + rest)
        assert str(caught.value) == why


def test_checksum_is_the_one_of_the_standard() -> None:
    """The check value of CRC-32C, and one of RFC 3720, appendix B.4."""
    assert (crc32c(b"123456789"), crc32c(bytes(32))) == (0xE3069283, 0x8A9136AA)


@given(st.one_of(st.binary(max_size=300), st.binary(max_size=300).map(lambda rest: SIGNATURE + b"\x21\x11" + rest)))
def test_any_bytes_are_a_head_or_refused(data: bytes) -> None:
    """Nothing else ever comes of bytes, and no cut changes what does: once refused or read, always so."""

    def outcome(part: bytes) -> object:
        try:
            return read_announced(part)
        except NotAnnounced:
            return "refused"

    whole = outcome(data)
    for cut in range(len(data)):
        assert outcome(data[:cut]) in (None, whole)
