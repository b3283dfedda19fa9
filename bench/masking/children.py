"""The other engines as the evaluation talks to them."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.children import BenchFailed, Child
from bench.masking.score import Found

_SCRIPT = Path(__file__).parent / "peers.py"
_ANSWER_SECONDS = 600.0
_START_SECONDS = 120.0
_BATCH = 64_000
PYTHON = Path(__file__).parents[2] / ".venv-compare" / "bin" / "python"


class Peer:
    """One of them, in a process of its own. Raises BenchFailed where it does not start."""

    def __init__(self, python: Path, name: str) -> None:
        if not python.exists():
            raise BenchFailed(
                f"{python} does not exist: the other engines have an environment of their own, which "
                "`make masking-eval` creates; --alone does without them"
            )
        self._child = Child([str(python), str(_SCRIPT), name], accept_input=True)
        try:
            self.version: str = json.loads(self._child.line(_START_SECONDS))["version"]
        except BaseException:
            self._child.stop()
            raise

    def find(self, texts: Sequence[str], way: str) -> list[list[Found]]:
        """What it finds in each text."""
        return [found for batch in _batches(texts) for found in self._ask(batch, way)[0]]

    def cpu(self, texts: Sequence[str], way: str) -> float:
        """Seconds of CPU that it takes for the texts, one after the other."""
        return self._ask(texts, way)[1]

    def stop(self) -> None:
        """End it."""
        self._child.stop()

    def _ask(self, texts: Sequence[str], way: str) -> tuple[list[list[Found]], float]:
        self._child.tell(json.dumps({"texts": list(texts), "way": way}).encode() + b"\n")
        answer = json.loads(self._child.line(_ANSWER_SECONDS))
        return [[Found(*one) for one in found] for found in answer["found"]], answer["cpu"]


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    batch, length = list[str](), 0
    for text in texts:
        batch.append(text)
        length += len(text)
        if length >= _BATCH:
            yield batch
            batch, length = [], 0
    if batch:
        yield batch
