"""Health, readiness and metrics, for machines, over TCP. Nothing here names a principal or an action."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

log = logging.getLogger(__name__)

CHECK_SECONDS = 2.0
Check = Callable[[], Awaitable[object]]

_CHECKS: web.AppKey[Mapping[str, Check]] = web.AppKey("checks")
_METRICS = web.AppKey("metrics", Path)


def application(checks: Mapping[str, Check], metrics: Path) -> web.Application:
    """GET /healthz (this process answers), /readyz (every check returned in CHECK_SECONDS; one that raises or is
    late makes 503 and is named), /metrics (all processes' metrics, from the directory `metrics`)."""
    app = web.Application()
    app[_CHECKS], app[_METRICS] = dict(checks), metrics
    app.add_routes([web.get("/healthz", _healthz), web.get("/readyz", _readyz), web.get("/metrics", _metrics)])
    return app


async def _healthz(request: web.Request) -> web.Response:
    return web.json_response({"alive": True})


async def _readyz(request: web.Request) -> web.Response:
    checks = request.app[_CHECKS]
    results = await asyncio.gather(*(_run(name, check) for name, check in checks.items()))
    ready = all(result == "ok" for result in results)
    body = {"ready": ready, "checks": dict(zip(checks, results, strict=True))}
    return web.json_response(body, status=200 if ready else 503)


async def _run(name: str, check: Check) -> str:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await check()
        return "ok"
    except TimeoutError:
        return f"no answer within {CHECK_SECONDS:g} s"
    except Exception as error:
        # Fails closed: whatever a check raises means not ready. Its text is for the log, this port for anyone.
        log.warning("not ready: %s: %s", name, error)
        return f"failed ({type(error).__name__})"


async def _metrics(request: web.Request) -> web.Response:
    directory = request.app[_METRICS]

    def collect() -> bytes:
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=str(directory))  # type: ignore[no-untyped-call]
        return generate_latest(registry)

    try:
        body = await asyncio.to_thread(collect)
    except (OSError, ValueError) as error:
        log.error("metrics: %s: %s", directory, error)
        return web.Response(status=503, text="the metrics directory can't be read\n")
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})
