"""python-stdnum: some 250 checks of numbers that states, banks and registries give out.

Its modules are imported by name when a rule first asks for one, so everything untyped stays in this file.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module

from extproc.masking.checks.numbers import luhn

_NAME = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)?")
_WITHOUT = str.maketrans("", "", " -./:")
_LONGEST = 64

_PROBABLE: dict[str, Callable[[bytes], bool]] = {
    "se.personnummer": lambda digits: luhn(digits.translate(None, b"+")[-10:]),
}
"""What is true of every number of a module, without its separators: for one that takes its time, and is asked about
every number of six digits and four."""

_AS_WRITTEN = frozenset({"de.handelsregisternummer"})
"""Modules that want the blanks, though they leave them out to compare."""


@lru_cache(maxsize=256)
def stdnum(name: str) -> Callable[[bytes, int, int], int]:
    """The check of `stdnum.<name>`, for instance `pl.pesel`: its `is_valid`, on a candidate of at most 64 bytes as it
    is, or without blanks and punctuation. Raises ValueError for a name that python-stdnum doesn't have."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"python-stdnum has no module {name!r}: wanted is a name like luhn or pl.pesel")
    try:
        module = import_module(f"stdnum.{name}")
        is_valid, compact = module.is_valid, getattr(module, "compact", str)
    except (ImportError, AttributeError):
        raise ValueError(f"python-stdnum has no module {name!r} with a check") from None

    probable = _PROBABLE.get(name)

    def check(data: bytes, start: int, end: int) -> int:
        if end - start > _LONGEST:
            return 0
        try:
            text = data[start:end].decode("ascii")
            plain = text.translate(_WITHOUT)
            if probable is not None and not probable(plain.encode("ascii")):
                return 0
            valid = is_valid(plain)
            # A few numbers have a separator that means something; for the others it would be the same again.
            if not valid and text != plain and (name in _AS_WRITTEN or compact(text) != compact(plain)):
                valid = is_valid(text)
            return end if valid else 0
        except Exception:  # a number that its module did not foresee is not one of its numbers
            return 0

    return check
