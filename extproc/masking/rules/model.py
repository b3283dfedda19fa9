"""What a rule is: data that says how one format of sensitive values is recognised."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from extproc.masking.rules.pattern import Seq, longest

Check = Callable[[bytes, int, int], int]
"""A validator: (data, start, end) of a candidate -> the end of the value that starts there, at most `end`, or 0."""

CERTAIN = 0.5
"""The score from which on a candidate is a finding."""

CONTEXT = 64
"""Bytes before a value in which a context word counts."""

WORD = "0-9A-Za-z"


class Family(StrEnum):
    """What kinds have in common."""

    SECRET = "secret"  # noqa: S105 - the name of a family
    FINANCIAL = "financial"
    IDENTITY = "identity"
    HEALTH = "health"
    CONTACT = "contact"
    NETWORK = "network"


@dataclass(frozen=True, slots=True)
class Tail:
    """What is swallowed after a head, in constant memory: a run of these characters; or, with `block`, a PEM block:
    everything up to its END line, for 16 KiB whatever it is and after that only while it looks like base64."""

    members: str
    block: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """One format. `lead` stands before the value and is no part of it. `before` and `after` are classes of characters
    that may not touch the match ("" = any may); a rule with a tail has no `after`. `check` says where the value ends
    or that there is none, `checks` how it is called, `text` how the pattern is written. `context` are words near the
    value, `keys` whole names of a field, either of which makes `score` into `context_score`; below CERTAIN nothing is
    found."""

    id: str
    kind: str
    family: Family
    value: Seq
    lead: Seq = ()
    before: str = WORD
    after: str = ""
    check: Check | None = None
    tail: Tail | None = None
    context: tuple[str, ...] = ()
    keys: frozenset[str] = frozenset()
    score: float = 1.0
    context_score: float = 1.0
    about: str = ""
    source: str = ""
    checks: str = ""
    text: str = ""
    positive: tuple[str, ...] = ()
    negative: tuple[str, ...] = ()

    @property
    def pattern(self) -> Seq:
        """Lead and value."""
        return self.lead + self.value

    @property
    def contextual(self) -> bool:
        """Whether it is found in context only."""
        return self.score < CERTAIN

    @property
    def reach(self) -> int:
        """Bytes of its longest head."""
        return longest(self.pattern)
