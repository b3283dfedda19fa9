"""Validators of network addresses."""

import re

_DIGITS = frozenset(b"0123456789")
_HEX = frozenset(b"0123456789ABCDEFabcdef")
_OCTET = re.compile(rb"25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9]")


def ipv4(data: bytes, start: int, end: int) -> int:
    """Four octets without leading zeros that name a host: not 0.…, loopback, a netmask or a multicast group, nor a
    version number (after a single slash as in `Chrome/120.0.0.0`, or ending in .0.0)."""
    if data[start - 1] == 47 and data[start - 2] not in b"/":
        return 0
    return end if _host(data[start:end]) else 0


def ipv4_long(data: bytes, start: int, end: int) -> int:
    """As `ipv4`, and not four single digits, which would be a version number more often."""
    return 0 if end - start < 8 else ipv4(data, start, end)


def ipv6(data: bytes, start: int, end: int) -> int:
    """Eight groups, or fewer and one `::` (RFC 4291), that name a host: not the loopback address. The last two may be
    an IPv4 address, of a host as well. A short form without one needs three groups or a digit in the first, and a first
    group of three digits or more: `a::b` is a name to programs."""
    text = data[start:end]
    if data[start - 1] == 58 and (data[start - 2] == 58 or data[start - 2] in _HEX):
        return 0
    last = text.rpartition(b":")[2]
    if b"." in last:
        if not _host(last):
            return 0
        text = text.removesuffix(last) + b"0:0"
    head, short, tail = text.partition(b"::")
    groups = [group for part in (head, tail) if part for group in part.split(b":")]
    if not all(1 <= len(group) <= 4 and all(b in _HEX for b in group) for group in groups):
        return 0
    if not short:
        return end if len(groups) == 8 and any(group.strip(b"0") for group in groups) else 0
    if len(groups) <= 7 and b"." in last:
        return end
    if not 2 <= len(groups) <= 7 or len(groups[0]) < 3 or not any(b in _DIGITS for b in text):
        return 0
    return end if len(groups) > 2 or (len(groups[0]) == 4 and any(b in _DIGITS for b in groups[0])) else 0


def mac(data: bytes, start: int, end: int) -> int:
    """Six octets (EUI-48), not all 00 nor all ff, and not a part of something longer such as a fingerprint."""
    if data[start - 1] in b":-." and data[start - 2] in _HEX:
        return 0
    digits = data[start:end].translate(None, b":-.").lower()
    return end if len(digits) == 12 and len(set(digits)) > 1 else 0


def _host(text: bytes) -> bool:
    octets = text.split(b".")
    if len(octets) != 4 or not all(_OCTET.fullmatch(octet) for octet in octets):
        return False
    first = int(octets[0])
    return first not in (0, 127) and first < 224 and octets[2:] != [b"0", b"0"]
