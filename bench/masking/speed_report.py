"""A run of the speed bench as text, as JSON, and as generated parts of docs/masking-quality.md."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.masking import ours, speed, stalls
from bench.masking.cells import length, met, millis, rate
from bench.tables import Table, aligned, markdown, refresh


@dataclass(frozen=True, slots=True)
class SpeedReport:
    """What `python -m bench.masking speed` says."""

    speeds: Sequence[speed.Speed]
    stalls: Sequence[stalls.Stall]
    machine: Mapping[str, str]
    load_before: float

    def text(self) -> str:
        """For a terminal."""
        return "\n\n".join((aligned(*self._speed()), aligned(*self._stall()), *self._verdicts()))

    def document(self) -> dict[str, object]:
        """For programs."""
        return {
            "machine": self.machine,
            "load_before": self.load_before,
            "rules": ours.rules(),
            "speed": [asdict(each) for each in self.speeds],
            "stalls": [asdict(each) for each in self.stalls],
        }

    def refresh(self, page: Path) -> None:
        """Put the tables into the page. Raises OSError, and ValueError where a mark is missing."""
        rows = [*self.machine.items(), ("rules", str(ours.rules())), ("load average before", f"{self.load_before:.1f}")]
        refresh(
            page,
            {
                "machine": markdown(("", ""), rows),
                "speed": markdown(*self._speed()),
                "stalls": markdown(*self._stall()),
                "speed-verdicts": "\n".join(f"- {verdict}" for verdict in self._verdicts()),
            },
        )

    def _speed(self) -> Table:
        sizes = list(dict.fromkeys(each.size for each in self.speeds))
        head = ["MB/s of CPU", *(f"{length(each)}{suffix}" for each in sizes for suffix in ("", " ×"))]
        rows = []
        for corpus, engine in dict.fromkeys((each.corpus, each.engine) for each in self.speeds):
            cells = [f"{corpus}: {engine}"]
            for each in sizes:
                one = next(e for e in self.speeds if (e.corpus, e.engine, e.size) == (corpus, engine, each))
                cells += [rate(one.rate), "" if engine == speed.STREAMING else f"{one.ratio:,.1f}"]
            rows.append(cells)
        return head, rows

    def _stall(self) -> Table:
        head = ("worst step, ms", "on the loop", "aim", "of 4 KiB", "mean", "of 16 KiB", "mean")
        rows = []
        for name in dict.fromkeys(each.input for each in self.stalls):
            small, large = (each for each in self.stalls if each.input == name)
            loop = max(small.loop_ms, large.loop_ms)
            rows.append((
                name, millis(loop), met(loop <= stalls.AIM_MS), millis(small.worst_ms), millis(small.mean_ms),
                millis(large.worst_ms), millis(large.mean_ms),
            ))  # fmt: skip
        return head, rows

    def _verdicts(self) -> list[str]:
        said = []
        for (corpus, size), aim in speed.AIMS.items():
            for each in self.speeds:
                if (each.engine, each.corpus, each.size) == (speed.STREAMING, corpus, size):
                    said.append(
                        f"{corpus} text in pieces of {length(size)}, streaming: {each.rate:.1f} MB/s, aim {aim:g}: "
                        f"{met(each.rate >= aim)}"
                    )
        for each in self.speeds:
            if each.engine == "presidio-analyzer" and (each.corpus, each.size) in speed.AIMS:
                said.append(
                    f"{each.corpus}: {each.ratio:,.0f} times as fast as presidio's patterns, aim {speed.PEER_AIM:g}: "
                    f"{met(each.ratio >= speed.PEER_AIM)}"
                )
        worst = max(self.stalls, key=lambda each: each.loop_ms)
        said.append(
            f"worst step on the event loop: {millis(worst.loop_ms)} ms ({worst.input}), aim {stalls.AIM_MS:g}: "
            f"{met(worst.loop_ms <= stalls.AIM_MS)}"
        )
        return said
