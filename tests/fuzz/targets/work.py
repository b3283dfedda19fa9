"""The work for what is fed is bounded by its bytes: counted in calls, since time depends on the machine."""

import cProfile

from extproc.domain.mask import Operator
from extproc.masking.stage import MaskError, Stage
from tests.fuzz.plans import KEYS, STAGES, plan
from tests.fuzz.source import Source

CHOICES = 3
FED = 16 << 10
"""Bytes that are fed at once: enough for work to be seen that grows with their square."""

LIMIT = 80
"""Calls for each byte, at most."""


def prepare(data: bytes) -> tuple[Stage, bytes]:
    """The stage, and what it is fed: the input over and over."""
    source = Source(data, CHOICES)
    name = source.one([*STAGES])
    flags = source.byte()
    made = plan(flags & 1 == 0, Operator.REDACT, source.one(KEYS), flags & 2 > 0)
    body = source.rest or b"x"
    return STAGES[name](made), (body * (FED // len(body) + 1))[:FED]


def work(data: bytes) -> None:
    """The first bytes choose the stage, the rules and the names; the rest is what is fed, over and over."""
    calls = counted(data)
    if calls > LIMIT:  # what is compiled when it is first needed is no work of what is fed
        calls = counted(data)
    _climb(calls)
    assert calls <= LIMIT, "calls for each byte"


def counted(data: bytes) -> int:
    """Calls for each byte, but for those of a fuzzer's instrumentation."""
    stage, body = prepare(data)
    profile = cProfile.Profile()
    profile.enable()
    try:
        stage.feed(body)
    except MaskError:
        return 0
    finally:
        profile.disable()
    return sum(one.callcount for one in profile.getstats() if "_trace_" not in str(one.code)) // FED


def _climb(level: int) -> int:
    """A branch for each level, so that a fuzzer that looks for new branches looks for more work."""
    reached = 0
    if level >= 1:
        reached = 1
    if level >= 2:
        reached = 2
    if level >= 4:
        reached = 4
    if level >= 8:
        reached = 8
    if level >= 16:
        reached = 16
    if level >= 32:
        reached = 32
    return reached
