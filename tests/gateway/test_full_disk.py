"""A disk that is full, for real: a small one, mounted where the gateway keeps its state."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.gateway import Gateway


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    """A gateway whose state folder is a disk of 40 MiB."""
    made = Gateway()
    made.state.mkdir(mode=0o700)
    mount = ["mount", "-t", "tmpfs", "-o", "size=40m,mode=700", "tmpfs", str(made.state)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        made.stop()
        pytest.skip("a small disk can be mounted by root only, and not in every container")
    try:
        yield made.start()
    finally:
        made.signal(15)
        made.kill()
        subprocess.run(["umount", "--lazy", str(made.state)], check=True)
        made.stop()


def fill(path: Path) -> None:
    """Take all the room there is; raises OSError once there is none."""
    with path.open("wb", 0) as file:
        while True:
            file.write(b"x" * 4096)


def test_a_full_disk_is_answered_and_survived(gateway: Gateway) -> None:
    """Refused with the reason, by workers that stay alive; it goes on by itself once there is room."""
    workers = gateway.pid("worker-0")
    filling = gateway.state / "filling"
    with pytest.raises(OSError, match="No space left"):
        fill(filling)

    def ask() -> httpx.Response:
        with gateway.client() as agent:
            return agent.get("/x")

    # What the last block has room for may still be written; then nothing passes. An answer may be the first that finds
    # no room for its recording: it ends there, and the next request is refused.
    answers = [ask() for _ in range(20)]
    statuses = [a.status_code for a in answers]
    assert set(statuses) <= {200, 500, 503}
    assert statuses.count(500) <= 1
    assert answers[-1].json()["reasons"][0]["code"] in ("journal-unwritable", "recording-unwritable")
    assert len(gateway.upstream.seen) == 20 - statuses.count(503)
    filling.unlink()
    assert ask().status_code == 200
    assert gateway.pid("worker-0") == workers
    assert gateway.holdpoint("audit", "verify").returncode == 0
