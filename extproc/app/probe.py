"""Asks processes on unix sockets whether they serve."""

import asyncio
import contextlib
import time
from pathlib import Path

BEAT_SECONDS = 4.0
_BOUND = 64 * 1024


async def accepts(socket: Path) -> bool:
    """True if something takes connections there. Raises OSError where nothing does."""
    _, writer = await asyncio.open_unix_connection(str(socket))
    await _close(writer)
    return True


async def http(socket: Path, request: str, token: str | None = None) -> int:
    """The status of one HTTP exchange with an empty body. `request` is method and path. Raises OSError, ValueError."""
    status_line = (await _exchange(socket, request, token)).split(b"\r\n", 1)[0].split(b" ")
    return int(status_line[1]) if len(status_line) > 1 else 0


async def text(socket: Path, request: str) -> str:
    """The whole answer of one such exchange as text, head included. Raises OSError."""
    return (await _exchange(socket, request, None)).decode("utf-8", "replace")


async def _exchange(socket: Path, request: str, token: str | None) -> bytes:
    reader, writer = await asyncio.open_unix_connection(str(socket))
    try:
        credential = f"Authorization: Bearer {token}\r\n" if token else ""
        writer.write(
            f"{request} HTTP/1.1\r\nHost: local\r\nConnection: close\r\nContent-Length: 0\r\n{credential}\r\n".encode()
        )
        await writer.drain()
        answer = b""
        while len(answer) < _BOUND and (piece := await reader.read(_BOUND)):
            answer += piece
        return answer
    finally:
        await _close(writer)


def beats(file: Path) -> bool:
    """True if our own program at that heartbeat is alive: its event loop touches the file twice a second, which
    a hung or stopped one can't."""
    try:
        return time.time() - file.stat().st_mtime < BEAT_SECONDS
    except FileNotFoundError:
        return False


def version(file: Path) -> str:
    """The version of the configuration that our own program at that heartbeat has; empty where it does not say."""
    try:
        return file.read_text("ascii", "replace").strip()
    except OSError:
        return ""


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
