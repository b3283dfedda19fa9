"""SASLprep as PostgreSQL does it."""

import pytest

from extproc.protocols.postgres.auth.saslprep import saslprep

PREPARED = (
    # RFC 4013, section 3.
    ("I\u00adX", "IX"),
    ("user", "user"),
    ("USER", "USER"),
    ("\u00aa", "a"),
    ("\u2168", "IX"),
    # Spaces, and what is commonly mapped to nothing.
    ("a\u00a0b\u3000c", "a b c"),
    ("a\u200bb\u200cc", "a bc"),
    ("caf\u0065\u0301", "caf\u00e9"),
    ("ﬁx\u00df", "fix\u00df"),
    # Right to left, with a right-to-left character at either end.
    ("\u0627\u0031\u0628", "\u0627\u0031\u0628"),
    # ASCII is not looked at.
    ("\x07bell", "\x07bell"),
    ("", ""),
)

LEFT_AS_IT_IS = (
    "\u0627\u0031".encode(),  # RFC 4013, section 3: does not end right to left
    "\u0627\u00b2".encode(),
    "\u00b2\u0627".encode(),
    "\u0627\u00aa\u0628".encode(),  # both directions
    "caf\u00e9\x07".encode(),  # a control character beside something that is not ASCII
    "caf\u00e9\u0080".encode(),
    "\ue000\u00aa".encode(),  # private use
    "\ufffd\u00aa".encode(),
    "\u2ff0\u00aa".encode(),
    "\u200e\u00aa".encode(),
    "\U000e0001\u00aa".encode(),
    "\U0001f600\u00aa".encode(),  # Unicode 3.2 did not know it
    "\u00ad".encode(),  # nothing would be left
    b"caf\xe9",  # Latin-1
    b"\xed\xa0\x80",  # half a surrogate pair
    b"\xff\x00",
)


@pytest.mark.parametrize(("password", "prepared"), PREPARED)
def test_a_password_is_prepared(password: str, prepared: str) -> None:
    """Mapped, normalised, and in Unicode again."""
    assert saslprep(password.encode()) == prepared.encode()


@pytest.mark.parametrize("password", LEFT_AS_IT_IS)
def test_what_cannot_be_prepared_stays(password: bytes) -> None:
    """PostgreSQL takes the raw bytes where the profile prohibits, and so do we."""
    assert saslprep(password) == password
