"""Whole documents, masked: many together, for of what a small one costs by itself nearly all is the same for many."""

import re
from collections.abc import Sequence
from itertools import count

from extproc.masking.engine.span import add
from extproc.masking.plan import Plan
from extproc.masking.stage import MaskError
from extproc.masking.structure.ahead import Ahead
from extproc.masking.structure.dropping import DropStage
from extproc.masking.structure.jsonstage import JsonStage, mask_document

_NUMBERS = re.compile(rb"\r(?=([0-9]+)\r)")


def mask_whole(payload: bytes, plan: Plan, counts: dict[str, int]) -> bytes:
    """A whole document, masked; what was masked is added to `counts`. Raises MaskError."""
    if not plan.drops:
        return mask_document(payload, plan, counts)
    stage = DropStage(JsonStage(plan))
    out = stage.feed(payload) + stage.finish()
    add(counts, stage.counts)
    return out


def is_whole(payload: bytes) -> bool:
    """Whether these are whole documents: it costs less than to find out while they are masked."""
    ahead = Ahead()
    ahead.take(payload, final=True)
    return ahead.idle


def mask_each(payloads: Sequence[bytes], plan: Plan, counts: dict[str, int]) -> list[bytes | None]:
    """Each of them, which are whole documents, masked; None for what is no JSON to us (nested too deep)."""
    if len(payloads) > 1 and not plan.drops:
        # Between them stands a number that stands so in none of them, to cut apart what is masked.
        taken = set(_NUMBERS.findall(b"\r".join([b"", *payloads, b""])))
        mark = next(b"\r%d\r" % n for n in count() if b"%d" % n not in taken)
        own: dict[str, int] = {}
        masked = _masked(mark.join(payloads), plan, own)
        each = masked.split(mark) if masked is not None else []
        if len(each) == len(payloads):
            add(counts, own)
            return [*each]
    return [_masked(payload, plan, counts) for payload in payloads]


def _masked(payload: bytes, plan: Plan, counts: dict[str, int]) -> bytes | None:
    own: dict[str, int] = {}
    try:
        masked = mask_whole(payload, plan, own)
    except MaskError:
        return None
    add(counts, own)
    return masked
