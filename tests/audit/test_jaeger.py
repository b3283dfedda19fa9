"""The trail as people read it: a real Jaeger finds what was shipped by the tags that docs/audit.md names."""

import asyncio
import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from extproc.adapters.otel import run_shipper
from extproc.audit.reader import records
from extproc.audit.service import Pace
from extproc.audit.shipper import Lag, trace_of
from tests.audit.conftest import TRACEPARENT, Streams, decision, delivery
from tests.audit.test_accesslog import line
from tests.support.jaeger import find_jaeger

CONFIG = Path(__file__).parents[2] / "deploy" / "jaeger" / "config.yaml"


@dataclass(frozen=True)
class Jaeger:
    """A running Jaeger: where it takes spans, and where it is asked."""

    otlp: str
    page: str

    def find(self, **tags: str) -> list[dict[str, Any]]:
        """The spans that have all these tags."""
        when = {"start": 0, "end": 4_000_000_000_000_000}  # Jaeger looks at the last two days otherwise; in µs
        query = urllib.parse.urlencode({"service": "holdpoint", "tags": json.dumps(tags), "limit": 100, **when})
        found = _get(f"{self.page}/api/traces?{query}")["data"]
        return [span for trace in found for span in trace["spans"] if tags.items() <= _tags(span).items()]


def _get(address: str) -> Any:
    with urllib.request.urlopen(address, timeout=5) as answer:
        return json.load(answer)


def _tags(span: dict[str, Any]) -> dict[str, str]:
    return {tag["key"]: "true" if tag["value"] is True else str(tag["value"]) for tag in span["tags"]}


@pytest.fixture
def jaeger(tmp_path: Path) -> Iterator[Jaeger]:
    """Jaeger with deploy/jaeger/config.yaml on ports that are free."""
    holders = [socket.create_server(("127.0.0.1", 0)) for _ in range(4)]
    http, grpc, health, otlp = (holder.getsockname()[1] for holder in holders)
    for holder in holders:
        holder.close()
    ports = {"HTTP": http, "GRPC": grpc, "HEALTH": health, "OTLP": otlp}
    environment = {**os.environ, **{f"HOLDPOINT_JAEGER_{name}": str(port) for name, port in ports.items()}}
    with (tmp_path / "jaeger.log").open("wb") as log:
        command = [str(find_jaeger()), "--config", str(CONFIG)]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            _wait_ready(process, f"http://127.0.0.1:{health}/status", tmp_path / "jaeger.log")
            yield Jaeger(f"http://127.0.0.1:{otlp}", f"http://127.0.0.1:{http}")
        finally:
            # Nothing it holds is worth the ten seconds that it takes to end by itself.
            process.kill()
            process.wait(20)


def _wait_ready(process: "subprocess.Popen[bytes]", address: str, log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if _get(address)["healthy"]:
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    pytest.fail(f"Jaeger did not start: {log.read_text()[-2000:]}")


def test_people_find_actions_by_their_tags(streams: Streams, jaeger: Jaeger) -> None:
    """By policy, effect, principal, approver and refusal code; a refused action is red; the address was known."""
    ann = {"issuer": "https://people", "subject": "ann"}
    worker = streams["worker-0"]
    worker.append("decision", decision("d1", "block", trace={"traceparent": TRACEPARENT}))
    worker.append("decision", decision("d2", session="c2"))
    worker.append("delivery", delivery("d2", masked={"request": {"ssn": 1}, "response": {"ssn": 2}}))
    streams["control"].append("vote", {"hold": "h1", "approver": ann, "approve": True, "reason": "ticket 4711"})
    worker.append("decision", decision("d3", hold="h1", approvers=[ann], timings_us={"policy": 1, "hold": 9_000}))
    worker.append("delivery", delivery("d3"))
    log = streams.state / "envoy" / "access.log"
    log.parent.mkdir()
    log.write_bytes(line("r1"))
    address = next(trace_of(streams.state, r) for r in records(streams.path("worker-0")) if r.kind == "decision")

    async def ship() -> None:
        stop = asyncio.Event()

        def report(lag: Lag) -> None:
            if lag.bytes == 0:
                stop.set()

        async with asyncio.timeout(30):
            await run_shipper(streams.state, jaeger.otlp, stop, on_lag=report, pace=Pace(idle=0.01, report=0.0))

    asyncio.run(ship())
    touched = jaeger.find(**{"holdpoint.policy.http.writes": "true"})
    assert {_tags(span)["holdpoint.decision.id"] for span in touched} == {"d1", "d2", "d3"}
    (blocked,) = jaeger.find(**{"error.type": "blocked"})
    assert _tags(blocked)["error"] == "true"
    (masked,) = jaeger.find(**{"holdpoint.decision.effect": "mask"})
    assert _tags(masked)["holdpoint.mask.ssn"] == "3"
    approved = jaeger.find(**{"holdpoint.approval.approver.ann": "true", "holdpoint.decision.id": "d3"})
    assert [_tags(span)["holdpoint.approval.state"] for span in approved] == ["approved"]
    (refused,) = jaeger.find(**{"holdpoint.code.codec-error": "true"})
    assert _tags(refused)["error"] == "true"
    assert blocked["traceID"] == address
    by_address = _get(f"{jaeger.page}/api/traces/{address}")["data"][0]["spans"]
    assert "d1" in {_tags(span).get("holdpoint.decision.id") for span in by_address}
    assert jaeger.find(**{"user.id": "agent-7", "holdpoint.decision.id": "d2"})
