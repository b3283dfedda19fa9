"""Looking at what the server alone knows for sure: role and search_path."""

from dataclasses import replace

from extproc.protocols.postgres.action import Scene
from extproc.protocols.postgres.sql import Script
from extproc.protocols.postgres.wire.frontend import Query

# Qualified, so that nothing on the path that is asked for can stand in for it.
LOOK = Query("SELECT pg_catalog.current_setting('search_path'), CURRENT_USER, SESSION_USER").encode()

# RESET ALL is `all`, and a setting whose name is computed None.
_PLACES = frozenset({"search_path", "role", "session_authorization", "all", None})
_ENDS = frozenset({"commit", "rollback", "discard"})
_ANYTHING = frozenset({"do", "call", "discard"})


def moves(script: Script) -> bool:
    """Whether role or search_path may be others once this has run."""
    return any(
        statement.kind in _ANYTHING
        or any(setting.name in _PLACES for setting in statement.settings)
        or bool(statement.unknown)
        for statement in script.statements
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


def seen(scene: Scene, row: list[bytes | None]) -> Scene | None:
    """The scene as the server tells it; None where it is not told as asked for."""
    if len(row) != 3 or any(value is None for value in row):
        return None
    path, role, user = (value.decode("utf-8", "replace") for value in row if value is not None)
    return replace(scene, search_path=path, role=role, user=user)
