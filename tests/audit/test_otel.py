"""Export over OTLP/HTTP with the SDK: what arrives, and what happens when nobody takes it."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from prometheus_client import CollectorRegistry

from extproc.adapters.otel import OtlpExporter, run_shipper
from extproc.audit.service import Pace
from extproc.audit.shipper import Lag, Step
from extproc.server.metrics import ShipperMetrics
from tests.audit.conftest import TRACEPARENT, Streams, decision, delivery
from tests.audit.receiver import Receiver, receiver
from tests.audit.test_accesslog import line

PACE = Pace(idle=0.01, backoff=0.01, longest=0.05, report=0.0, drain=5)


def attributes(span: object) -> dict[str, object]:
    """A protobuf span's attributes."""
    pairs = {}
    for pair in span.attributes:  # type: ignore[attr-defined]  # generated code has no types here
        value = pair.value
        pairs[pair.key] = getattr(value, value.WhichOneof("value"))
    return pairs


def decisions(kept: Receiver) -> list[object]:
    """The decision ids of the spans of actions that arrived, in order."""
    found = [attributes(span) for span in kept.spans]
    return [span["holdpoint.decision.id"] for span in found if "holdpoint.decision.id" in span]


def forms(kept: Receiver) -> dict[bytes, set[bytes]]:
    """The bytes of each span that arrived, by its id."""
    found: dict[bytes, set[bytes]] = {}
    for span in kept.spans:
        found.setdefault(span.span_id, set()).add(span.SerializeToString())
    return found


async def until_stopped(state: Path, otlp: str | None, kept: Receiver | None, wanted: int = 0) -> list[Lag]:
    """Run the shipper until so many actions arrived, or without a receiver once and for all."""
    stop, lags = asyncio.Event(), []  # type: asyncio.Event, list[Lag]

    def report(lag: Lag) -> None:
        lags.append(lag)
        if kept is not None and len(decisions(kept)) >= wanted and lag.bytes == 0:
            stop.set()

    if kept is None:
        stop.set()
    async with asyncio.timeout(30):
        await run_shipper(state, otlp, stop, on_lag=report, pace=PACE)
    return lags


def test_an_action_arrives_as_a_span_of_the_audits_form(streams: Streams) -> None:
    """Resource, scope, ids, kind, status and attributes are as docs/audit.md says; unsampled flags change nothing."""
    streams["worker-0"].append("decision", decision("d1", "block", trace={"traceparent": TRACEPARENT}))
    with receiver() as kept:
        asyncio.run(until_stopped(streams.state, kept.address, kept, 1))
        (resource,) = kept.requests[0].resource_spans
        assert {a.key: a.value.string_value for a in resource.resource.attributes}["service.name"] == "holdpoint"
        assert resource.scope_spans[0].scope.name == "holdpoint.audit"
        (span,) = [span for span in kept.spans if "holdpoint.decision.id" in attributes(span)]
        assert span.trace_id.hex() == TRACEPARENT.split("-")[1]
        assert span.parent_span_id.hex() == TRACEPARENT.split("-")[2]
        assert (span.name, span.kind, span.status.code) == ("DELETE crm", 2, 2)
        told = attributes(span)
        wanted = {
            "http.request.method": "DELETE", "url.path": "/customers/7", "user.id": "agent-7",
            "url.full": "http://crm.holdpoint.internal/customers/7", "security_rule.name": "http.writes",
            "holdpoint.decision.effect": "block", "holdpoint.policy.http.writes": "true", "error.type": "blocked",
            "holdpoint.audit.stream": "worker-0", "holdpoint.audit.seq": 1, "holdpoint.environment": "production",
        }  # fmt: skip
        assert wanted == {name: told[name] for name in wanted}


def test_a_second_send_is_the_same_bytes(streams: Streams) -> None:
    """A span that is sent again can be told from another by nobody."""
    for n in range(3):
        streams["worker-0"].append("decision", decision(f"d{n}"))
        streams["worker-0"].append("delivery", delivery(f"d{n}", masked={"response": {"card": n}}))
    sent = []
    for _ in range(2):
        with receiver() as kept:
            asyncio.run(until_stopped(streams.state, kept.address, kept, 3))
            sent.append([s.SerializeToString() for s in kept.spans if "holdpoint.decision.id" in attributes(s)])
        for file in streams.state.glob("shipper.db*"):
            file.unlink()
    assert sent[0] == sent[1]


def test_refusals_of_every_sort_are_not_success(streams: Streams) -> None:
    """Whatever the collector answers but success, nothing counts as sent."""
    with receiver() as kept:
        for status in (400, 403, 404, 413, 500):
            kept.status = status
            exporter = OtlpExporter(kept.address, 0.5)
            assert not exporter.export([])
            exporter.close()
    exporter = OtlpExporter(kept.address, 0.5)
    assert not exporter.export([])
    exporter.close()


def test_a_collector_that_comes_back_gets_everything(streams: Streams) -> None:
    """While it is away records gather; Envoy's refusals are recorded all the same."""
    for n in range(30):
        streams["worker-0"].append("decision", decision(f"d{n}", "block"))
    log = streams.state / "envoy" / "access.log"
    log.parent.mkdir()
    log.write_bytes(line("r1"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    async def scenario() -> list[object]:
        stop, behind = asyncio.Event(), asyncio.Event()
        running = asyncio.create_task(
            run_shipper(
                streams.state, f"http://127.0.0.1:{port}", stop, on_lag=lambda lag: behind.set(), pace=PACE
            )
        )  # fmt: skip
        await behind.wait()
        with receiver(port) as kept:
            while len(decisions(kept)) < 30 or not any("codec-error" in attributes(s).values() for s in kept.spans):
                await asyncio.to_thread(kept.got.wait, 10)
                kept.got.clear()
            stop.set()
            await running
            return decisions(kept)

    assert asyncio.run(asyncio.wait_for(scenario(), 30)) == [f"d{n}" for n in range(30)]


def test_without_a_collector_refusals_are_still_recorded(streams: Streams) -> None:
    """Nothing is exported, and no cursor moves."""
    log = streams.state / "envoy" / "access.log"
    log.parent.mkdir()
    log.write_bytes(line("r1"))
    asyncio.run(until_stopped(streams.state, None, None))
    assert b'"codec-error"' in streams.segment("gateway").read_bytes()


RESULTS = ("taken", "refused", "again")
SHIPPER = """
import asyncio, sys
from pathlib import Path
from extproc.adapters.otel import run_shipper
from tests.audit.test_otel import PACE
asyncio.run(run_shipper(Path(sys.argv[1]), sys.argv[2], asyncio.Event(), pace=PACE))
"""


def test_a_killed_shipper_sends_every_action_at_least_once(streams: Streams) -> None:
    """SIGKILL while it ships and the journal grows: each action arrives, and what arrives twice is the same span."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    wanted = 0
    with receiver() as kept:
        for _ in range(3):
            command = [sys.executable, "-c", SHIPPER, str(streams.state), kept.address]
            kept.got.clear()
            with subprocess.Popen(command, env=environment) as process:
                for _ in range(150):
                    streams["worker-0"].append("decision", decision(f"d{wanted}"))
                    streams["worker-0"].append("delivery", delivery(f"d{wanted}"))
                    wanted += 1
                assert kept.got.wait(30)
                process.send_signal(signal.SIGKILL)
        asyncio.run(until_stopped(streams.state, kept.address, kept, wanted))
        assert {f"d{n}" for n in range(wanted)} == set(decisions(kept))
        assert all(len(form) == 1 for form in forms(kept).values())


def test_a_backlog_is_shipped_through_many_kills(streams: Streams) -> None:
    """What gathered while the collector was away arrives whole, though the shipper is killed again and again, and
    each span is the one that a shipper sends who is left alone."""
    for n in range(1500):
        members = (
            {"trace": {"traceparent": f"00-{n // 7 + 1:032x}-{n + 1:016x}-01"}} if n % 2 else {"session": f"c{n % 9}"}
        )
        streams[f"worker-{n % 2}"].append("decision", decision(f"d{n}", **members))
        streams[f"worker-{n % 2}"].append("delivery", delivery(f"d{n}"))
    streams.close()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with receiver() as kept:
        kept.status = 503
        for turn in range(8):
            kept.got.clear()
            command = [sys.executable, "-c", SHIPPER, str(streams.state), kept.address]
            with subprocess.Popen(command, env=environment) as process:
                assert kept.got.wait(30)
                process.send_signal(signal.SIGKILL)
            assert bool(kept.spans) == (turn > 2)
            kept.status = 200 if turn > 1 else 503
        asyncio.run(until_stopped(streams.state, kept.address, kept, 1500))
        killed = forms(kept)
        assert set(decisions(kept)) == {f"d{n}" for n in range(1500)}
    for file in streams.state.glob("shipper.db*"):
        file.unlink()
    with receiver() as kept:
        asyncio.run(until_stopped(streams.state, kept.address, kept, 1500))
        once = forms(kept)
    # The gateway's stream grew: each shipper is its writer.
    assert {key: once[key] for key in killed} == killed
    assert all(len(form) == 1 for form in once.values())


def test_stopping_sends_what_is_a_moment_old(streams: Streams) -> None:
    """Records that are too young when the gateway stops are waited for."""
    with receiver() as kept:
        streams["worker-0"].append("decision", decision("d1", "block"))
        streams.clock.now = time.time()
        streams["worker-0"].append("decision", decision("d2", "block"))
        stop = asyncio.Event()
        stop.set()
        asyncio.run(run_shipper(streams.state, kept.address, stop, pace=PACE))
        assert decisions(kept) == ["d1", "d2"]


def test_steps_are_told_for_the_metrics(streams: Streams) -> None:
    """Each attempt, whether it was taken or refused."""
    streams["worker-0"].append("decision", decision("d1", "block"))
    registry = CollectorRegistry()
    figures, stop = ShipperMetrics(registry), asyncio.Event()

    def told(step: Step) -> None:
        figures.exported(step.spans, step.sent)
        kept.status = 200
        if step.sent and not step.records:
            stop.set()

    with receiver() as kept:
        kept.status = 503
        asyncio.run(asyncio.wait_for(run_shipper(streams.state, kept.address, stop, on_step=told, pace=PACE), 30))
        count = len(kept.spans)
    values = {
        result: registry.get_sample_value("holdpoint_export_spans_total", {"result": result}) for result in RESULTS
    }
    assert values["taken"] == count
    assert values["refused"] == values["again"] is not None
