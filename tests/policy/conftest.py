"""What the policy tests share: a real OPA, the shipped library, and inputs to ask about."""

import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from extproc.adapters.opa import bundle, check, library, server
from extproc.adapters.opa.binary import OpaMissing, find_opa
from extproc.adapters.opa.client import UnixAddress
from extproc.adapters.opa.management import Management
from extproc.audit.signals.figures import NOTHING, NOTHING_OF_TARGET


@pytest.fixture(scope="session")
def opa() -> Path:
    """OPA's program; without one these tests can't say anything."""
    try:
        return find_opa()
    except OpaMissing as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def shipped(opa: Path) -> check.Checked:
    """The shipped library, checked without its Rego tests (test_library.py runs those)."""
    return check.check(library.load(), opa, tests=False)


QUIET = {
    "known": True,
    "principal": NOTHING["principal"],
    "target": NOTHING_OF_TARGET,
    "credential": {"networks": [], "environments": []},
}
"""The history of a principal that never did anything, as workers put it."""


def policy_input(method: str = "GET", path: str = "/customers/7", **facts: Any) -> dict[str, Any]:
    """A policy input for a request to target `crm` in production."""
    return {
        "schema": 1,
        "principal": {
            "issuer": "https://idp.test", "subject": "bot", "kind": "agent", "groups": [], "acts_for": None,
            "credential": "jwt:1",
        },
        "target": {"name": "crm", "protocol": "http", "environment": "production"},
        "session": {"id": "s1"},
        "action": {
            "protocol": "http",
            "verb": method,
            "resource": path,
            "digest": "d1",
            "facts": {
                "method": method,
                "host": "crm.test",
                "path": path,
                "segments": [s for s in path.split("/") if s],
                "query": {},
                "headers": {"accept": ["*/*"]},
                "content_type": "",
                "body": {"inspected": True, "size": 0},
                "sensitive": {"address": {}, "headers": {}, "body": {}, "families": {}},
                **facts,
            },
        },
        "context": {"time": "2026-01-01T00:00:00Z", "source": {"address": "127.0.0.1"}},
        "approvals": [],
        "history": QUIET,
    }  # fmt: skip


@dataclass(frozen=True, slots=True)
class RunningOpa:
    """A managed OPA that serves the shipped library."""

    managed: server.ManagedOpa
    token: str
    revision: str

    @property
    def address(self) -> UnixAddress:
        """Where it listens."""
        return UnixAddress(self.managed.socket)


@pytest.fixture
def running(opa: Path, shipped: check.Checked, tmp_path: Path) -> Iterator[RunningOpa]:
    """A managed OPA, started as the gateway starts it, and stopped again."""
    managed = server.ManagedOpa(
        opa, tmp_path / "policy", tmp_path / "run" / "opa.sock", tmp_path / "keys" / "opa.token"
    )
    token = server.prepare(managed)
    packed = bundle.pack(shipped)
    bundle.publish(packed, managed.bundle)
    process = subprocess.Popen(managed.argv(), cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with Management(UnixAddress(managed.socket), token) as management:
            wait_for(management.healthy)
        yield RunningOpa(managed, token, packed.revision)
    finally:
        process.terminate()
        process.wait(10)


def wait_for(condition: Any, seconds: float = 10.0) -> None:
    """Wait for something that another process does and announces nowhere; fails the test when it does not happen."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds:.0f} s: {condition}")
        time.sleep(0.02)
