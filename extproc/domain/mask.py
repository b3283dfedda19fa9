"""What policy wants masked, and how."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from extproc.domain.json import JSON

KEY_LENGTH = 128
"""Characters of a member name that a mask may select."""


class Operator(StrEnum):
    """What a mask puts in a value's place, the mildest first."""

    PARTIAL = "partial"
    HASH = "hash"
    LENGTH = "length"
    REDACT = "redact"
    NULL = "null"
    DROP = "drop"

    def strictest(self, other: "Operator") -> "Operator":
        """Whichever of the two leaves less of the value."""
        order = tuple(Operator)
        return max(self, other, key=order.index)


SECRET = "secret"  # noqa: S105 - the name of a family
"""In a mask: the family of tokens, keys and passwords."""

PERSONAL = "pii"
"""In a mask: every family but SECRET."""

EVERY = "*"
"""In a mask: every kind."""

GROUPS = frozenset({SECRET, PERSONAL, "financial", "identity", "health", "contact", "network"})
"""What a mask may name in place of kinds, beside EVERY: families, and PERSONAL. No kind has one of these names."""


class Malformed(StrEnum):
    """What becomes of a body that can't be read as its type, where something of it is to be masked: it is refused, or
    it is masked as text."""

    BLOCK = "block"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Mask:
    """An obligation to mask values of these kinds or families (`pii` and `*` are several of them), but for the kinds or
    families in `excepted`, and the values of members with these names; `lanes` says which way, `lenient` that what is
    malformed is masked as text. One policy's selection is one mask: a list of single ones made decisions, records and
    their parsing several times as large."""

    policy: str
    kinds: tuple[str, ...]
    keys: tuple[str, ...]
    operator: Operator
    lanes: tuple[str, ...] = ("request", "response")
    lenient: bool = False
    excepted: tuple[str, ...] = ()

    def selects(self, kind: str, family: str) -> bool:
        """Whether values of a kind, which is of this family, are masked whatever they are named."""
        return among(kind, family, self.kinds) and not among(kind, family, self.excepted)

    def document(self) -> dict[str, JSON]:
        """The shape that records carry. What is as it is without being said is not said: holds are compared by it, and
        records are many."""
        select: dict[str, JSON] = {"kinds": list(self.kinds), "keys": list(self.keys)}
        if self.excepted:
            select["except"] = list(self.excepted)
        written: dict[str, JSON] = {
            "policy": self.policy,
            "select": select,
            "operator": self.operator.value,
            "lanes": list(self.lanes),
        }
        if self.lenient:
            written["malformed"] = Malformed.TEXT.value
        return written


def among(kind: str, family: str, names: Collection[str]) -> bool:
    """Whether a kind, which is of this family, is one of those that the names stand for: kinds, GROUPS and EVERY."""
    return kind in names or family in names or EVERY in names or (PERSONAL in names and family != SECRET)
