"""Where the time goes: the steps of one request through a worker, each alone, on messages that a real Envoy sent.

The steps run in a process of their own that is set up like a worker (uvloop, metrics in files, the journal on disk, the
gateway's own OPA). What a real worker spends beyond their sum is gRPC and the event loop; the processor that only
continues shows how much of that any processor on this transport would spend.
"""

import base64
import os
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import orjson
import uvloop

from bench.cases import Payload, Way
from bench.clock import cpu_seconds

if TYPE_CHECKING:
    from bench.figures import Line

_BATCHES = 7
_BATCH_SECONDS = 0.08
_TRANSPORT = "gRPC and its loop, as measured by the processor that only continues"
_REST = "the rest: driver, tasks, timers, waiting in line"
_TOTAL = "a worker, as measured"
_WITHIN = "– of which"


@dataclass(frozen=True, slots=True)
class Stages:
    """µs of CPU by step, for each payload. `opa_us` is OPA's own CPU for one decision, `round_trip_us` the time that
    asking it takes."""

    steps: dict[str, dict[str, float]]
    opa_us: dict[str, float]
    round_trip_us: dict[str, float]

    def of(self, payload: Payload, lines: "Sequence[Line]") -> dict[str, float]:
        """Steps, transport, rest and the measured sum (one connection) of a payload, by name."""
        measured = {
            line.row.way: line.cpu_us for line in lines if line.row.payload is payload and line.connections == 1
        }
        total = measured[Way.HOLDPOINT]["python"]
        steps = self.steps[payload]
        transport = measured[Way.CONTINUE]["python"]
        known = transport + sum(value for name, value in steps.items() if not name.startswith(_WITHIN))
        return {
            **steps,
            _TRANSPORT: transport,
            _REST: max(0.0, total - known),
            _TOTAL: total,
            "beside it: OPA for one decision, alone": self.opa_us[payload],
            "beside it: wall time of asking OPA, alone": self.round_trip_us[payload],
        }


@dataclass(frozen=True, slots=True)
class Given:
    """What a measuring process is told: the configuration, OPA's process, and the exchange of each payload."""

    config: str
    opa: int
    exchanges: dict[str, str]


async def _cost(step: Callable[[], Awaitable[object] | object]) -> tuple[float, float]:
    """µs of this process's CPU and of wall time for one call, medians over batches."""
    cpu, wall = [], []
    calls = 1
    for batch in range(_BATCHES + 1):
        started, own = time.perf_counter(), time.process_time()
        for _ in range(calls):
            result = step()
            if isinstance(result, Awaitable):
                await result
        took, spent = time.perf_counter() - started, time.process_time() - own
        if batch:
            cpu.append(spent / calls * 1e6)
            wall.append(took / calls * 1e6)
        else:
            # The first call warmed up; it tells how many fit.
            calls = max(5, min(2000, int(_BATCH_SECONDS / max(took, 1e-6))))
    return median(cpu), median(wall)


async def _measure(given: Given, messages: dict[str, list[bytes]]) -> Stages:
    # Worker code comes in only here: prometheus_client decides at its import where figures live.
    from bench.steps import Worker

    stages = Stages({}, {}, {})
    for payload in Payload:
        async with Worker.open(Path(given.config), payload, messages[payload]) as worker:
            steps = stages.steps[payload.value] = {}
            for step in worker.steps():
                base = (await _cost(step.base))[0] if step.base is not None else 0.0
                steps[step.name] = max(0.0, (await _cost(step.work))[0] - base)
            before, calls = cpu_seconds(given.opa), 300
            for _ in range(calls):
                await worker.ask()
            stages.opa_us[payload.value] = (cpu_seconds(given.opa) - before) / calls * 1e6
            stages.round_trip_us[payload.value] = (await _cost(worker.ask))[1]
    return stages


def main() -> None:
    """Measure what standard input describes (one line of JSON), print the Stages as one line."""
    given = Given(**orjson.loads(sys.stdin.buffer.readline()))
    messages = {
        payload: [base64.b64decode(m) for m in orjson.loads(Path(file).read_bytes())]
        for payload, file in given.exchanges.items()
    }
    os.umask(0o077)
    sys.stdout.buffer.write(orjson.dumps(asdict(uvloop.run(_measure(given, messages)))) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
