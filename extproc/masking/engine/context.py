"""Context: words near a value, and names of the field that it stands in."""

import re
from collections.abc import Sequence
from functools import cached_property

from extproc.masking.engine._re2 import Pattern, PatternSet
from extproc.masking.rules.model import CONTEXT, Rule

WINDOW = CONTEXT + 1
"""Bytes before a value that are looked at: one more, for the boundary of a word at the very beginning."""

_LONGEST = 128
_REMEMBERED = 4096
_NOT_NAME = re.compile(r"[^0-9a-z]")


class Context:
    """One rule's context words, compiled."""

    def __init__(self, rule: Rule) -> None:
        self.keys = rule.keys
        # A word begins after anything but a letter, or where camelCase begins one; a plural is the same word.
        forms = [rf"[^A-Za-z](?i:{spelt(word)})" for word in rule.context]
        forms += [rf"[a-z]{re.escape(word[0].upper())}(?i:{spelt(word[1:])})" for word in rule.context if len(word) > 1]
        self.gate = "|".join([rf"\A(?i:{spelt(word)})" for word in rule.context] + forms)
        self.words = rf"(?:{'|'.join(forms)})s?[^a-z]" if forms else ""

    @cached_property
    def _search(self) -> Pattern:
        return Pattern(self.words)

    def near(self, data: bytes, start: int) -> bool:
        """Whether a word stands in the CONTEXT bytes before data[start]."""
        return bool(self.words) and self._search.search(data, max(0, start - WINDOW), start) is not None


class FieldNames:
    """For which of many rules the name of a field is context: one look for all of them."""

    __slots__ = ("_keys", "_words", "_known", "_indexes")

    def __init__(self, contexts: Sequence[Context]) -> None:
        self._keys: dict[str, set[int]] = {}
        for index, context in enumerate(contexts):
            for key in context.keys:
                self._keys.setdefault(key, set()).add(index)
        self._indexes = [index for index, context in enumerate(contexts) if context.words]
        self._words = PatternSet([contexts[index].words for index in self._indexes])
        self._known: dict[str, frozenset[int]] = {}

    def of(self, name: str) -> frozenset[int]:
        """Indexes of the rules."""
        found = self._known.get(name)
        if found is None:
            name = name[:_LONGEST]
            text = b"\n" + name.encode("utf-8", "replace") + b"\n"
            words = {self._indexes[i] for i in self._words.match(text)}
            found = frozenset(words | self._keys.get(_NOT_NAME.sub("", name.lower()), set()))
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[name] = found
        return found


def spelt(word: str) -> str:
    """A word as it may be spelt in prose and in names: what is between its parts may be any of them, or nothing."""
    return "[ _.-]?".join(re.escape(part) for part in re.split(r"[ _.-]+", word) if part)
