"""Redaction for records: once, at the sink, with every rule."""

import re

from extproc.domain.json import JSON
from extproc.masking.detect import ALL, detector
from extproc.masking.jsonstage import KeyRules, key_rules, number_is_card
from extproc.masking.rules import Kind
from extproc.masking.text import TextStage, mask_text

SECRET_NAMES = frozenset({
    "password", "passwd", "passphrase", "pwd", "secret", "clientsecret", "secretkey", "secretaccesskey", "token",
    "accesstoken", "refreshtoken", "idtoken", "authtoken", "sessiontoken", "bearertoken", "apikey", "apitoken",
    "xapikey", "authorization", "proxyauthorization", "cookie", "setcookie", "credential", "credentials", "privatekey",
    "encryptionkey", "signingkey", "cvv", "cvc", "pin", "otp", "clientassertion", "awssecretaccesskey",
})  # fmt: skip
"""Member names, lower case without punctuation, whose value is never recorded."""

_NOT_NAME = re.compile(r"[^0-9a-z]")


def redact(text: str) -> tuple[str, dict[str, int]]:
    """A short text with every value masked, and how many by kind."""
    stage = TextStage(detector(ALL))
    data = text.encode("utf-8", "surrogatepass")
    out = stage.feed(data) + stage.finish()
    return (out.decode("utf-8", "surrogatepass"), stage.counts) if stage.counts else (text, {})


def redact_json(value: JSON) -> tuple[JSON, dict[str, int]]:
    """A document with every value masked, and how many by kind (`key:<name>` for members named like secrets). The
    given value is not changed; containers come back as dicts and lists, masked numbers as None."""
    counts: dict[str, int] = {}
    return _redacted(value, counts, key_rules(detector(ALL), frozenset())), counts


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
