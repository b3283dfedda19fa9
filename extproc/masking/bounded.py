"""What may be hidden in a text that goes on as it is: nothing in which code could stand.

A rule such as `password=…` takes whatever follows, so the text behind its mask could be a statement that runs. These
predicates decide by the text itself, and `open_kinds` by what a rule could take.
"""

import re
from functools import lru_cache

from extproc.masking.engine.engine import Engine
from extproc.masking.rules.model import Rule
from extproc.masking.rules.pattern import has, members

_CODE = b"*;"
"""Characters that no key, token or number has, and a value that is "anything up to a delimiter" may have."""

_MARKS = frozenset(" \"'`()[]{};|&<>\\")
_COMMENTS = ("/*", "*/", "--")

# A number; hexadecimal digits, as in a UUID; or a word that begins with a letter. Only single separators, so that no
# comment begins in it, and no letters after a digit that begins it: some parsers read `0or1` as three tokens.
_NUMBER = r"[0-9]+(?:[ ./-][0-9]+)*"
_HEX = r"[0-9A-Fa-f]+(?:-[0-9A-Fa-f]+)*"
_WORD = r"(?=[^0-9]*[0-9])(?=.{8})[A-Za-z][A-Za-z0-9_]*(?:[-./+:][A-Za-z0-9_]+)*"
_INERT = re.compile(rf"(?:(?i:bearer) {{1,4}})?(?:{_NUMBER}|{_HEX}|{_WORD})")

_BLANK = r"(?:[ \t\r\n]|\\[rnt])+"
_PEM_ENDS = r"-----{} [A-Z0-9 ]{{0,40}}PRIVATE KEY(?: BLOCK)?-----"
_PEM_HEAD = r"(?:Proc-Type: 4,ENCRYPTED|DEK-Info: [A-Z0-9-]{1,32},[0-9A-F]{1,64})"
# Each line but the last of a key is long, which no statement's words are.
_PEM = re.compile(
    rf"{_PEM_ENDS.format('BEGIN')}{_BLANK}(?:{_PEM_HEAD}{_BLANK})*(?:[A-Za-z0-9+/=]{{32,}}{_BLANK})*"
    rf"(?:[A-Za-z0-9+/=]{{1,31}}{_BLANK})?{_PEM_ENDS.format('END')}"
)


def opaque(text: str) -> bool:
    """Whether a text is one word without a blank, quote, bracket or mark that separates or comments out: a password or
    token as people and generators make them, and no statement."""
    return text.isprintable() and _MARKS.isdisjoint(text) and not any(mark in text for mark in _COMMENTS)


def inert(text: str) -> bool:
    """Whether a text is a number or one word with a digit in it, which stands for nothing but itself wherever it is."""
    return _INERT.fullmatch(text) is not None


def key_block(text: str) -> bool:
    """Whether a text is a private key in PEM, and nothing but lines of base64 between its ends."""
    return _PEM.fullmatch(text) is not None


@lru_cache(maxsize=4)
def open_kinds(engine: Engine) -> frozenset[str]:
    """The kinds of which a rule takes nearly any character, so that a value may hold code."""
    return frozenset(rule.kind for rule in engine.rules if _is_open(rule))


def _is_open(rule: Rule) -> bool:
    tail = set[str]() if rule.tail is None else {rule.tail.members}
    if rule.tail is not None and rule.tail.block:
        return True
    return any(has(inside, _CODE) for inside in members(rule.value) | tail)
