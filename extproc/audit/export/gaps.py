"""What a period's report says of the trail itself: gaps, which should not be, and notes, which a reader should know."""

from dataclasses import dataclass, field

from extproc.audit.export.period import Period
from extproc.audit.verify import Report

_ALARMING = frozenset({"access-log-gap", "access-log-malformed", "undecided-upstream"})


@dataclass(slots=True)
class Trail:
    """What is missing or wrong, and what is merely to be known. `keys` are those that signatures were checked with."""

    gaps: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    keys: tuple[str, ...] = ()


def trail(found: Period, report: Report) -> Trail:
    """The trail's state, from the period's figures and a verification that began no later than the period."""
    said = Trail(notes=list(report.notes), keys=tuple(report.keys))
    for fault in report.faults.listed:
        place = "".join(
            f"{name} {value}: "
            for name, value in (("stream", fault.stream), ("byte", fault.offset), ("record", fault.seq))
            if value not in ("", None)
        )
        said.gaps.append(f"{fault.wrong}: {place}{fault.message}")
    if report.faults.count > len(report.faults.listed):
        said.gaps.append(f"{report.faults.count - len(report.faults.listed):,} more like these")
    said.gaps += found.faults
    if found.lost:
        said.gaps.append(f"{found.lost:,} actions have no end: their worker started anew before it was recorded")
    if found.repaired.total:
        said.gaps.append(f"{found.repaired.total:,} times a torn end was cut when a stream was opened again")
    for code, n in found.alarms.top(len(found.alarms)):
        if code in _ALARMING or code.startswith("journal-"):
            said.gaps.append(f"{n:,} alarms {code}")
    if not report.keys:
        said.notes.append("no public key was at hand: chains were followed, and no signature was checked")
    for stream in report.streams:
        signed = -1 if stream.signed is None else stream.signed.seq
        if report.keys and signed < stream.seq:
            said.notes.append(f"{stream.stream}: records {signed + 1} to {stream.seq} are not signed yet")
    if found.erased:
        said.notes.append(f"{found.erased:,} records were erased by retention, as the journal announces")
    if found.open:
        said.notes.append(f"{found.open:,} actions were still under way at the end")
    return said
