"""Which inputs are worth keeping: the fewest and smallest that together reach what all of them reach."""

import sys
from collections.abc import Callable, Iterable, Sequence
from types import FrameType
from typing import Any

Edge = tuple[str, int, int]
"""A step from one line to another in a file; 0 is where a function begins."""


def reached(target: Callable[[bytes], None], data: bytes, code: Sequence[str]) -> set[Edge]:
    """The steps that a target takes in this code with an input, whether or not it finds something."""
    edges: set[Edge] = set()

    def enter(frame: FrameType, event: str, argument: Any) -> Any:
        name = frame.f_code.co_filename
        if not any(part in name for part in code):
            return None
        last = 0

        def step(frame: FrameType, event: str, argument: Any) -> Any:
            nonlocal last
            if event == "line":
                edges.add((name, last, frame.f_lineno))
                last = frame.f_lineno
            return step

        return step

    sys.settrace(enter)
    try:
        target(data)
    except Exception:
        return edges
    finally:
        sys.settrace(None)
    return edges


def fewest(target: Callable[[bytes], None], inputs: Iterable[bytes], code: Sequence[str]) -> list[bytes]:
    """Those that reach something in this code (parts of the names of its files) that no smaller one did, without those
    that later ones make needless."""
    kept: list[tuple[bytes, set[Edge]]] = []
    known: set[Edge] = set()
    for data in sorted(set(inputs), key=lambda data: (len(data), data)):
        edges = reached(target, data, code)
        if edges - known:
            known |= edges
            kept.append((data, edges))
    left: list[bytes] = []
    covered: set[Edge] = set()
    for data, edges in sorted(kept, key=lambda one: -len(one[1])):
        if edges - covered:
            covered |= edges
            left.append(data)
    return left
