"""One walk over an expression: with a list of what is left to do, so that no depth of it is a depth of calls."""

from typing import Any, Final

from extproc.protocols.postgres.sql.draft import DECIDING, TEXT, Draft
from extproc.protocols.postgres.sql.facts import Column
from extproc.protocols.postgres.sql.members import inside
from extproc.protocols.postgres.sql.scope import Scope
from extproc.protocols.postgres.sql.script import UNKNOWN, Origins

_MOST: Final = 64
"""Columns that one value is made of, beyond which they are not named one by one."""

Task = tuple[Any, str, bool]
"""Something to walk, the place it is at, and whether its value is part of the result. Only what is at the place `read`
is part of it as it is."""


class Walk:
    """One walk over an expression: what is left to do, and what its value was found to be made of."""

    __slots__ = ("draft", "found", "known", "scope", "todo")

    def __init__(self, draft: Draft, scope: Scope, todo: list[Task]) -> None:
        self.draft = draft
        self.scope = scope
        self.todo = todo
        self.found: dict[Column, None] = {}
        self.known = True

    def flow(self, origins: Origins, place: str = "read") -> None:
        """More columns that the value is made of; at another place than `read` not as they are."""
        if place != "read":
            origins = inside(origins)
        if origins is UNKNOWN:
            self.known = False
        elif self.known:
            self.found.update(dict.fromkeys(origins))
            if len(self.found) > _MOST:
                self.known = False


def deciding(place: str) -> str:
    """Where what stands at a place decides what is returned, how many rows, or whether there is an error."""
    return DECIDING if place in ("read", TEXT) else place


def as_text(place: str) -> str:
    """Where what stands at a place is read as text."""
    return TEXT if place == "read" else place
