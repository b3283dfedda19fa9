"""What verification can find, and where. Pure."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

MOST_LISTED = 100
"""Faults of one kind and stream that are told one by one; the rest are counted."""


class Wrong(StrEnum):
    """The kinds of faults. The first ones are the journal's own (frame.Fault)."""

    MISSING = "missing"
    EMPTY = "empty"
    TORN = "torn"
    BAD_LENGTH = "bad-length"
    BAD_CRC = "bad-crc"
    BAD_RECORD = "bad-record"
    BAD_GENESIS = "bad-genesis"
    BAD_SEQ = "bad-seq"
    BAD_CHAIN = "bad-chain"
    BAD_STREAM = "bad-stream"
    BEHIND_WITNESS = "behind-witness"
    UNREADABLE = "unreadable"
    BAD_SEAL = "bad-seal"
    REMOVED = "removed"
    OUT_OF_ORDER = "out-of-order"
    MISSING_SEGMENT = "missing-segment"
    UNSEALED = "unsealed"
    ERASED_UNANNOUNCED = "erased-unannounced"
    BAD_ANNOUNCEMENT = "bad-announcement"
    BAD_CHECKPOINT = "bad-checkpoint"
    CHECKPOINT_GAP = "checkpoint-gap"
    NO_KEY = "no-key"
    BAD_WITNESS = "bad-witness"
    BODY_MISSING = "body-missing"
    BODY_CHANGED = "body-changed"
    REQUEST_UNDECIDED = "request-undecided"
    REQUEST_UNRECORDED = "request-unrecorded"
    CONNECTION_UNRECORDED = "connection-unrecorded"
    SPAN_MISSING = "span-missing"
    SPAN_CHANGED = "span-changed"
    SPAN_UNEXPECTED = "span-unexpected"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong. `path` is the file and `offset` the byte in it; `seq` is the record's number in its
    stream, where it is about one."""

    wrong: Wrong
    message: str
    stream: str = ""
    path: Path | None = None
    offset: int | None = None
    seq: int | None = None

    def document(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self) | {"wrong": self.wrong.value, "path": None if self.path is None else str(self.path)}


@dataclass(slots=True)
class Faults:
    """Those that were found: a bounded number of each kind and stream, and how many there are in all."""

    listed: list[Fault] = field(default_factory=list)
    _counts: Counter[tuple[Wrong, str]] = field(default_factory=Counter)

    def add(self, fault: Fault, count: int = 1) -> None:
        """Note one; `count` of its kind that are told by this one."""
        self._counts[fault.wrong, fault.stream] += count
        if self._counts[fault.wrong, fault.stream] <= MOST_LISTED or count > 1:
            self.listed.append(fault)

    def of(self, stream: str) -> int:
        """How many there are in a stream."""
        return sum(count for (_, name), count in self._counts.items() if name == stream)

    @property
    def count(self) -> int:
        """How many there are."""
        return self._counts.total()
