"""Redaction for records: once, at the sink, with every rule."""

import re
from functools import lru_cache
from typing import cast

from extproc.domain.json import JSON
from extproc.masking.engine.detect import ALL, detector
from extproc.masking.engine.fingerprint import CREDENTIAL, NONE, Fingerprints
from extproc.masking.rules.builtin import Kind
from extproc.masking.structure.jsonstage import is_credential, key_rules, number_is_card
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


class Redactor:
    """Masks every value of every kind, and the credentials that `fingerprints` know."""

    __slots__ = ("_detector", "_keys", "_innocent")

    def __init__(self, fingerprints: Fingerprints = NONE) -> None:
        self._detector = detector(ALL, fingerprints=fingerprints)
        self._keys = key_rules(self._detector, frozenset())
        # Member names that were looked at and ask for nothing: records have the same few over and over.
        self._innocent: set[str] = set()

    def text(self, text: str) -> tuple[str, dict[str, int]]:
        """A text with every value masked, and how many by kind."""
        return mask_whole(self._detector, text)

    def json(self, value: JSON) -> tuple[JSON, dict[str, int]]:
        """A document with every value masked, and how many by kind (`key:<name>` for members named like secrets). The
        given value is not changed: it is given back itself where there is nothing to mask; otherwise containers come
        back as dicts and lists, masked numbers as None."""
        if self._clean(value):
            return value, {}
        counts: dict[str, int] = {}
        return self._redacted(value, counts), counts

    def _clean(self, value: JSON) -> bool:
        """Whether the document surely has nothing to mask: one look at its names, one at all its texts joined."""
        texts: list[str] = []
        todo: list[JSON] = [value]
        for item in todo:  # grows as it goes
            kind = type(item)
            if kind is str:
                texts.append(cast(str, item))
            elif kind is dict:
                members = cast(dict[str, JSON], item)
                if not self._innocent.issuperset(members) and not all(map(self._is_innocent, members)):
                    return False
                todo += members.values()
            elif kind is list:
                todo += cast(list[JSON], item)
            elif kind is int or kind is float:
                if self._number(cast(float, item)):
                    return False
            elif item is not None and kind is not bool:
                return False  # not what a parser makes: the walk knows
        return not self._detector.scan(_BETWEEN.join(texts))

    def _number(self, number: float) -> str | None:
        """The kind of value that a number is, if it is one."""
        if 10**12 <= number < 10**19 and number_is_card(str(number).encode()):
            return Kind.CARD.value
        # Fewer digits than the shortest credential are none.
        if self._detector.needles is not None and not -(10**6) < number < 10**7:
            return CREDENTIAL if is_credential(self._detector, str(number).encode()) else None
        return None

    def _is_innocent(self, name: str) -> bool:
        plain = _NOT_NAME.sub("", name.lower())
        if plain in SECRET_NAMES or self._keys.keyed(name) or self.text(name)[1]:
            return False
        if len(name) <= _NAME_LENGTH:
            if len(self._innocent) >= _NAMES:
                self._innocent.clear()
            self._innocent.add(name)
        return True

    def _redacted(self, value: JSON, counts: dict[str, int]) -> JSON:
        if isinstance(value, str):
            return self._text(value, counts)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int | float):
            kind = self._number(value)
            return value if kind is None else _masked(kind, None, counts)
        if isinstance(value, dict):
            return {self._text(name, counts): self._member(name, item, counts) for name, item in value.items()}
        return [self._redacted(item, counts) for item in value]

    def _text(self, value: str, counts: dict[str, int]) -> str:
        text, found = self.text(value)
        for kind, count in found.items():
            counts[kind] = counts.get(kind, 0) + count
        return text

    def _member(self, name: str, value: JSON, counts: dict[str, int]) -> JSON:
        plain = _NOT_NAME.sub("", name.lower())
        if plain in SECRET_NAMES and value is not None:
            kind = f"key:{plain}"
            return _masked(kind, None if isinstance(value, bool | int | float) else mask_text(kind), counts)
        keyed = self._keys.keyed(name)
        if keyed and isinstance(value, str | int) and keyed[1].fullmatch(str(value).strip().encode()):
            return _masked(keyed[0], mask_text(keyed[0]) if isinstance(value, str) else None, counts)
        return self._redacted(value, counts)


def _masked(kind: str, instead: JSON, counts: dict[str, int]) -> JSON:
    counts[kind] = counts.get(kind, 0) + 1
    return instead


@lru_cache(maxsize=4)
def redactor(fingerprints: Fingerprints = NONE) -> Redactor:
    """A shared Redactor."""
    return Redactor(fingerprints)


def redact(text: str, fingerprints: Fingerprints = NONE) -> tuple[str, dict[str, int]]:
    """See Redactor.text."""
    return redactor(fingerprints).text(text)


def redact_json(value: JSON, fingerprints: Fingerprints = NONE) -> tuple[JSON, dict[str, int]]:
    """See Redactor.json."""
    return redactor(fingerprints).json(value)
