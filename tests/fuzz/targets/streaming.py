"""What a stage releases and counts is the same however its input is cut."""

import gzip
import zlib
from collections.abc import Callable

import brotli  # type: ignore[import-untyped]

from extproc.audit.bodies.coding import Coder
from extproc.masking.stage import Stage
from extproc.masking.structure.coding import Decoded
from tests.fuzz.plans import KEYS, OPERATORS, STAGES, plan
from tests.fuzz.runs import ran, same
from tests.fuzz.source import Source

CHOICES = 8
_BYTEWISE = 700
"""Bytes up to which an input is fed one by one."""

CODED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, 6, mtime=0),
    "deflate": zlib.compress,
    "br": lambda data: bytes(brotli.compress(data, quality=5)),
    "zstd": lambda data: Coder().frame(data),
}
_CODINGS = ((), (), (), (), ("gzip",), ("deflate",), ("br",), ("zstd",), ("zstd", "gzip"))


def streaming(data: bytes) -> None:
    """The first bytes choose the stage, the rules, what is done, the names, a filler, a coding and the cuts."""
    source = Source(data, CHOICES)
    name = source.one([*STAGES])
    flags = source.byte()
    made = plan(flags & 1 > 0, source.one(OPERATORS), source.one(KEYS), flags & 2 > 0)
    body = source.grown(source.rest)
    applied = source.one(_CODINGS)
    # What begins with this byte is taken as it comes: malformed, most likely.
    if applied and not body.startswith(b"\xff"):
        for coding in applied:
            body = CODED[coding](body)

    def stage() -> Stage:
        # What a coder gives may be spelt differently for every cut, so it is the decoded bytes that are compared.
        bare = STAGES[name](made)
        return Decoded(bare, applied, plain=True) if applied else bare

    whole = ran(stage(), body)
    step = 1 if len(body) <= _BYTEWISE else 61
    same(whole, ran(stage(), body, range(step, len(body), step)), name)
    same(whole, ran(stage(), body, source.cuts(len(body))), name)
