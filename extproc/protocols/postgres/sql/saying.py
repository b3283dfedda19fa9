"""What a server says beside the words of its parser: pglast passes on message and place alone."""

import re
from typing import Final

from extproc.protocols.postgres.sql.facts import Unparsable

_NOT_SUPPORTED: Final = "0A000"
_INVALID_ESCAPE: Final = "22025"
_AT_END: Final = "syntax error at end of input"
_ESCAPE: Final = "invalid Unicode escape"
_UNSUPPORTED: Final = re.compile(
    r"(?:[A-Z ]+ (?:is )?not yet implemented|dropping an enum value is not implemented|[A-Z. ]+ is no longer supported"
    r"|[A-Z ]+ constraints cannot be marked [A-Z ]+|constraints cannot be altered to be [A-Z ]+"
    r"|aggregates cannot have output arguments|current database cannot be changed"
    r"|CREATE SCHEMA IF NOT EXISTS cannot include schema elements|CREATE OR REPLACE CONSTRAINT TRIGGER is not supported"
    r"|WITH CHECK OPTION not supported on recursive views)"
)
_DETAILS: Final = {
    "invalid publication object list": (
        "One of TABLE or TABLES IN SCHEMA must be specified before a standalone table or schema name."
    )
}
_HINTS: Final = {
    "LIMIT #,# syntax is not supported": "Use separate LIMIT and OFFSET clauses.",
    "missing argument": "Use NONE to denote the missing argument of a unary operator.",
    "UNENCRYPTED PASSWORD is no longer supported": (
        "Remove UNENCRYPTED to store the password in encrypted form instead."
    ),
    _ESCAPE: r"Unicode escapes must be \XXXX or \+XXXXXX.",
}


def said(sql: str, message: str, position: int | None) -> Unparsable:
    """The parser refused this text with this message, at this character (from 0)."""
    if position is None and message == _AT_END:
        position = len(sql)
    hint, state = _HINTS.get(message, ""), _NOT_SUPPORTED if _UNSUPPORTED.fullmatch(message) else None
    if message == _ESCAPE and position is not None and sql[position + 1 : position + 2] in ("u", "U"):
        hint, state = r"Unicode escapes must be \uXXXX or \UXXXXXXXX.", _INVALID_ESCAPE
    return Unparsable(message, position, state, _DETAILS.get(message, ""), hint)
