"""Records as the gateway writes them, journals to put them in, and something that takes spans."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from extproc.audit.frame import Erased
from extproc.audit.journal import FileJournal
from extproc.audit.reader import entries, size
from extproc.audit.spans import Span
from extproc.domain.ports import JournalUnwritable

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"


def decision(decision_id: str = "d1", effect: str = "allow", **members: Any) -> dict[str, Any]:
    """The body of a decision record; `members` replace its own."""
    return {
        "request": f"request-{decision_id}",
        "principal": {
            "issuer": "https://id.example", "subject": "agent-7", "kind": "agent", "groups": ["dev"], "acts_for": None
        },
        "target": {"name": "crm", "protocol": "http", "environment": "production"},
        "session": "connection-1",
        "action": {
            "protocol": "http", "verb": "DELETE", "resource": "/customers/7", "digest": "a" * 64,
            "summary": {"host": "crm.holdpoint.internal", "content_type": "", "size": 0},
        },
        "decision": {
            "schema": 1, "id": decision_id, "effect": effect, "revision": "r1",
            "reasons": [
                {
                    "policy": "http.writes", "code": "needs-ticket", "message": "a delete needs a ticket",
                    "severity": "high", "mode": "enforce", "effect": effect,
                }
            ],
            "obligations": {"mask": [], "approval": [], "record": "full"},
        },
        "hold": None, "approvers": [], "trace": None, "source": {"address": "127.0.0.1", "port": 40000},
        "timings_us": {"policy": 800}, "claims": {},
        **members,
    }  # fmt: skip


def intact(folder: Path) -> list[str]:
    """The kinds of a stream's records, in order ("" for one that is erased), once each is seen to follow the one before
    and nothing to stand between or after them."""
    kinds, last = [], None
    for entry in entries(folder):
        if last is not None:
            assert (entry.seq, entry.offset) == (last.seq + 1, last.end)
            assert isinstance(entry, Erased) or entry.prev == last.hash
        kinds.append("" if isinstance(entry, Erased) else entry.kind)
        last = entry
    assert last is not None
    assert last.end == size(folder)
    return kinds


def delivery(decision_id: str = "d1", **members: Any) -> dict[str, Any]:
    """The body of a delivery record."""
    return {
        "decision": decision_id, "status": 200, "bytes": {"request": 0, "response": 12}, "masked": {},
        "outcome": "completed", "duration_us": 1500, **members,
    }  # fmt: skip


@dataclass
class Clock:
    """A clock that tests move; each look moves it a millisecond, so that records have an order."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        self.now += 0.001
        return self.now


@dataclass
class Collector:
    """An exporter that keeps what it is given, or refuses while `up` is false."""

    up: bool = True
    spans: list[Span] = field(default_factory=list)
    refused: list[Span] = field(default_factory=list)

    def export(self, spans: list[Span]) -> bool:
        """Take all or nothing."""
        (self.spans if self.up else self.refused).extend(spans)
        return self.up

    def close(self) -> None:
        """Nothing to let go."""


class Streams:
    """Journals of one state folder, opened when first written to."""

    def __init__(self, state: Path, clock: Clock) -> None:
        self.state, self.clock = state, clock
        self._open: dict[str, FileJournal] = {}

    def path(self, stream: str) -> Path:
        """The stream's folder."""
        return self.state / "journal" / stream

    def segment(self, stream: str) -> Path:
        """The stream's last segment: its only one, where nothing made it rotate."""
        return max(self.path(stream).glob("*.segment"))

    def __getitem__(self, stream: str) -> FileJournal:
        if stream not in self._open:
            self._open[stream] = FileJournal(self.path(stream), stream, self.clock, 0)
        return self._open[stream]

    def restart(self, stream: str) -> FileJournal:
        """The stream's writer ends and another begins."""
        self._open.pop(stream).close()
        return self[stream]

    def restart_without_file(self, stream: str) -> FileJournal:
        """Likewise, where the file was moved aside: the writer that ends can't sync it and says so."""
        with pytest.raises(JournalUnwritable):
            self._open.pop(stream).close()
        return self[stream]

    def close(self) -> None:
        """Let all journals go."""
        for journal in self._open.values():
            journal.close()


@pytest.fixture
def streams(tmp_path: Path) -> Iterator[Streams]:
    """An empty state folder to write streams in."""
    opened = Streams(tmp_path, Clock())
    yield opened
    opened.close()
