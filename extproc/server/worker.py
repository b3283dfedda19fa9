"""One worker of HTTP: one process, one event loop, one unix socket."""

import asyncio
import logging
import os
from pathlib import Path

import grpc.aio

from extproc.server.ext_proc import Service
from extproc.server.upkeep import DRAIN_SECONDS, kept_up
from extproc.server.wire import health

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
    async with kept_up(service.gate, service.exchanges):
        _log.info("ready", extra={"socket": socket.name})
        await stop.wait()
        await server.stop(DRAIN_SECONDS)
    service.gate.records.close()
