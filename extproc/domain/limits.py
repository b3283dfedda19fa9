"""How far an action may go, where policy lets it go on."""

from dataclasses import dataclass

from extproc.domain.json import JSON


@dataclass(frozen=True, slots=True)
class Limits:
    """`rows` and `bytes` are the most that a statement may give, `seconds` the longest that it may run; None where
    policy says nothing. With `read_only`, said of a connection, nothing in it may write."""

    rows: int | None = None
    bytes: int | None = None
    seconds: int | None = None
    read_only: bool = False

    def __bool__(self) -> bool:
        return self != UNLIMITED

    def document(self) -> dict[str, JSON]:
        """The shape that records carry: what is said, and nothing else."""
        said: dict[str, JSON] = {"rows": self.rows, "bytes": self.bytes, "seconds": self.seconds}
        kept: dict[str, JSON] = {name: value for name, value in said.items() if value is not None}
        return {**kept, "read_only": True} if self.read_only else kept


UNLIMITED = Limits()
"""As far as it goes."""
