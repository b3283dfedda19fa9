"""Validators: given a candidate inside its buffer, where does a valid value that starts there end?

Each takes (data, start, end) with the candidate at data[start:end], and gives the end of the accepted value, at most
`end`, or 0 when there is none. At least two bytes stand before `start`, and one after `end` unless the rule asks for
no boundary on its right. A validator looks at nothing else, so its answer does not depend on how a stream was cut.
"""

import base64
import binascii
import re

_SEPARATORS = b" -"
_DIGITS = frozenset(b"0123456789")
_ALNUM = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_DOUBLED = bytes((b - 48) * 2 - (9 if b > 52 else 0) if b in _DIGITS else 0 for b in range(256))
_PLAIN = bytes(b - 48 if b in _DIGITS else 0 for b in range(256))

# ISO 13616 registry (SWIFT, release 99): total length of an IBAN by country.
IBAN_LENGTHS: dict[bytes, int] = {
    code.encode(): int(length)
    for length, codes in {
        15: "NO", 16: "BE", 18: "DK FO FI GL NL FK SD", 19: "MK SI", 20: "AT BA EE KZ XK LT LU MN", 21: "CH LI HR LV",
        22: "BH BG CR DE GE GB IE ME RS VA", 23: "AE GI IL IQ TL OM SO", 24: "AD CZ MD PK RO SA SK ES SE TN VG DZ",
        25: "PT ST LY", 26: "IS TR", 27: "FR GR IT MC MR SM BI DJ", 28: "AL AZ CY DO GT HU LB PL BY SV NI",
        29: "BR EG PS QA UA", 30: "JO KW MU YE", 31: "MT SC", 32: "LC", 33: "RU",
    }.items()
    for code in codes.split()
}  # fmt: skip

_JOSE = re.compile(rb'\{\s*"(?:alg|typ|kid|enc|cty|jku|jwk|x5u|x5c|x5t|crit|zip|epk|b64|ver|iss)["#]')
_LABEL = re.compile(rb"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?")


def luhn(digits: bytes) -> bool:
    """Whether ASCII digits pass the Luhn check (ISO/IEC 7812-1, annex B)."""
    total = sum(digits[-1::-2].translate(_PLAIN)) + sum(digits[-2::-2].translate(_DOUBLED))
    return total % 10 == 0


def card(data: bytes, start: int, end: int) -> int:
    """13 to 19 digits that pass Luhn; the longest such run wins. 0 and 1 do not start a payment card (ISO/IEC 7812
    gives 1 to airlines), and leaving them out keeps clocks in milliseconds and nanoseconds out. The digits after a
    decimal point are a fraction, not a card."""
    if data[start] < 50 or (data[start - 1] == 46 and data[start - 2] in _DIGITS):
        return 0
    text = data[start:end]
    digits = text.translate(None, _SEPARATORS)
    if len(digits) < 13:
        return 0
    if len(digits) == len(text):
        return end if luhn(digits) else 0
    # Sums of the first twelve once, for an odd and for an even count; each digit more is one step.
    plain, doubled = digits.translate(_PLAIN), digits.translate(_DOUBLED)
    odd = sum(plain[0:12:2]) + sum(doubled[1:12:2])
    even = sum(doubled[0:12:2]) + sum(plain[1:12:2])
    valid: list[int] = []
    for index in range(12, len(digits)):
        if index & 1:
            odd += doubled[index]
            even += plain[index]
            total = even
        else:
            odd += plain[index]
            even += doubled[index]
            total = odd
        if total % 10 == 0:
            valid.append(index + 1)
    at, count = end, len(digits)
    for wanted in reversed(valid):
        while count > wanted or data[at - 1] not in _DIGITS:
            at -= 1
            count -= data[at] in _DIGITS
        if data[at] not in _ALNUM:
            return at
    return 0


def ssn(data: bytes, start: int, end: int) -> int:
    """A US social security number: the last nine digits of the candidate, by the rules of area, group and serial
    (SSA, POMS RM 10201.035): area not 000, 666 or 9xx, group not 00, serial not 0000; nor one of the specimens."""
    digits = bytes(b for b in data[start:end] if b in _DIGITS)[-9:]
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    if area in (b"000", b"666") or area[:1] == b"9" or group == b"00" or serial == b"0000":
        return 0
    return end


def iban(data: bytes, start: int, end: int) -> int:
    """An IBAN: a registered country, its length, ISO 7064 mod 97-10, and no letter or digit right after."""
    length = IBAN_LENGTHS.get(data[start : start + 2].upper())
    if length is None:
        return 0
    at, seen = start, 0
    while at < end and seen < length:
        seen += data[at] in _ALNUM
        at += 1
    if seen < length or data[at] in _ALNUM:
        return 0
    text = data[start:at].translate(None, _SEPARATORS).decode("ascii")
    number = int("".join(str(int(c, 36)) for c in text[4:] + text[:4]))
    return at if number % 97 == 1 else 0


def email(data: bytes, start: int, end: int) -> int:
    """local@domain: the longest run of labels whose last is a top-level name (letters, at least two, or xn--)."""
    at = data.index(b"@", start, end) + 1
    accepted, labels = 0, 0
    while found := _LABEL.match(data, at, end):
        labels += 1
        label = found.group()
        if labels > 1 and len(label) > 1 and (label.isalpha() or label.lower().startswith(b"xn--")):
            accepted = found.end()
        at = found.end() + 1
        if at >= end or data[at - 1] != 46:
            break
    return accepted


def jose(data: bytes, start: int, end: int) -> int:
    """The head of a JSON web token: its base64url decodes to the start of a JOSE header (RFC 7515, section 4)."""
    head = data[start:end]
    try:
        decoded = base64.urlsafe_b64decode(head[: len(head) & ~3])
    except (binascii.Error, ValueError):
        return 0
    return end if _JOSE.match(decoded) else 0


def mixed(data: bytes, start: int, end: int) -> int:
    """A random token and no slug: a digit or a capital somewhere after its prefix."""
    token = data[start + 3 : end]
    return 0 if token.islower() and not any(b in _DIGITS for b in token) else end


def digit(data: bytes, start: int, end: int) -> int:
    """A token with a digit in it."""
    return end if any(b in _DIGITS for b in data[start:end]) else 0


def bearer(data: bytes, start: int, end: int) -> int:
    """The token after `Bearer`: 16 characters or more, or shorter with a digit, `_`, `=`, `+`, `/` or `~` in it, for
    English has sentences about bearers too."""
    token = data[start:end].split()[-1]
    return end if len(token) >= 16 or re.search(rb"[0-9_=+/~]", token) else 0
