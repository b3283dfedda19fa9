"""A real Jaeger for tests, as the files in deploy/jaeger run it, and the questions that people ask it."""

import json
import os
import re
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from extproc import resources
from tests.support.envoy import until

CONFIGS = Path(__file__).parents[2] / "deploy" / "jaeger"
ON_DISK, IN_MEMORY = CONFIGS / "config.yaml", CONFIGS / "memory.yaml"
VARIABLE = "HOLDPOINT_JAEGER"
Span = dict[str, Any]


def find_jaeger() -> Path:
    """Jaeger's program: $HOLDPOINT_JAEGER, beside this interpreter, on the PATH, or the newest in deploy/tools/fetch's
    cache. Raises FileNotFoundError that says what to do."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    with suppress(FileNotFoundError):
        return resources.executable("jaeger")
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    cache = Path(os.environ.get("HOLDPOINT_CACHE") or Path(home) / "holdpoint")
    cached = [p for p in (cache / "jaeger").glob("*/jaeger") if os.access(p, os.X_OK)]
    if not cached:
        raise FileNotFoundError(f"no jaeger on PATH or in {cache}; run `make jaeger`, or name one with ${VARIABLE}")
    return max(cached, key=lambda p: tuple(map(int, re.findall(r"\d+", p.parent.name))))


def tags(span: Span) -> dict[str, str]:
    """A span's tags as text, booleans as Jaeger is asked for them."""
    values = {tag["key"]: tag["value"] for tag in span["tags"]}
    return {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in values.items()}


def parents(span: Span) -> list[tuple[str, str]]:
    """(trace id, span id) of what a span is a child of."""
    return [(r["traceID"], r["spanID"]) for r in span["references"] if r["refType"] == "CHILD_OF"]


def links(span: Span) -> list[tuple[str, str]]:
    """(trace id, span id) of what a span is only linked to."""
    return [(r["traceID"], r["spanID"]) for r in span["references"] if r["refType"] != "CHILD_OF"]


@dataclass(frozen=True)
class Jaeger:
    """A running Jaeger: where it takes spans, and where it is asked."""

    otlp: str
    page: str

    def find(self, wanted: dict[str, str], limit: int = 1000) -> list[Span]:
        """The spans of the service `holdpoint` that have all these tags, each once however often it was sent."""
        words = {"service": "holdpoint", "limit": limit, "lookback": "1h"}
        if wanted:
            words["tags"] = json.dumps(wanted)
        document = _get(f"{self.page}/api/traces?{urllib.parse.urlencode(words)}")
        spans = {s["spanID"]: s for trace in document["data"] for s in trace["spans"]}
        return [s for s in spans.values() if wanted.items() <= tags(s).items()]

    def wait(self, wanted: dict[str, str], count: int = 1) -> list[Span]:
        """Those spans, once there are so many."""
        return until(lambda: found if len(found := self.find(wanted)) >= count else None, f"spans with {wanted}") or []

    def trace(self, trace_id: str) -> list[Span]:
        """The spans of one trace, each once; none when it is not known."""
        try:
            found = _get(f"{self.page}/api/traces/{trace_id}")["data"]
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            return []
        return list({s["spanID"]: s for trace in found for s in trace["spans"]}.values())


@contextmanager
def running_jaeger(folder: Path, config: Path = IN_MEMORY) -> Iterator[Jaeger]:
    """Jaeger on free ports of the loopback, its log in `folder`; traces in memory, gone with it, or with ON_DISK in
    `folder`, where the next one finds them. It ends by SIGKILL."""
    holders = [socket.create_server(("127.0.0.1", 0)) for _ in range(4)]
    http, grpc, health, otlp = (holder.getsockname()[1] for holder in holders)
    for holder in holders:
        holder.close()
    values = {"HTTP": http, "GRPC": grpc, "HEALTH": health, "OTLP": otlp, "DATA": folder / "traces"}
    environment = {**os.environ, **{f"HOLDPOINT_JAEGER_{name}": str(value) for name, value in values.items()}}
    log = folder / "jaeger.log"
    with log.open("ab") as out:
        process = subprocess.Popen(
            [str(find_jaeger()), "--config", str(config)],
            env={**environment, "OTEL_TRACES_SAMPLER": "always_off"},
            stdout=out, stderr=out,
        )  # fmt: skip
    try:
        until(lambda: _healthy(process, f"http://127.0.0.1:{health}/status", log), "Jaeger", 60)
        yield Jaeger(f"http://127.0.0.1:{otlp}", f"http://127.0.0.1:{http}")
    finally:
        # It would take ten seconds to end by itself, and has to bear this anyway.
        process.kill()
        process.wait(20)


def _healthy(process: "subprocess.Popen[bytes]", address: str, log: Path) -> bool:
    if process.poll() is not None:
        raise RuntimeError(f"Jaeger ended while it started: {log.read_text()[-2000:]}")
    try:
        return bool(_get(address)["healthy"])
    except (urllib.error.URLError, ConnectionError):
        return False


def _get(address: str) -> Any:
    with urllib.request.urlopen(address, timeout=10) as answer:
        return json.load(answer)
