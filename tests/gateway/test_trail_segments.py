"""The journal goes on in new segments while agents write to it, and a worker is killed: all who follow it keep up."""

import os
import signal
from collections.abc import Iterator

import pytest

from extproc.audit.reader import records
from tests.support.envoy import until
from tests.support.gateway import Gateway
from tests.support.jaeger import Jaeger, running_jaeger
from tests.support.trail import checkpoint, index_made_anew, indexed, load, metric, segments, undecided

PAD = "p" * 3000
"""Long paths make long records: a segment is full after some two hundred actions."""


@pytest.fixture
def shipping(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, Jaeger]]:
    """A gateway of two workers with small segments, and the Jaeger that it sends to."""
    with running_jaeger(tmp_path_factory.mktemp("jaeger")) as jaeger:
        gateway = Gateway(workers=2, audit=f"otlp: '{jaeger.otlp}', segment: 1MiB")
        try:
            yield gateway.start(), jaeger
        finally:
            gateway.stop()


def test_segments_rotate_under_load(shipping: tuple[Gateway, Jaeger], tmp_path_factory: pytest.TempPathFactory) -> None:
    """While a worker is killed: every segment but the last ends with a seal, whatever reached the upstream has its
    decision, and index, watcher, shipper and Jaeger have all of it."""
    gateway, jaeger = shipping

    def rotated() -> int:
        return min(len(segments(gateway, f"worker-{n}")) for n in range(2))

    with load(gateway, lambda n: f"/n/{n}/{PAD}") as running:
        until(lambda: rotated() >= 2, "a second segment of each worker", 60)
        os.kill(gateway.pid("worker-0"), signal.SIGKILL)
        gateway.wait_ready_again("worker-0")
        so_far = len(segments(gateway, "worker-0"))
        until(lambda: len(segments(gateway, "worker-0")) > so_far, "another one", 60)
    assert undecided(gateway) == set()
    assert list(running.answers.values()).count(200) > len(running.answers) * 0.9
    for stream in ("worker-0", "worker-1"):
        bases = [int(path.stem) for path in segments(gateway, stream)]
        sealed = {r.end for r in records(gateway.state / "journal" / stream) if r.kind == "seal"}
        assert set(bases[1:]) <= sealed
    indexed(gateway)
    checkpoint(gateway)
    until(lambda: metric(gateway, "holdpoint_export_lag_bytes") == 0, "the shipper", 60)
    until(lambda: metric(gateway, "holdpoint_signal_behind_bytes") == 0, "the watcher")
    decisions = len(gateway.records("decision"))
    assert metric(gateway, "holdpoint_signal_requests_total") == decisions
    with gateway.control() as asked:
        assert sum(row["actions"] for row in asked.get("/v1/sessions?limit=200").json()["sessions"]) == decisions
    assert gateway.end() == 0
    found = gateway.verify("--against-jaeger", jaeger.page)
    assert (found["faults"], found["spans"] >= decisions) == ([], True)
    written, anew = index_made_anew(gateway, tmp_path_factory.mktemp("anew") / "s")
    assert written == anew
