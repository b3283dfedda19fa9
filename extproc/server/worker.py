"""One worker: one process, one event loop, one unix socket."""

import asyncio
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import grpc.aio

from extproc.server import turnstile
from extproc.server.ext_proc import Service
from extproc.server.kept import keeping
from extproc.server.metrics import Metrics
from extproc.server.records import Records
from extproc.server.wire import health

# A hold outlives any drain; what else is under way ends by itself well within this.
_DRAIN_SECONDS = 5.0
_LAG_SECONDS = 0.1
_log = logging.getLogger("holdpoint.worker")

OPTIONS = (
    ("grpc.max_concurrent_streams", 4096),
    # Flat memory under stalled clients matters more than the last bit of throughput.
    ("grpc.http2.lookahead_bytes", 65536),
    ("grpc.http2.bdp_probe", 0),
    ("grpc.so_reuseport", 0),
    ("grpc.http2.max_ping_strikes", 0),
)


async def serve(service: Service, socket: Path, stop: asyncio.Event) -> None:
    """Serve until `stop` is set, then drain. The socket's folder keeps others out; so does its mode."""
    socket.unlink(missing_ok=True)  # noqa: ASYNC240 - before there is anything to wait for
    server = grpc.aio.server(options=OPTIONS)
    server.add_generic_rpc_handlers((service.handler(), health.handler()))
    if not server.add_insecure_port(f"unix:{socket}"):
        raise OSError(f"{socket}: can't listen there")
    await server.start()
    os.chmod(socket, 0o600)
    async with keeping(
        partial(watch_lag, service.gate.metrics), service.exchanges.watch, partial(_flush, service.gate.records)
    ):
        _log.info("ready", extra={"socket": socket.name})
        await stop.wait()
        await server.stop(_DRAIN_SECONDS)
    service.gate.records.close()


async def _flush(records: Records) -> None:
    while True:
        await asyncio.sleep(turnstile.SECONDS)
        records.flush()


async def watch_lag(metrics: Metrics) -> None:
    """Measure how late the loop wakes: the time a callback kept it busy."""
    loop = asyncio.get_running_loop()
    worst, recent, ticks = 0.0, 0.0, 0
    while True:
        due = loop.time() + _LAG_SECONDS
        await asyncio.sleep(_LAG_SECONDS)
        late = max(0.0, loop.time() - due)
        recent, ticks = max(recent, late), ticks + 1
        if late > worst:
            worst = late
            metrics.loop_lag_worst.set(worst)
        if ticks * _LAG_SECONDS >= 1.0:
            metrics.loop_lag.set(recent)
            recent, ticks = 0.0, 0


def thread_pool() -> ThreadPoolExecutor:
    """Where steps too long for the loop go. Two threads: more would only wait for the interpreter."""
    return ThreadPoolExecutor(2, "holdpoint-heavy")
