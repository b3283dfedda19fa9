"""PostgreSQL's parser, and the bounds on what it is given: the one file that knows which parser it is.

The tree is libpg_query's JSON form: `{"SelectStmt": {"targetList": [{"ResTarget": {…}}], …}}`. A node is a dict with
its tag as its only key where the field could hold several kinds of nodes, and bare where it could not. False, 0 and
empty fields are left out. See parsenodes.h of PostgreSQL for what the fields mean.
"""

import re
from typing import Any, Final

import orjson
from pglast.parser import ParseError, get_postgresql_version, parse_sql_json, scan

from extproc.protocols.postgres.sql.facts import TOO_COMPLEX, Unparsable
from extproc.protocols.postgres.sql.saying import said

Node = dict[str, Any]
MAJOR: Final[int] = get_postgresql_version()[0]
"""Of the PostgreSQL whose parser it is."""

_RUN: Final = re.compile(r"[~!@#^&|`?+\-*/%<>=]{65,}")
_RUN_BUDGET: Final = 100_000_000
_MAYBE_ASSIGNED: Final = re.compile(r"\)\s*(?:=|--|/\*)")
_SHORT: Final = 200
_REPEATED_BUDGET: Final = 1_000_000
_BEYOND_ASCII: Final = re.compile(r"[^\0-\x7f\ud800-\udfff]")
_QUOTED_BY: Final = re.compile(r"\$[A-Za-z0-9_]*[^\0-\x7f][A-Za-z0-9_\x80-\U0010ffff]*\$")
_QUOTED_BUDGET: Final = 30_000_000
_OPENS, _CLOSES = frozenset({"ASCII_40", "ASCII_91"}), frozenset({"ASCII_41", "ASCII_93"})


def parse(sql: str) -> list[Node]:
    """The statements of a text. Raises Unparsable; takes time in proportion to the text, and no more than a fixed depth
    of stack."""
    nul = sql.find("\0")
    if nul >= 0:
        raise Unparsable("invalid byte sequence: 0x00", nul)
    _check_runs(sql)
    try:
        _check_repeated(sql)
        answer = parse_sql_json(sql)
    except ParseError as error:
        message, position = (*error.args, None)[:2]
        raise said(sql, str(message), position if isinstance(position, int) else None) from None
    except UnicodeEncodeError as error:
        raise Unparsable("invalid byte sequence: a surrogate", error.start) from None
    try:
        statements: list[Node] = orjson.loads(answer)["stmts"]
    except orjson.JSONDecodeError:
        raise Unparsable("nested too deeply", state=TOO_COMPLEX) from None
    return [one["stmt"] for one in statements]


def tokens(sql: str) -> list[tuple[int, int, str]]:
    """The scanner's tokens, comments included: where each begins and ends in the text, and its name in PostgreSQL's
    grammar. None of a text that the scanner refuses, or that is more work than a text may be."""
    try:
        _check_runs(sql)
        return _scanned(sql)
    except (ParseError, Unparsable, UnicodeEncodeError):
        return []


def _scanned(sql: str) -> list[tuple[int, int, str]]:
    """The tokens. pglast looks for the place of each among all characters beyond ASCII, which costs the square of their
    number; so it gets a letter in the place of each. To the scanner they are letters too, and q is in no prefix, number
    or escape that it knows. Only what names a dollar quote has to stay."""
    if not sql.isascii():
        if _QUOTED_BY.search(sql) is None:
            sql = _BEYOND_ASCII.sub("q", sql)
        elif (len(sql.encode()) - len(sql)) * len(sql) > _QUOTED_BUDGET:
            raise Unparsable("too long for a dollar quote whose name is not ASCII", state=TOO_COMPLEX)
    return [(start, end + 1, name) for start, end, name, _ in scan(sql)]


def _check_runs(sql: str) -> None:
    """PostgreSQL's scanner reads a run of operator characters to its end for each operator or comment in it: 300 KB of
    `+` take it ten seconds, 400 KB of `/*` a minute."""
    if len(sql) ** 2 <= _RUN_BUDGET:
        return
    if sum((run.end() - run.start()) ** 2 for run in _RUN.finditer(sql)) > _RUN_BUDGET:
        raise Unparsable("too many operator characters in a row", state=TOO_COMPLEX)


def _check_repeated(sql: str) -> None:
    """The tree holds the source of `SET (a, b) = source` once for both, but written out it is there twice: with n
    columns n times, and to the power of how deep it is nested. So that is counted before."""
    if len(sql) < _SHORT or not _MAYBE_ASSIGNED.search(sql):
        return
    repeated, previous, closed = 0, "", 0
    levels = [[1, 1, 0, 0]]  # times that its outside is repeated, that this is, commas, whether it can be a list to set
    try:
        scanned = _scanned(sql)
    except ParseError:
        return  # the parser refuses it too, and quotes the text as it is
    for start, end, name in scanned:
        level = levels[-1]
        if name in _OPENS:
            levels.append([level[1], level[1], 0, int(previous in ("SET", "ASCII_44"))])
        elif name in _CLOSES and len(levels) > 1:
            closed = level[2] + 1 if level[3] else 0
            levels.pop()
        elif name == "ASCII_44":
            level[1], level[2] = level[0], level[2] + 1
        elif name == "ASCII_61" and previous == "ASCII_41" and closed:
            level[1] = level[0] * closed
        elif name == "ASCII_59":
            levels = [[1, 1, 0, 0]]
        repeated += (end - start + 15) * (level[1] - 1)
        if repeated > _REPEATED_BUDGET:
            raise Unparsable("an assignment to several columns repeats too much", state=TOO_COMPLEX)
        if name not in ("SQL_COMMENT", "C_COMMENT"):
            previous = name
