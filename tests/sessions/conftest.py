"""Trails on the disk, and their index."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from extproc.audit.bodies.folder import BodyFolder
from extproc.audit.bodies.places import Bodies
from extproc.audit.index import BodyTexts, Index, Indexer
from tests.sessions.making import Trail, fill


@pytest.fixture
def trail(tmp_path: Path) -> Iterator[Trail]:
    """An empty state folder."""
    opened = Trail(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def filled(trail: Trail) -> Trail:
    """Three sessions."""
    return fill(trail)


@pytest.fixture
def indexer(trail: Trail) -> Iterator[Indexer]:
    """The writer of its index."""
    made = Indexer(trail.state, BodyTexts(Bodies(BodyFolder(trail.state / "bodies"))))
    yield made
    made.close()


@pytest.fixture
def index(trail: Trail) -> Iterator[Index]:
    """Its index, for reading."""
    made = Index(trail.state)
    yield made
    made.close()
