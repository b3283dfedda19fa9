"""What a soak found, for people and for programs. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.soak.compare import Comparison


@dataclass(slots=True)
class Check:
    """A command of `holdpoint` that looked at the trail: whether it was content, and what it said."""

    name: str
    passed: bool
    said: str
    seconds: float


@dataclass(slots=True)
class Report:
    """All of one soak. `slowest` is the longest time in seconds until requests passed again, by fault; `trouble` is why
    it could not go on. Mappings are plain dicts."""

    seed: int
    seconds: float = 0.0
    faults: Mapping[str, int] = field(default_factory=dict)
    slowest: Mapping[str, float] = field(default_factory=dict)
    left_out: str = ""
    answers: Mapping[str, int] = field(default_factory=dict)
    votes: Mapping[str, int] = field(default_factory=dict)
    drained_seconds: float = 0.0
    disk_bytes: int = 0
    comparison: Comparison | None = None
    checks: list[Check] = field(default_factory=list)
    trouble: str = ""

    @property
    def clean(self) -> bool:
        """Whether nothing was wrong."""
        compared = self.comparison is not None and not self.comparison.violations
        return compared and not self.trouble and all(check.passed for check in self.checks)

    def document(self) -> dict[str, Any]:
        """For programs."""
        return {"clean": self.clean, **asdict(self)}

    def text(self) -> str:
        """For people."""
        rows = [("seed", str(self.seed)), ("duration", f"{self.seconds:.0f} s")]
        for name, times in sorted(self.faults.items()):
            rows.append((name, f"{times:>6,}   passing again after {self.slowest.get(name, 0.0):.1f} s at most"))
        if self.left_out:
            rows.append(("left out", self.left_out))
        rows += [(f"answered {status}" if status.isdigit() and status != "0" else _BROKEN.get(status, status),
                  f"{count:>9,}") for status, count in sorted(self.answers.items())]  # fmt: skip
        rows += [(f"holds {name}", f"{count:>9,}") for name, count in self.votes.items()]
        rows.append(("shipper done after", f"{self.drained_seconds:.1f} s"))
        rows.append(("left on the small disk", f"{self.disk_bytes >> 20:,} MiB"))
        if self.comparison is not None:
            counts = {**self.comparison.compared, **self.comparison.known}
            rows += [(name, f"{count:>9,}") for name, count in counts.items()]
        for check in self.checks:
            rows.append((check.name, f"{'ok' if check.passed else 'FAILED'}, {check.seconds:.1f} s"))
            rows += [("", line) for line in check.said.splitlines()]
        rows += [("VIOLATION", line) for line in (self.comparison.lines() if self.comparison else ())]
        if self.trouble:
            rows.append(("TROUBLE", self.trouble))
        rows.append(("result", "clean" if self.clean else "NOT CLEAN"))
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


_BROKEN = {"0": "connection broken", "left": "client left on purpose", "hung": "NO ANSWER", "wrong": "WRONG ANSWER"}
