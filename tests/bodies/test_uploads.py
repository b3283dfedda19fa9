"""Bodies move to the object store, and no one is ever in neither place."""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from extproc.adapters.objects import S3Objects
from extproc.audit.bodies.address import place as place_of
from extproc.audit.bodies.folder import BodyDamaged, BodyMissing
from extproc.audit.bodies.places import Bodies
from extproc.audit.bodies.uploads import Uploads
from extproc.audit.objects import ObjectStoreError
from tests.bodies.conftest import Place
from tests.support.s3 import BUCKET, S3Server

GRACE = 3600.0


@pytest.fixture
def store(s3: S3Server) -> Iterator[S3Objects]:
    """The bucket, emptied afterwards."""
    store = s3.objects()
    yield store
    for key in list(store.list()):
        store.delete(key)


def everything(uploads: Uploads) -> None:
    """A whole round."""
    while uploads.step():
        pass


def old(place: Place, address: str) -> None:
    """The body's time of grace is over."""
    long_ago = time.time() - GRACE - 1
    os.utime(place_of(place.path, address), (long_ago, long_ago))


def test_bodies_move(place: Place, store: S3Objects) -> None:
    """First they are in both places, after the time of grace in the store alone; they read the same all along."""
    told = [place.record(b"body %d" % n, decision=f"d{n}")["address"] for n in range(50)]
    uploads, bodies = Uploads(place.folder, store, GRACE, 0.0), Bodies(place.folder, store)
    everything(uploads)
    assert len(list(store.list())) == len(list(place.folder.list())) == 50
    for address in told[:20]:
        old(place, address)
    everything(uploads)
    assert list(place.folder.list()) == sorted(told[20:])
    assert [b"".join(bodies.open(a)) for a in told] == [b"body %d" % n for n in range(50)]
    assert all(bodies.exists(a) for a in told)
    uploads.close()


def test_a_body_is_deleted_in_both_places(place: Place, store: S3Objects) -> None:
    """And then it is missing, and deleting it again finds none."""
    told = place.record(b"content")["address"]
    everything(Uploads(place.folder, store, GRACE, 0.0))
    bodies = Bodies(place.folder, store)
    assert (bodies.delete(told), bodies.exists(told), list(store.list())) == (True, False, [])
    assert not bodies.delete(told)
    with pytest.raises(BodyMissing):
        list(bodies.open(told))


def test_a_body_in_the_store_alone_is_deleted(place: Place, store: S3Objects) -> None:
    """One that was recorded again here since is not."""
    told = place.record(b"content")["address"]
    old(place, told)
    for _ in range(3):
        everything(Uploads(place.folder, store, GRACE, 0.0))
    bodies = Bodies(place.folder, store)
    assert (place.folder.exists(told), bodies.exists(told)) == (False, True)
    place.record(b"content", decision="d2")
    assert not bodies.delete(told, unless_since=time.time() - 60)
    assert bodies.exists(told)
    assert bodies.delete(told)


def test_an_altered_object_is_named_and_put_right(place: Place, s3: S3Server, store: S3Objects) -> None:
    """What the store has is read back before the body here is deleted."""
    told = place.record(b"content")["address"]
    uploads = Uploads(place.folder, store, GRACE, 0.0)
    everything(uploads)
    (file,) = (s3.folder / BUCKET).rglob("*.zst")
    file.write_bytes(bytes(len(file.read_bytes())))
    old(place, told)
    everything(uploads)
    assert place.folder.exists(told)
    everything(uploads)
    assert not place.folder.exists(told)
    assert b"".join(Bodies(place.folder, store).open(told)) == b"content"
    file.write_bytes(b"altered")
    with pytest.raises(BodyDamaged, match=told):
        list(Bodies(place.folder, store).open(told))


def test_a_damaged_body_stays_here(place: Place, store: S3Objects) -> None:
    """It is evidence, and no good to the store; the others move."""
    bad, good = (place.record(c, decision=c.hex())["address"] for c in (b"bad", b"good"))
    place_of(place.path, bad).write_bytes(b"damaged")
    everything(Uploads(place.folder, store, GRACE, 0.0))
    assert [key[-68:-4] for key in store.list()] == [good]
    assert place.folder.exists(bad)


def test_a_store_that_is_away_loses_nothing(place: Place, tmp_path: Path) -> None:
    """Bodies wait here; once it is back they move, also those that it lost."""
    with S3Server(tmp_path / "store") as server:
        store = server.objects()
        told = [place.record(b"body %d" % n, decision=f"d{n}")["address"] for n in range(3)]
        uploads = Uploads(place.folder, store, GRACE, 0.0)
        everything(uploads)
        for address in told:
            old(place, address)
        server.kill()
        with pytest.raises(ObjectStoreError):
            everything(uploads)
        assert list(place.folder.list()) == sorted(told)
        with pytest.raises(ObjectStoreError):
            Bodies(place.folder, store).exists("ab" * 32)
        for file in (tmp_path / "store" / BUCKET).rglob("*.zst"):
            file.unlink()
        server.start()
        with pytest.raises(ObjectStoreError):
            everything(uploads)
        while list(place.folder.list()):
            with suppress(ObjectStoreError):
                everything(uploads)
        assert list(place.folder.list()) == []
        assert [b"".join(Bodies(place.folder, store).open(a)) for a in told] == [b"body %d" % n for n in range(3)]


def test_what_is_deleted_while_it_is_uploaded_is_not_brought_back(place: Place, store: S3Objects) -> None:
    """Somebody purges it between the reading here and the writing there."""
    told = place.record(b"content")["address"]

    class Late(S3Objects):
        """Its object arrives when all others have looked for it."""

        def put(self, key: str, data: bytes | Path) -> None:
            content = data.read_bytes() if isinstance(data, Path) else data
            assert Bodies(place.folder, store).delete(told)
            super().put(key, content)

    late = Late(store.bucket)
    everything(Uploads(place.folder, late, GRACE, 0.0))
    assert (list(store.list()), place.folder.exists(told)) == ([], False)


def test_rounds_keep_their_distance(place: Place, store: S3Objects) -> None:
    """However often it is asked to go on: a million bodies are not looked at five times a second."""
    now = [1000.0]
    uploads = Uploads(place.folder, store, GRACE, 10.0, lambda: now[0])
    everything(uploads)
    place.record(b"content")
    for now[0], expected in ((1009.9, 0), (1010.0, 1)):
        everything(uploads)
        assert len(list(store.list())) == expected
