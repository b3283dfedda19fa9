"""Fetching an issuer's key set, and finding out where it is (OpenID Connect Discovery 1.0, section 4)."""

import asyncio
import ssl
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import orjson

WELL_KNOWN = "/.well-known/openid-configuration"
MAX_BYTES = 1 << 20
# For all that one look takes: the discovery document and the key set.
FETCH_TIMEOUT_SECONDS = 5.0


def trustworthy(address: str) -> bool:
    """Whether what an address answers can't be replaced on the way: https, or http on the machine itself."""
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        return False
    if parts.username is not None or parts.password is not None or not host:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _loopback(host))


async def fetch_keys(issuer: str, address: str | None, ca: Path | None) -> bytes:
    """The key set of an issuer, from this address or from where its discovery document says. Redirects are not
    followed. Raises aiohttp.ClientError, TimeoutError, OSError and ValueError."""
    # Compressed answers are not asked for: a small one could unpack to any size.
    session = aiohttp.ClientSession(headers={"Accept-Encoding": "identity"}, auto_decompress=False)
    async with session:
        trust: ssl.SSLContext | bool = True
        if ca is not None:
            # In a thread, for a whole bundle takes milliseconds to read.
            trust = await asyncio.to_thread(ssl.create_default_context, cafile=str(ca))
        return await _get(session, address or await _discover(session, issuer, trust), trust)


async def _discover(session: aiohttp.ClientSession, issuer: str, trust: ssl.SSLContext | bool) -> str:
    if not trustworthy(issuer):
        raise ValueError("an issuer that is discovered has an https address, or an http one on this machine")
    document = orjson.loads(await _get(session, issuer.removesuffix("/") + WELL_KNOWN, trust))
    if not isinstance(document, dict) or document.get("issuer") != issuer:
        raise ValueError(f"its discovery document is another issuer's; expected {issuer}, letter for letter")
    address = document.get("jwks_uri")
    # One that is found over https does not lead back to http.
    downgraded = issuer.startswith("https://") and not str(address).startswith("https://")
    if not isinstance(address, str) or not trustworthy(address) or downgraded:
        raise ValueError("its discovery document names no https jwks_uri")
    return address


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


async def _get(session: aiohttp.ClientSession, address: str, trust: ssl.SSLContext | bool) -> bytes:
    async with session.get(address, allow_redirects=False, ssl=trust) as response:
        if response.status != 200:
            raise ValueError(f"{address} answered {response.status}")
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > MAX_BYTES:
                raise ValueError(f"{address} answered more than {MAX_BYTES} bytes")
        return bytes(body)
