"""Redaction for records: once, at the sink, with every rule."""

import re
from typing import cast

from extproc.domain.json import JSON
from extproc.masking.detect import ALL, detector
from extproc.masking.jsonstage import KeyRules, key_rules, number_is_card
from extproc.masking.rules import Kind
from extproc.masking.text import mask_text, mask_whole

SECRET_NAMES = frozenset({
    "password", "passwd", "passphrase", "pwd", "secret", "clientsecret", "secretkey", "secretaccesskey", "token",
    "accesstoken", "refreshtoken", "idtoken", "authtoken", "sessiontoken", "bearertoken", "apikey", "apitoken",
    "xapikey", "authorization", "proxyauthorization", "cookie", "setcookie", "credential", "credentials", "privatekey",
    "encryptionkey", "signingkey", "cvv", "cvc", "pin", "otp", "clientassertion", "awssecretaccesskey",
})  # fmt: skip
"""Member names, lower case without punctuation, whose value is never recorded."""

_NOT_NAME = re.compile(r"[^0-9a-z]")
# A boundary to every rule and part of no pattern: what is found in texts joined by it lies in one of them.
_BETWEEN = "\0"
_NAMES, _NAME_LENGTH = 4096, 128
_innocent: set[str] = set()
"""Member names that were looked at and ask for nothing: records have the same few over and over."""


def redact(text: str) -> tuple[str, dict[str, int]]:
    """A text with every value masked, and how many by kind."""
    return mask_whole(detector(ALL), text)


def redact_json(value: JSON) -> tuple[JSON, dict[str, int]]:
    """A document with every value masked, and how many by kind (`key:<name>` for members named like secrets). The
    given value is not changed: it is given back itself where there is nothing to mask; otherwise containers come back
    as dicts and lists, masked numbers as None."""
    if _clean(value):
        return value, {}
    counts: dict[str, int] = {}
    return _redacted(value, counts, key_rules(detector(ALL), frozenset())), counts


def _clean(value: JSON) -> bool:
    """Whether the document surely has nothing to mask: one look at its names, one at all its texts joined."""
    texts: list[str] = []
    todo: list[JSON] = [value]
    for item in todo:  # grows as it goes
        kind = type(item)
        if kind is str:
            texts.append(cast(str, item))
        elif kind is dict:
            members = cast(dict[str, JSON], item)
            if not _innocent.issuperset(members) and not all(map(_is_innocent, members)):
                return False
            todo += members.values()
        elif kind is list:
            todo += cast(list[JSON], item)
        elif kind is int or kind is float:
            number = cast(float, item)
            if 10**12 <= number < 10**19 and number_is_card(str(number).encode()):
                return False
        elif item is not None and kind is not bool:
            return False  # not what a parser makes: the walk knows
    return not detector(ALL).scan(_BETWEEN.join(texts))


def _is_innocent(name: str) -> bool:
    plain = _NOT_NAME.sub("", name.lower())
    keys = key_rules(detector(ALL), frozenset())
    if plain in SECRET_NAMES or keys.keyed(name) or redact(name)[1]:
        return False
    if len(name) <= _NAME_LENGTH:
        if len(_innocent) >= _NAMES:
            _innocent.clear()
        _innocent.add(name)
    return True


def _redacted(value: JSON, counts: dict[str, int], keys: KeyRules) -> JSON:
    if isinstance(value, str):
        text, found = redact(value)
        for kind, count in found.items():
            counts[kind] = counts.get(kind, 0) + count
        return text
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        if number_is_card(str(value).encode()):
            return _masked(Kind.CARD.value, None, counts)
        return value
    if isinstance(value, dict):
        return {_redacted_name(name, counts): _member(name, item, counts, keys) for name, item in value.items()}
    return [_redacted(item, counts, keys) for item in value]


def _redacted_name(name: str, counts: dict[str, int]) -> str:
    text, found = redact(name)
    for kind, count in found.items():
        counts[kind] = counts.get(kind, 0) + count
    return text


def _member(name: str, value: JSON, counts: dict[str, int], keys: KeyRules) -> JSON:
    plain = _NOT_NAME.sub("", name.lower())
    if plain in SECRET_NAMES and value is not None:
        kind = f"key:{plain}"
        return _masked(kind, None if isinstance(value, bool | int | float) else mask_text(kind), counts)
    keyed = keys.keyed(name)
    if keyed and isinstance(value, str | int) and keyed[1].fullmatch(str(value).strip().encode()):
        return _masked(keyed[0], mask_text(keyed[0]) if isinstance(value, str) else None, counts)
    return _redacted(value, counts, keys)


def _masked(kind: str, instead: JSON, counts: dict[str, int]) -> JSON:
    counts[kind] = counts.get(kind, 0) + 1
    return instead
