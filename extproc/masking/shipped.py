"""What can be found with the rules that come with Holdpoint, and nothing more."""

from functools import cache

from extproc.masking.engine.engine import Engine
from extproc.masking.plan import Knowledge
from extproc.masking.rules.shipped import rules


@cache
def knowledge() -> Knowledge:
    """Shared; compiled when first asked for, which takes some tenths of a second."""
    return Knowledge(Engine(rules()))
