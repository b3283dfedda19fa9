"""The run as text, as JSON, and as the generated part of docs/performance.md."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.postgres.cases import AIMS, COPY_AIM, LABELS, Mode, Options, Way
from bench.postgres.measure import CopySample, Sample
from bench.tables import aligned, markdown, refresh

_HEAD = ("", "protocol", "clients", "tx/s", "× direct", "× Envoy", "Envoy µs", "worker µs", "OPA µs", "pgbouncer µs")
_COPY_HEAD = ("COPY out", "MB/s", "× direct", "Envoy s", "worker s")
_PARTS = ("envoy", "databases", "opa", "pgbouncer")


@dataclass(frozen=True, slots=True)
class Line:
    """Medians over the rounds; `direct` and `envoy` are ratios to those ways in the same round."""

    way: Way
    mode: Mode
    clients: int
    rate: float
    direct: float
    envoy: float
    cpu_us: dict[str, float]


@dataclass(frozen=True, slots=True)
class CopyLine:
    """The same of COPY out, in MB a second."""

    way: Way
    rate: float
    direct: float
    cpu_seconds: dict[str, float]


@dataclass(frozen=True, slots=True)
class Report:
    """All of one run. `load_before` is the machine's load average before it began."""

    options: Options
    machine: dict[str, str]
    load_before: float
    samples: Sequence[Sample]
    copies: Sequence[CopySample]

    def lines(self) -> list[Line]:
        """By protocol, number of clients and way."""
        return [
            self._line(way, mode, clients)
            for mode in self.options.modes
            for clients in self.options.clients
            for way in Way
        ]

    def _line(self, way: Way, mode: Mode, clients: int) -> Line:
        cell = {(s.way, s.round): s for s in self.samples if (s.mode, s.clients) == (mode, clients)}
        mine = [cell[way, number] for number in range(self.options.rounds)]

        def beside(other: Way) -> float:
            return median(s.rate / cell[other, s.round].rate for s in mine)

        cpu = {part: median(s.cpu_us[part] for s in mine) for part in mine[0].cpu_us}
        return Line(way, mode, clients, median(s.rate for s in mine), beside(Way.DIRECT), beside(Way.ENVOY), cpu)

    def copy_lines(self) -> list[CopyLine]:
        """By way. Of several in one round the fastest counts."""
        best: dict[tuple[Way, int], CopySample] = {}
        for sample in sorted(self.copies, key=lambda s: s.rate):
            best[sample.way, sample.round] = sample
        found = []
        for way in Way:
            mine = [best[way, number] for number in range(self.options.rounds)]
            direct = median(s.rate / best[Way.DIRECT, s.round].rate for s in mine)
            cpu = {part: median(s.cpu_seconds[part] for s in mine) for part in mine[0].cpu_seconds}
            found.append(CopyLine(way, median(s.rate for s in mine), direct, cpu))
        return found

    def text(self) -> str:
        """For a terminal."""
        tables = (aligned(_HEAD, self._cells()), aligned(_COPY_HEAD, self._copy_cells()))
        return "\n\n".join((*tables, "\n".join(self._aims()), self._notes()))

    def document(self) -> dict[str, object]:
        """For programs."""
        return {
            "machine": self.machine,
            "load_before": self.load_before,
            "options": self.options,
            "lines": self.lines(),
            "copy": self.copy_lines(),
            "aims": list(self._aims()),
        }

    def refresh(self, page: Path) -> None:
        """Put the run into the page. Raises OSError, and ValueError where the mark is missing."""
        aims = "\n".join(f"- {aim}" for aim in self._aims())
        tables = (markdown(_HEAD, self._cells()), markdown(_COPY_HEAD, self._copy_cells()))
        refresh(page, {"postgres": "\n\n".join((*tables, aims, self._notes()))})

    def _cells(self) -> list[tuple[str, ...]]:
        return [
            (
                LABELS[line.way],
                line.mode,
                str(line.clients),
                f"{line.rate:,.0f}",
                f"{line.direct:.3f}",
                f"{line.envoy:.3f}",
                *(f"{line.cpu_us[part]:,.0f}" if part in line.cpu_us else "" for part in _PARTS),
            )
            for line in self.lines()
        ]

    def _copy_cells(self) -> list[tuple[str, ...]]:
        return [
            (
                LABELS[line.way],
                f"{line.rate:,.0f}",
                f"{line.direct:.3f}",
                *(f"{line.cpu_seconds[part]:.2f}" if part in line.cpu_seconds else "" for part in _PARTS[:2]),
            )
            for line in self.copy_lines()
        ]

    def _aims(self) -> Iterator[str]:
        """Each aim, and how far it is."""
        best = {Way.REMEMBERED, Way.LEAN}
        for (mode, clients), aim in AIMS.items():
            found = [x.direct for x in self.lines() if x.way in best and (x.mode, x.clients) == (mode, clients)]
            if found:
                yield _aim(f"{mode}, {clients} client{'s' if clients > 1 else ''}", max(found), aim)
        yield _aim("COPY out", max(line.direct for line in self.copy_lines() if line.way in best), COPY_AIM)

    def _notes(self) -> str:
        options = self.options
        return (
            f"Medians of {options.rounds} interleaved rounds of {options.seconds} s a cell; the machine's load average "
            f"was {self.load_before:.1f} before the run. No transaction failed."
        )


def _aim(what: str, found: float, aim: float) -> str:
    verdict = "met" if found >= aim else f"missed by a factor of {aim / found:.1f}"
    return f"{what}: {found:.3f} of direct, aim {aim:.2f}: {verdict}"
