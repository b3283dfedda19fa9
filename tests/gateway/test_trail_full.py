"""Disks of the trail that are full, for real: the journal's when its next segment is due, and the archivist's."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from extproc.audit.reader import records
from tests.support.envoy import until
from tests.support.gateway import Gateway
from tests.support.trail import checkpoint, checkpoints, index_made_anew, indexed, segments, undecided

PAD = "p" * 6000
INODES = 60


@pytest.fixture(scope="module")
def small() -> Iterator[Gateway]:
    """A gateway whose journal is a disk of 12 MiB and 60 files, and its archivist's stream another one of 1 MiB."""
    made = Gateway(audit="otlp: null, segment: 1MiB, checkpoint: 1s, record: {bodies: metadata}")
    journal = made.state / "journal"
    journal.mkdir(0o700, parents=True)
    made.state.chmod(0o700)
    mounted: list[Path] = []
    try:
        for folder, size in ((journal, f"size=12m,nr_inodes={INODES}"), (journal / "archivist", "size=1m")):
            folder.mkdir(0o700, exist_ok=True)
            mount = ["mount", "-t", "tmpfs", "-o", f"{size},mode=700", "tmpfs", str(folder)]
            if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
                pytest.skip("a small disk can be mounted by root only, and not in every container")
            mounted.append(folder)
        yield made.start()
    finally:
        made.end()
        for folder in reversed(mounted):
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
        made.stop()


@pytest.fixture
def gateway(small: Gateway) -> Gateway:
    """The module's gateway, its upstream's memory empty."""
    small.upstream.reset()
    return small


def fill(path: Path) -> None:
    """Take all the room there is."""
    with suppress(OSError), path.open("wb", 0) as file:
        while True:
            file.write(b"x" * 4096)


def take_files(folder: Path) -> list[Path]:
    """Take all the names that the disk has for files."""
    taken: list[Path] = []
    with suppress(OSError):
        for n in range(INODES):
            (folder / f"taken.{n}").touch()
            taken.append(folder / f"taken.{n}")
    return taken


def test_a_disk_that_is_full_when_a_segment_is_due(gateway: Gateway) -> None:
    """No file can be made for it; then one can, and nothing be written to it. Meanwhile nothing passes and the reason
    is said; with room again all goes on by itself, in one new segment, behind one seal."""
    journal, before = gateway.state / "journal", len(segments(gateway, "worker-0"))
    taken = take_files(journal)
    with gateway.client() as agent:
        while (answer := agent.get(f"/n/{PAD}")).status_code == 200:
            pass
        assert answer.status_code == 503
        assert segments(gateway, "worker-0")[-1].stat().st_size >= 1 << 20
        gateway.upstream.reset()
        refused = [agent.get("/without-files") for _ in range(3)]
        fill(taken[0])
        for path in taken[1:]:
            path.unlink()
        refused += [agent.get("/without-bytes") for _ in range(3)]
        assert [a.status_code for a in refused] == [503] * 6
        assert {a.json()["reasons"][0]["code"] for a in refused} == {"journal-unwritable"}
        assert gateway.upstream.seen == []
        taken[0].unlink()
        assert agent.get("/after").status_code == 200
    assert undecided(gateway) == set()
    made = segments(gateway, "worker-0")
    assert len(made) == before + 1
    seals = [r.end for r in records(journal / "worker-0") if r.kind == "seal"]
    assert seals == [int(path.stem) for path in made[1:]]
    checkpoint(gateway)
    assert gateway.verify()["faults"] == []


def test_an_archivist_without_a_disk_stops_nobody(gateway: Gateway) -> None:
    """Nothing can be checkpointed for a while, and agents go on, each action decided and recorded; with room again the
    checkpoints that are due come by themselves."""
    checkpoint(gateway)
    stream, pid = gateway.state / "journal" / "archivist", gateway.pid("archivist")
    fill(stream / "filling.x")

    def told() -> bool:
        # The last page of its file has room for a checkpoint or two.
        with gateway.client() as agent:
            assert agent.get("/meanwhile").status_code == 200
        return any("checkpoints:" in str(e.get("message")) for e in gateway.log if e.get("program") == "archivist")

    until(told, "the archivist to say that it can't write")
    (stream / "filling.x").unlink()

    def covered() -> bool:
        head = checkpoints(gateway.state)[-1]["streams"]["worker-0"]["offset"]
        return bool(head == sum(path.stat().st_size for path in segments(gateway, "worker-0")))

    until(covered, "a checkpoint of all that was written", 40)
    assert gateway.pid("archivist") == pid
    assert undecided(gateway) == set()
    assert gateway.verify()["faults"] == []


@pytest.fixture
def tiny() -> Iterator[Gateway]:
    """A gateway whose whole state is a disk of 40 MiB."""
    made = Gateway(audit="otlp: null, checkpoint: 1s, record: {bodies: full, index: true}")
    made.state.mkdir(0o700)
    mount = ["mount", "-t", "tmpfs", "-o", "size=40m,mode=700", "tmpfs", str(made.state)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        made.stop()
        pytest.skip("a small disk can be mounted by root only, and not in every container")
    try:
        yield made.start()
    finally:
        made.end()
        subprocess.run(["umount", "--lazy", str(made.state)], check=True)
        made.stop()


def test_a_full_disk_costs_no_part_of_the_trail(tiny: Gateway, tmp_path: Path) -> None:
    """Index, checkpoints, recordings and journal all are without room at once, while agents ask: nothing passes that is
    not recorded. With room again the index catches up to what one made anew says, and all is signed."""
    gateway, filling = tiny, tiny.state / "filling"
    with gateway.client() as agent:
        assert [agent.get(f"/before/{n}").status_code for n in range(20)] == [200] * 20
        fill(filling)
        statuses = [agent.get(f"/full/{n}").status_code for n in range(30)]
        assert statuses[-1] == 503
        assert len(gateway.upstream.seen) <= 20 + 30 - statuses.count(503)
        filling.unlink()
        until(lambda: agent.get("/after").status_code == 200, "it to go on")
    assert undecided(gateway) == set()
    indexed(gateway)
    checkpoint(gateway)
    assert gateway.verify()["faults"] == []
    assert gateway.end() == 0
    written, anew = index_made_anew(gateway, tmp_path / "anew")
    assert written == anew
