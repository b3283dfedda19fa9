"""Context: words near a value, and names of the field that it stands in."""

import re
from collections.abc import Mapping, Sequence
from functools import cached_property

from extproc.masking.engine._re2 import Pattern, PatternSet
from extproc.masking.rules.model import CONTEXT, Rule

WINDOW = CONTEXT + 1
"""Bytes before a value that are looked at: one more, for the boundary of a word at the very beginning."""

_LONGEST = 128
_REMEMBERED = 4096
_SHORT = 2
_AFTER = r"s?(?:[^a-z]|\z)"
_NOT_NAME = re.compile(r"[^0-9a-z]")


class Context:
    """One rule's context words, compiled."""

    def __init__(self, rule: Rule) -> None:
        # A word begins after anything but a letter, or where camelCase begins one; a plural is the same word.
        self.words = f"(?:{'|'.join(map(_forms, rule.context))})s?[^a-z]" if rule.context else ""

    @cached_property
    def _search(self) -> Pattern:
        return Pattern(self.words)

    def near(self, data: bytes, start: int) -> bool:
        """Whether a word stands in the CONTEXT bytes before data[start]."""
        return bool(self.words) and self._search.search(data, max(0, start - WINDOW), start) is not None


class Mentions:
    """Which of many rules have a word in a text: one look for all words of all of them. An automaton that knew where
    each begins would be in a state of its own for every text, so that is asked of those alone that were seen; but for
    the shortest, which are a part of too many others."""

    __slots__ = ("_words", "_seen")

    def __init__(self, rules: Mapping[int, Rule]) -> None:
        owners: dict[str, list[int]] = {}
        for index, rule in rules.items():
            for word in rule.context:
                owners.setdefault(word, []).append(index)
        self._words = [_Word(word, indexes) for word, indexes in owners.items()]
        self._seen = PatternSet([word.first for word in self._words])

    def match(self, data: bytes) -> list[int]:
        """Indexes of the rules; both ends of the data are boundaries."""
        seen = self._seen.match(data)
        return list(set().union(*(self._words[at].rules(data) for at in seen))) if seen else seen


class _Word:
    """A word of context, and the rules that have it."""

    def __init__(self, word: str, owners: list[int]) -> None:
        self._owners = owners
        self._exact = rf"(?:\A(?i:{spelt(word)})|{_forms(word)}){_AFTER}"
        self._sure = len(word) <= _SHORT
        self.first = self._exact if self._sure else f"(?i:{spelt(word)}){_AFTER}"

    @cached_property
    def _search(self) -> Pattern:
        return Pattern(self._exact)

    def rules(self, data: bytes) -> list[int]:
        """Those that have it, where a text in which it was seen has it as a word."""
        return self._owners if self._sure or self._search.search(data, 0, len(data)) else []


class FieldNames:
    """For which of many rules the name of a field is context: one look for all of them."""

    __slots__ = ("_keys", "_mentions", "_known")

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._keys: dict[str, set[int]] = {}
        for index, rule in enumerate(rules):
            for key in rule.keys:
                self._keys.setdefault(key, set()).add(index)
        self._mentions = Mentions(dict(enumerate(rules)))
        self._known: dict[str, frozenset[int]] = {}

    def of(self, name: str) -> frozenset[int]:
        """Indexes of the rules."""
        found = self._known.get(name)
        if found is None:
            name = name[:_LONGEST]
            words = self._mentions.match(b"\n" + name.encode("utf-8", "replace") + b"\n")
            found = frozenset(self._keys.get(_NOT_NAME.sub("", name.lower()), set()).union(words))
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[name] = found
        return found


def _forms(word: str) -> str:
    """A word with what it begins after."""
    plain = rf"[^A-Za-z](?i:{spelt(word)})"
    return rf"{plain}|[a-z]{re.escape(word[0].upper())}(?i:{spelt(word[1:])})" if len(word) > 1 else plain


def spelt(word: str) -> str:
    """A word as it may be spelt in prose and in names: what is between its parts may be any of them, or nothing."""
    return "[ _.-]?".join(re.escape(part) for part in re.split(r"[ _.-]+", word) if part)
