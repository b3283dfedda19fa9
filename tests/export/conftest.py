"""What these tests share: worlds that are made once, and read only."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from extproc.audit.export.bundle import bundle
from tests.export import making


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[making.World]:
    """The story, below a checkpoint."""
    world = making.World(tmp_path_factory.mktemp("story") / "state")
    making.story(world)
    world.checkpoint()
    yield world
    world.close()


@pytest.fixture(scope="session")
def zipped(world: making.World) -> bytes:
    """Its evidence bundle."""
    return b"".join(bundle(making.session(world.state), making.source(world)))


@pytest.fixture
def public(world: making.World) -> Path:
    """The public key, as an auditor has it from elsewhere."""
    return world.state / "keys" / "audit.pub"
