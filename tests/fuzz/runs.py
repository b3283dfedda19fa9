"""Feeding a stage, and comparing what came of it."""

from collections.abc import Iterable
from dataclasses import dataclass

from extproc.masking.stage import MaskError, Stage


@dataclass(frozen=True)
class Ran:
    """What a stage released, and its counts; None where it raised MaskError."""

    out: bytes
    counts: dict[str, int] | None


def ran(stage: Stage, data: bytes, cuts: Iterable[int] = ()) -> Ran:
    """Feed the data, cut at these ascending offsets."""
    out, at = [], 0
    try:
        for cut in [*cuts, len(data)]:
            out.append(stage.feed(data[at:cut]))
            at = cut
        out.append(stage.finish())
    except MaskError:
        return Ran(b"".join(out), None)
    return Ran(b"".join(out), stage.counts)


def same(one: Ran, other: Ran, what: str) -> None:
    """The same was released and counted; or both raised, and what they released before agrees as far as both go."""
    assert (one.counts is None) == (other.counts is None), f"{what}: one is refused"
    if one.counts is not None:
        assert one.out == other.out, f"{what}: output"
        assert one.counts == other.counts, f"{what}: counts"
    else:
        both = min(len(one.out), len(other.out))
        assert one.out[:both] == other.out[:both], f"{what}: before it is refused"
