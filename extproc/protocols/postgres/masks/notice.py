"""Masking of errors and notices: their words may have values in them ("Frontend/Backend Protocol", "Error and Notice
Message Fields")."""

import re
from collections.abc import Sequence

from extproc.domain.mask import Mask
from extproc.masking.operators import mask_text
from extproc.masking.plan import Knowledge
from extproc.masking.text import mask_whole
from extproc.protocols.postgres.masks.rows import masking_of
from extproc.protocols.postgres.masks.whole import COLUMN

_WORDS = frozenset("MDHWq")
"""Message, detail, hint, where, and the query that the server made itself. All else is the server's own: codes, names
of objects, positions."""

_NAMES = frozenset("stcdn")
"""Names of the objects that it is about, which may be said in the words, too."""

_RAISED = re.compile(r"exec_stmt_raise|PLy_|plperl|pltcl|exec_stmt_assert")
"""Routines (field R) of languages in which somebody else wrote the words."""

_ANYTHING = _NAMES | frozenset("MDH")
"""Fields that may say anything then."""

# From the first quote to the last: a value may have quotes in it, its own or such as an expression put around a part.
_BETWEEN = re.compile(r"[\"«“„'](.*)[\"»”“']", re.DOTALL)
# What is quoted, whatever the language of the messages.
_QUOTED = re.compile(r"\"((?:[^\"]|\"\")*+)\"|«([^»]*+)»|“([^”]*+)”|„([^“”]*+)[“”]|'((?:[^']|'')*+)'")
# `Key (email)=(jane@example.com) already exists.` and `Failing row contains (1, Jane, jane@example.com).`: to the last
# parenthesis, for values may have those, too.
_VALUE = re.compile(r"(?<=\)=)\((.*)\)", re.DOTALL)
_ROW = re.compile(r"(?<!\S)\((?!.*\)=\()(.*)\)", re.DOTALL)
_BEHIND = re.compile(r"(?<=: )(.+)$", re.MULTILINE)  # `JSON data, line 1: {"email": ...`

# Numbers that were computed: `requested character too large for encoding: 1200097`, `encoding "UTF8": 0xe1 0x75`.
_NUMBER = re.compile(r"(?<!\w)([-+]?\d(?:[\w.:+-]*\w)?)(?!\w)")
_OF_DATA = ("22", "23")
"""Classes of SQLSTATE (Appendix A) whose words are about values."""
_OF_OBJECTS = ("42", "XX")
"""Those that have one where it was read from a row: `relation with OID 99 does not exist`."""
_OF_XML = "2200"
"""The start of those whose detail has lines of the document."""

_PATTERNS = {"D": (_VALUE, _ROW, _QUOTED), "W": (_BEHIND, _QUOTED)}

Fields = tuple[tuple[str, str], ...]


def mask_notice(
    fields: Sequence[tuple[str, str]], masks: Sequence[Mask], known: Knowledge, sql: str | None
) -> tuple[Fields, dict[str, int]]:
    """The fields of an ErrorResponse or NoticeResponse as (code, text), masked, and how many values by kind.

    Where a mask names columns, whatever an error may have put there of a row is masked, too: what is quoted or in
    parentheses, and numbers in errors about values; and all that somebody's function says. Left are names of objects
    that another field has and, of an error that was found in the statement itself, words of that (`sql`; None where
    there is none). Raises MaskError for a mask that can't be carried out.
    """
    masking = masking_of(masks, known)
    if masking is None:
        return tuple(fields), {}
    counts = masking.counts
    plan = masking.plan.in_text()
    # An error with a position was found before a row was read. Any other may quote a value, and a statement that lists
    # all that it could be would have it told.
    said = sql or "" if any(code == "P" for code, _ in fields) else ""
    about = _OF_DATA if said else _OF_DATA + _OF_OBJECTS
    numbers = (_NUMBER,) if any(code == "C" and text.startswith(about) for code, text in fields) else ()
    xml = any(code == "C" and text.startswith(_OF_XML) for code, text in fields)
    raised = any(code == "R" and _RAISED.match(text) for code, text in fields)
    # Whoever raises an error says what these are, too (RAISE, "USING").
    words = _WORDS | _NAMES if raised else _WORDS
    own = "\n".join([said, *(text for code, text in fields if code in _NAMES and not raised)])

    def covered(found: re.Match[str]) -> str:
        inner = next((group for group in found.groups() if group is not None), "")
        if _is_word(inner, own) or inner == mask_text(COLUMN):
            return found[0]
        masking.count(COLUMN)
        at = found[0].index(inner)
        return found[0][:at] + mask_text(COLUMN) + found[0][at + len(inner) :]

    out: list[tuple[str, str]] = []
    for code, text in fields:
        if code in words:
            if masking.plan.keys and raised and code in _ANYTHING:
                if not _is_word(text, own):
                    text = mask_text(COLUMN)
                    masking.count(COLUMN)
            elif masking.plan.keys:
                if not said and not _all_words(text, own):
                    text = _BETWEEN.sub(covered, text)
                if xml and code == "D":
                    text = mask_text(COLUMN)
                    masking.count(COLUMN)
                for pattern in (*_PATTERNS.get(code, (_VALUE, _QUOTED)), *(numbers if code in "MDH" else ())):
                    text = pattern.sub(covered, text)
            text, found = mask_whole(plan, text)
            for kind, count in found.items():
                counts[kind] = counts.get(kind, 0) + count
        out.append((code, text))
    return tuple(out), dict(counts)


def _is_word(text: str, own: str) -> bool:
    """Whether a text stands somewhere, not as a part of a longer word."""
    return not text or re.search(rf"(?<!\w){re.escape(text)}(?!\w)", own) is not None


def _all_words(text: str, own: str) -> bool:
    """Whether all that is quoted in a message is a name that another field has: no value is quoted then."""
    names = set(own.split("\n")) - {""}
    return all(max(found) in names for found in _QUOTED.findall(text))
