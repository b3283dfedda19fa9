"""Patterns as data: a sequence of atoms from which the full pattern, its prefix closure and a gate are derived.

- `full`: what a match is.
- `prefixes`: every prefix of what `full` can match. Anchored at the end of a buffer it answers "from where on may a
  match still be unfinished?", which is what a stream has to hold back.
- `gate`: a cheaper pattern that occurs wherever `full` does; used to learn which rules are worth a look.
- `opening`: the same where it is known what stands before; it lets most hexadecimal digests pass at once.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lit:
    """These characters, exactly; with `fold`, in either case (ASCII)."""

    text: str
    fold: bool = False


@dataclass(frozen=True, slots=True)
class Chars:
    """Between `low` and `high` characters of a class, written as inside the brackets of a regular expression."""

    members: str
    low: int = 1
    high: int = 1


@dataclass(frozen=True, slots=True)
class Alt:
    """One of several sequences."""

    choices: tuple["Seq", ...]


@dataclass(frozen=True, slots=True)
class Rep:
    """A sequence, between `low` and `high` times."""

    body: "Seq"
    low: int
    high: int


Atom = Lit | Chars | Alt | Rep
Seq = tuple[Atom, ...]


def full(seq: Seq) -> str:
    """The regular expression of the whole sequence."""
    return "".join(_full(atom) for atom in seq)


def prefixes(seq: Seq) -> str:
    """The regular expression of every prefix of the sequence, the empty one and the whole included."""
    closure = ""
    for atom in reversed(seq):
        closure = f"(?:{_prefixes(atom)}|{_full(atom)}{closure})" if closure else _prefixes(atom)
    return closure


def gate(seq: Seq) -> str:
    """A pattern that occurs in every match of the sequence: its outer atoms at their shortest."""
    atoms = list(seq)
    atoms[0] = _shortest(atoms[0])
    atoms[-1] = _shortest(atoms[-1])
    return full(tuple(atoms))


def opening(seq: Seq, before: str) -> str:
    """As `gate`, with the boundary on its left (`before`, characters that may not touch a match) where that costs
    nothing: not before a run, for which an automaton would have to count."""
    head = seq[0]
    if not before or _shortest(head) != head:
        return gate(seq)
    return rf"(?:\A|[^{before}])" + gate(seq)


def longest(seq: Seq) -> int:
    """The length in bytes of the longest match of the sequence."""
    return sum(_longest(atom) for atom in seq)


def _full(atom: Atom) -> str:
    match atom:
        case Lit(text, fold):
            return f"(?i:{re.escape(text)})" if fold else re.escape(text)
        case Chars(members, low, high):
            return f"[{members}]" + _times(low, high)
        case Alt(choices):
            return "(?:" + "|".join(full(choice) for choice in choices) + ")"
        case Rep(body, low, high):
            return f"(?:{full(body)})" + _times(low, high)


def _prefixes(atom: Atom) -> str:
    match atom:
        case Lit(text, fold):
            nested = ""
            for char in reversed(text):
                nested = f"(?:{re.escape(char)}{nested})?"
            return f"(?i:{nested})" if fold else nested
        case Chars(members, _, high):
            return f"[{members}]" + _times(0, high)
        case Alt(choices):
            return "(?:" + "|".join(prefixes(choice) for choice in choices) + ")"
        case Rep(body, _, high):
            return f"(?:{full(body)})" + _times(0, high - 1) + prefixes(body)


def _shortest(atom: Atom) -> Atom:
    match atom:
        case Chars(members, low, high) if low < high:
            return Chars(members, low, low)
        case Rep(body, low, high) if low < high:
            return Rep(body, low, low)
    return atom


def _longest(atom: Atom) -> int:
    match atom:
        case Lit(text):
            return len(text)
        case Chars(_, _, high):
            return high
        case Alt(choices):
            return max(longest(choice) for choice in choices)
        case Rep(body, _, high):
            return high * longest(body)


def _times(low: int, high: int) -> str:
    return "" if low == high == 1 else f"{{{low},{high}}}"
