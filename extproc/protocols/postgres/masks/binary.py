"""Values in binary format as their text: what each type's send function writes (`src/backend/utils/adt`).

Values are looked for in that text, so it is near to the server's own, but need not be the same.
"""

import struct
from collections.abc import Callable
from datetime import date, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from uuid import UUID as Uuid

from extproc.masking.stage import MaskError
from extproc.protocols.postgres.masks import types

_NUMERIC = struct.Struct(">HhHH")
_NEGATIVE, _SPECIAL = 0x4000, 0xC000
_DIGITS = 4
_MOST_DIGITS = 64
_EPOCH, _DAY = datetime(2000, 1, 1), date(2000, 1, 1)  # noqa: DTZ001 - PostgreSQL's own, of whatever zone
_FAMILIES = {2: (4, IPv4Address), 3: (16, IPv6Address)}


def _integer(size: int, signed: bool = True) -> Callable[[bytes], bytes]:
    def decode(value: bytes) -> bytes:
        if len(value) != size:
            raise MaskError("an integer that is not as long as its type")
        return b"%d" % int.from_bytes(value, "big", signed=signed)

    return decode


def _float(layout: str) -> Callable[[bytes], bytes]:
    one = struct.Struct(layout)

    def decode(value: bytes) -> bytes:
        if len(value) != one.size:
            raise MaskError("a float that is not as long as its type")
        return repr(float(one.unpack(value)[0])).encode()

    return decode


def _numeric(value: bytes) -> bytes:
    """Digits of base 10,000 (numeric_send). Of the zeros before and behind at most some dozens are written."""
    if len(value) < _NUMERIC.size:
        raise MaskError("a numeric that is cut short")
    count, weight, sign, scale = _NUMERIC.unpack_from(value)
    if len(value) != _NUMERIC.size + 2 * count:
        raise MaskError("a numeric that is not as long as it says")
    if sign >= _SPECIAL:
        return b"NaN"
    text = b"".join(b"%04d" % digit for (digit,) in struct.iter_unpack(">H", value[_NUMERIC.size :]))
    whole = _DIGITS * (weight + 1)
    if whole <= 0:
        before, behind = b"0", b"0" * min(-whole, _MOST_DIGITS) + text
    else:
        before = text[:whole] + b"0" * min(whole - len(text), _MOST_DIGITS)
        behind = text[whole:]
    fraction = b"." + (behind + b"0" * _MOST_DIGITS)[: min(scale, _MOST_DIGITS)] if scale else b""
    return (b"-" if sign == _NEGATIVE else b"") + (before.lstrip(b"0") or b"0") + fraction


def _uuid(value: bytes) -> bytes:
    if len(value) != 16:
        raise MaskError("a UUID that is not as long as its type")
    return str(Uuid(bytes=value)).encode()


def _date(value: bytes) -> bytes:
    days = int(_integer(4)(value))
    try:
        return (_DAY + timedelta(days=days)).isoformat().encode()
    except OverflowError:
        return b"infinity"  # or a year that no rule knows


def _timestamp(value: bytes) -> bytes:
    microseconds = int(_integer(8)(value))
    try:
        return (_EPOCH + timedelta(microseconds=microseconds)).isoformat(" ").encode()
    except OverflowError:
        return b"infinity"


def _address(value: bytes) -> bytes:
    """Family, bits of the mask, whether it is a cidr, length, address (network_send)."""
    size, address = _FAMILIES.get(value[0], (0, None)) if len(value) > 4 else (0, None)
    if address is None or value[3] != size or len(value) != 4 + size:
        raise MaskError("an address of no known family")
    text = str(address(value[4:])).encode()
    return text if value[1] == 8 * size and not value[2] else b"%s/%d" % (text, value[1])


def _mac(size: int) -> Callable[[bytes], bytes]:
    def decode(value: bytes) -> bytes:
        if len(value) != size:
            raise MaskError("a MAC address that is not as long as its type")
        return value.hex(":").encode()

    return decode


READ: dict[int, Callable[[bytes], bytes]] = {
    types.INT2: _integer(2),
    types.INT4: _integer(4),
    types.INT8: _integer(8),
    types.MONEY: _integer(8),
    types.OID: _integer(4, signed=False),
    types.FLOAT4: _float(">f"),
    types.FLOAT8: _float(">d"),
    types.NUMERIC: _numeric,
    types.UUID: _uuid,
    types.DATE: _date,
    types.TIMESTAMP: _timestamp,
    types.TIMESTAMPTZ: _timestamp,
    types.INET: _address,
    types.CIDR: _address,
    types.MACADDR: _mac(6),
    types.MACADDR8: _mac(8),
}
"""By type: from a value's bytes to its text. Each raises MaskError for bytes that are none of its type's."""
