"""What is done under one Grant, and the statements and portals that it is done with."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from extproc.domain.grant import Grant
from extproc.domain.json import JSON
from extproc.domain.limits import Limits
from extproc.protocols.postgres.action import Asked
from extproc.protocols.postgres.errors import Stop
from extproc.protocols.postgres.masks.copying import CopyMask
from extproc.protocols.postgres.masks.rows import RowMask
from extproc.protocols.postgres.shelf import Columns
from extproc.protocols.postgres.sql import Script
from extproc.protocols.postgres.sql.custom import Custom
from extproc.protocols.postgres.wire.results import Field

_MOST_TAGS = 16
_MOST_COLUMNS = 128


Mask = RowMask | CopyMask
"""What results go through on their way to the client."""


@dataclass(slots=True, eq=False)
class Work:
    """One Query, or one execution of a prepared statement. `rows` is how many the client was given or, by a COPY, how
    many messages of data it gave; `given` and `taken` are the bytes of those. `tags` are the server's words for what
    was done (`UPDATE 3`), `statement` is which one of the script is answered now, `sqlstate` is of the error that it
    ended with. Of a result being sent, `described` says that its columns are known, and `mask` is what its rows go
    through; `counts` are the values that were masked, by kind. `columns` are those that the server told and the client
    was not, for it knew. `stopped` says why it is to end, once it went further than its limits or can't be masked.
    `types` are those of a COPY's columns, where the server was asked for them. `sent` is how many messages for it are
    on their way. `raw` is the Bind that it was bound by; `result` are the columns that `mask` was chosen for, where
    others may have them. `cut`: the client has had a part of a message, and not all of it. `changes` is, of what people
    approved, Link.changes of that moment."""

    grant: Grant
    sql: str
    script: Script
    rows: int = 0
    taken: int = 0
    given: int = 0
    statement: int = 0
    tags: list[str] = field(default_factory=list)
    sqlstate: str | None = None
    described: bool = False
    mask: Mask | None = None
    counts: dict[str, int] = field(default_factory=dict)
    columns: tuple[Field, ...] = ()
    stopped: Stop | None = None
    types: tuple[int, ...] = ()
    sent: int = 0
    raw: bytes = b""
    result: Columns | None = None
    cut: bool = False
    changes: int | None = None

    @property
    def limits(self) -> Limits:
        """How far it may go."""
        return self.grant.decision.limits

    def unmask(self) -> None:
        """The result that was being sent is complete."""
        if self.mask is not None:
            self.count(self.mask.counts)
        self.mask, self.described, self.result = None, False, None

    def count(self, masked: Mapping[str, int]) -> None:
        """Values were masked: how many, by kind."""
        for kind, number in masked.items():
            self.counts[kind] = self.counts.get(kind, 0) + number

    def facts(self) -> dict[str, JSON]:
        """What the delivery's record says of it."""
        self.unmask()
        more = len(self.tags) - _MOST_TAGS
        told = [_column(one) for one in self.columns] if len(self.columns) <= _MOST_COLUMNS else []
        return {
            **({"columns": told} if told else {}),
            "sqlstate": self.sqlstate,
            "tags": [*self.tags[:_MOST_TAGS], *([f"… {more} more"] if more > 0 else [])],
            "rows": self.rows,
            "bytes": {"request": self.taken, "response": self.given},
            "masked": {"response": dict(self.counts)} if self.counts else {},
        }


def _column(one: Field) -> dict[str, JSON]:
    return {"name": one.name, "type": one.type, **({"format": "binary"} if one.format else {})}


@dataclass(slots=True, eq=False)
class Prepared:
    """A statement by its text. `types` are those of its parameters (OIDs): 0 where the server finds out, and perhaps
    fewer than there are parameters, until it has told. `custom` is what it was read by. `name` is
    the one that PREPARE in the text gives it, where it is only that part of it."""

    sql: str
    script: Script
    types: tuple[int, ...]
    custom: Custom
    name: str | None = None


@dataclass(slots=True, eq=False)
class Portal:
    """A statement bound to values, under the Grant that it was bound under. `bound` is what was decided on, which is
    decided anew where the portal is executed again after its end. `asked` says that the server was asked for the
    columns of its rows."""

    work: Work
    bound: Asked
    asked: bool = False
