"""Patterns as data: a sequence of atoms from which the full pattern, its prefix closure and a gate are derived.

- `full`: what a match is.
- `prefixes`: every prefix of what `full` can match. Anchored at the end of a buffer it answers "from where on may a
  match still be unfinished?", which is what a stream has to hold back.
- `gate`: a cheaper pattern that occurs wherever `full` does; used to learn which rules are worth a look.
- `beginning`: what tells whether a match may have begun.
- `shape`: what a match looks like to somebody who can't tell one digit from another.
"""

import re
from dataclasses import dataclass
from functools import cache, lru_cache

_PRINTABLE = 95
_EVERY_CHARACTER = bytes(range(256))


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


def gate(seq: Seq, before: str, size: int) -> str:
    """A pattern that occurs wherever the sequence does behind a boundary (`before`, characters that may not touch it),
    or at the start of the data. Of the sequence it has what comes to `size` bytes at least, and no count where it can
    do without: an automaton has a state for each number that it counts to, and for each mixture of them."""
    boundary = rf"(?:\A|[^{before}])" if before else ""
    return boundary + _gate(seq, size)[0]


def _gate(seq: Seq, size: int) -> tuple[str, int]:
    """The gate of a sequence, and how many bytes are left to say."""
    out = ""
    for atom in seq:
        if size <= 0:
            break
        match atom:
            case Lit(text):
                out += _full(atom)
                size -= len(text)
            case Chars(members, low, high) if low == high:
                out += f"[{members}]" + _times(min(low, size), min(low, size))
                size -= low
            case Chars(members, low, _):
                out += f"[{members}]" + ("*" if not low else "+" if low == 1 else f"{{{min(low, size)},}}")
                size -= low
            case Alt(choices):
                parts = [_gate(choice, size) for choice in choices]
                out += "(?:" + "|".join(part for part, _ in parts) + ")"
                if any(left <= 0 for _, left in parts):
                    return out, 0  # a choice that was cut short: nothing can be said of what follows it
                size = max(left for _, left in parts)
            case Rep(body, low, high):
                one, left = _gate(body, size)
                if left <= 0:
                    return out + f"(?:{one})" + ("" if low else "?"), 0
                each = size - left
                count = min(low, -(-size // each)) if each else min(low, 1)
                out += f"(?:{one})" + (_times(low, high) if low == high == 1 else f"{{{count},}}" if low else "*")
                size -= low * each
    return out, size


def beginning(seq: Seq, size: int) -> Seq:
    """What every match of the sequence begins with, as far as that is one text or a run of fixed length, `size` bytes
    at most."""
    found: list[Atom] = []
    for atom in seq:
        if size <= 0:
            break
        match atom:
            case Lit(text, fold):
                found.append(Lit(text[:size], fold))
                size -= len(text)
                continue
            case Chars(members, low, high):
                if low:
                    found.append(Chars(members, min(low, size), min(low, size)))
                size = size - low if low == high else 0
                continue
            case Alt(choices):
                found.append(Alt(tuple(beginning(choice, size) for choice in choices)))
            case Rep(body, low, _) if low:
                found.append(Alt((beginning(body, size),)))
        break
    return tuple(found)


def shape(seq: Seq) -> Seq:
    """The sequence with all digits alike: it matches whatever the sequence does."""
    out: list[Atom] = []
    for atom in seq:
        match atom:
            case Lit(text, fold):
                parts = re.findall("[0-9]+|[^0-9]+", text)
                out += [Chars("0-9", len(part), len(part)) if part.isdigit() else Lit(part, fold) for part in parts]
            case Chars(inside, low, high):
                out.append(Chars(_digits_alike(inside), low, high))
            case Alt(choices):
                out.append(Alt(tuple(dict.fromkeys(map(shape, choices)))))
            case Rep(body, low, high):
                out.append(Rep(shape(body), low, high))
    return tuple(out)


def _digits_alike(inside: str) -> str:
    """A class that has all digits where this one has any."""
    if not 0 < len(re.findall(f"[{inside}]", "0123456789")) < 10:
        return inside
    if inside.startswith("^"):
        return r"\x00-\xff"
    return "0-9" if re.fullmatch("[0-9-]+", inside) else "0-9" + inside


def chance(seq: Seq) -> float:
    """How often chance would write such a text, were all printable characters alike: what tells whether it is worth a
    look for it."""
    product = 1.0
    for atom in seq:
        match atom:
            case Lit(text, fold):
                product *= ((2 if fold else 1) / _PRINTABLE) ** len(text)
            case Chars(members, low, _):
                product *= (_count(members) / _PRINTABLE) ** low
            case Alt(choices):
                product *= min(1.0, sum(chance(choice) for choice in choices))
            case Rep(body, low, _):
                product *= chance(body) ** low
    return product


@cache
def _count(members: str) -> int:
    """How many printable characters a class has."""
    return len(re.findall(f"[{members}]", "".join(map(chr, range(32, 127)))))


def longest(seq: Seq) -> int:
    """The length in bytes of the longest match of the sequence."""
    return sum(_longest(atom) for atom in seq)


def shortest(seq: Seq) -> int:
    """The length in bytes of the shortest match of the sequence."""
    total = 0
    for atom in seq:
        match atom:
            case Lit(text):
                total += len(text)
            case Chars(_, low, _):
                total += low
            case Alt(choices):
                total += min(map(shortest, choices))
            case Rep(body, low, _):
                total += low * shortest(body)
    return total


def members(seq: Seq) -> set[str]:
    """All characters that a match may have, as insides of brackets."""
    found: set[str] = set()
    for atom in seq:
        match atom:
            case Lit(text, fold):
                found.add(re.escape(text.swapcase() + text if fold else text))
            case Chars(inside, _, _):
                found.add(inside)
            case Alt(choices):
                found.update(*map(members, choices))
            case Rep(body, _, _):
                found |= members(body)
    return found


def has(inside: str, letters: bytes) -> bool:
    """Whether one of these characters is in a class."""
    return bool(bits(inside) & bits_of(letters))


@lru_cache(maxsize=256)
def bits_of(letters: bytes) -> int:
    """Characters as bits."""
    return sum(1 << letter for letter in set(letters))


@lru_cache(maxsize=4096)
def bits(inside: str) -> int:
    """The characters of a class, given as the inside of brackets, as bits."""
    return bits_of(b"".join(re.findall(b"[" + inside.encode("latin-1") + b"]", _EVERY_CHARACTER)))


def writable(seq: Seq, letters: bytes) -> bool:
    """Whether a match may have no other characters than these."""
    return all(_writable(atom, letters) for atom in seq)


def _writable(atom: Atom, letters: bytes) -> bool:
    match atom:
        case Lit(text, fold):
            return set(text.encode("latin-1")) <= set(letters.swapcase() + letters if fold else letters)
        case Chars(inside, low, _):
            return not low or has(inside, letters)
        case Alt(choices):
            return any(writable(choice, letters) for choice in choices)
        case Rep(body, low, _):
            return not low or writable(body, letters)


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
