"""What a text may change of the session that runs it, and of what later texts mean."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from extproc.protocols.postgres.sql.facts import CURSOR_POSITION, Statement

# RESET ALL is `all`, and a setting whose name is computed None.
_PLACES: Final = frozenset({"search_path", "role", "session_authorization", "all", None})
_ENDS: Final = frozenset({"commit", "rollback", "discard"})
_ANYTHING: Final = frozenset({"do", "call", "discard"})
_HARMLESS: Final = frozenset({"constraints"})
# Nothing but what they say is done by them. COMMIT is none of these: triggers may wait for it.
_BARE: Final = frozenset(
    {"begin", "rollback", "savepoint", "release", "set", "reset", "show", "close", "deallocate", "listen", "unlisten"}
    | {"empty"}
)
LATER: Final = frozenset({"aggregate", "cast", "event_trigger", "operator", "trigger"})
"""Types of objects that name functions, and run none of them by being made."""
_NAMING: Final = frozenset({"prepare", "deallocate", "discard", "declare", "close"})


class Effects(NamedTuple):
    """Once it has run: `moves`, whether role or search_path may be others; `names`, whether names of statements or
    portals may stand for something else; `defines`, whether tables, views or their columns may be others; `ends`,
    whether it ends a transaction, or a part of one, and so may put back what was set in it. `hides`: whether something
    may run with it that it does not show, which views, triggers, defaults, types, operators and row security call.
    `sets`: whether a setting may be another one."""

    moves: bool
    names: bool
    defines: bool
    ends: bool
    hides: bool
    sets: bool


def effects_of(statements: tuple[Statement, ...]) -> Effects:
    """Those of a text with these statements."""
    return Effects(
        _move(statements),
        any(one.kind in _NAMING for one in statements if one.within is None),
        any(one.objects or _untold(one) for one in statements if one.kind not in _HARMLESS),
        any(one.kind in _ENDS for one in statements),
        any(one.kind not in _BARE for one in statements),
        any(one.settings or _untold(one) or one.kind in _ENDS | _ANYTHING | {"reset"} for one in statements),
    )


def strays(statements: tuple[Statement, ...], moved: bool) -> bool:
    """Whether one of these may run with another role or search_path than the first; `moved` says that there are others
    to go back to."""
    last = max(i for i, statement in enumerate(statements) if statement.within is None)
    before = statements[:last]
    return _move(before) or (moved and any(statement.kind in _ENDS for statement in before))


def _only_names(statement: Statement) -> bool:
    """Whether code that nobody knows is named in it, and does not run."""
    defines = statement.kind in ("create", "alter") and bool(statement.objects)
    return defines and statement.objects[0].type in LATER and statement.unknown == ("function",)


def _move(statements: Iterable[Statement]) -> bool:
    return any(
        statement.kind in _ANYTHING
        or any(setting.name in _PLACES for setting in statement.settings)
        or (_untold(statement) and not _only_names(statement))
        for statement in statements
    )


def _untold(statement: Statement) -> bool:
    """Whether it may do what nobody can tell. Where a cursor stands does nothing."""
    return any(word != CURSOR_POSITION for word in statement.unknown)
