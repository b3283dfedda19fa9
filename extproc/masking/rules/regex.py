"""The pattern language of rules: regular expressions without what would keep a stream from being decided.

It is a subset of RE2's syntax, over bytes. What is left out (lookaround, references, anchors, `.`, runs without an end
in the middle) has no bound or no prefix closure; `before`, `after`, `check` and `context` of a rule say such things.
"""

import string
from collections.abc import Iterable
from dataclasses import dataclass

from extproc.masking.rules.pattern import Alt, Atom, Chars, Lit, Rep, Seq, shortest

LONGEST = 200
"""Bytes that the bounded part of a pattern may match: what a stream may have to hold back for it."""

_ESCAPES = {
    "d": string.digits, "w": string.ascii_letters + string.digits + "_", "s": string.whitespace,
    "t": "\t", "n": "\n", "r": "\r",
}  # fmt: skip
_TIMES = {"?": (0, 1), "*": (0, None), "+": (1, None)}


class PatternInvalid(ValueError):
    """A pattern that is not in the language; the message says where and what would be."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A pattern: what stands before the value, the value as far as it is bounded, and the class of the run that ends
    it, if it ends in one ("" if not)."""

    lead: Seq
    value: Seq
    run: str


def parse(text: str) -> Parsed:
    """Read a pattern. Raises PatternInvalid."""
    if not text.isascii():
        raise PatternInvalid("patterns are ASCII; write other bytes as \\xNN")
    return _Reader(text).pattern()


@dataclass(frozen=True, slots=True)
class _Run:
    """A run without an end, as it is read; `low` of its characters at least."""

    members: str
    low: int


class _Reader:
    __slots__ = ("_text", "_at", "_fold", "_lead", "_depth")

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._fold = False
        self._lead: list[Atom] | None = None
        self._depth = 0

    def pattern(self) -> Parsed:
        if self._text.startswith("(?i)"):
            self._fold, self._at = True, 4
        atoms, run = self._sequence(top=True)
        if self._at < len(self._text):
            raise self._error("a `)` too many")
        lead = tuple(self._lead or ())
        if not atoms and run is None:
            raise self._error("nothing to look for")
        if run is not None and run.low:
            atoms.append(Chars(run.members, run.low, run.low))
        if not atoms:
            raise self._error("a run without an end needs a beginning: at least one character, as in [a-z]{4,}")
        if not shortest(tuple(atoms)):
            raise self._error("it matches nothing at all, too; a value has at least one character")
        return Parsed(lead, tuple(atoms), "" if run is None else run.members)

    def _sequence(self, top: bool = False) -> tuple[list[Atom], _Run | None]:
        """Atoms up to `|`, `)` or the end; a top-level `|` makes one Alt of all."""
        choices: list[Seq] = []
        atoms: list[Atom] = []
        run: _Run | None = None
        while self._at < len(self._text) and self._text[self._at] != ")":
            if run is not None:
                raise self._error("nothing may follow a run without an end; give the run a bound, {1,40}")
            if self._text[self._at] == "|":
                if top and self._lead is not None:
                    raise self._error("a `|` beside (?P<value>…); put it into a group")
                self._at += 1
                choices.append(tuple(_joined(atoms)))
                atoms = []
                continue
            if self._text.startswith("(?P<value>", self._at):
                if not top or self._lead is not None or choices:
                    raise self._error("(?P<value>…) stands once, and in no other group")
                self._at += len("(?P<value>")
                self._lead = _joined(atoms)
                atoms, run = self._sequence()
                self._close()
                if self._at < len(self._text):
                    raise self._error("nothing may follow (?P<value>…)")
                return atoms, run
            atom = self._quantified()
            if isinstance(atom, _Run):
                run = atom
            else:
                atoms.append(atom)
        atoms = _joined(atoms)
        if choices:
            if run is not None:
                raise self._error("a run without an end in one of several choices; put the choices into a group")
            return [Alt((*choices, tuple(atoms)))], None
        return atoms, run

    def _quantified(self) -> Atom | _Run:
        start = self._at
        atom = self._atom()
        low, high = self._times()
        if (low, high) == (1, 1):
            return atom
        if isinstance(atom, Lit) and not atom.fold:
            atom = Chars(_class(map(ord, atom.text)))
        if high is None:
            if not isinstance(atom, Chars):
                self._at = start
                raise self._error("only a class of characters can repeat without an end, and only at the end")
            return _Run(atom.members, low)
        if isinstance(atom, Chars):
            return Chars(atom.members, low, high)
        return Rep((atom,), low, high)

    def _times(self) -> tuple[int, int | None]:
        if self._at >= len(self._text):
            return 1, 1
        char = self._text[self._at]
        if char in _TIMES:
            self._at += 1
            times: tuple[int, int | None] = _TIMES[char]
        elif char == "{":
            end = self._text.find("}", self._at)
            low, comma, high = self._text[self._at + 1 : max(end, 0)].partition(",")
            if end < 0 or not _is_count(low) or (high and not _is_count(high)):
                raise self._error("expected {n}, {n,m} or {n,}; a brace itself is \\{")
            self._at = end + 1
            times = (int(low), int(high) if high else None if comma else int(low))
            if (times[1] is not None and not times[0] <= times[1] <= LONGEST) or times[0] > LONGEST or times[1] == 0:
                raise self._error(f"repeated {low} to {high or low} times; bounds ascend, the last is 1 to {LONGEST}")
        else:
            return 1, 1
        if self._at < len(self._text) and self._text[self._at] in "?+*{":
            raise self._error("two repetitions in a row")
        return times

    def _atom(self) -> Atom:
        char = self._text[self._at]
        if char == "(":
            return self._group()
        if char == "[":
            return Chars(self._members())
        if char == "\\":
            meant = self._escape()
            return self._literal(meant) if len(meant) == 1 else Chars(_class(map(ord, meant)))
        if char in "^$.":
            raise self._error(
                f"`{char}` itself is \\{char}; for boundaries there are `before` and `after`, for any character [^\\n]"
            )
        if char in "?*+{":
            raise self._error("nothing to repeat here")
        self._at += 1
        return self._literal(char)

    def _literal(self, char: str) -> Atom:
        return Lit(char, self._fold and char.isascii() and char.isalpha())

    def _group(self) -> Atom:
        fold = self._fold
        for opening in ("(?:", "(?i:"):
            if self._text.startswith(opening, self._at):
                self._at += len(opening)
                self._fold = fold or opening == "(?i:"
                break
        else:
            if self._text.startswith("(?", self._at):
                raise self._error("of groups there are (…), (?:…), (?i:…) and (?P<value>…)")
            self._at += 1
        self._depth += 1
        if self._depth > 8:
            raise self._error("groups nested more than eight deep")
        atoms, run = self._sequence()
        if run is not None:
            raise self._error("a run without an end inside a group; it may only end the pattern")
        self._close()
        self._depth -= 1
        self._fold = fold
        return atoms[0] if len(atoms) == 1 and isinstance(atoms[0], Alt) else Alt((tuple(atoms),))

    def _close(self) -> None:
        if not self._text.startswith(")", self._at):
            raise self._error("a group that is not closed")
        self._at += 1

    def _members(self) -> str:
        """A class, checked; gives its inside, as RE2 reads it."""
        start = self._at
        negated = self._text.startswith("[^", start)
        self._at = first = start + 1 + negated
        codes: set[int] = set()
        while self._at < len(self._text) and (self._text[self._at] != "]" or self._at == first):
            low = self._member()
            if self._text.startswith("-", self._at) and self._text[self._at + 1 : self._at + 2] not in ("]", ""):
                self._at += 1
                high = self._member()
                if len(low) > 1 or len(high) > 1 or low > high:
                    raise self._error("a range ascends, from one character to another; a `-` itself is \\-")
                codes.update(range(ord(low), ord(high) + 1))
            else:
                codes.update(map(ord, low))
        if self._at >= len(self._text):
            self._at = start
            raise self._error("a class that is not closed")
        self._at += 1
        if self._fold:
            codes.update([ord(chr(code).swapcase()) for code in codes if code < 128])
        if negated and len(codes) == 256:
            raise self._error("a class without a character")
        return "^" * negated + _class(codes)

    def _member(self) -> str:
        """The characters that the next item of a class stands for."""
        char = self._text[self._at]
        if char == "\\":
            return self._escape()
        if char == "[":
            raise self._error("a `[` inside a class is \\[")
        self._at += 1
        return char

    def _escape(self) -> str:
        """The characters that an escape stands for: one, or those of a class."""
        code = self._text[self._at + 1 : self._at + 2]
        if code == "x":
            digits = self._text[self._at + 2 : self._at + 4]
            if len(digits) < 2 or not set(digits) <= set(string.hexdigits):
                raise self._error("expected \\x and two hexadecimal digits")
            self._at += 4
            return chr(int(digits, 16))
        meant = _ESCAPES.get(code, code)
        if not code or (meant == code and code.isalnum()):
            raise self._error("of escapes there are \\d \\w \\s \\t \\n \\r \\xNN and those of punctuation")
        self._at += 2
        return meant

    def _error(self, message: str) -> PatternInvalid:
        return PatternInvalid(f"{message} (at character {self._at + 1} of '{self._text[:80]}')")


def _is_count(text: str) -> bool:
    return text.isdigit() and (text == "0" or text[0] != "0")  # to RE2, {06} is text


def _class(codes: Iterable[int]) -> str:
    """Bytes as the inside of a class: in order, those in a row as a range."""
    ranges: list[list[int]] = []
    for code in sorted(codes):
        if ranges and code == ranges[-1][1] + 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return "".join(_spelt(low) + ("-" * (high > low + 1) + _spelt(high)) * (high > low) for low, high in ranges)


def _spelt(code: int) -> str:
    return chr(code) if code < 128 and chr(code).isalnum() else f"\\x{code:02x}"


def _joined(atoms: list[Atom]) -> list[Atom]:
    """Atoms with neighbouring literals as one."""
    joined: list[Atom] = []
    for atom in atoms:
        last = joined[-1] if joined else None
        if isinstance(atom, Lit) and isinstance(last, Lit) and (atom.fold == last.fold):
            joined[-1] = Lit(last.text + atom.text, last.fold)
        else:
            joined.append(atom)
    return joined
