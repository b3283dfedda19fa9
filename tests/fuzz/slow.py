"""Which inputs take long: what the machine says, to be looked at, and never asserted."""

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from extproc.masking.stage import MaskError
from tests.fuzz.targets.statements import prepare as prepared
from tests.fuzz.targets.statements import take
from tests.fuzz.targets.work import prepare

_SLICE = 4 << 10


def slowest(target: str, paths: Iterable[Path], most: int = 10) -> list[tuple[float, Path]]:
    """The slowest inputs over the limit of a target in SLOW, as milliseconds of CPU time for 4 KiB and the file."""
    measure, stall = SLOW[target]
    # The first time something is compiled; and what disturbs one time is unlikely to disturb all.
    found = [(min(measure(path.read_bytes()) for _ in range(3)), path) for path in paths]
    found.sort(reverse=True)
    return [(1000 * seconds, path) for seconds, path in found[:most] if seconds > stall]


def _text(data: bytes) -> float:
    """Of a text, its share."""
    text, _, _ = prepared(data)
    begun = time.process_time()
    take(text)
    return (time.process_time() - begun) * _SLICE / max(_SLICE, len(text))


def _worst(data: bytes) -> float:
    """Of what is fed, the slowest slice."""
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


SLOW: Mapping[str, tuple[Callable[[bytes], float], float]] = {"work": (_worst, 0.005), "statements": (_text, 0.1)}
"""How a target's inputs are measured, and the seconds from which on one is worth a look."""
