"""What tests of recorded bodies share."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from extproc.audit.bodies.folder import BodyFolder
from extproc.audit.bodies.recorder import Recorder
from extproc.audit.bodies.writer import Shelf
from extproc.domain.decision import Recording as Mode
from tests.support.s3 import S3Server

KEY = b"k" * 32


class Place:
    """A folder of bodies, a recorder of it, and the records that it wrote."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.shelf = Shelf(path, KEY)
        self.records: list[tuple[str, Any]] = []
        self.recorder = Recorder(self.shelf, "w", lambda kind, body: self.records.append((kind, body)))
        self.folder = BodyFolder(path)

    def record(
        self, *pieces: bytes, lane: str = "response", mode: Mode = Mode.FULL, head: int = 10, decision: str = "d1"
    ) -> dict[str, Any]:
        """Record one lane from its first byte to the end; its member of `bodies`."""
        recording = self.recorder.begin(decision, mode, head)
        recording.head(lane, [("content-type", "text/plain")], [], [])
        for piece in pieces:
            recording.write(lane, piece)
        bodies: Any = recording.finish()["bodies"]
        recording.settle()
        return dict(bodies[lane])

    def read(self, address: str) -> bytes:
        """A body's content, verified."""
        return b"".join(self.folder.open(address))

    def under_way(self) -> list[str]:
        """The files of what is under way."""
        return sorted(p.name for p in (self.path / "tmp" / "w").iterdir())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A folder of bodies."""
    return Place(tmp_path / "bodies")


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real object store."""
    with S3Server(tmp_path_factory.mktemp("s3")) as server:
        yield server
