"""Validators of days."""

import re
from datetime import date

_MONTHS = {
    name: month
    for month, names in enumerate(
        (
            b"jan gen ene", b"feb fev", b"mar mrz", b"apr abr avr", b"may mai mag mei maj", b"jun giu", b"jul lug",
            b"aug ago aou", b"sep set", b"oct okt out ott", b"nov", b"dec dez dic des",
        ),
        start=1,
    )
    for name in names.split()
}  # fmt: skip
_NUMERIC = re.compile(rb"([0-9]{1,4})([-./ ])([0-9]{1,2})\2([0-9]{1,4})")
_NAME = re.compile(rb"[A-Za-z]{3}")
_NUMBER = re.compile(rb"[0-9]+")


def day(data: bytes, start: int, end: int) -> int:
    """A day that exists, in any order of year, month and day; the year 1900 to 2099, or of two digits."""
    text = data[start:end]
    if found := _NUMERIC.match(text):
        first, middle, last = found[1], int(found[3]), found[4]
        if len(first) > 2:
            return end if len(first) == 4 and _is_day(int(first), middle, int(last)) else 0
        if len(last) not in (2, 4):
            return 0
        year = _year(last)
        return end if _is_day(year, middle, int(first)) or _is_day(year, int(first), middle) else 0
    name, numbers = _NAME.search(text), _NUMBER.findall(text)
    month = _MONTHS.get(name.group().lower()) if name else None
    if month is None or len(numbers) != 2:
        return 0
    first, last = sorted(numbers, key=len) if len(numbers[0]) > 2 else numbers
    return end if _is_day(_year(last), month, int(first)) else 0


def yymmdd(data: bytes, start: int, end: int) -> int:
    """A number that begins with a day as yymmdd."""
    text = data[start : start + 6]
    return end if _is_day(2000 + int(text[:2]), int(text[2:4]), int(text[4:])) else 0


def ddmmyy(data: bytes, start: int, end: int) -> int:
    """A number that begins with a day as ddmmyy."""
    text = data[start : start + 6]
    return end if _is_day(2000 + int(text[4:]), int(text[2:4]), int(text[:2])) else 0


def _year(text: bytes) -> int:
    return int(text) if len(text) > 2 else 2000 + int(text)


def _is_day(year: int, month: int, day_: int) -> bool:
    if not 1900 <= year <= 2099:
        return False
    try:
        date(year, month, day_)
    except ValueError:
        return False
    return True
