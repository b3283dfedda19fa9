"""What a Jaeger holds against the journal, for people and for programs."""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from extproc.approvals.display import visible
from extproc.cli._common import CommandError

if TYPE_CHECKING:
    from extproc.audit.compare import Finding

Progress = Callable[[str, int, int], None]


def findings(
    state: Path, jaeger: str, since: str | None = None, progress: Progress = lambda what, done, total: None
) -> "Iterator[Finding]":
    """What differs between what was shipped and what `jaeger`, the base address of its page, holds; what was counted
    comes last. `since` is record time (RFC 3339). Raises CommandError."""
    from extproc.adapters.jaeger import Jaeger
    from extproc.audit.compare import StoreUnreachable, compare
    from extproc.audit.placement import nanoseconds
    from extproc.audit.reader import JournalFault
    from extproc.audit.replay import ReplayFault

    if not jaeger.startswith(("http://", "https://")):
        raise CommandError(f"{jaeger}: expected the address of Jaeger's page, such as http://127.0.0.1:16686")
    with contextlib.closing(Jaeger(jaeger)) as store:
        try:
            yield from compare(state, store.spans, 0 if since is None else nanoseconds(since), progress)
        except StoreUnreachable as error:
            raise CommandError(f"not compared with Jaeger: {error}") from error
        except (JournalFault, ReplayFault, OSError, sqlite3.Error) as error:
            raise CommandError(f"not compared with Jaeger: {error}; `holdpoint audit verify` says more") from error


@dataclass(slots=True)
class Tally:
    """Counts findings."""

    spans: int = 0
    traces: int = 0
    missing: int = 0
    altered: int = 0
    unexpected: int = 0
    repeated: int = 0

    def add(self, finding: "Finding") -> None:
        """Count one."""
        from extproc.audit.compare import Altered, Missing, Unexpected

        if isinstance(finding, Missing):
            self.missing += 1
        elif isinstance(finding, Altered):
            self.altered += 1
        elif not isinstance(finding, Unexpected):
            self.spans, self.traces = finding.spans, finding.traces
        elif finding.harmless:
            self.repeated += 1
        else:
            self.unexpected += 1

    @property
    def ok(self) -> bool:
        """Whether Jaeger holds what was shipped, and nothing else."""
        return not (self.missing or self.altered or self.unexpected)

    def document(self) -> dict[str, int]:
        """The counts by name."""
        return {
            "spans": self.spans, "traces": self.traces, "missing": self.missing, "altered": self.altered,
            "unexpected": self.unexpected, "repeated": self.repeated,
        }  # fmt: skip

    def line(self) -> str:
        """The counts for people."""
        text = f"{self.spans} spans in {self.traces} traces: {self.missing} missing, {self.altered} altered, "
        text += f"{self.unexpected} that no record tells"
        return text + (f"; {self.repeated} times one was there again, the same" if self.repeated else "")


def document(finding: "Finding") -> dict[str, Any] | None:
    """One finding for programs; None for what is only counted."""
    from extproc.audit.compare import Altered, Missing, Unexpected

    if isinstance(finding, Missing | Altered):
        told = finding.told
        row: dict[str, Any] = {"finding": type(finding).__name__.lower(), "stream": told.stream, "seq": told.seq}
        row |= {"trace": told.span.trace_id, "span": told.span.id, "name": told.span.name, "at": _at(told.at)}
        return row | ({"changes": list(finding.changes)} if isinstance(finding, Altered) else {})
    if isinstance(finding, Unexpected) and not finding.harmless:
        stored = finding.stored
        row = {"finding": "unexpected", "trace": stored.trace_id, "span": stored.id, "name": stored.name}
        return row | {"at": _at(stored.end)}
    return None


def lines(finding: "Finding", jaeger: str) -> list[str]:
    """One finding for people, with the address where it is read; none for what is only counted."""
    from extproc.audit.placement import trace_address

    row = document(finding)
    if row is None:
        return []
    where = f"record {row['stream']}:{row['seq']}" if "seq" in row else "no record"
    said = f"{row['finding'].upper()}  {row['name']}, span {row['span']}, {row['at']}, {where}"
    text = [f"{said}: {trace_address(jaeger, row['trace'])}", *(f"    {change}" for change in row.get("changes", ()))]
    return [visible(line) for line in text]


def _at(nanoseconds: int) -> str:
    return datetime.fromtimestamp(nanoseconds // 1000 / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
