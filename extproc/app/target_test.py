"""One request to a target, as the gateway's user, step by step: what an operator needs to know before agents do."""

import asyncio
import contextlib
import re
import ssl

from extproc.adapters.resolve import Resolver, Unresolved
from extproc.app.upstreams import is_named, refusals
from extproc.config import Credential, Login, ServerTls, Settings, TargetSettings
from extproc.config.files import certificates, private_key, read_credential
from extproc.config.values import Wrong
from extproc.domain.json import JSON, Document
from extproc.domain.target import Protocol

_SECONDS = 5.0
_FILES = "files"
"""The step that reads what a login needs; nobody logs in with it."""

_HEAD_BYTES = 16_384
_SSL_REQUEST = bytes([0, 0, 0, 8, 4, 210, 22, 47])
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])[ \r]")


class _Failed(Exception):
    def __init__(self, step: str, detail: str) -> None:
        super().__init__(step, detail)
        self.step, self.detail = step, detail


async def run(target: TargetSettings, path: str, settings: Settings) -> Document:
    """Resolve, check, connect, prove the server's name, send one GET with the credential: `{"ok", "steps"}`. Nothing
    of the credential is in it, and of the answer the status alone. Of a database it stops before a login."""
    steps: list[JSON] = []

    def passed(step: str, detail: str) -> None:
        steps.append({"step": step, "ok": True, "detail": detail})

    try:
        secret = await asyncio.to_thread(_secret, target.credential)
        for login in target.logins:
            await asyncio.to_thread(_login, login)
            passed(_FILES, f"of the login {login.user}: {', '.join(map(str, login.files))}; read, and not tried")
        if target.credential is not None:
            passed("credential", f"{target.credential.file} goes into {target.credential.header}")
        addresses = await _addresses(target, settings)
        passed("addresses", ", ".join(addresses))
        reader, writer, address = await _connected(target, addresses)
        try:
            passed("connection", f"to {address}, port {target.upstream.port}{_proved(target)}")
            if target.protocol is Protocol.POSTGRES:
                if target.tls is ServerTls.VERIFY_FULL:
                    passed("tls", await _encrypted(target, reader, writer))
            elif not target.opaque:
                status = await _asked(target, path, secret, reader, writer)
                passed("answer", f"status {status}")
        finally:
            writer.close()
            with contextlib.suppress(OSError, TimeoutError):
                await asyncio.wait_for(writer.wait_closed(), _SECONDS)
    except _Failed as failed:
        return {"ok": False, "steps": [*steps, {"step": failed.step, "ok": False, "detail": failed.detail}]}
    return {"ok": True, "steps": steps}


def _secret(credential: Credential | None) -> bytes | None:
    if credential is None:
        return None
    try:
        return credential.prefix.encode() + read_credential(credential.file)
    except Wrong as error:
        raise _Failed("credential", str(error)) from None


def _login(login: Login) -> None:
    try:
        if login.password is not None:
            read_credential(login.password)
        if login.certificate is not None and login.key is not None:
            certificates(login.certificate)
            private_key(login.key)
    except Wrong as error:
        raise _Failed(_FILES, f"of the login {login.user}: {error}") from None


async def _addresses(target: TargetSettings, settings: Settings) -> tuple[str, ...]:
    host = target.upstream.host
    addresses: tuple[str, ...] = (host,)
    if is_named(target):
        try:
            async with Resolver([(a.host, a.port) for a in settings.dns.servers]) as resolver:
                addresses = await resolver.addresses(host)
        except Unresolved as error:
            raise _Failed("addresses", str(error)) from None
    if refused := refusals(target, addresses, settings):
        shown = ", ".join(f"{r.address} ({r.why})" for r in refused)
        hint = "; where that is right, name its network in `networks` of the target" if is_named(target) else ""
        raise _Failed("addresses", f"{host} leads to {shown}, which is never connected to{hint}")
    return addresses


async def _connected(
    target: TargetSettings, addresses: tuple[str, ...]
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, str]:
    upstream, why = target.upstream, ""
    context = None
    if upstream.scheme == "https" and not target.opaque:
        context = ssl.create_default_context(cafile=str(target.ca) if target.ca else None)
    for address in addresses:
        try:
            async with asyncio.timeout(_SECONDS):
                name = upstream.host if context else None
                streams = await asyncio.open_connection(address, upstream.port, ssl=context, server_hostname=name)
                return (*streams, address)
        except ssl.SSLCertVerificationError as error:
            why = f"{address} did not prove to be {upstream.host}: {error.verify_message}"
        except TimeoutError:
            why = f"{address} did not answer within {_SECONDS:g} s"
        except (ssl.SSLError, OSError) as error:
            why = f"{address}, port {upstream.port}: {error.strerror or type(error).__name__}"
    raise _Failed("connection", why)


async def _encrypted(target: TargetSettings, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    """Ask for TLS as a client of PostgreSQL does (its documentation, "SSL Session Encryption"), and see who answers.
    Nobody logs in."""
    context, host = ssl.create_default_context(cafile=str(target.ca) if target.ca else None), target.upstream.host
    try:
        async with asyncio.timeout(_SECONDS):
            writer.write(_SSL_REQUEST)
            await writer.drain()
            if await reader.readexactly(1) != b"S":
                raise _Failed("tls", "the server has none, or is no PostgreSQL; `tls: off` is for where that is right")
            await writer.start_tls(context, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        raise _Failed("tls", f"it did not prove to be {host}: {error.verify_message}") from None
    except TimeoutError:
        raise _Failed("tls", f"no answer came within {_SECONDS:g} s") from None
    except (asyncio.IncompleteReadError, ssl.SSLError, OSError):
        raise _Failed("tls", "the connection ended before there was TLS; is it a PostgreSQL server?") from None
    return f"it proved to be {host}"


def _proved(target: TargetSettings) -> str:
    return (
        f"; it proved to be {target.upstream.host}" if target.upstream.scheme == "https" and not target.opaque else ""
    )


async def _asked(
    target: TargetSettings, path: str, secret: bytes | None, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> int:
    upstream, credential = target.upstream, target.credential
    head = f"GET {upstream.base}{path} HTTP/1.1\r\nHost: {upstream.authority}\r\n".encode()
    head += b"User-Agent: holdpoint-targets-test\r\nAccept: */*\r\nConnection: close\r\n"
    if credential is not None and secret is not None:
        head += credential.header.encode() + b": " + secret + b"\r\n"
    try:
        async with asyncio.timeout(_SECONDS):
            writer.write(head + b"\r\n")
            await writer.drain()
            answer = await reader.readuntil(b"\n")
    except TimeoutError:
        raise _Failed("answer", f"none came within {_SECONDS:g} s") from None
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
        raise _Failed("answer", "the connection ended before an answer came; is it an http server?") from None
    found = _STATUS.match(answer[:_HEAD_BYTES])
    if found is None:
        raise _Failed("answer", "what came is not HTTP/1.1; is it the right port, and http or https as it should be?")
    status = int(found[1])
    if status in (401, 403):
        said = "the credential was refused" if credential is not None else "it asks for a credential, and has none"
        raise _Failed("answer", f"status {status}: {said}")
    return status
