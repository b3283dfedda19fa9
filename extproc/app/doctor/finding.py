"""What the doctor finds, and how many things may be looked at side by side."""

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from time import monotonic

PATIENCE_SECONDS = 3.0
"""How long one probe may take."""


class Severity(StrEnum):
    """How much an open finding matters. A note is advice: it is nothing that stands open."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `open` says whether it is as it should not be. `what` names places, never what is
    in them; `why` and `fix` are one line each."""

    check: str
    severity: Severity
    open: bool
    what: str
    why: str = ""
    fix: str = ""

    @property
    def counts(self) -> bool:
        """Whether something has to be done about it."""
        return self.open and self.severity is not Severity.NOTE


def closed(check: str, what: str) -> Finding:
    """Something that is as it should be."""
    return Finding(check, Severity.NOTE, False, what)


Probe = Callable[[], Iterable[Finding]]


def run(probes: Sequence[tuple[str, Probe]], patience: float = PATIENCE_SECONDS) -> list[Finding]:
    """The findings of named probes that run side by side, in the order of the probes. One that has not ended after
    `patience` seconds, or that fails, is a finding of its own: what was not seen is not known to be closed."""
    found: list[list[Finding] | None] = [None] * len(probes)
    threads = [threading.Thread(target=_one, args=(found, i, *probe), daemon=True) for i, probe in enumerate(probes)]
    until = monotonic() + patience
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until - monotonic()))
    late = "it took too long"
    return [
        finding
        for (name, _), findings in zip(probes, list(found), strict=True)
        for finding in ([_unknown(name, late)] if findings is None else findings)
    ]


def _one(found: list[list[Finding] | None], index: int, name: str, probe: Probe) -> None:
    try:
        found[index] = list(probe())
    except Exception as error:  # a probe that fails has shown nothing, and must not look like one that passed
        found[index] = [_unknown(name, type(error).__name__)]


def _unknown(name: str, why: str) -> Finding:
    return Finding(
        "unknown",
        Severity.LOW,
        True,
        f"{name}: could not be looked at ({why})",
        "What was not seen may stand open.",
        "Run the doctor again; if it stays, look at this place by hand.",
    )
