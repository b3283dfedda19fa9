"""The trail as people read it: a real Jaeger finds what was shipped by the tags that docs/audit.md names."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from extproc.adapters.otel import run_shipper
from extproc.audit.reader import records
from extproc.audit.service import Pace
from extproc.audit.shipper import Lag, trace_of
from tests.audit.conftest import TRACEPARENT, Streams, decision, delivery
from tests.audit.test_accesslog import line
from tests.support.jaeger import ON_DISK, Jaeger, running_jaeger, tags


@pytest.fixture
def jaeger(tmp_path: Path) -> Iterator[Jaeger]:
    """Jaeger as deploy/jaeger/config.yaml runs it."""
    with running_jaeger(tmp_path, ON_DISK) as running:
        yield running


def test_people_find_actions_by_theirtags(streams: Streams, jaeger: Jaeger) -> None:
    """By policy, effect, principal, approver and refusal code; a refused action is red; the address was known."""
    ann = {"issuer": "https://people", "subject": "ann"}
    # Jaeger looks at the last hour.
    streams.clock.now = time.time() - 60
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
    touched = jaeger.find({"holdpoint.policy.http.writes": "true"})
    assert {tags(span)["holdpoint.decision.id"] for span in touched} == {"d1", "d2", "d3"}
    (blocked,) = jaeger.find({"error.type": "blocked"})
    assert tags(blocked)["error"] == "true"
    (masked,) = jaeger.find({"holdpoint.decision.effect": "mask"})
    assert tags(masked)["holdpoint.mask.ssn"] == "3"
    approved = jaeger.find({"holdpoint.approval.approver.ann": "true", "holdpoint.decision.id": "d3"})
    assert [tags(span)["holdpoint.approval.state"] for span in approved] == ["approved"]
    (refused,) = jaeger.find({"holdpoint.code.codec-error": "true"})
    assert tags(refused)["error"] == "true"
    assert blocked["traceID"] == address
    assert "d1" in {tags(span).get("holdpoint.decision.id") for span in jaeger.trace(address)}
    assert jaeger.find({"user.id": "agent-7", "holdpoint.decision.id": "d2"})
