"""Policies change while a gateway runs."""

import shutil
import signal
from collections.abc import Iterator

import pytest

from extproc import resources
from tests.support.gateway import Gateway

BROKEN = "package holdpoint.policies.http.allow_reads\n\nfindings contains {\n"


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    """A gateway with policies of its own, which a test may spoil."""
    made = Gateway(policy="path: policies")
    shutil.copytree(resources.policies(), made.folder / "policies")
    try:
        yield made.start()
    finally:
        made.stop()


def test_a_changed_policy_is_in_force_without_a_restart_and_a_broken_one_is_not(gateway: Gateway) -> None:
    """A new rule counts; a broken one is refused loudly and the last good stays, over a crash of everything too."""
    folder = gateway.folder / "policies" / "http" / "allow_reads"
    with gateway.client() as agent:
        assert agent.get("/x").status_code == 200
        shutil.move(folder, gateway.folder / "aside")
        gateway.wait_log(lambda entry: entry.get("message") == "policies are in force")
        refused = agent.get("/x")
        while refused.status_code == 200:
            # OPA takes the new bundle within a few tens of milliseconds.
            refused = agent.get("/x")
        assert refused.json()["reasons"][0]["code"] == "no-rule"
        shutil.move(gateway.folder / "aside", folder)
        (folder / "allow_reads.rego").write_text(BROKEN)
        entry = gateway.wait_log(lambda entry: "REFUSED" in str(entry.get("message")))
        assert "allow_reads.rego:4" in entry["message"]
        assert agent.get("/x").status_code == 403
    gateway.kill()
    gateway.start()
    with gateway.client() as agent:
        assert agent.get("/x").status_code == 403
    assert [r["what"] for r in gateway.records("policy")] == ["loaded", "loaded", "refused", "refused"]


def test_a_hangup_reads_policies_again(gateway: Gateway) -> None:
    """For whoever does not want to wait a second."""
    gateway.signal(signal.SIGHUP)
    gateway.wait_log(lambda entry: entry.get("message") == "policies are in force")
