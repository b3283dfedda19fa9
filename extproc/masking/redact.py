"""Redaction for records: once, at the sink, with every rule. A record says what ran, so no mask covers code: see
`masking.hiding`."""

import re
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from typing import cast

from extproc.domain.json import JSON
from extproc.masking.engine.scanner import scan
from extproc.masking.engine.span import add
from extproc.masking.hiding import Hidden, cover, for_records
from extproc.masking.operators import mask_text
from extproc.masking.plan import Knowledge
from extproc.masking.structure.delimiters import absorbing

SECRET_NAMES = frozenset({
    "password", "passwd", "passphrase", "pwd", "secret", "clientsecret", "secretkey", "secretaccesskey", "token",
    "accesstoken", "refreshtoken", "idtoken", "authtoken", "sessiontoken", "bearertoken", "apikey", "apitoken",
    "xapikey", "authorization", "proxyauthorization", "cookie", "setcookie", "credential", "credentials", "privatekey",
    "encryptionkey", "signingkey", "cvv", "cvc", "pin", "otp", "clientassertion", "awssecretaccesskey",
})  # fmt: skip
"""Member names, lower case without punctuation, whose value is never recorded."""

_NOT_NAME = re.compile(r"[^0-9a-z]")
# What stands around a whole text: whatever is found in one is found where it stands among others.
_BETWEEN = "\n"
_NAMES, _NAME_LENGTH = 4096, 128
_TEXTS, _TEXT_LENGTH = 4096, 512


class Redactor:
    """Masks every value of every kind, but for network addresses, which say where something came from; and the
    credentials that are known."""

    __slots__ = ("_hiding", "_detector", "_loose", "_innocent", "_telling", "_plain", "_nothing")

    def __init__(self, knowledge: Knowledge) -> None:
        self._hiding = for_records(knowledge)
        self._detector = self._hiding.everything
        self._loose = absorbing(self._detector, _BETWEEN.encode())
        # Member names that were looked at and ask for nothing: records have the same few over and over.
        self._innocent: set[str] = set()
        # And those that are context for what stands under them, with the finders that they are context for.
        self._telling: dict[str, frozenset[int]] = {}
        # And texts that were looked at in which there is nothing: most of a record is as it was in the one before it.
        self._plain: set[str] = set()
        self._nothing: set[tuple[str, frozenset[int]]] = set()

    def text(self, text: str) -> tuple[str, dict[str, int]]:
        """A text with every value masked, and how many by kind."""
        if text in self._plain:
            return text, {}
        data = text.encode("utf-8", "surrogatepass")
        masked, counts = _masked_in(text, data, self._hiding.inside(data))
        if not counts:
            self.remember((text,))
        return masked, counts

    def json(self, value: JSON) -> tuple[JSON, dict[str, int]]:
        """A document with every value masked, and how many by kind (`key:<name>` for members named like secrets). The
        given value is not changed: it is given back itself where there is nothing to mask; otherwise containers come
        back as dicts and lists, masked numbers as None."""
        if self._clean(value):
            return value, {}
        counts: dict[str, int] = {}
        return self._redacted(value, counts), counts

    def _clean(self, value: JSON) -> bool:
        """Whether the document surely has nothing to mask: one look at its names, one at all its texts joined, and one
        at each that stands under a name that is context for it."""
        texts: list[str] = []
        todo: list[JSON] = [value]
        for item in todo:  # grows as it goes
            kind = type(item)
            if kind is str:
                if item not in self._plain:
                    texts.append(cast(str, item))
            elif kind is dict:
                members = cast(dict[str, JSON], item)
                if self._innocent.issuperset(members):
                    todo += members.values()
                    continue
                for name, member in members.items():
                    if name in self._innocent or self._is_innocent(name):
                        todo.append(member)
                    elif name not in self._telling or not self._harmless(member, self._telling[name], todo):
                        return False
            elif kind is list:
                todo += cast(list[JSON], item)
            elif kind is int or kind is float:
                if self._number(cast(float, item)):
                    return False
            elif item is not None and kind is not bool:
                return False  # not what a parser makes: the walk knows
        if not texts:
            return True
        joined = _BETWEEN.join(texts).encode("utf-8", "surrogatepass")
        active = self._detector.opens(joined)
        if self._loose.isdisjoint(active):
            found = bool(active and scan(self._detector, joined))
        else:
            # What a rule takes for one value could be the end of one text and the beginning of another.
            found = any(scan(self._detector, text) for text in texts)
        if found:
            return False
        self.remember(texts)
        return True

    def remember(self, plain: Iterable[str]) -> None:
        """In these texts there is nothing: everything that is known was looked for."""
        if len(self._plain) >= _TEXTS:
            self._plain.clear()
        self._plain.update(text for text in plain if len(text) <= _TEXT_LENGTH)

    def _number(self, number: float, named: frozenset[int] = frozenset()) -> str | None:
        """The kind of value that a number is, if it is one."""
        if -(10**6) < number < 10**7 and not named:
            return None  # fewer digits than any value has that no name gives away
        spans = scan(self._detector, str(number), named)
        return spans[0].kind if spans else None

    def _is_innocent(self, name: str) -> bool:
        if name in self._telling:
            return False
        plain = _NOT_NAME.sub("", name.lower())
        if plain in SECRET_NAMES or len(name) > _NAME_LENGTH or self.text(name)[1]:
            return False
        if len(self._innocent) + len(self._telling) >= _NAMES:
            self._innocent.clear()
            self._telling.clear()
        named = self._detector.named(name)
        if named:
            self._telling[name] = named
            return False
        self._innocent.add(name)
        return True

    def _harmless(self, value: JSON, named: frozenset[int], todo: list[JSON]) -> bool:
        """Whether what stands under a name that is context surely has nothing to mask; its members have names of their
        own, and are yet to be looked at."""
        kind = type(value)
        if kind is str:
            return (value, named) in self._nothing or self._has_nothing(cast(str, value), named)
        if kind is int or kind is float:
            return self._number(cast(float, value), named) is None
        if kind is list:
            return all(self._harmless(item, named, todo) for item in cast(list[JSON], value))
        if kind is dict:
            todo.append(value)
        return kind is dict or kind is bool or value is None

    def _has_nothing(self, text: str, named: frozenset[int]) -> bool:
        if scan(self._detector, text, named):
            return False
        if len(text) <= _TEXT_LENGTH:
            if len(self._nothing) >= _TEXTS:
                self._nothing.clear()
            self._nothing.add((text, named))
        return True

    def _redacted(self, value: JSON, counts: dict[str, int], name: str = "") -> JSON:
        if isinstance(value, str):
            return self._text(value, counts, name)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int | float):
            kind = self._number(value, self._detector.named(name) if name else frozenset())
            return value if kind is None else _masked(kind, None, counts)
        if isinstance(value, dict):
            return {self._text(key, counts): self._member(key, item, counts) for key, item in value.items()}
        return [self._redacted(item, counts, name) for item in value]

    def _text(self, value: str, counts: dict[str, int], name: str = "") -> str:
        data = value.encode("utf-8", "surrogatepass")
        hidden = self._hiding.field(data, name) if name else self._hiding.inside(data)
        text, found = _masked_in(value, data, hidden)
        add(counts, found)
        return text

    def _member(self, name: str, value: JSON, counts: dict[str, int]) -> JSON:
        plain = _NOT_NAME.sub("", name.lower())
        if plain in SECRET_NAMES and value is not None:
            kind = f"key:{plain}"
            return _masked(kind, None if isinstance(value, bool | int | float) else mask_text(kind), counts)
        return self._redacted(value, counts, name)


def _masked_in(text: str, data: bytes, hidden: list[Hidden]) -> tuple[str, dict[str, int]]:
    """A text without what is hidden in it, and how many values by kind; `data` is its UTF-8."""
    if not hidden:
        return text, {}
    return cover(data, hidden).decode("utf-8", "surrogatepass"), dict(Counter(kind for _, _, kind in hidden))


def _masked(kind: str, instead: JSON, counts: dict[str, int]) -> JSON:
    counts[kind] = counts.get(kind, 0) + 1
    return instead


@lru_cache(maxsize=4)
def redactor(knowledge: Knowledge) -> Redactor:
    """A shared Redactor."""
    return Redactor(knowledge)


def redact(text: str, knowledge: Knowledge) -> tuple[str, dict[str, int]]:
    """See Redactor.text."""
    return redactor(knowledge).text(text)


def plain(texts: Iterable[str], knowledge: Knowledge) -> None:
    """See Redactor.remember."""
    redactor(knowledge).remember(texts)


def redact_json(value: JSON, knowledge: Knowledge) -> tuple[JSON, dict[str, int]]:
    """See Redactor.json."""
    return redactor(knowledge).json(value)
