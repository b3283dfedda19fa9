"""The rule for a name that a mask selects, in text that has no structure we read."""

from extproc.masking.rules.model import Family, Rule, Tail
from extproc.masking.rules.pattern import Chars, Lit


def in_text(key: str) -> Rule:
    """A rule for the value in `key=value`, `key: value` and `"key": "value"`: a best effort that takes the value up to
    the next blank, quote, comma, semicolon, ampersand or angle bracket."""
    gap = Chars(r" \t", 0, 3)
    quote = Chars(r"\x22\x27", 0, 1)
    value = r"^\s\x22\x27,;&<>"
    return Rule(
        id=f"key:{key}",
        kind=f"key:{key}",
        family=Family.SECRET,
        lead=(Lit(key.encode().decode("latin-1"), key.isascii()), quote, gap, Chars(":="), gap, quote),
        value=(Chars(value),),
        before="0-9A-Za-z_",
        tail=Tail(value),
    )
