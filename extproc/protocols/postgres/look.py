"""Looking at what the server alone knows for sure: role and search_path."""

from collections.abc import Sequence
from dataclasses import replace

from extproc.protocols.postgres.action import Scene
from extproc.protocols.postgres.beside import beside
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
