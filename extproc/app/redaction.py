"""What the journal is allowed to see: everything is redacted once, at the sink, except who acted and what we minted.

Identifiers of our own are random, so some look like a card or an account number; masked, they would join nothing any
more. Counts are named by kinds of value, which are names that a mask would take for secrets.
"""

import re
from collections.abc import Mapping
from typing import cast

from extproc.domain.json import JSON, Document
from extproc.masking.plan import Knowledge
from extproc.masking.redact import redact_json

# An e-mail address as a verified subject is who it was, and the trail must say so.
_KEPT = frozenset(
    {"at", "principal", "approver", "approvers", "by", "owner", "issuer", "subject"}
    | {"request", "session", "hold", "digest", "revision", "masked"}
    # What signs a record would sign nothing any more.
    | {"key", "signature", "previous", "streams"}
)
_KEPT_INSIDE = {
    "action": frozenset({"digest"}),
    "decision": frozenset({"id", "revision"}),
    "llm": frozenset({"usage"}),
}
_STATEMENT = "statement"
_LOOKED_AT = _KEPT | _KEPT_INSIDE.keys() | {"decision", "trace"}
# W3C Trace Context, section 3.2: nothing but a version, two ids and flags.
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def redact_record(body: Document, known: Knowledge) -> Document:
    """The body of a record without any value that a rule matches, or credential that is known; itself where there is
    none."""
    open_parts, kept = _split(body)
    clean, found = redact_json(open_parts, known)
    if not found:
        return body
    document = dict(cast(Mapping[str, JSON], clean))
    for path, value in kept:
        _put(document, path, value)
    statement = _statement(body)
    if statement is not None:
        _put(document, ("action", "summary", _STATEMENT), statement)
    return document


def _split(body: Document) -> tuple[dict[str, JSON], list[tuple[tuple[str, ...], JSON]]]:
    """What is open to redaction, and what is kept, by its path."""
    open_parts: dict[str, JSON] = {}
    kept: list[tuple[tuple[str, ...], JSON]] = []
    for name, value in body.items():
        if name not in _LOOKED_AT:
            open_parts[name] = value
            continue
        inside = _kept_inside(name, value)
        if name in _KEPT or (name == "decision" and isinstance(value, str)):
            kept.append(((name,), value))
        elif inside and isinstance(value, Mapping):
            open_parts[name] = {k: v for k, v in value.items() if k not in inside}
            kept += [((name, k), value[k]) for k in inside if k in value]
        else:
            open_parts[name] = value
    return open_parts, kept


def _put(document: dict[str, JSON], path: tuple[str, ...], value: JSON) -> None:
    """Put a value at a path of members. What is on the way is copied."""
    for name in path[:-1]:
        inner = dict(cast(Mapping[str, JSON], document[name]))
        document[name] = inner
        document = inner
    document[path[-1]] = value


def _statement(body: Document) -> str | None:
    """The text of a statement in an action. It was redacted by its tokens; as plain text a mask could cover code."""
    action = body.get("action")
    summary = action.get("summary") if isinstance(action, Mapping) else None
    statement = summary.get(_STATEMENT) if isinstance(summary, Mapping) else None
    return statement if isinstance(statement, str) else None


def _kept_inside(name: str, value: JSON) -> frozenset[str]:
    if name == "trace" and isinstance(value, Mapping):
        parent = value.get("traceparent")
        well_formed = isinstance(parent, str) and _TRACEPARENT.fullmatch(parent)
        return frozenset({"traceparent"}) if well_formed else frozenset()
    return _KEPT_INSIDE.get(name, frozenset())
