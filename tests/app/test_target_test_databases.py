"""What an operator is told of a database before agents reach it: step by step, and nobody logs in."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from extproc.app import target_test
from extproc.config import Settings
from extproc.domain.json import Document
from tests.live.making import settings
from tests.support.envoy_tls import self_signed

REQUEST = bytes([0, 0, 0, 8, 4, 210, 22, 47])


@contextlib.asynccontextmanager
async def server(answer: bytes, tls: ssl.SSLContext | None, seen: list[bytes]) -> AsyncIterator[int]:
    """A server that gives this answer to the first eight bytes, and goes on under TLS where there is a context; its
    port. `seen` gets what came."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            seen.append(await reader.readexactly(8))
            writer.write(answer)
            await writer.drain()
            if tls is not None:
                await writer.start_tls(tls)
                seen.append(await reader.read())
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield int(listening.sockets[0].getsockname()[1])


def given(home: Path, port: int, ca: str | None) -> Settings:
    """A configuration with one database there."""
    tls = "tls: off" if ca is None else f"ca: {ca}"
    target = f"db: {{protocol: postgres, upstream: 'postgres://localhost:{port}/d', {tls}, LOGINS}}"
    logins = "logins: [{user: reader, password: token}]"
    return settings(home, target.replace("LOGINS", logins), more="listen: {postgres: 127.0.0.1:5433}")


async def asked(home: Path, answer: bytes, shows: str | None, seen: list[bytes], *, encrypted: bool = True) -> Document:
    """What is said of a server that shows the certificate that is expected, or another; with None it has no TLS."""
    context = None
    (home / "other").mkdir()
    certificate, key = self_signed(home, "db")
    if shows is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*((certificate, key) if shows == "ours" else self_signed(home / "other", "db")))
    async with server(answer, context, seen) as port:
        made = given(home, port, str(certificate) if encrypted else None)
        return await target_test.run(made.targets[0], "/", made)


CASES = [
    (b"S", "ours", True, "tls: it proved to be localhost"),
    (b"S", "other", False, "tls: it did not prove to be localhost"),
    (b"N", None, False, "tls: the server has none, or is no PostgreSQL; `tls: off` is for where that is right"),
    (b"", None, False, "tls: the connection ended before there was TLS; is it a PostgreSQL server?"),
    (b"HTTP/1.1 400", None, False, "tls: the server has none, or is no PostgreSQL"),
]


@pytest.mark.parametrize(("answer", "shows", "ok", "last"), CASES, ids=range(len(CASES)))
def test_a_database_with_tls(tmp_path: Path, answer: bytes, shows: str | None, ok: bool, last: str) -> None:
    """It has to speak TLS in PostgreSQL's way, and to prove its name; then nothing more is said to it."""
    seen: list[bytes] = []
    told = asyncio.run(asked(tmp_path, answer, shows, seen))
    steps = [f"{step['step']}: {step['detail']}" for step in told["steps"] if isinstance(step, dict)]  # type: ignore[union-attr]
    assert told["ok"] is ok
    assert steps[-1].startswith(last)
    assert steps[0] == f"files: of the login reader: {tmp_path}/token; read, and not tried"
    assert seen[0] == REQUEST
    assert b"".join(seen[1:]) == b""
    assert "s3cret-token" not in str(told)


def test_a_database_without_tls(tmp_path: Path) -> None:
    """A connection is all that is tried."""
    told = asyncio.run(asked(tmp_path, b"", None, [], encrypted=False))
    steps = [step["step"] for step in told["steps"] if isinstance(step, dict)]  # type: ignore[union-attr]
    assert (told["ok"], steps) == (True, ["files", "addresses", "connection"])


def test_a_password_that_is_gone(tmp_path: Path) -> None:
    """Nothing is connected to, and nothing is told of what was in it."""
    made = given(tmp_path, 1, None)
    (tmp_path / "token").unlink()
    told = asyncio.run(target_test.run(made.targets[0], "/", made))
    assert told["ok"] is False
    assert told["steps"] == [
        {
            "step": "files",
            "ok": False,
            "detail": "of the login reader: there is no such file; this names the file that holds the secret, not the "
            "secret itself",
        }
    ]
