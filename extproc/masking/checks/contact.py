"""Validators of e-mail addresses and telephone numbers."""

import re

_DIGITS = frozenset(b"0123456789")
_ALNUM = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_LABEL = re.compile(rb"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?")
_EXTENSION = re.compile(rb"[ ,]{0,2}(?:[Xx]|[Ee]xt|[Ee]xtension)")
_MOMENT = re.compile(
    rb"(?:19|20)[0-9]{2}[-/. ][0-9]{1,2}[-/. ][0-9]{1,2}(?![0-9])|"
    rb"[0-9]{1,2}([-/. ])[0-9]{1,2}\1(?:19|20)[0-9]{2}(?![0-9])"
)
_ZIP = re.compile(rb"[0-9]{5}-[0-9]{4}")
_PAIRS = re.compile(rb"[0-9]{2}(?:-[0-9]{2})+")
_GROUP = re.compile(rb"[0-9]+")
_PAIRED = re.compile(rb"[0-9]{2,4}(?:\.[0-9]{2,4}){4,}")
_ADDRESS = re.compile(rb"(?:(?:25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})(?:\.|\Z)){4}")

# Country codes that are given out (ITU-T E.164, list of 2023); 1 has a form of its own.
_COUNTRY = re.compile(
    rb"7|2(?:0|7|1[1-368]|[2346][0-9]|5[0-8]|9[0179])|3(?:[0-469]|5[0-9]|7[0-8]|8[0-35-79])|4(?:[013-9]|2[013])|"
    rb"5(?:[1-8]|0[0-9]|9[0-9])|6(?:[0-6]|7[02-9]|8[0-35-9]|9[0-2])|8(?:[1246]|0[08]|5[02356]|7[08]|8[0-8])|"
    rb"9(?:[0-58]|6[0-8]|7[0-79]|9[2-68])"
)
_NORTH_AMERICA = 11


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


def phone_international(data: bytes, start: int, end: int) -> int:
    """A telephone number with `+` or `00` and a country code that is given out (E.164): nine digits to fifteen in all,
    eleven of them after `+1`. Further groups of digits are not part of it."""
    prefix = 0 if data[start] == 43 else 2
    digits = _digits(data, start, _number_end(data, start, end))[prefix:]
    if len(digits) < 9 or len(set(digits)) < 3:
        return 0
    if digits[:1] != b"1":
        return end if len(digits) <= 15 and _COUNTRY.match(digits) else 0
    return _cut(data, start, end, prefix + _NORTH_AMERICA) if len(digits) >= _NORTH_AMERICA and digits[1] != 48 else 0


def phone_us(data: bytes, start: int, end: int) -> int:
    """Ten digits as the North American numbering plan groups them, perhaps with 1 before and an extension behind; not
    a part of a longer number with dashes or dots."""
    if data[start - 1] in b"-./" and data[start - 2] in _DIGITS:
        return 0
    digits = _digits(data, start, _number_end(data, start, end))
    wanted = 11 if data[start] == 49 and data[start + 1] in b"-. (" else 10
    return end if len(digits) == wanted and len(set(digits)) > 2 else 0


def phone(data: bytes, start: int, end: int) -> int:
    """A telephone number where one is expected: 7 digits to 15, or 6 in three groups; no date, no IP address."""
    if data[start - 1] in b"-./:+" and data[start - 2] in _ALNUM:
        return 0
    stop = _number_end(data, start, end)
    digits = _digits(data, start, stop)
    groups = len(_GROUP.findall(data, start, stop))
    if not (6 if groups > 2 else 7) <= len(digits) <= 15 or len(set(digits)) == 1:
        return 0
    if _MOMENT.match(data, start, stop):
        return 0
    # Five groups or more, each of two digits or more, are no address; `1.3.6.1.4.1.311` stays an object identifier.
    return 0 if _ADDRESS.match(data, start, stop) and not _PAIRED.fullmatch(data, start, stop) else end


def phone_grouped(data: bytes, start: int, end: int) -> int:
    """A telephone number with a trunk prefix: 0 and groups, nine digits to twelve; no date, no US postcode, and no
    pairs that go on after a dash, as a hardware address may."""
    if data[start - 1] in b" -./:+" and data[start - 2] in _DIGITS:
        return 0
    if data[end] == 45 and _PAIRS.fullmatch(data, start, end):
        return 0
    digits = _digits(data, start, end)
    if not 9 <= len(digits) <= 12 or len(set(digits)) < 3 or _ZIP.fullmatch(data, start, end):
        return 0
    return 0 if _MOMENT.match(data, start, end) else end


def _digits(data: bytes, start: int, end: int) -> bytes:
    return bytes(b for b in data[start:end] if b in _DIGITS)


def _number_end(data: bytes, start: int, end: int) -> int:
    """Where the extension begins, if there is one."""
    found = _EXTENSION.search(data, start, end)
    return found.start() if found else end


def _cut(data: bytes, start: int, end: int, wanted: int) -> int:
    """The end after so many digits: before what follows them, unless it is an extension; 0 if they end in a group."""
    stop, seen = _number_end(data, start, end), 0
    for at in range(start, stop):
        seen += data[at] in _DIGITS
        if seen == wanted:
            rest = data[at + 1 : stop]
            if any(b in _DIGITS for b in rest):
                return 0 if rest[0] in _DIGITS else at + 1
            break
    return end
