"""Validators of addresses on block chains, by the checksum that each carries."""

import binascii
from base64 import b32decode
from hashlib import sha256

_ALPHABET = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_RIPPLE = b"rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz"
_TO_BASE58 = bytes.maketrans(_RIPPLE, _ALPHABET)
_DIGITS58 = {char: value for value, char in enumerate(_ALPHABET)}
_DIGITS32 = {char: value for value, char in enumerate(b"qpzry9x8gf2tvdw0s3jn54khce6mua7l")}
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_BECH32, _BECH32M = 1, 0x2BC830A3
_LONGEST = 128


def _base58(text: bytes) -> bool:
    """Whether base 58 decodes to a payload of 20 bytes or more and the first four of its double SHA-256."""
    if not 25 <= len(text) <= _LONGEST:
        return False
    number = 0
    for char in text:
        value = _DIGITS58.get(char)
        if value is None:
            return False
        number = number * 58 + value
    zeros = len(text) - len(text.lstrip(b"1"))
    raw = bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")
    return len(raw) >= 25 and sha256(sha256(raw[:-4]).digest()).digest()[:4] == raw[-4:]


def base58check(data: bytes, start: int, end: int) -> int:
    """Base58Check (Bitcoin and what followed it): version, payload and four bytes of their double SHA-256."""
    return end if _base58(data[start:end]) else 0


def ripple(data: bytes, start: int, end: int) -> int:
    """Base58Check in the alphabet of the XRP ledger."""
    text = data[start:end].translate(_TO_BASE58, delete=b"0OIl")
    return end if len(text) == end - start and _base58(text) else 0


def bech32(data: bytes, start: int, end: int) -> int:
    """Bech32 or Bech32m (BIP 173, BIP 350): one case, a prefix, `1`, and data that ends in the BCH checksum of both."""
    text = data[start:end]
    if len(text) > _LONGEST or text not in (text.lower(), text.upper()):
        return 0
    prefix, separator, body = text.lower().rpartition(b"1")
    if not separator or not prefix or len(body) < 6:
        return 0
    values = [c >> 5 for c in prefix] + [0] + [c & 31 for c in prefix]
    for char in body:
        value = _DIGITS32.get(char)
        if value is None:
            return 0
        values.append(value)
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, term in enumerate(_GENERATOR):
            if top >> bit & 1:
                check ^= term
    return end if check in (_BECH32, _BECH32M) else 0


def stellar(data: bytes, start: int, end: int) -> int:
    """A key in strkey form (SEP-23): base 32 whose last two bytes are the CRC-16/XMODEM of the rest."""
    try:
        raw = b32decode(data[start:end])
    except binascii.Error:
        return 0
    return end if binascii.crc_hqx(raw[:-2], 0) == int.from_bytes(raw[-2:], "little") else 0
