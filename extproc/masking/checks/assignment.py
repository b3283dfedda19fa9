"""Validators of what stands after `password=`, `api_key:` and the like: is it a secret, or code, prose, a stand-in?

The name alone says little: in source code most of what is assigned to a `token` is a variable, a call or a type. So a
value has to look like a secret (`looks`), and its name must not say otherwise (`called`).

A value may be `quoted`, `bare` (up to a blank: it may be code, and what follows it, as `&` or `;`, is cut off) or a
`member` (the whole value of a field with that name). A password may be a word, a `secret` (token, API key) hardly.
"""

from collections.abc import Callable

from extproc.masking.checks import called, looks
from extproc.masking.checks.randomness import SLUG, random, symbolic


def quoted_password(data: bytes, start: int, end: int) -> int:
    """What stands in quotes after `password`: a word is enough, if it is no label, sentence, template or name."""
    return _accepted(data, start, looks.unescaped(data, start, end), looks.likely, password=True)


def quoted_secret(data: bytes, start: int, end: int) -> int:
    """What stands in quotes after `secret`, `token`, `api_key`: eight random characters or more, or a phrase."""
    return _accepted(data, start, looks.unescaped(data, start, end), looks.likely, password=False)


def named_secret(data: bytes, start: int, end: int) -> int:
    """As `quoted-secret`, for names that go on after the key word (`token_for_tests`): twelve characters or more."""
    return quoted_secret(data, start, end) if end - start >= 12 else 0


def named_bare(data: bytes, start: int, end: int) -> int:
    """As `bare-secret`, for names that go on after the key word: twelve characters or more."""
    end = bare_secret(data, start, end)
    return end if end - start >= 12 else 0


def bare_password(data: bytes, start: int, end: int) -> int:
    """What stands without quotes after `password=`: as quoted, with a digit or symbol, and no code."""
    return _accepted(data, start, looks.cut(data, start, end), looks.bare, password=True)


def env_password(data: bytes, start: int, end: int) -> int:
    """What stands without quotes after `PASSWORD=` in capitals, as the environment has it: a word too."""
    end = looks.cut(data, start, end)
    text = data[start:end]
    return end if looks.bare(text, password=True) or (text.isalpha() and looks.likely(text, password=True)) else 0


def bare_secret(data: bytes, start: int, end: int) -> int:
    """What stands without quotes after `token=`, `api_key:`: random, and no code."""
    return _accepted(data, start, looks.cut(data, start, end), looks.bare, password=False)


def element_password(data: bytes, start: int, end: int) -> int:
    """The text of an element named password, with its end (`…</`): as in quotes."""
    end = start + len(data[start:end].removesuffix(b"</").rstrip())
    return quoted_password(data, start, end)


def user_password(data: bytes, start: int, end: int) -> int:
    """What stands after `-u name:`, of whatever command: random, or as a password without quotes if it has a symbol."""
    text = data[start:end]
    return end if looks.bare(text, password=False) or (symbolic(text) and looks.likely(text, password=True)) else 0


def user_key(data: bytes, start: int, end: int) -> int:
    """A key before the colon of `-u key:`, or behind that of `-u :key`, with what ends it: where the key ends."""
    stop = end - 1
    if data[start - 1] != 58:
        stop -= 1
        if data[stop] != 58:
            return 0
    elif data[stop - 1] == 58:
        return 0
    return stop if looks.bare(data[start:stop], password=False) else 0


def header_secret(data: bytes, start: int, end: int) -> int:
    """What an Authorization header has: as bare, or a UUID; `Bearer` and `Basic` have rules of their own."""
    end = looks.cut(data, start, end)
    text = data[start:end]
    return end if looks.bare(text, password=False) or looks.UUID.fullmatch(text) else 0


def member_password(data: bytes, start: int, end: int) -> int:
    """The whole value of a field named `password`: anything but a template, a label, a sentence, a placeholder."""
    text = data[start:end]
    if len(text) < 4 or text.lower() in looks.LABELS or looks.TEMPLATE.search(text) or looks.STAND_IN.search(text):
        return 0
    if b" " in text:
        return 0 if text[:1].isupper() or looks.PROSE.search(text) else end
    alone = text.isalnum() and not looks.titled(text)
    return end if alone or looks.UUID.fullmatch(text) or looks.likely(text, password=True) else 0


def member_secret(data: bytes, start: int, end: int) -> int:
    """The whole value of a field named `client_secret`, `api_key`, `token`: random, a UUID too."""
    text = data[start:end]
    return end if looks.likely(text, password=False) or looks.UUID.fullmatch(text) else 0


def random_value(data: bytes, start: int, end: int) -> int:
    """32 characters or more of base64 or hexadecimal that look random: no words, no repetitions, no public key."""
    text = data[start:end]
    if text.startswith((b"AAAA", b"MIIB", b"MIGf", b"MFkw", b"MCow")) or looks.STAND_IN.search(text):
        return 0
    digits = any(48 <= b <= 57 for b in text)
    likely = len(text) >= 32 and digits and random(text) and not SLUG.fullmatch(text)
    return end if likely and not called.harmless(data, start) else 0


def compared(data: bytes, start: int, end: int) -> int:
    """A literal that is compared with a name, from behind its opening quote (`…" == password`): the literal's end."""
    for quote in b"\x22\x27`":
        at = data.find(quote, start, end)
        if at > start:
            return at if looks.likely(data[start:at], password=True) else 0
    return 0


def _accepted(data: bytes, start: int, end: int, like: Callable[[bytes, bool], bool], password: bool) -> int:
    """The end, if the value looks like a secret and its name does not say otherwise, or if its name alone says so."""
    if like(data[start:end], password):
        return 0 if called.harmless(data, start) else end
    return end if called.identifies(data, start, end) else 0
