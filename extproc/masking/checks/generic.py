"""Validators of formats that any vendor may use: basic authentication, credentials in URLs, connection strings."""

import base64
import binascii
import re

_STAND_IN = re.compile(
    rb"(?:pass(?:wd|wort)?|test|pw|pwd|secret|token|key|x+|y+|user(?:name)?|your.*|my.?pass.*|some.?pass.*|changeme|example|none|null|"
    rb"xxx.*|foo|bar|redacted|masked|hidden|string|port|\d{1,5})|.*(?:[<>{}\[\]]|\*\*|\.\.\.|%s|%\(|\$[A-Za-z_(]).*|\$.*|:.*|%[A-Za-z_]+%|"
    rb"\[?masked.*|pass(?:word|phrase)[0-9]?(?=@(?:example|localhost|host|server|domain|your|my|some|db|127\.))@?",
    re.IGNORECASE | re.DOTALL,
)  # fmt: skip
_OTHERS = re.compile(
    rb"(?:example|host|hostname|localhost|server|domain|your|some|foo|ip|address|proxy|registry)\b", re.IGNORECASE
)
_NOT_SLUG = re.compile(rb"[0-9A-Z]")
_CLASSES = (re.compile(rb"[a-z]"), re.compile(rb"[A-Z]"), re.compile(rb"[0-9]"))


def basic(data: bytes, start: int, end: int) -> int:
    """The credentials of `Basic` (RFC 7617): base64 that decodes to `user:password`, both of them printable."""
    text = data[start:end]
    try:
        decoded = base64.b64decode(text[: len(text) & ~3] if len(text) & 3 == 1 else text + b"=" * (-len(text) & 3))
    except (binascii.Error, ValueError):
        return 0
    user, colon, password = decoded.partition(b":")
    printable = all(byte >= 32 and byte != 127 for byte in decoded)
    return end if colon and printable and (user or password) else 0


def url_password(data: bytes, start: int, end: int) -> int:
    """`password@host` as a URL has it: the end of the password, which is before the last `@`; 0 for a port, a template
    or a placeholder such as `password@example.com`."""
    at = data.rfind(b"@", start, end)
    password, host = data[start:at], data[at + 1 : end]
    if len(password) < 3 or _STAND_IN.fullmatch(password):
        return 0
    if password.lower() in (b"password", b"passphrase", b"secretpassword", b"userpass") and _OTHERS.match(host):
        return 0
    return at


def assigned(data: bytes, start: int, end: int) -> int:
    """A value whose name leaves no doubt (`;Password=`, `Identified by`): anything but a placeholder."""
    text = data[start:end].strip()
    return end if len(text) >= 4 and not _STAND_IN.fullmatch(text) and len(set(text)) > 2 else 0


def distinct(data: bytes, start: int, end: int) -> int:
    """A token of eight different characters or more: `xxxxxxxx…`, `0000…` and `1234123412341234` are none."""
    return end if len(set(data[start:end])) >= 8 else 0


def classes(data: bytes, start: int, end: int) -> int:
    """A random token: small letters, capitals and digits, of each at least one."""
    return end if all(each.search(data, start, end) for each in _CLASSES) else 0


def openai(data: bytes, start: int, end: int) -> int:
    """A key of the form `sk-…` with a digit or capital in it, and none of the vendors that have a prefix of their own
    behind `sk-` (Anthropic, OpenRouter, Langfuse)."""
    token = data[start + 3 : end]
    if token.startswith((b"ant-", b"or-v1-", b"lf-")) or not _NOT_SLUG.search(token):
        return 0
    return end


def url_token(data: bytes, start: int, end: int) -> int:
    """`token@host` as a URL has it: the end of the token, with a digit in it."""
    at = data.rfind(b"@", start, end)
    return at if at > start and any(48 <= byte <= 57 for byte in data[start:at]) else 0
