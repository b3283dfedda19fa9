"""What the demo's two upstream servers share: they check a real credential and log exactly what reached them."""

import argparse
import asyncio
import json
import os
import secrets
import signal
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import web

MAX_BODY_BYTES = 4 * 1024 * 1024
LOGGED_HEADERS = (
    "accept-encoding",
    "content-type",
    "idempotency-key",
    "prefer",
    "traceparent",
    "user-agent",
    "x-request-id",
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ReceivedLog:
    """One JSON object a line for each request: what this server received, to be compared with what was sent.

    Members: at, method, path (with query), credential (`real`, `other` or `missing`; never the credential itself),
    headers (those of LOGGED_HEADERS) and body (text). The line is in the file before the request is answered.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, line: dict[str, Any]) -> None:
        """Append one line. Raises OSError when the file can't be written."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def read_log(path: Path) -> list[dict[str, Any]]:
    """All lines of a log so far; empty when nothing was received. Raises ValueError on a line that is not JSON."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def guard(credential: str, log: ReceivedLog) -> Any:
    """A middleware: logs each request, and answers 401 to whoever does not bring `Bearer <credential>`."""
    expected = f"Bearer {credential}".encode()

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get("authorization", "")
        real = secrets.compare_digest(given.encode("utf-8", "surrogateescape"), expected)
        body = await request.text()
        log.write(
            {
                "at": datetime.now(UTC).isoformat(),
                "method": request.method,
                "path": request.path_qs,
                "credential": "real" if real else "other" if given else "missing",
                "headers": {name: request.headers[name] for name in LOGGED_HEADERS if name in request.headers},
                "body": body,
            }
        )
        if not real:
            return problem(401, "credential", "this server wants its own credential; an agent's token is none")
        return await handler(request)

    return middleware


def problem(status: int, code: str, message: str) -> web.Response:
    """A refusal in the shape that OpenAI's clients read, which serves the customer API as well."""
    return web.json_response({"error": {"type": code, "code": code, "message": message}}, status=status)


async def serve(app: web.Application, address_file: Path | None, port: int) -> None:
    """Serve on loopback until SIGINT or SIGTERM. `address_file` gets `127.0.0.1:<port>` once the server listens."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    address = f"127.0.0.1:{runner.addresses[0][1]}"
    if address_file is not None:
        # Renamed into place: a reader sees the whole address or no file.
        draft = address_file.with_suffix(".new")
        draft.write_text(address, encoding="utf-8")
        os.replace(draft, address_file)
    print(f"listening on {address}", flush=True)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    await runner.cleanup()


def run(
    description: str, build: Callable[[str, ReceivedLog], web.Application], arguments: list[str] | None = None
) -> int:
    """The command line of an upstream. `build` makes its application from the credential and the log."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--credential-file", type=Path, required=True, help="file with the credential that clients must bring"
    )
    parser.add_argument("--log", type=Path, required=True, help="file for what was received, one JSON object a line")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: any free one)")
    parser.add_argument("--address-file", type=Path, help="file to write the address to once the server listens")
    given = parser.parse_args(arguments)
    credential = given.credential_file.read_text(encoding="utf-8").strip()
    if not credential:
        parser.error(f"{given.credential_file} is empty; it must hold the credential")
    asyncio.run(serve(build(credential, ReceivedLog(given.log)), given.address_file, given.port))
    return 0
