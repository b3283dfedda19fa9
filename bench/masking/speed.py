"""How fast: MB of text for a second of CPU on one core, in pieces of several sizes, beside others on the same bytes."""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from bench.masking import corpora, dense, ours
from bench.masking.children import Peer
from extproc.masking.engine.scanner import scan

SIZES = (64, 1 << 10, 16 << 10, 1 << 20)
STREAMING = "holdpoint, streaming"
AIMS: dict[tuple[str, int], float] = {("ordinary", 1 << 10): 15.0, ("dense", 1 << 10): 5.0}
"""MB/s of streaming with all rules on, by corpus and size of the pieces."""

PEER_AIM = 50.0
"""How many times as fast as presidio-analyzer's patterns."""

_SLOW_BYTES = 128 << 10
"""What the other engines get, in one piece where pieces are larger: of 1 MiB in one presidio makes over ten minutes."""

Work = Callable[[str, int], float]
"""Seconds of CPU for a text in pieces of so many bytes."""


@dataclass(frozen=True, slots=True)
class Speed:
    """What one engine did with one corpus (`bytes` of it) in pieces of `size` bytes: MB for a second of CPU, median of
    the rounds; `ratio` is the speed of our streaming over it in the same run."""

    engine: str
    corpus: str
    size: int
    bytes: int
    rate: float
    ratio: float


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured: bytes of a corpus for those that are fast, rounds, the sizes of the pieces."""

    length: int = 1 << 20
    rounds: int = 3
    sizes: Sequence[int] = SIZES


QUICK = Plan(length=256 << 10, rounds=1, sizes=SIZES[:3])


def measure(plan: Plan, presidio: Peer | None, secrets: Peer | None, say: Callable[[str], None]) -> list[Speed]:
    """Everything, engines interleaved in each round."""
    engines: dict[str, Work] = {
        STREAMING: streaming, "holdpoint, whole texts": whole, "holdpoint, JSON": structured, "Python re": expressions
    }  # fmt: skip
    if presidio is not None:
        engines["presidio-analyzer"] = _peer(presidio, "default")
    if secrets is not None:
        engines["detect-secrets"] = _peer(secrets, "line")
    found: list[Speed] = []
    for name, text in (("ordinary", corpora.ordinary(plan.length)), ("dense", dense.decoys(plan.length))):
        for size in plan.sizes:
            say(f"{name}, pieces of {size:,} bytes")
            rates: dict[str, list[float]] = {engine: [] for engine in engines}
            lengths = {engine: _length(engine, size, plan) for engine in engines}
            # RE2 makes its automata as text needs them, and ours is one that runs for weeks.
            for engine in (engine for engine in engines if engine.startswith("holdpoint")):
                engines[engine](text[: lengths[engine]], size)
            for _ in range(plan.rounds):
                for engine, work in engines.items():
                    part = text[: lengths[engine]]
                    rates[engine].append(len(part.encode()) / 1e6 / max(work(part, size), 1e-9))
            base = median(rates[STREAMING])
            found += [
                Speed(engine, name, size, lengths[engine], median(each), base / median(each))
                for engine, each in rates.items()
            ]
    return found


def streaming(text: str, size: int) -> float:
    """Our stage for text, fed piece by piece."""
    data = text.encode()
    cut = [data[at : at + size] for at in range(0, len(data), size)]
    stage = ours.stage("text/x-log")
    began = time.process_time()
    for piece in cut:
        stage.feed(piece)
    stage.finish()
    return time.process_time() - began


def whole(text: str, size: int) -> float:
    """Our detector, each piece a text of its own."""
    data, detector = text.encode(), ours.detector()
    cut = [data[at : at + size] for at in range(0, len(data), size)]
    began = time.process_time()
    for piece in cut:
        scan(detector, piece)
    return time.process_time() - began


def structured(text: str, size: int) -> float:
    """Our stage for JSON, fed the text as members of one document; CPU for as many bytes as the text has."""
    data = ours.as_json(text)
    cut = [data[at : at + size] for at in range(0, len(data), size)]
    stage = ours.stage("application/json")
    began = time.process_time()
    for piece in cut:
        stage.feed(piece)
    stage.finish()
    return (time.process_time() - began) * len(text.encode()) / len(data)


def expressions(text: str, size: int) -> float:
    """The patterns of all our rules by Python's `re`, one after the other, without boundaries or validators."""
    compiled = [re.compile(e.encode("latin-1")) for e in ours.expressions()]
    data = text.encode()
    cut = [data[at : at + size] for at in range(0, len(data), size)]
    began = time.process_time()
    for piece in cut:
        for one in compiled:
            for _ in one.finditer(piece):
                pass
    return time.process_time() - began


def _peer(peer: Peer, way: str) -> Work:
    def work(text: str, size: int) -> float:
        # In characters: a piece of a few bytes more or less makes no difference, half a character would.
        return peer.cpu([text[at : at + size] for at in range(0, len(text), size)], way)

    return work


def _length(engine: str, size: int, plan: Plan) -> int:
    return plan.length if engine.startswith("holdpoint") else min(plan.length, _SLOW_BYTES)
