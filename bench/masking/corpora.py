"""Texts in which nothing is secret: real source code, and logs and JSON made here. The same bytes in every run.

Every person in what is made here has a first name only, and no address, number or account.
"""

import json
import random
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from bench.masking import records
from bench.masking.records import NAMES, THINGS, VERBS

MB = 1_000_000
_LEFT_OUT = frozenset({"test", "tests", "idle_test", "lib2to3", "site-packages", "__pycache__", "pydoc_data"})
_PLACES = ("the north hall", "building seven", "the archive", "staging", "the second queue", "the warehouse")
_TIMES = ("Monday", "noon", "the end of May", "14:30", "next quarter")


def clean(size: int) -> dict[str, str]:
    """Each corpus by name, at least `size` characters of each where there is so much."""
    return {
        "Python's standard library": cut(library(), size),
        "logs": cut(logs(), size),
        "JSON": cut(documents(), size),
    }


def ordinary(size: int) -> str:
    """What agents mostly read and write: prose, logs and JSON in turn, an e-mail address every few KB."""
    return cut(_mixed(random.Random(11)), size)


def cut(parts: Iterator[str], size: int) -> str:
    """Parts joined until there are `size` characters; whole ones, so somewhat more."""
    taken, length = [], 0
    for part in parts:
        taken.append(part)
        length += len(part)
        if length >= size:
            break
    return "".join(taken)


def pieces(text: str, size: int) -> list[str]:
    """A text in pieces of whole lines, each about `size` characters."""
    made, part, length = list[str](), list[str](), 0
    for line in text.splitlines(keepends=True):
        part.append(line)
        length += len(line)
        if length >= size:
            made.append("".join(part))
            part, length = [], 0
    return [*made, "".join(part)] if part else made


def library() -> Iterator[str]:
    """The sources of the running interpreter's standard library, without tests, always in the same mixed order."""
    root = Path(sysconfig.get_path("stdlib"))
    paths = sorted(p for p in root.rglob("*.py") if _LEFT_OUT.isdisjoint(p.relative_to(root).parts))
    random.Random(9).shuffle(paths)  # a part of it then has something of everything
    for path in paths:
        yield path.read_text("utf-8", "replace")


def logs() -> Iterator[str]:
    """Lines of an access log, of services, of a build and of a container runtime."""
    rng, clock = random.Random(7), float(records.BEGAN)
    while True:
        clock += rng.expovariate(20)
        yield records.line(rng, clock) + "\n"


def documents() -> Iterator[str]:
    """Answers of an API, one JSON document a line, some indented."""
    rng = random.Random(8)
    while True:
        yield json.dumps(records.answer(rng), indent=rng.choice((None, None, 2))) + "\n"


def _mixed(rng: random.Random) -> Iterator[str]:
    lines, answers = logs(), documents()
    while True:
        yield _paragraph(rng)
        yield from (next(lines) for _ in range(8))
        yield next(answers)
        if rng.random() < 0.3:
            yield f"Write to {rng.choice(NAMES).lower()}.{rng.choice(THINGS)}@mail.example.org about it.\n"


def _paragraph(rng: random.Random) -> str:
    said = [
        f"{rng.choice(NAMES)} {rng.choice(VERBS)} the {rng.choice(THINGS)} in {rng.choice(_PLACES)}, and "
        f"{rng.choice(NAMES)} asked whether {rng.randint(2, 90)} of {rng.randint(100, 900)} would be enough by "
        f"{rng.choice(_TIMES)}."
        for _ in range(rng.randint(3, 6))
    ]
    return " ".join(said) + "\n\n"
