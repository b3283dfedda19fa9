"""Workers that die: what fails, how much of it, and that it heals."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from extproc.adapters.envoy.plan import Scheme, TargetPlan, Upstream
from extproc.domain.target import Inspect
from tests.support.envoy import Gateway, read_reply, start, state_directory, until
from tests.support.envoy_upstream import RecordingUpstream

ROOT = Path(__file__).parents[2]


class Worker:
    """A processor in a process of its own, which can be killed."""

    def __init__(self, socket: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.envoy_processor", str(socket)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        if self.process.stdout is None or self.process.stdout.readline() != "ready\n":
            raise RuntimeError("the processor did not start")

    def end(self) -> None:
        """Kill it, as a crash would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


@pytest.fixture
def state() -> Path:
    """A state directory."""
    return state_directory()


@pytest.fixture
def workers(state: Path) -> Iterator[list[Worker]]:
    """Two of them."""
    found = [Worker(state / "run" / "workers" / f"worker-{i}.sock") for i in range(2)]
    yield found
    for worker in found:
        worker.end()


@pytest.fixture
def upstream() -> Iterator[RecordingUpstream]:
    """The upstream."""
    server = RecordingUpstream()
    yield server
    server.stop()


@pytest.fixture
def gateway(state: Path, workers: list[Worker], upstream: RecordingUpstream) -> Iterator[Gateway]:
    """A gateway over both workers."""
    here = Upstream(Scheme.HTTP, "127.0.0.1", upstream.port)
    targets = (TargetPlan("crm", here), TargetPlan("files", here, inspect=Inspect.HEADERS))
    found = start(lambda _: targets, workers=2, own_workers=True, state=state)
    yield found
    found.stop()


def test_half_of_the_workers(gateway: Gateway, workers: list[Worker], upstream: RecordingUpstream, state: Path) -> None:
    """One of two killed costs a few requests at most, and its successor is used again."""
    assert {gateway.request("/crm/a").status for _ in range(10)} == {200}
    workers[0].end()
    statuses: list[int] = []

    def outlived() -> bool:
        """Keep asking until the dead worker's ejection is over: it must not be tried again for that."""
        statuses.extend(gateway.request("/crm/a").status for _ in range(10))
        ended = gateway.stat("cluster.workers.outlier_detection.ejections_active") == 0
        return ended and gateway.stat("cluster.workers.outlier_detection.ejections_enforced_total") > 0

    until(outlived, "the ejection to end")
    outlived()
    # Without ejection every other request would fail. One may, on each of Envoy's two threads, and its neighbour.
    assert statuses.count(500) <= 4
    assert set(statuses) <= {200, 500}
    assert len(upstream.seen) == 10 + statuses.count(200)
    workers[0] = Worker(state / "run" / "workers" / "worker-0.sock")
    until(lambda: gateway.stat("cluster.workers.membership_healthy") == 2, "both workers to be healthy")
    assert {gateway.request("/crm/a").status for _ in range(10)} == {200}


def test_all_of_the_workers(gateway: Gateway, workers: list[Worker], upstream: RecordingUpstream, state: Path) -> None:
    """With none left nothing passes, and everything does again once they are back."""
    for worker in workers:
        worker.end()
    assert {gateway.request("/crm/a").status for _ in range(20)} == {500}
    assert upstream.seen == []
    workers[:] = [Worker(state / "run" / "workers" / f"worker-{i}.sock") for i in range(2)]
    until(lambda: all(gateway.request("/crm/a").status == 200 for _ in range(10)), "the workers to be back")


@pytest.mark.parametrize("path", ["/crm/a", "/files/a"])
def test_worker_dies_in_mid_answer(
    gateway: Gateway, workers: list[Worker], upstream: RecordingUpstream, path: str
) -> None:
    """Nothing more of an answer comes out once the worker that masks it, or minds it, is gone."""
    release = threading.Event()

    def later(_: object) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\ncontent-length: 16\r\n\r\nfirst"
        release.wait(20)
        yield b"top secret!"

    upstream.answer = later
    with gateway.open(gateway.head("GET", path)) as connection:
        assert connection.recv(12, 2) == b"HTTP/1.1 200"
        for worker in workers:
            worker.end()
        # The rest comes after Envoy has seen that.
        until(lambda: gateway.stat("cluster.workers.upstream_cx_active") == 0, "Envoy to lose its workers")
        release.set()
        reply = read_reply(connection)
    assert b"secret" not in reply.body
    assert not reply.complete
