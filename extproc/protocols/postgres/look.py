"""Looking at what the server alone knows for sure: role and search_path."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from extproc.protocols.postgres.action import Scene
from extproc.protocols.postgres.beside import beside
from extproc.protocols.postgres.sql import Script, Statement
from extproc.protocols.postgres.wire.frontend import Query

# SHOW takes no snapshot, so that a transaction is none the older for it: it may still choose its isolation.
_SHOWN = ("SHOW search_path", "SHOW role", "SHOW session_authorization")
LOOK = Query("; ".join(_SHOWN)).encode()
LOOK_BESIDE = beside(*_SHOWN)
"""The same for where the client's unnamed statement and portal are still needed; it takes the server a bit longer."""
LOOKED = len(_SHOWN)
"""Rows of one value that answer it."""

REPORTED = frozenset({"search_path", "session_authorization", "is_superuser"})
"""Settings that servers report by themselves, each change of which may mean another role or path ("Asynchronous
Operations"; search_path from 18 on)."""

# RESET ALL is `all`, and a setting whose name is computed None.
_PLACES = frozenset({"search_path", "role", "session_authorization", "all", None})
_ENDS = frozenset({"commit", "rollback", "discard"})
_ANYTHING = frozenset({"do", "call", "discard"})
_NAMING = frozenset({"prepare", "deallocate", "discard", "declare", "close"})


def moves(script: Script) -> bool:
    """Whether role or search_path may be others once this has run."""
    return _move(script.statements)


def hides(script: Script) -> bool:
    """Whether something may run with it that its text does not show: what views, triggers, defaults, operators and row
    security call."""
    return any(one.reads or one.writes or one.functions or one.objects or one.unknown for one in script.statements)


def names(script: Script) -> bool:
    """Whether names of statements or portals may stand for something else once this has run."""
    return any(statement.kind in _NAMING for statement in script.outer)


def strays(script: Script, moved: bool) -> bool:
    """Whether one of its statements may run with another role or search_path than the first; `moved` says that there
    are others to go back to."""
    last = max(i for i, statement in enumerate(script.statements) if statement.within is None)
    before = script.statements[:last]
    return _move(before) or (moved and any(statement.kind in _ENDS for statement in before))


def _move(statements: Iterable[Statement]) -> bool:
    return any(
        statement.kind in _ANYTHING
        or any(setting.name in _PLACES for setting in statement.settings)
        or bool(statement.unknown)
        for statement in statements
    )


def defines(script: Script) -> bool:
    """Whether tables, views or their columns may be others once this has run."""
    return any(statement.objects or statement.unknown for statement in script.statements)


def ends(script: Script) -> bool:
    """Whether it ends a transaction, or a part of one, and so may put back what was set in it."""
    return any(statement.kind in _ENDS for statement in script.statements)


def unsure(scene: Scene) -> Scene:
    """The scene when nobody can say any more by which path names are found."""
    return scene if scene.search_path is None else replace(scene, search_path=None)


def seen(scene: Scene, rows: Sequence[Sequence[bytes | None]]) -> Scene | None:
    """The scene as the server tells it; None where it is not told as asked for."""
    told = [row[0].decode("utf-8", "replace") for row in rows if len(row) == 1 and row[0] is not None]
    if len(told) != LOOKED or len(rows) != LOOKED:
        return None
    path, role, user = told
    return replace(scene, search_path=path, role=user if role == "none" else role, user=user)
