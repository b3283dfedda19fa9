"""What must hold between the settings of the audit trail."""

import os
from collections.abc import Iterator
from pathlib import Path

from extproc.config.reading import Reading, Seen
from extproc.config.values import duration_text

Finding = tuple[str, Seen, str]
_KINDS = ("file", "webhook", "objects")


def witnesses(reading: Reading) -> Iterator[Finding]:
    """Each is one thing, and none is where whoever changes the journal changes it too."""
    state: Path | None = reading.value("state")
    for path, seen in reading.matching(r"audit\.witnesses\[\d+\]\.file"):
        witness = path.removesuffix(".file")
        if any(f"{witness}.{kind}" not in reading.seen for kind in _KINDS):
            continue
        given = [kind for kind in _KINDS if reading.value(f"{witness}.{kind}") is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none of them"
            yield witness, seen, f"a witness is one of: {', '.join(_KINDS)}; this one has {found}"
        if seen.value is not None and state:
            own = os.path.realpath(state)
            if os.path.commonpath([own, os.path.realpath(seen.value)]) == own:
                why = "who can change the journal can change it there too; name a place on another machine"
                yield path, seen, f"{seen.value} is in the gateway's own folder ({state}): {why}"


def keeping(reading: Reading) -> Iterator[Finding]:
    """A body without its record would be one that nobody can find."""
    told: set[tuple[float, float]] = set()  # what targets have from audit.record is told there
    for path, seen in reading.matching(r"(audit|targets\.[^.]+)\.record\.keep_bodies"):
        records = reading.value(path.removesuffix("_bodies"))
        if seen.value is None or records is None or (seen.value, records) in told:
            continue
        told.add((seen.value, records))
        if seen.value > records:
            keeps = f"bodies are kept for {duration_text(seen.value)} and records for {duration_text(records)}"
            yield path, seen, f"{keeps}; keep bodies no longer than records"
