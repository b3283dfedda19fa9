"""Which inputs take long: what the machine says, to be looked at, and never asserted."""

import time
from collections.abc import Iterable
from pathlib import Path

from extproc.masking.stage import MaskError
from tests.fuzz.targets.work import prepare

_SLICE = 4 << 10
_STALL = 0.005
"""Seconds of one slice from which on it is worth a look."""


def slowest(paths: Iterable[Path], most: int = 10) -> list[tuple[float, Path]]:
    """The slowest inputs over the limit, as milliseconds of CPU time for their slowest slice of 4 KiB and the file."""
    # The first time something is compiled; and what disturbs one time is unlikely to disturb all.
    found = [(min(_worst(path.read_bytes()) for _ in range(3)), path) for path in paths]
    found.sort(reverse=True)
    return [(1000 * seconds, path) for seconds, path in found[:most] if seconds > _STALL]


def _worst(data: bytes) -> float:
    stage, body = prepare(data)
    worst = 0.0
    for at in range(0, len(body), _SLICE):
        begun = time.process_time()
        try:
            stage.feed(body[at : at + _SLICE])
        except MaskError:
            break
        worst = max(worst, time.process_time() - begun)
    return worst
