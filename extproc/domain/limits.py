"""How far an action may go, where policy lets it go on."""

from dataclasses import dataclass

from extproc.domain.json import JSON

COUNTS = ("rows", "bytes", "seconds", "rows_per_hour", "bytes_per_hour")
"""The limits that are whole numbers above 0, in policy's words."""


@dataclass(frozen=True, slots=True)
class Limits:
    """`rows` and `bytes` are the most that a statement may give, `seconds` the longest that it may run; `rows_per_hour`
    and `bytes_per_hour` the most that its principal may be given of its target within an hour, by all statements under
    such a limit. None where policy says nothing. With `read_only`, said of a connection, nothing in it may write."""

    rows: int | None = None
    bytes: int | None = None
    seconds: int | None = None
    rows_per_hour: int | None = None
    bytes_per_hour: int | None = None
    read_only: bool = False

    def __bool__(self) -> bool:
        return self != UNLIMITED

    @property
    def hourly(self) -> bool:
        """Whether what is given has to be counted."""
        return self.rows_per_hour is not None or self.bytes_per_hour is not None

    def document(self) -> dict[str, JSON]:
        """The shape that records carry: what is said, and nothing else."""
        said: dict[str, JSON] = {name: getattr(self, name) for name in COUNTS}
        kept: dict[str, JSON] = {name: value for name, value in said.items() if value is not None}
        return {**kept, "read_only": True} if self.read_only else kept


UNLIMITED = Limits()
"""As far as it goes."""
