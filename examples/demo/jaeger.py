"""Jaeger: started for the demo, and asked what it has."""

import json
import os
import time
import urllib.parse
from pathlib import Path
from typing import Any

from examples.demo.gateway import REPOSITORY, answers, direct, free_addresses, get_json
from examples.demo.processes import Processes
from examples.demo.workplace import Workplace

JAEGER_CONFIG = REPOSITORY / "deploy" / "jaeger" / "memory.yaml"
SHIPPING_SECONDS = 20.0
PAUSE_SECONDS = 0.3

Tags = dict[str, str]


def start_jaeger(processes: Processes, place: Workplace, binary: Path) -> tuple[str, str]:
    """Start Jaeger, all in one process, traces in memory. Returns the addresses of its OTLP receiver and its pages."""
    names = [f"HOLDPOINT_JAEGER_{part}" for part in ("HTTP", "OTLP", "GRPC", "HEALTH")]
    pages, receiver, *others = free_addresses(len(names))
    ports = [address.rpartition(":")[2] for address in (pages, receiver, *others)]
    # Jaeger traces itself, to a port that is not ours, and would take ten seconds at its end to give up on it.
    env = {**os.environ, **dict(zip(names, ports, strict=True)), "OTEL_TRACES_SAMPLER": "always_off"}
    child = processes.start("jaeger", [binary, "--config", JAEGER_CONFIG], place.log("jaeger"), env=env)
    processes.wait_for(child, lambda: answers(f"http://{pages}/"), 60, "Jaeger")
    return receiver, pages


def has_pages(jaeger: str) -> bool:
    """Whether this Jaeger has its web pages. One that was built here has not, and serves a placeholder for them."""
    try:
        with direct.open(f"http://{jaeger}/", timeout=5) as response:
            return b"not the Jaeger UI" not in response.read(65536)
    except OSError:
        return False


def spans_of(jaeger: str, trace_id: str) -> list[dict[str, Any]]:
    """The spans of a trace that Jaeger has by now; none when it does not know the trace."""
    try:
        document = get_json(f"http://{jaeger}/api/traces/{trace_id}")
    except (OSError, ValueError):
        return []
    return [span for trace in document.get("data") or [] for span in trace.get("spans") or []]


def all_traces(jaeger: str) -> Any:
    """All that Jaeger has of the gateway, as it answers. Raises OSError or ValueError."""
    return get_json(f"http://{jaeger}/api/traces?service=holdpoint&lookback=1h&limit=1000")


def tags_of(span: dict[str, Any]) -> Tags:
    """A span's tags as text."""
    return {str(tag.get("key")): str(tag.get("value")) for tag in span.get("tags") or []}


def wait_for_tags(jaeger: str, wanted: Tags, count: int) -> list[Tags]:
    """The tags of the spans that have all of `wanted`, as a person finds them on Jaeger's page. Returns once there are
    `count`, or with what there is after SHIPPING_SECONDS."""
    words = {"service": "holdpoint", "limit": "200", "lookback": "1h", "tags": json.dumps(wanted)}
    address = f"http://{jaeger}/api/traces?{urllib.parse.urlencode(words)}"
    deadline = time.monotonic() + SHIPPING_SECONDS
    while True:
        try:
            traces = get_json(address).get("data") or []
        except (OSError, ValueError):
            traces = []
        # By id: a span that was sent twice is one.
        spans = {span["spanID"]: tags_of(span) for trace in traces for span in trace.get("spans") or []}
        found = [tags for tags in spans.values() if wanted.items() <= tags.items()]
        if len(found) >= count or time.monotonic() > deadline:
            return found
        time.sleep(PAUSE_SECONDS)
