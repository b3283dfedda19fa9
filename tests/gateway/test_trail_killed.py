"""Whatever `audit.sync` is, a process that is killed loses no record: the kernel has each before its action goes on."""

import os
import signal

import pytest

from tests.support.gateway import Gateway
from tests.support.trail import load, undecided


@pytest.mark.parametrize("sync", ["0s", "20ms"])
def test_a_killed_worker_loses_nothing(sync: str) -> None:
    """Under load: every request that reached the upstream has its decision in the journal, and so has every answer that
    an agent had; verification is clean."""
    gateway = Gateway(audit=f"otlp: null, sync: {sync}")
    try:
        gateway.start()
        with load(gateway, lambda n: f"/n/{n}") as running:
            running.wait(60)
            os.kill(gateway.pid("worker-0"), signal.SIGKILL)
            gateway.wait_ready_again("worker-0")
            running.wait(60)
        answered = {path for path, status in running.answers.items() if status == 200}
        assert undecided(gateway) == set()
        assert answered <= {d["action"]["resource"] for d in gateway.records("decision")}
        opened = [r for r in gateway.records("journal-opened") if r["stream"] == "worker-0"]
        assert len(opened) == 1
        assert gateway.end() == 0
        assert gateway.verify()["faults"] == []
    finally:
        gateway.stop()
