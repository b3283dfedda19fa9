"""What fuzzing once found, and what once reached something new, goes through its target again."""

from pathlib import Path

import pytest

from tests.fuzz.__main__ import CORPUS
from tests.fuzz.runs import ran, same
from tests.fuzz.seeds import seeds
from tests.fuzz.targets import TARGETS

FILES = sorted(path for path in CORPUS.rglob("*") if path.is_file())


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_kept(path: Path) -> None:
    """What holds for every input holds for this one."""
    TARGETS[path.parent.name](path.read_bytes())


@pytest.mark.parametrize(
    "name", ["streaming", "structure", "leak", "wire", "statements", "rows", "sessions", "arrivals"]
)
def test_seeds(name: str) -> None:
    """And for those that fuzzing begins with, of which some are for stages that the corpus does not know yet."""
    for data in seeds(name):
        TARGETS[name](data)


def test_every_target_has_a_corpus() -> None:
    """And nothing else is in the folder: a misnamed one would never be tried."""
    assert {path.parent.name for path in FILES} == set(TARGETS)


def test_a_difference_is_seen() -> None:
    """A stage that goes by cuts is found out."""
    with pytest.raises(AssertionError, match="cutting: output"):
        same(ran(_Cutting(), b"abc"), ran(_Cutting(), b"abc", [1, 2]), "cutting")


class _Cutting:
    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def feed(self, data: bytes) -> bytes:
        return data[1:]

    def finish(self) -> bytes:
        return b""
