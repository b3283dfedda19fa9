"""Validators of identity numbers that python-stdnum has none for."""

import re

from extproc.masking.checks.dates import ddmmyy
from extproc.masking.checks.numbers import luhn

_DIGITS = frozenset(b"0123456789")
_NRIC = {83: (0, b"JZIHGFEDCBA"), 84: (4, b"JZIHGFEDCBA"), 70: (0, b"XWUTRQPNMLK"), 71: (4, b"XWUTRQPNMLK"),
         77: (3, b"XWUTRQPNJLK")}  # fmt: skip
_NINO = re.compile(rb"(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z][0-9]{6}[A-D]")
_MRZ = {char: value for value, char in enumerate(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")} | {60: 0}
_VIN = {ord(char): int(value) for char, value in zip("ABCDEFGHJKLMNPRSTUVWXYZ", "12345678123457923456789", strict=True)}
_DAY = re.compile(rb"(?:19|20)[0-9]{2}-[01]?[0-9]-[0-3]?[0-9]")
_TAIWAN = b"ABCDEFGHJKLMNPQRSTUVXYWZIO"


def _digits(text: bytes) -> bytes:
    return bytes(b for b in text if b in _DIGITS)


def ssn(data: bytes, start: int, end: int) -> int:
    """A US social security number: the last nine digits of the candidate, by the rules of area, group and serial
    (SSA, POMS RM 10201.035): area not 000, 666 or 9xx, group not 00, serial not 0000."""
    digits = _digits(data[start:end])[-9:]
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    if area in (b"000", b"666") or area[:1] == b"9" or group == b"00" or serial == b"0000":
        return 0
    return end


def nino(data: bytes, start: int, end: int) -> int:
    """A UK national insurance number, in either case (HMRC, NIM39110): no D, F, I, Q, U or V in its prefix, no O in
    second place, and none of the prefixes that are not given out."""
    text = data[start:end].translate(None, b" -.").upper()
    return end if _NINO.fullmatch(text) else 0


def hetu(data: bytes, start: int, end: int) -> int:
    """A Finnish personal identity code, those for tests (900 to 999) too: its nine digits modulo 31 name the letter."""
    text = data[start:end].upper()
    if not ddmmyy(data, start, end):
        return 0
    return end if text[10] == b"0123456789ABCDEFHJKLMNPRSTUVWXY"[int(text[:6] + text[7:10]) % 31] else 0


def dni(data: bytes, start: int, end: int) -> int:
    """A Spanish identity number of seven or eight digits: modulo 23 they name the letter."""
    letter = data[end - 1 : end].upper()[0]
    return end if letter == b"TRWAGMYFPDXBNJZSQVHLCKE"[int(_digits(data[start:end])) % 23] else 0


def dea(data: bytes, start: int, end: int) -> int:
    """A number of the US Drug Enforcement Administration: d1+d3+d5 + 2(d2+d4+d6) ends in d7."""
    digits = [b - 48 for b in data[end - 7 : end]]
    return end if (sum(digits[0:6:2]) + 2 * sum(digits[1:6:2])) % 10 == digits[6] and any(digits) else 0


def npi(data: bytes, start: int, end: int) -> int:
    """A US national provider identifier (45 CFR 162.406): Luhn over 80840 and its ten digits."""
    return end if luhn(b"80840" + _digits(data[start:end])) else 0


def medicare_au(data: bytes, start: int, end: int) -> int:
    """An Australian Medicare number: the ninth digit is the first eight by 1, 3, 7, 9, 1, 3, 7, 9, modulo 10."""
    digits = [b - 48 for b in _digits(data[start:end])]
    total = sum(w * d for w, d in zip((1, 3, 7, 9, 1, 3, 7, 9), digits, strict=False))
    return end if len(digits) >= 10 and total % 10 == digits[8] else 0


def nric(data: bytes, start: int, end: int) -> int:
    """A Singapore NRIC or FIN: weights 2, 7, 6, 5, 4, 3, 2, an offset and letters for each series."""
    text = data[start:end].upper()
    if len(text) != 9 or text[0] not in _NRIC:
        return 0
    offset, letters = _NRIC[text[0]]
    total = offset + sum(w * (b - 48) for w, b in zip((2, 7, 6, 5, 4, 3, 2), text[1:8], strict=True))
    return end if text[8] == letters[total % 11] else 0


def snils(data: bytes, start: int, end: int) -> int:
    """A Russian SNILS: nine digits by weights 9 to 1, modulo 101, modulo 100, in the last two."""
    digits = [b - 48 for b in _digits(data[start:end])]
    if len(digits) != 11:
        return 0
    total = sum(w * d for w, d in zip(range(9, 0, -1), digits, strict=False)) % 101 % 100
    return end if total == digits[9] * 10 + digits[10] and any(digits) else 0


def svnr_de(data: bytes, start: int, end: int) -> int:
    """A German pension insurance number (VKVV, section 2): the letter as two digits, weights 2, 1, 2, 5, 7, 1, 2, 1,
    2, 1, 2, 1, the digits of each product added, modulo 10."""
    text = data[start:end].translate(None, b" -").upper()
    if len(text) != 12:
        return 0
    spelt = text[:8] + b"%02d" % (text[8] - 64) + text[9:11]
    products = (w * (b - 48) for w, b in zip((2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1), spelt, strict=True))
    return end if sum(p // 10 + p % 10 for p in products) % 10 == text[11] - 48 else 0


def icao(data: bytes, start: int, end: int) -> int:
    """A document number with a check digit at its end (ICAO 9303, part 3): weights 7, 3, 1, letters from A = 10."""
    text = data[start:end].upper().decode("ascii")
    total = sum(w * int(char, 36) for w, char in zip((7, 3, 1) * 5, text[:-1], strict=False))
    return end if text[-1:] == str(total % 10) else 0


def kvnr(data: bytes, start: int, end: int) -> int:
    """A German health insurance number: the letter as two digits, weights 1 and 2 in turn, the digits of each product
    added, modulo 10."""
    text = data[start:end].upper()
    spelt = b"%02d" % (text[0] - 64) + text[1:9]
    products = ((b - 48) * w for b, w in zip(spelt, (1, 2) * 5, strict=True))
    return end if sum(p // 10 + p % 10 for p in products) % 10 == text[9] - 48 else 0


def national_id_tw(data: bytes, start: int, end: int) -> int:
    """An identity number of Taiwan: the letter as two digits, weights 1, 9, 8 to 1 and 1, a multiple of ten."""
    place = _TAIWAN.index(data[start]) + 10
    digits = [place // 10, place % 10, *(b - 48 for b in data[start + 1 : end])]
    return end if sum(w * d for w, d in zip((1, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1), digits, strict=False)) % 10 == 0 else 0


def hkid(data: bytes, start: int, end: int) -> int:
    """A Hong Kong identity card: letters from A = 10, a blank (36) before a single one, weights 9 to 1, modulo 11."""
    text = data[start:end].translate(None, b"()").upper()
    values = [b - 48 if b in _DIGITS else b - 55 for b in text]
    values = [36] * (9 - len(values)) + values
    return end if sum(w * v for w, v in zip(range(9, 0, -1), values, strict=False)) % 11 == 0 else 0


def lanr(data: bytes, start: int, end: int) -> int:
    """The number of a German physician: weights 4 and 9 in turn, the seventh digit fills up to a multiple of ten."""
    digits = [b - 48 for b in data[start : start + 7]]
    return end if sum(w * d for w, d in zip((4, 9, 4, 9, 4, 9, 1), digits, strict=True)) % 10 == 0 else 0


def idnr(data: bytes, start: int, end: int) -> int:
    """A German tax identification number: ISO 7064 mod 11, 10, and no digit more than three times before the last."""
    digits = _digits(data[start:end])
    rest = 10
    for digit in digits[:-1]:
        rest = 2 * ((rest + digit - 48) % 10 or 10) % 11
    return end if (11 - rest) % 10 == digits[-1] - 48 and max(map(digits[:-1].count, digits[:-1])) <= 3 else 0


def kr_brn(data: bytes, start: int, end: int) -> int:
    """A South Korean business registration number: weights 1, 3, 7 in turn and 5 for the ninth digit, whose tens count
    as well; the sum with the last digit is a multiple of ten. The office and the kind of business are not 0."""
    digits = [b - 48 for b in _digits(data[start:end])]
    total = sum(w * d for w, d in zip((1, 3, 7, 1, 3, 7, 1, 3, 5, 1), digits, strict=True)) + digits[8] * 5 // 10
    return end if any(digits[:3]) and any(digits[3:5]) and total % 10 == 0 else 0


def vin(data: bytes, start: int, end: int) -> int:
    """A vehicle identification number with the check digit that North America asks for (49 CFR 565.15)."""
    values = [b - 48 if b in _DIGITS else _VIN[b] for b in data[start:end].upper()]
    total = sum(w * v for w, v in zip((8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2), values, strict=True))
    return end if b"0123456789X"[total % 11] == data[start + 8 : start + 9].upper()[0] else 0


def mrz(data: bytes, start: int, end: int) -> int:
    """The second line of a passport's machine-readable zone: number, birth, expiry and all check out (ICAO 9303)."""
    line = data[start:end]
    parts = (line[:10], line[13:20], line[21:28], line[:10] + line[13:20] + line[21:44])
    return end if all(_checked(part) for part in parts) else 0


def licence(data: bytes, start: int, end: int) -> int:
    """A licence number where one is expected: groups with digits, five of them or more; no day."""
    text = data[start:end]
    groups = re.split(rb"[ -]", text)
    keep = 0
    for group in groups:
        if not any(b in _DIGITS for b in group):
            break
        keep += len(group) + 1
    stop = start + keep - 1
    digits = _digits(data[start:stop]) if keep else b""
    return stop if len(digits) >= 5 and not _DAY.match(data, start, stop) else 0


def _checked(text: bytes) -> bool:
    total = sum(w * _MRZ[char] for w, char in zip((7, 3, 1) * 15, text[:-1], strict=False))
    return text[-1] == 48 + total % 10
