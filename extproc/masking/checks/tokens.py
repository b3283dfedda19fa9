"""Validators of tokens and keys: what tells a random value from a word, a slug or a placeholder."""

import base64
import binascii
import math
import re
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

from extproc.masking.checks.randomness import random

_DIGITS = frozenset(b"0123456789")
_BASE62 = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

_JOSE = re.compile(rb'\{\s*"(?:alg|typ|kid|enc|cty|jku|jwk|x5u|x5c|x5t|crit|zip|epk|b64|ver|iss)["#]')
_BASE64URL = re.compile(rb"[A-Za-z0-9_.-]+")
_OBJECT = re.compile(rb'\{"[A-Za-z][A-Za-z0-9_#]{0,15}(?:"|\Z)')
_SYMBOL = re.compile(rb"[0-9_=+/~]")
_FILLERS = frozenset(b"xXaA0*")
_FILLED, _SHORT = 0.6, 12
_SLUG = re.compile(rb"[A-Za-z]?[a-z]+(?:[-_.:/ ][A-Za-z]?[a-z]+)*|[A-Z]+(?:[-_.:/ ][A-Z]+)*")
_PLACEHOLDER = re.compile(
    rb"example|sample|dummy|placeholder|redacted|masked|change[-_ ]?(?:me|it|this)|replace[-_ ]?(?:me|this|with)|"
    rb"fix[-_ ]?me|to[-_ ]?do[-_ ]|to[-_ ]be[-_ ]|your[-_ ]|(?:insert|enter|put|add)[-_ ]|goes[-_ ]?here|not[-_ ]?set|"
    rb"(?:my|some|test|fake)[-_](?:secret|token|key|api|pass)|undefined|foo[-_]?bar|lorem|[x*#.]{4}|"
    rb"^(?:<|\[|\{\{|\$[({]|%\(|\$[a-z_]+$|%[a-z_]+%$|(?:none|null|nil|true|false|n/a)$)",
    re.IGNORECASE,
)


def jose(data: bytes, start: int, end: int) -> int:
    """The head of a JSON web token: its base64url decodes to the start of a JOSE header (RFC 7515, section 4)."""
    return end if _JOSE.match(_decoded(data[start:end])) else 0


def jose_encoded(data: bytes, start: int, end: int) -> int:
    """The head of a JSON web token that is encoded once more: its base64 decodes to base64url, and that to the start of
    a JSON object."""
    inner = _decoded(data[start:end])
    return end if _BASE64URL.fullmatch(inner) and _OBJECT.match(_decoded(inner.split(b".")[0])) else 0


def _decoded(text: bytes) -> bytes:
    """What base64 stands for, in either alphabet; what is left over of its last four characters is left out."""
    try:
        return base64.urlsafe_b64decode(text[: len(text) & ~3].replace(b"+", b"-").replace(b"/", b"_"))
    except (binascii.Error, ValueError):
        return b""


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
    return end if len(token) >= 16 or _SYMBOL.search(token) else 0


def not_placeholder(data: bytes, start: int, end: int) -> int:
    """No stand-in for a value: `example`, `changeme`, `your-…`, `xxxx`, `****`, `<…>`, `${…}`, one character alone."""
    text = data[start:end]
    return 0 if _PLACEHOLDER.search(text) or len(set(text)) == 1 else end


def not_filled(data: bytes, start: int, end: int) -> int:
    """Not for the most part a row of `x`, `a`, `0` or `*`, as templates have it in place of a token."""
    text = data[start:end]
    same = sum(before == after and before in _FILLERS for before, after in pairwise(text))
    return end if len(text) < _SHORT or same < _FILLED * (len(text) - 1) else 0


def unworded(data: bytes, start: int, end: int) -> int:
    """Not a name in camelCase or with words in it otherwise: random characters, or a digit and few words."""
    return end if random(data[start:end]) else 0


def not_words(data: bytes, start: int, end: int) -> int:
    """Neither a placeholder nor words: letters of one case (a capital may begin each word), with separators between."""
    return 0 if _SLUG.fullmatch(data, start, end) else not_placeholder(data, start, end)


def both_cases(data: bytes, start: int, end: int) -> int:
    """A token with small letters and capitals."""
    text = data[start:end]
    return 0 if text == text.lower() or text == text.upper() else end


def varied(data: bytes, start: int, end: int) -> int:
    """Three different characters or more."""
    return end if len(set(data[start:end])) > 2 else 0


def entropy(least: float = 3.0) -> Callable[[bytes, int, int], int]:
    """A check for Shannon entropy: at least so many bits per character, counted over the candidate itself. n different
    characters reach log2(n): 3.0 takes eight of them, used evenly. Raises ValueError outside 0 to 8."""
    if not 0 < least < 8:
        raise ValueError(f"entropy is in bits per character, more than 0 and less than 8; {least} is not")

    def check(data: bytes, start: int, end: int) -> int:
        size = end - start
        counts = Counter(data[start:end]).values()
        return end if -sum(n * math.log2(n / size) for n in counts) >= least * size else 0

    return check


def crc32_base62(data: bytes, start: int, end: int) -> int:
    """A token whose last six characters are the CRC-32, in base 62 and padded with zeros, of what stands between its
    last `_` and them (GitHub, "Behind GitHub's new authentication token formats")."""
    body = data[start : end - 6].rpartition(b"_")[2]
    value, digits = binascii.crc32(body), bytearray()
    for _ in range(6):
        value, rest = divmod(value, 62)
        digits.append(_BASE62[rest])
    return end if body and data[end - 6 : end] == bytes(reversed(digits)) else 0
