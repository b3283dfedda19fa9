"""The run as text, as JSON, and as the generated parts of docs/performance.md."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import fairness, targets
from bench.cases import Options, Payload, Way
from bench.fairness import FairnessLine
from bench.figures import Line
from bench.recording import KeepingLine
from bench.run import Run
from bench.stages import Stages
from bench.tables import aligned, markdown, refresh
from bench.targets import TargetsLine
from bench.trail import Trail

_HEAD = (
    "", "conn.", "requests/s", "× plain", "p50 ms", "added", "p99 ms", "added",
    "Envoy µs", "Python µs", "OPA µs", "beside µs", "client", "lag ms",
)  # fmt: skip
_STAGE_HEAD = ("µs of Python for one request", "headers only", "bodies")
_KEEPING_HEAD = (
    "sync, bodies kept", "conn.", "requests/s", "× first", "p50 ms", "added", "p99 ms", "added",
    "Python µs", "× first", "beside µs",
)  # fmt: skip
_TRAIL_HEAD = ("", "records/s and core", "CPU µs a record", "MB", "most memory, MB")
_SEARCH_HEAD = ("search", "rows", "p50 ms", "p95 ms")


@dataclass(frozen=True, slots=True)
class Report:
    """All of one run. `load_before` is the machine's load average before it began."""

    options: Options
    machine: dict[str, str]
    load_before: float
    lines: Sequence[Line]
    run: Run
    stages: Stages
    keeping: Sequence[KeepingLine]
    trail: Trail
    fairness: Sequence[FairnessLine]
    targets: Sequence[TargetsLine]

    def text(self) -> str:
        """For a terminal."""
        tables = (
            (_HEAD, self._cells()),
            (_STAGE_HEAD, self._stage_cells()),
            (_KEEPING_HEAD, self._keeping_cells()),
            (_TRAIL_HEAD, self._trail_cells()),
            (_SEARCH_HEAD, self._search_cells()),
            (fairness.HEAD, self._fairness_cells()),
            (targets.HEAD, self._targets_cells()),
        )
        return "\n\n".join((*(aligned(head, cells) for head, cells in tables), self._notes()))

    def document(self) -> dict[str, object]:
        """For programs."""
        return {
            "machine": self.machine,
            "load_before": self.load_before,
            "options": self.options,
            "lines": [
                {"way": line.row.way, "payload": line.row.payload, "label": line.row.label}
                | {name: getattr(line, name) for name in Line.__slots__ if name != "row"}
                for line in self.lines
            ],
            "stages": self.stages,
            "keeping": self.keeping,
            "trail": self.trail,
            "fairness": self.fairness,
            "targets": self.targets,
            "journal": {"requests": self.run.recorded, "taken_for_aborted": self.run.taken_for_aborted},
            "lag_before_seconds": self.run.lag_before_seconds,
            "worst_lag_seconds": self.run.worst_lag_seconds,
        }

    def refresh(self, page: Path) -> None:
        """Put the run into the page, between its `<!-- bench: … -->` marks. Raises OSError, and ValueError where a
        mark is missing."""
        refresh(
            page,
            {
                "machine": self._machine(),
                "table": markdown(_HEAD, self._cells()) + "\n\n" + self._notes(),
                "stages": markdown(_STAGE_HEAD, self._stage_cells()),
                "keeping": markdown(_KEEPING_HEAD, self._keeping_cells()),
                "trail": markdown(_TRAIL_HEAD, self._trail_cells()) + "\n\n" + self._trail_notes(),
                "search": markdown(_SEARCH_HEAD, self._search_cells()),
                "fairness": markdown(fairness.HEAD, self._fairness_cells()),
                "targets": markdown(targets.HEAD, self._targets_cells()),
            },
        )

    def _cells(self) -> list[tuple[str, ...]]:
        return [
            (
                line.row.label,
                str(line.connections),
                f"{line.rate:,.0f}",
                f"{line.ratio:.3f}" if line.row.way is not Way.PLAIN else "1",
                f"{line.p50_ms:.2f}",
                f"{line.added_p50_ms:+.2f}" if line.row.way is not Way.PLAIN else "",
                f"{line.p99_ms:.2f}",
                f"{line.added_p99_ms:+.2f}" if line.row.way is not Way.PLAIN else "",
                *(_micros(line.cpu_us.get(part, 0.0)) for part in ("envoy", "python", "opa", "beside")),
                f"{line.client_busy:.0%}",
                "" if line.lag_ms is None else f"{line.lag_ms:.0f}",
            )
            for line in self.lines
        ]

    def _stage_cells(self) -> list[tuple[str, ...]]:
        columns = [self.stages.of(payload, self.lines) for payload in Payload]
        return [(name, *(_micros(column[name]) for column in columns)) for name in columns[0]]

    def _keeping_cells(self) -> list[tuple[str, ...]]:
        return [
            (
                f"{line.keeping.sync}, {line.keeping.bodies}",
                str(line.connections),
                f"{line.rate:,.0f}",
                f"{line.ratio:.2f}",
                f"{line.p50_ms:.2f}",
                f"{line.added_p50_ms:+.2f}",
                f"{line.p99_ms:.2f}",
                f"{line.added_p99_ms:+.2f}",
                _micros(line.cpu_us),
                f"{line.cpu_ratio:.2f}",
                _micros(line.beside_us),
            )
            for line in self.keeping
        ]

    def _fairness_cells(self) -> list[tuple[str, ...]]:
        return [line.cells() for line in self.fairness]

    def _targets_cells(self) -> list[tuple[str, ...]]:
        return [line.cells() for line in self.targets]

    def _trail_cells(self) -> list[tuple[str, ...]]:
        return [
            (name, f"{c.rate:,.0f}", f"{c.cpu_us:.1f}", f"{c.bytes / 1e6:,.0f}", f"{c.peak_bytes / 1e6:,.0f}")
            for name, c in self.trail.steps.items()
        ]

    def _search_cells(self) -> list[tuple[str, ...]]:
        return [(s.question, str(s.rows), f"{s.p50_ms:.2f}", f"{s.p95_ms:.2f}") for s in self.trail.searches]

    def _trail_notes(self) -> str:
        written = next(iter(self.trail.steps.values()))
        return (
            f"{written.records:,} records, {written.bytes / written.records / 1024:.1f} KiB each on average: decisions "
            "and their deliveries as a worker writes them. Each step ran in a process of its own, on one core."
        )

    def _machine(self) -> str:
        rows = [*self.machine.items(), ("load average before the run", f"{self.load_before:.1f}")]
        return markdown(("", ""), rows)

    def _notes(self) -> str:
        options, requests = self.options, sum(self.run.recorded.values())
        return (
            f"Medians of {options.rounds} interleaved rounds of {options.seconds:g} s a cell, "
            f"{options.workers} workers; the machine's load average was {self.load_before:.1f} before the run. "
            f"Worst loop lag since the gateway started: {self.run.worst_lag_seconds * 1000:.0f} ms "
            f"({self.run.lag_before_seconds * 1000:.0f} ms before the first request). "
            f"Every answer was compared with the right one. All {requests:,} requests through Holdpoint have their "
            f"decision and their delivery in the journal; {self.run.taken_for_aborted:,} deliveries say "
            "`aborted` though their client had the whole answer."
        )


def _micros(value: float) -> str:
    return f"{value:,.0f}" if value >= 0.5 else ""
