"""Validators of financial numbers: cards and accounts, and the checksums that a rule may spell out."""

from collections.abc import Callable

_SEPARATORS = b" -"
_DIGITS = frozenset(b"0123456789")
_ALNUM = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_DOUBLED = bytes((b - 48) * 2 - (9 if b > 52 else 0) if b in _DIGITS else 0 for b in range(256))
_PLAIN = bytes(b - 48 if b in _DIGITS else 0 for b in range(256))

_BETWEEN = b" -.:"  # digits of an Aadhaar number
_VALUES = [str(int(chr(b), 36)) if b in _ALNUM else "" for b in range(256)]  # of an IBAN's characters


def _product(a: int, b: int) -> int:
    """In the dihedral group of a pentagon: 0 to 4 turn it, 5 to 9 flip it as well."""
    return (a + (b if a < 5 else -b)) % 5 + 5 * ((a < 5) != (b < 5))


_DIHEDRAL = [[_product(a, b) for b in range(10)] for a in range(10)]
_STEP = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)
_PERMUTED = [tuple(range(10))]
for _ in range(7):
    _PERMUTED.append(tuple(_STEP[digit] for digit in _PERMUTED[-1]))

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


def luhn(digits: bytes) -> bool:
    """Whether ASCII digits pass the Luhn check (ISO/IEC 7812-1, annex B)."""
    total = sum(digits[-1::-2].translate(_PLAIN)) + sum(digits[-2::-2].translate(_DOUBLED))
    return total % 10 == 0


def _issued() -> list[tuple[int, ...]]:
    """By the first four digits: how many digits a card may have, the most first; none where nobody issues such."""
    lengths: list[set[int]] = [set() for _ in range(10_000)]
    for first, last, allowed in _ISSUERS:
        low, high = (int(str(n).ljust(4, fill)) for n, fill in ((first, "0"), (last, "9")))
        for prefix in range(low, high + 1):
            lengths[prefix] |= set(allowed)
    return [tuple(sorted(allowed, reverse=True)) for allowed in lengths]


# ISO/IEC 7812 issuer identification numbers, as the networks publish them: first and last of a range, lengths.
_ISSUERS: tuple[tuple[int, int, tuple[int, ...]], ...] = (
    (4, 4, (13, 16, 19)),  # Visa
    (51, 55, (16,)), (2221, 2720, (16,)),  # Mastercard
    (34, 34, (15,)), (37, 37, (15,)),  # American Express
    # Diners Club
    (300, 305, (14, 16, 17, 18, 19)), (3095, 3095, (14, 16, 19)), (36, 36, (14, 16, 19)), (38, 39, (14, 16, 19)),
    (6011, 6011, (16, 19)), (644, 649, (16, 19)), (65, 65, (16, 19)),  # Discover
    (3528, 3589, (16, 17, 18, 19)),  # JCB
    (62, 62, (16, 17, 18, 19)), (81, 82, (16,)),  # UnionPay, RuPay
    (60, 60, (16,)), (508, 508, (16,)), (353, 353, (16,)), (356, 356, (16,)),  # RuPay
    (5018, 5018, (13, 14, 15, 16, 17, 18, 19)), (5020, 5020, (13, 14, 15, 16, 17, 18, 19)), (5038, 5038, (16, 18, 19)),
    (5893, 5893, (16, 18, 19)), (6304, 6304, (16, 18, 19)), (6759, 6759, (16, 18, 19)), (6761, 6763, (16, 18, 19)),
    (5019, 5019, (16,)), (4571, 4571, (16,)),  # Maestro; Dankort
    (6331, 6334, (16, 18, 19)), (6767, 6767, (16, 18, 19)), (5641, 5641, (16, 18, 19)),  # Switch, Solo
    (2200, 2204, (16, 17, 18, 19)), (9792, 9792, (16,)), (5060, 5061, (16, 18, 19)),  # Mir, Troy, Verve
    # InterPayment, Elo
    (636, 639, (16, 17, 18, 19)), (5041, 5041, (16,)), (5066, 5067, (16,)), (509, 509, (16,)), (6277, 6277, (16,)),
    (8600, 8600, (16,)), (9860, 9860, (16,)),  # Uzcard, Humo
)  # fmt: skip
_LENGTHS = _issued()
_NAMED = tuple(range(19, 11, -1))
_CLOCKS = (13, 16, 19)  # digits of a clock in milliseconds, microseconds, nanoseconds
_CLOCK_FIRST, _CLOCK_LAST = b"140", b"199"  # how one begins between 2014 and 2033


def card(data: bytes, start: int, end: int) -> int:
    """13 to 19 digits that a payment network issues: by their first four and their count, and Luhn; the longest such
    run wins. The digits after a decimal point are a fraction, not a card."""
    if _fraction(data, start):
        return 0
    digits = data[start:end].translate(None, _SEPARATORS)
    lengths = _LENGTHS[int(digits[:4])]
    return _luhn_run(data, start, end, digits, lengths) if lengths else 0


def card_named(data: bytes, start: int, end: int) -> int:
    """What is called a card: 12 to 19 digits that pass Luhn, whoever issues them; the longest such run wins. Not a row
    of one digit, and no clock, as logs have beside any word."""
    digits = data[start:end].translate(None, _SEPARATORS)
    clock = len(digits) == end - start and len(digits) in _CLOCKS and _CLOCK_FIRST <= digits[:3] <= _CLOCK_LAST
    if clock or _fraction(data, start):
        return 0
    return _luhn_run(data, start, end, digits, _NAMED) if len(set(digits)) > 1 else 0


def _fraction(data: bytes, start: int) -> bool:
    """Whether a number stands behind a decimal point."""
    return data[start - 1] == 46 and data[start - 2] in _DIGITS


def _luhn_run(data: bytes, start: int, end: int, digits: bytes, lengths: tuple[int, ...]) -> int:
    """The end of the first of these lengths of digits that passes Luhn; in groups, where a group ends there."""
    if len(digits) == end - start:
        return end if len(digits) in lengths and luhn(digits) else 0
    at, count = end, len(digits)
    for wanted in lengths:
        if wanted > len(digits) or not luhn(digits[:wanted]):
            continue
        while count > wanted or data[at - 1] not in _DIGITS:
            at -= 1
            count -= data[at] in _DIGITS
        if data[at] not in _ALNUM:
            return at
    return 0


def iban(data: bytes, start: int, end: int) -> int:
    """An IBAN: a registered country, its length, ISO 7064 mod 97-10, the letters behind its check digits all small or
    all capital, and no letter or digit right after."""
    length = IBAN_LENGTHS.get(data[start : start + 2].upper())
    if length is None:
        return 0
    at, seen = start, 0
    while at < end and seen < length:
        seen += data[at] in _ALNUM
        at += 1
    if seen < length or data[at] in _ALNUM:
        return 0
    text = data[start:at].translate(None, _SEPARATORS)
    if text[4:] not in (text[4:].upper(), text[4:].lower()):
        return 0
    number = int("".join(map(_VALUES.__getitem__, text[4:] + text[:4])))
    return at if number % 97 == 1 else 0


def verhoeff(data: bytes, start: int, end: int) -> int:
    """The digits of the candidate pass Verhoeff's check, by the dihedral group of order ten."""
    check = 0
    for place, digit in enumerate(reversed(data[start:end].translate(_PLAIN, _BETWEEN))):
        check = _DIHEDRAL[check][_PERMUTED[place & 7][digit]]
    return 0 if check else end


def luhn_check(data: bytes, start: int, end: int) -> int:
    """The digits of the candidate pass Luhn; whatever else stands in it does not count."""
    digits = bytes(b for b in data[start:end] if b in _DIGITS)
    return end if digits and luhn(digits) else 0


def aba(data: bytes, start: int, end: int) -> int:
    """A US routing number: nine digits in a range that is given out (00-12, 21-32, 61-72, 80), weights 3, 7, 1."""
    digits = data[start:end].translate(None, _SEPARATORS).translate(_PLAIN)
    if len(digits) != 9 or not any(digits):
        return 0
    region = digits[0] * 10 + digits[1]
    if not (region <= 12 or 21 <= region <= 32 or 61 <= region <= 72 or region == 80):
        return 0
    total = 3 * sum(digits[0::3]) + 7 * sum(digits[1::3]) + sum(digits[2::3])
    return end if total % 10 == 0 else 0


def alone(data: bytes, start: int, end: int) -> int:
    """Not the rest of a longer number in groups: no digit before the blank, dash or dot that it follows."""
    return 0 if data[start - 1] in b" -.:" and data[start - 2] in _DIGITS else end


def weighted(modulus: int, weights: tuple[int, ...]) -> Callable[[bytes, int, int], int]:
    """A check that the candidate has as many digits as there are weights, and that their weighted sum is a multiple of
    the modulus. A check digit that equals the remainder has weight -1. Raises ValueError for a modulus under 2."""
    if modulus < 2:
        raise ValueError(f"a modulus is 2 or more; {modulus} is not")

    def check(data: bytes, start: int, end: int) -> int:
        digits = [b - 48 for b in data[start:end] if b in _DIGITS]
        if len(digits) != len(weights):
            return 0
        return end if sum(w * d for w, d in zip(weights, digits, strict=True)) % modulus == 0 else 0

    return check


def at_least(count: int) -> Callable[[bytes, int, int], int]:
    """A check that the candidate has at least so many digits."""

    def check(data: bytes, start: int, end: int) -> int:
        return end if sum(b in _DIGITS for b in data[start:end]) >= count else 0

    return check
