"""Telling what a text that people read hides of the text that goes on, by rules of the tests' own."""

import re

from hypothesis import strategies as st
from pglast.parser import ParseError, scan

from extproc.masking.shipped import knowledge

_MASK = re.compile(r"\[masked:[a-z0-9:-]+\]")
# What may be hidden anywhere: no blank but between digits or behind `Bearer`, nothing that separates, compares, calls,
# quotes or comments out.
_WORD = r"[0-9]+(?:[ ./-][0-9]+)*|(?:bearer +)?[A-Za-z0-9_]+(?:[-./+:][A-Za-z0-9_]+)*"
_ALONE = r"[!#$%*+,./0-9:=?@A-Z^_a-z~-]+"
_SAFE = re.compile(f"(?i:{_WORD})")
_SAFE_ALONE = re.compile(_ALONE)
_CODE = [
    *("or/**/id>1", "*/or/**/id>1", "*/or/**/id>1/*", "; DROP TABLE bills; --", "$(rm -rf /)", "`id`", "--\nOR id>1"),
    *(
        "' OR '1'='1",
        '" OR id>1 OR "',
        "'||(SELECT 1)||'",
        "$$ OR id>1 --",
        "\nDELETE FROM bills\n",
        "0or1",
        "id12345678",
    ),
    *('","admin":true,"x":"', "&admin=true&x=", "</a><b>1</b>", "\r\nX-Evil: 1", "|sh", "&&reboot", "${IFS}x", "]}"),
]
_LEADS = [
    *("password=", "PASSWORD=", "api_key: ", "secret=", "token='", 'pwd="', "Bearer ", "Basic ", "postgres://u:"),
    *(
        "Server=x;Password=",
        "identified by '",
        "-----BEGIN PRIVATE KEY-----\n",
        "ghp_",
        "AKIA",
        "eyJhbGciOiJIUzI1NiJ9.",
        "4111 1111 ",
    ),
    *("ssn ", "card: ", "/*password=", "--password ", "curl -u a:", "user:pass@", "sig="),
]
_CASES = [re.sub("[⟦⟧]", "", case) for rule in knowledge().engine.rules for case in rule.positive]

codes = st.sampled_from(_CODE)
_leads, _cases = st.sampled_from(_LEADS), st.sampled_from(_CASES)
_values = st.sampled_from(["x1y2z3w4", "4111111111111111", "column12"])


def _with(case: str, code: str, at: int) -> str:
    at %= len(case) + 1
    return case[:at] + code + case[at:]


baits = st.one_of(
    _cases,
    st.builds("{}{}".format, _leads, codes),
    st.builds("{}{}{}".format, _leads, _values, codes),
    st.builds(_with, _cases, codes, st.integers(0, 60)),
)
texts = st.builds("".join, st.lists(st.one_of(baits, codes, st.text(max_size=5)), min_size=1, max_size=4)).filter(
    lambda text: "[masked:" not in text
)
"""Code in whatever a rule takes for a value."""


def hidden(goes_on: str, shown: str, *, alone: bool = False) -> list[tuple[int, int]]:
    """Where in a text that goes on something is hidden. Fails where what is shown is not that text with masks in the
    place of words that can be no code; with `alone` such words as a field may have as its whole value count, too."""
    pieces = _MASK.split(shown)
    word = f"(?i:{_WORD}|{_ALONE})" if alone else f"(?i:{_WORD})"
    found = re.fullmatch(rf"({_MASK.pattern}|{word})".join(map(re.escape, pieces)), goes_on, re.DOTALL)
    assert found is not None, (goes_on, shown)
    return [found.span(i) for i in range(1, len(pieces)) if not _MASK.fullmatch(found[i])]


def tokens(sql: str) -> list[tuple[int, int, str]]:
    """PostgreSQL's tokens: beginning, end and name of each. Raises ParseError."""
    return [(token.start, token.end + 1, token.name) for token in scan(sql)]


def code(sql: str) -> list[tuple[int, int]] | None:
    """Where a statement's tokens are that are no constants and no comments; None of what the scanner refuses."""
    values = {"SCONST", "USCONST", "BCONST", "XCONST", "ICONST", "FCONST", "C_COMMENT", "SQL_COMMENT"}
    try:
        return [(start, end) for start, end, name in tokens(sql) if name not in values]
    except (ParseError, UnicodeEncodeError):
        return None
