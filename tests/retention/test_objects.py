"""Bodies that were moved to an object store go from there."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from extproc.audit.bodies.places import Bodies
from extproc.audit.bodies.uploads import Uploads
from extproc.audit.index.query import Query
from extproc.audit.objects import ObjectStoreError
from extproc.audit.retention.purge import purge
from tests.retention.conftest import OFFICER, House
from tests.support.s3 import S3Server


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[S3Server]:
    """A real object store."""
    with S3Server(tmp_path / "s3") as server:
        yield server


def test_moved_bodies_go_too(house: House, s3: S3Server) -> None:
    """By age and by purge; while the store is away nothing is forgotten, and it is done when it is back."""
    store = s3.objects()
    house.bodies = Bodies(house.folder, store)
    house.restart()
    house.act("worker-0", "wiki", "wendy", "old words")
    house.act("worker-0", "crm", "carl", "purged words")
    house.act("worker-0", "crm", "other", "kept words")
    uploads = Uploads(house.folder, store, 0.0, clock=lambda: house.clock() + 10)
    while list(house.folder.list()):
        uploads.step()
        house.clock.now += 11
    assert len(list(store.list("bodies/"))) == 3
    house.index()
    noted = purge(house.state, house.store, OFFICER, "asked", Query(principal="carl"), house.clock)
    s3.kill()
    with pytest.raises(OSError, match=r"127\.0\.0\.1"):
        house.retention.step()
    assert house.store.left(noted.id) == 1
    s3.start()
    house.later(6)
    house.keep_house()
    (left,) = store.list("bodies/")
    assert b"".join(house.bodies.open(left.split("/")[2].removesuffix(".zst"))) == b"kept words"
    found = house.store.find_purge(noted.id)
    assert found is not None
    assert found.receipt is not None
    assert house.faults(store) == []


def test_errors_of_the_store_are_those_of_a_disk(house: House) -> None:
    """So that the chore is tried again."""

    class Away(Bodies):
        def delete(self, address: str, unless_since: float | None = None) -> bool:
            raise ObjectStoreError("away")

    house.bodies = Away(house.folder)
    house.restart()
    house.act("worker-0", "wiki", says="old words")
    house.later(6)
    house.clock.now += 3601.0
    house.index()
    with pytest.raises(OSError, match="away"):
        house.retention.step()
    assert house.faults() == []
