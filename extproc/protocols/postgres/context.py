"""The trace that a client says its statement belongs to: a claim, as the header of an HTTP request is.

Comments of a statement are read as sqlcommenter writes them (https://google.github.io/sqlcommenter/spec/): names and
values are URL-encoded, values stand in single quotes, pairs are separated by commas.
"""

import re
from collections.abc import Sequence
from urllib.parse import unquote

from extproc.domain.json import Document
from extproc.protocols.postgres.sql.tree import tokens

Settings = Sequence[tuple[str, str]]

_NAME = "traceparent"
_STATE = "tracestate"
_LONGEST_TEXT = 64 << 10
_LONGEST_STATE = 512
_PAIR = re.compile(r"\s*([^\s='*,]{1,128})\s*=\s*'((?:[^'\\]|\\.){0,1024})'\s*(?:,|$)", re.DOTALL)
_PARENT = re.compile(r"(?<![0-9a-f-])[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(?![0-9a-f-])", re.ASCII)


def of_statement(sql: str, application: str) -> Document | None:
    """The trace that a statement claims: in its last comment that names one, else in the name of the application; None
    where there is none. Only what the server takes for a comment counts, so no value is read as one."""
    if _NAME in sql and len(sql) <= _LONGEST_TEXT:
        for start, end, kind in reversed(tokens(sql)):
            claimed = _pairs(sql[start + 2 : end - 2]) if kind == "C_COMMENT" else {}
            if parent := _PARENT.fullmatch(claimed.get(_NAME, "")):
                return _document(parent[0], claimed.get(_STATE, ""))
    return _in_text(application)


def of_connection(settings: Settings, application: str) -> Document | None:
    """The trace that a connection claims: in a setting `traceparent`, or one whose last part is called so, else in the
    name of the application."""
    named = {name.lower().rpartition(".")[2]: value for name, value in settings}
    if parent := _PARENT.fullmatch(named.get(_NAME, "")):
        return _document(parent[0], named.get(_STATE, ""))
    return _in_text(application)


def for_the_server(settings: Settings) -> list[tuple[str, str]]:
    """The settings without those that are for the gateway alone: a server knows none without a dot in its name, but
    its own, and refuses a connection that asks for it."""
    return [(name, value) for name, value in settings if name.lower() not in (_NAME, _STATE)]


def _in_text(text: str) -> Document | None:
    found = _PARENT.search(text) if "-" in text else None
    return None if found is None else _document(found[0], "")


def _pairs(comment: str) -> dict[str, str]:
    """The pairs of a comment that is nothing but pairs."""
    found: dict[str, str] = {}
    at = 0
    while at < len(comment):
        pair = _PAIR.match(comment, at)
        if pair is None:
            return {} if comment[at:].strip() else found
        found[unquote(pair[1]).lower()] = unquote(re.sub(r"\\(.)", r"\1", pair[2], flags=re.DOTALL))
        at = pair.end()
    return found


def _document(parent: str, state: str) -> Document:
    """As the records of HTTP have it."""
    plain = state.isascii() and state.isprintable() and len(state) <= _LONGEST_STATE
    return {_NAME: parent, _STATE: state if plain else ""}
