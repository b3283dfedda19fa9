"""What the core asks of the outside. Adapters implement these; tests may too."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from extproc.domain.json import JSON, Document
from extproc.domain.limits import Limits
from extproc.domain.principal import Principal


class PolicyUnavailable(Exception):
    """No decision could be had. `code` is one of: policy-timeout, policy-busy, policy-unreachable, policy-undefined,
    policy-malformed. The message is for the operator and never quotes payload."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class PolicyEngine(Protocol):
    """Evaluates one policy input (see policies/schemas/input.json)."""

    async def evaluate(self, document: Document, principal: str) -> object:
        """The raw decision document; principals, by their keys, take turns. Raises PolicyUnavailable; never returns
        None."""
        ...


@dataclass(frozen=True, slots=True)
class Reach:
    """What the policies of one `revision` can read of their input: members by their paths, each with all that is in
    it. What is not under one of the `paths` can't change a decision."""

    revision: str
    paths: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Settled:
    """What a question comes to whatever its unknown members are, under one `revision`: the reasons of its decision, in
    no order, as the decision document has them."""

    revision: str
    reasons: Sequence[JSON]


class Settler(Protocol):
    """Tells what a decision depends on. Beside a PolicyEngine, and not every engine has it."""

    async def settled(self, document: Document, unknown: Sequence[str]) -> Settled | None:
        """What a policy input comes to while its `unknown` members (`context.time`), which it lacks, may be anything;
        None where that depends on them. Raises PolicyUnavailable."""
        ...


class HistoryUnavailable(Exception):
    """What policy needs to know of the past can't be told, so nothing may be decided. The message is for the
    operator."""


class History(Protocol):
    """What a principal did before, as policy reads it."""

    async def of(self, principal: Principal, target: str, verb: str, source: str) -> Document:
        """The `history` of a policy input (see policies/schemas/input.json). `source` is the address that
        it asks from. Where a loaded rule reads exact counters,
        this action is counted with it. Raises HistoryUnavailable."""
        ...


class Meter(Protocol):
    """What a principal was given, counted over all workers."""

    async def draw(self, principal: Principal, target: str, rows: int, size: int, limits: Limits) -> bool:
        """Count so many rows and bytes that are about to be given, unless that would be more than the hourly limits:
        whether they may be. Raises HistoryUnavailable."""
        ...


class JournalUnwritable(Exception):
    """The record could not be written; nothing may go on."""


class Journal(Protocol):
    """The append-only record. One writer a process; `append` may be called from any of its threads."""

    def append(self, kind: str, body: Document) -> int:
        """Write one record and flush it to the file; returns its sequence number. Raises JournalUnwritable."""
        ...
