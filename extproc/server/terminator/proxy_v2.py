"""The head by which Envoy says on whose behalf it connects: version 2 of the PROXY protocol (HAProxy's
`doc/proxy-protocol.txt`, section 2.2). Sans-io.

Whoever can write to the socket can say anything in it, so it is believed on our own sockets only. There it has to be
the first thing that comes: what does not begin with one is refused, for nobody could tell whose it is."""

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from extproc.protocols.handover import UNIQUE_ID

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
LONGEST = 4096
"""Bytes of a whole head. The format has room for 64 KiB; what Envoy tells us is well below 256 bytes."""

CRC32C, NOOP = 0x03, 0x04
"""Types of what may follow the addresses, beside UNIQUE_ID: section 2.2.3 and 2.2.4."""

_START = struct.Struct("!12sBBH")
_LOCAL, _PROXY = 0x20, 0x21
_TCP4, _TCP6, _UNIX = 0x11, 0x21, 0x31
_LONGEST_ID = 128
_LONGEST_PATH = 108


class NotAnnounced(Exception):
    """What came is no head that could be believed. The message says why, and quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One end of a connection: an IP address and a port; or the path of a unix socket, which may be empty, and 0."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Announced:
    """What was said of a connection. `source` and `destination` are the client's end and the one that it connected to;
    of a connection that the proxy makes for itself (`local`), such as a check of our health, there are none. `tlvs` are
    type and value of what else was told, in order, without what only fills or checks the head."""

    source: Endpoint | None = None
    destination: Endpoint | None = None
    tlvs: tuple[tuple[int, bytes], ...] = ()

    @property
    def local(self) -> bool:
        """Whether the proxy itself is the client."""
        return self.source is None

    @property
    def unique_id(self) -> str:
        """What the proxy calls the connection, in its access log too; empty where it did not say."""
        return next((value.decode("ascii") for kind, value in self.tlvs if kind == UNIQUE_ID), "")


def read_announced(data: bytes) -> tuple[Announced, int] | None:
    """The head that these first bytes of a connection begin with, and how many of them are its; None where more have
    to come. Raises NotAnnounced, as early as that is certain, and whatever the bytes are."""
    if not data.startswith(SIGNATURE[: len(data)]):
        raise NotAnnounced("does not begin with the signature of the PROXY protocol, version 2")
    if len(data) < _START.size:
        _check_start(data)
        return None
    _, command, family, length = _START.unpack_from(data)
    _check_start(data)
    end = _START.size + length
    if end > LONGEST:
        raise NotAnnounced(f"a head of {end} bytes; at most {LONGEST} are taken")
    if len(data) < end:
        return None
    head = data[:end]
    if command == _LOCAL:
        # Whatever addresses stand in it are to be skipped (section 2.2).
        return Announced(), end
    source, destination, used = _addresses(family, head)
    return Announced(source, destination, _tlvs(head, used)), end


def crc32c(data: bytes) -> int:
    """The checksum of RFC 4960, appendix B, which section 2.2.3 asks for."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def _check_start(data: bytes) -> None:
    """What can be known of version, command and family before the rest is there."""
    if len(data) > len(SIGNATURE) and data[len(SIGNATURE)] not in (_LOCAL, _PROXY):
        raise NotAnnounced("neither a LOCAL nor a PROXY head of version 2")
    if len(data) > len(SIGNATURE) + 1 and data[len(SIGNATURE)] == _PROXY and data[13] not in (_TCP4, _TCP6, _UNIX):
        raise NotAnnounced("a head without a stream's addresses; nobody could tell whose connection it is")


def _addresses(family: int, head: bytes) -> tuple[Endpoint, Endpoint, int]:
    """Both ends, and where in the head they end."""
    layout = _LAYOUTS[family]
    if len(head) < _START.size + layout.size:
        raise NotAnnounced("ends within its addresses")
    fields = layout.unpack_from(head, _START.size)
    end = _START.size + layout.size
    if family == _UNIX:
        return Endpoint(_path(fields[0]), 0), Endpoint(_path(fields[1]), 0), end
    address = IPv4Address if family == _TCP4 else IPv6Address
    return Endpoint(str(address(fields[0])), fields[2]), Endpoint(str(address(fields[1])), fields[3]), end


def _path(field: bytes) -> str:
    """A path that ends at its first NUL, as in `sockaddr_un`; anonymous ones are empty."""
    return field.partition(b"\0")[0].decode("utf-8", "backslashreplace")


def _tlvs(head: bytes, at: int) -> tuple[tuple[int, bytes], ...]:
    found: list[tuple[int, bytes]] = []
    seen: set[int] = set()
    while at < len(head):
        if len(head) < at + 3:
            raise NotAnnounced("ends within a TLV")
        kind, length = struct.unpack_from("!BH", head, at)
        value = head[at + 3 : at + 3 + length]
        if len(value) < length:
            raise NotAnnounced("ends within a TLV")
        if kind in seen and kind in (CRC32C, UNIQUE_ID):
            raise NotAnnounced(f"has two TLVs of type {kind}, of which only one can count")
        seen.add(kind)
        if kind == CRC32C:
            _check_crc(head, at + 3, value)
        elif kind == UNIQUE_ID:
            _check_id(value)
        if kind not in (CRC32C, NOOP):
            found.append((kind, value))
        at += 3 + length
    return tuple(found)


def _check_crc(head: bytes, at: int, value: bytes) -> None:
    """Section 2.2.3: over the whole head, with zeros in the place of the checksum itself."""
    if len(value) != 4 or crc32c(head[:at] + bytes(4) + head[at + 4 :]) != int.from_bytes(value, "big"):
        raise NotAnnounced("its checksum is wrong")


def _check_id(value: bytes) -> None:
    """Ours goes into records: plain characters only (section 2.2.5 allows 128 bytes of anything)."""
    if not 0 < len(value) <= _LONGEST_ID or not all(33 <= byte <= 126 for byte in value):
        raise NotAnnounced("its unique id is not 1 to 128 plain characters")


def _table() -> tuple[int, ...]:
    """The reflected form of the polynomial 0x1EDC6F41."""
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return tuple(table)


_CRC_TABLE = _table()
_LAYOUTS = {
    _TCP4: struct.Struct("!4s4sHH"),
    _TCP6: struct.Struct("!16s16sHH"),
    _UNIX: struct.Struct(f"!{_LONGEST_PATH}s{_LONGEST_PATH}s"),
}
