"""Code that a definition makes the server run later: functions of operators, aggregates, casts, types, triggers, …

See "CREATE OPERATOR", "CREATE AGGREGATE", "CREATE CAST", "CREATE TYPE", "CREATE TRIGGER" and their like.
"""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from extproc.protocols.postgres.sql.builtin import RUNS_TEXT, computes
from extproc.protocols.postgres.sql.compare import only, text
from extproc.protocols.postgres.sql.draft import Draft
from extproc.protocols.postgres.sql.facts import Column, Function
from extproc.protocols.postgres.sql.names import parts, texts
from extproc.protocols.postgres.sql.tree import Node

_OPTIONS: Final = frozenset(
    {
        *("procedure", "function", "restrict", "join"),
        *("sfunc", "finalfunc", "combinefunc", "serialfunc", "deserialfunc", "msfunc", "minvfunc", "mfinalfunc"),
        *("sfunc1", "sfunc2", "finalfunc1", "finalfunc2"),
        *("input", "output", "receive", "send", "typmod_in", "typmod_out", "analyze", "subscript"),
        *("canonical", "subtype_diff", "subtypediff", "handler", "validator", "support"),
        *("start", "gettoken", "end", "headline", "lextypes", "init", "lexize"),
    }
)
"""Options of a definition that name a function."""
_SUPPORT: Final = frozenset({"restrict", "join", "support"})
"""Of those: only code in C can be one, and it helps the planner to guess."""
_LISTS: Final = frozenset({"funcname", "handler_name", "plhandler", "plinline", "plvalidator", "func_name"})
"""Fields with the name of a function."""
_NODES: Final = frozenset({"func", "fromsql", "tosql"})
"""Fields with a function as ObjectWithArgs."""
_FUNCTION: Final = 2
"""Of CreateOpClassItem.itemtype."""
_DEFINED: Final = frozenset({"DefineStmt", "AlterOperatorStmt", "AlterTypeStmt", "CreateRangeStmt", "CreateFdwStmt"})
_OTHERS: Final = frozenset({"AlterFdwStmt", "CreateFunctionStmt", "AlterFunctionStmt"})


class _Trigger(NamedTuple):
    """What a trigger function makes of its arguments, by their number: the columns that it writes to, and the first of
    those that it reads."""

    written: int
    read: int


_TRIGGERS: Final = {
    # The second argument is a configuration, or the column with its name.
    "tsvector_update_trigger": _Trigger(1, 2),
    "tsvector_update_trigger_column": _Trigger(1, 1),
    "suppress_redundant_updates_trigger": _Trigger(0, 0),
}
"""PostgreSQL's own that do no more than this."""


def named(tag: str, body: Node) -> list[tuple[Function, bool]]:
    """The functions that a definition names, and whether each runs by it (but for what only helps the planner)."""
    found: list[tuple[Function, bool]] = []
    for field, value in body.items():
        if field in _LISTS and tag != "CreateFunctionStmt":
            found.append((Function(*parts(value)), True))
        elif field in _NODES and "objname" in value and tag != "AlterFunctionStmt":
            found.append((Function(*parts(value["objname"])), True))
    if tag in _DEFINED or tag in _OTHERS:
        for option in _options(body):
            name = option["defname"].lower()
            function = _named_by(option.get("arg"))
            if name in _OPTIONS and function is not None:
                found.append((function, name not in _SUPPORT))
    for item in body.get("items", []) if tag in ("CreateOpClassStmt", "AlterOpFamilyStmt") else ():
        each = only(item)[1]
        if each.get("itemtype") == _FUNCTION and "objname" in each.get("name", {}):
            found.append((Function(*parts(each["name"]["objname"])), True))
    return found


def _options(body: Node) -> Iterable[Node]:
    for field in ("definition", "options", "params", "func_options", "actions"):
        yield from (only(one)[1] for one in body.get(field, []) if "DefElem" in one)


def _named_by(argument: Any) -> Function | None:
    """The function that an option's value names: as a type, as a list of names, or as a text."""
    match argument:
        case {"TypeName": {"names": list(names)}} | {"List": {"items": list(names)}}:
            return Function(*parts(names))
        case {"String": _}:
            return Function(None, text(argument))
    return None


def runs(draft: Draft, tag: str, body: Node) -> None:
    """Adds the functions that a definition names to its facts."""
    for function, runs_it in named(tag, body):
        draft.functions[function] = None
        if runs_it and (function.name in RUNS_TEXT or not _known(tag, function)):
            draft.doubt("function")


def _known(tag: str, function: Function) -> bool:
    trigger = tag == "CreateTrigStmt" and function.name in _TRIGGERS and function.schema in (None, "pg_catalog")
    return trigger or computes(function.schema, function.name)


def fires(draft: Draft, body: Node, table: tuple[str | None, str]) -> None:
    """CREATE TRIGGER: the columns that its arguments name. Of a function that is not known, each may name one, which it
    may copy to wherever it likes."""
    names = texts(body.get("args", []))
    known = _TRIGGERS.get(parts(body["funcname"])[1], _Trigger(0, 0))
    draft.add("written", tuple(Column(*table, name) for name in names[: known.written]), "*")
    draft.add("read", tuple(Column(*table, name) for name in names[known.read :]), "*")
