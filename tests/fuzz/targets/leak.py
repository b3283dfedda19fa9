"""A value that stands by itself somewhere in a body is not in what a reader of the output can read, however the body
spells it."""

import random
from dataclasses import replace

from extproc.domain.mask import Operator
from extproc.masking.stage import Stage
from extproc.masking.structure.coding import Decoded, decoded
from tests.fuzz.formats import FORMATS, NAMELESS, Site
from tests.fuzz.plans import SECRET, STAGES, plan
from tests.fuzz.runs import ran
from tests.fuzz.source import Source
from tests.fuzz.targets.streaming import CODED
from tests.masking.streams import SECRETS

CHOICES = 9
_UNKNOWN = b"Xyz?7-not-found-by-any-rule"
_VALUES = [*(text.encode() for text in SECRETS.values()), _UNKNOWN, SECRET]
_NEEDS_NAME = (SECRETS["ssn"].encode(), _UNKNOWN)
_NEEDS_SHIPPED = (*(text.encode() for text in SECRETS.values()),)
_KEYS = frozenset({"secret"})
_GUARDS = {
    "text": "guard text/plain",
    "json": "guard application/json",
    "form": "guard application/x-www-form-urlencoded",
    "events": "guard text/event-stream",
}
"""Where no policy asks for anything: what finds the gateway's own credentials all the same."""

_CODINGS = ("", "", "", *CODED)


def leak(data: bytes) -> None:
    """The first bytes choose the format, the value, how it is spelt, where it stands, a filler, a coding and the cuts;
    the rest stands around it."""
    source = Source(data, CHOICES)
    name = source.one([*FORMATS])
    flags = source.byte()
    value = source.one(_VALUES)
    if value in _NEEDS_NAME and (name in NAMELESS or name == "deltas"):
        return
    named = value in _NEEDS_NAME or flags & 4 > 0
    made = plan(flags & 1 > 0 or value in _NEEDS_SHIPPED, Operator.REDACT, _KEYS)
    spelling, where = random.Random(source.byte()), source.byte()
    around = source.grown(source.rest)
    while value in around:  # there it may touch what it must not
        around = around.replace(value, b"")
    at = len(around) * where // 256
    site = Site(value, b"secret" if named else b"other", around[:at], around[at:], spelling)
    planted = FORMATS[name](site)
    bare = FORMATS[name](replace(site, value=b"x" * len(value)))
    if any(value in text for text in [bare.body, *bare.read(bare.body)]):
        return  # what stands around it spells it too, where it may touch what it must not
    guarded = value == SECRET and flags & 16 > 0
    stage: Stage = STAGES[_GUARDS.get(planted.stage, planted.stage) if guarded else planted.stage](made)
    coding = source.one(_CODINGS)
    if coding:
        stage = Decoded(stage, (coding,))
    body = CODED[coding](planted.body) if coding else planted.body
    result = ran(stage, body, source.cuts(len(body)) if flags & 8 else ())
    if result.counts is None:
        texts = [result.out]
    else:
        out = decoded(result.out, (coding,), 1 << 20) if coding else result.out
        texts = [out, *planted.read(out)]
    for text in texts:
        assert value not in text, f"{name}: {value!r}"
