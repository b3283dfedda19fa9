"""python-stdnum: some 250 checks of numbers that states, banks and registries give out.

Its modules are imported by name when a rule first asks for one, so everything untyped stays in this file.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module

_NAME = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)?")
_SEPARATORS = b" -./:"
_LONGEST = 64


@lru_cache(maxsize=256)
def stdnum(name: str) -> Callable[[bytes, int, int], int]:
    """The check of `stdnum.<name>`, for instance `pl.pesel`: its `is_valid`, on a candidate of at most 64 bytes as it
    is, or without blanks and punctuation. Raises ValueError for a name that python-stdnum doesn't have."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"python-stdnum has no module {name!r}: wanted is a name like luhn or pl.pesel")
    try:
        is_valid = import_module(f"stdnum.{name}").is_valid
    except (ImportError, AttributeError):
        raise ValueError(f"python-stdnum has no module {name!r} with a check") from None

    def check(data: bytes, start: int, end: int) -> int:
        if end - start > _LONGEST:
            return 0
        text = data[start:end]
        try:
            # As it is first: a few numbers have a separator that means something.
            valid = is_valid(text.decode("ascii")) or is_valid(text.translate(None, _SEPARATORS).decode("ascii"))
            return end if valid else 0
        except Exception:  # a number that its module did not foresee is not one of its numbers
            return 0

    return check
