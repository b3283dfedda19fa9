"""SASLprep (RFC 4013) of a password, as PostgreSQL does it (src/common/saslprep.c).

Not quite the RFC: ASCII is taken as it is, control characters too, and what may not be in a password is looked for
before the normalisation instead of behind it. The same password has to give the same keys here as there.
"""

import stringprep
import unicodedata

# RFC 4013, section 2.3. Table C.1.2 is not among them: its spaces have become U+0020 before.
_PROHIBITED = (
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
    # Section 2.5: a stored string has no code point that Unicode 3.2 did not know.
    stringprep.in_table_a1,
)


def saslprep(password: bytes) -> bytes:
    """The bytes to derive keys from. What is not UTF-8, or has characters that the profile prohibits, stays as it is:
    PostgreSQL falls back to the raw bytes, too ("SASL Authentication", SCRAM-SHA-256)."""
    if password.isascii():
        return password
    try:
        text = password.decode()
    except UnicodeDecodeError:
        return password
    mapped = "".join(map(_mapped, text))
    if not mapped or any(prohibited(char) for char in mapped for prohibited in _PROHIBITED) or _mixed(mapped):
        return password
    return unicodedata.normalize("NFKC", mapped).encode()


def _mapped(char: str) -> str:
    """Section 2.1: spaces become U+0020, and what is commonly mapped to nothing goes."""
    if stringprep.in_table_c12(char):
        return " "
    return "" if stringprep.in_table_b1(char) else char


def _mixed(text: str) -> bool:
    """Whether right-to-left and left-to-right characters are together as RFC 3454, section 6, forbids."""
    if not any(map(stringprep.in_table_d1, text)):
        return False
    ends = stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])
    return not ends or any(map(stringprep.in_table_d2, text))
