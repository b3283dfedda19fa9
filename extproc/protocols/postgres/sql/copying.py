"""The query that a COPY is of, as text of its own."""

from extproc.protocols.postgres.sql.facts import Unparsable
from extproc.protocols.postgres.sql.tree import parse, tokens

_COMMENTS = frozenset({"SQL_COMMENT", "C_COMMENT"})
_BEGINNING = ["COPY", "ASCII_40"]


def copied(sql: str) -> str | None:
    """The query in the parentheses of a text that is one COPY, behind as many blanks as bytes stand before it, so that
    errors name the same place. None where there is none, and where it is not certainly what the whole text has there.
    """
    found = [one for one in tokens(sql) if one[2] not in _COMMENTS]
    if [name for _, _, name in found[:2]] != _BEGINNING:
        return None
    begin, depth = found[1][1], 0
    for at, _, name in found[1:]:
        depth += (name == "ASCII_40") - (name == "ASCII_41")
        if depth == 0:
            query = " " * len(sql[:begin].encode()) + sql[begin:at]
            return query if _is(sql, query) else None
    return None


def _is(sql: str, query: str) -> bool:
    """Whether the parser reads this in the text, at the same places."""
    try:
        whole, part = parse(sql), parse(query)
    except Unparsable:
        return False
    return len(whole) == 1 and part == [whole[0].get("CopyStmt", {}).get("query")]
