"""The public keys of one issuer: which ones count, and for how long. RFC 7517 (key sets), RFC 8725 (what to refuse)."""

import asyncio
import hashlib
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import orjson

from extproc.adapters.identity import discovery
from extproc.domain.identity import IdentityRefused, Why

log = logging.getLogger(__name__)

# Asymmetric only: with a shared secret in the list, anyone who reads the public keys could sign.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
# RFC 7518, section 3.3.
LEAST_RSA_BITS = 2048
MAX_KEYS_BYTES = discovery.MAX_BYTES
# Between two fetches of one address, failed ones too: unknown key ids must not become requests to the issuer.
REFETCH_SECONDS = 10.0
# Keys of an address are fetched again after FRESH; while that fails they still count until STALE, then nobody is known.
FRESH_SECONDS = 300.0
STALE_SECONDS = 3600.0
# How long a key file's last look counts for credentials that were verified before.
LOOK_SECONDS = 1.0

Parse = Callable[[bytes], tuple[jwt.PyJWK, ...]]


class KeySet:
    """The keys of one issuer. Belongs to one event loop.

    `where` is a file, an http(s) address, or None: wherever the issuer's discovery document says. `ca` is a PEM file
    that replaces the system's roots for https addresses. `clock` gives monotonic seconds.
    """

    def __init__(
        self,
        issuer: str,
        where: Path | str | None,
        ca: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
        parse: Parse | None = None,
    ) -> None:
        self.generation = 0
        """Changes with the keys: what an older generation verified has to be verified again."""
        self._issuer = issuer
        self._file = Path(where) if where is not None and not str(where).startswith(("https://", "http://")) else None
        self._address = str(where) if where is not None and self._file is None else None
        self._ca = ca
        self._clock = clock
        self._parse = parse or parse_jwks
        self._keys: tuple[jwt.PyJWK, ...] = ()
        self._digest = b""
        self._stamp: tuple[int, int, int] | None = None
        self._fetched = self._tried = float("-inf")
        self._failed = False
        self._fetching: asyncio.Task[None] | None = None
        self._reading = asyncio.Lock()

    def settled(self) -> bool:
        """Whether what is known counts at this moment without another look. No input or output, only the clock."""
        now = self._clock()
        if self._file is not None:
            return now - self._tried < LOOK_SECONDS and not self._failed
        age = now - self._fetched
        return age <= FRESH_SECONDS or (age <= STALE_SECONDS and now - self._tried < REFETCH_SECONDS)

    async def find(self, algorithm: str, kid: str | None) -> jwt.PyJWK:
        """The one key that a token with this header is signed by. Raises IdentityRefused."""
        await self.refresh(kid)
        fit = [k for k in self._keys if k.algorithm_name == algorithm and (kid is None or k.key_id == kid)]
        if len(fit) == 1:
            return fit[0]
        if not fit:
            raise IdentityRefused(f"{self._issuer} has no {algorithm} key of the token's key id")
        raise IdentityRefused(f"several keys of {self._issuer} fit; the token must name one (kid)")

    async def refresh(self, kid: str | None = None) -> None:
        """Look again where that is due, or where no key has this id. Raises IdentityRefused when no keys can be had."""
        if self._file is not None:
            await self._reread(self._file)
            return
        missing = kid is not None and all(k.key_id != kid for k in self._keys)
        now = self._clock()
        due = missing or now - self._fetched > FRESH_SECONDS
        if due and self._fetching is None and now - self._tried >= REFETCH_SECONDS:
            self._tried = now
            self._fetching = asyncio.create_task(self._refetch(now))
        # In an outage, whoever shows a known key does not wait for one more attempt.
        patient = missing or not self._failed or now - self._fetched > STALE_SECONDS
        if due and patient and self._fetching is not None:
            await asyncio.shield(self._fetching)
        if self._clock() - self._fetched > STALE_SECONDS:
            raise IdentityRefused(f"the keys of {self._issuer} can't be had; try again later", Why.UNAVAILABLE)

    async def _refetch(self, now: float) -> None:
        try:
            async with asyncio.timeout(discovery.FETCH_TIMEOUT_SECONDS):
                data = await discovery.fetch_keys(self._issuer, self._address, self._ca)
            self._take(await asyncio.to_thread(self._parse, data), data)
            self._fetched, self._failed = now, False
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            self._failed = True
            log.warning("the keys of %s can't be fetched: %s", self._issuer, str(error) or type(error).__name__)
        finally:
            self._fetching = None

    async def _reread(self, file: Path) -> None:
        """Read a key file again when it is another one, or was written, since the last time."""
        async with self._reading:
            now = self._clock()
            try:
                fresh = await asyncio.to_thread(_changed, file, self._stamp)
                if fresh is not None:
                    stamp, data = fresh
                    self._take(await asyncio.to_thread(self._parse, data), data)
                    self._stamp = stamp
                self._tried, self._failed = now, False
            except (OSError, ValueError) as error:
                if not self._failed:
                    log.error("the keys of %s can't be read from %s: %s", self._issuer, file, error)
                # What was known before may have been withdrawn in what can't be read now.
                self._take((), b"")
                self._stamp, self._failed = None, True
                raise IdentityRefused(
                    f"the keys of {self._issuer} can't be read from {file.name}; a fault of the gateway's",
                    Why.UNAVAILABLE,
                ) from None

    def _take(self, keys: tuple[jwt.PyJWK, ...], data: bytes) -> None:
        digest = hashlib.sha256(data).digest()
        if digest != self._digest:
            self.generation += 1
        self._keys, self._digest = keys, digest


def parse_jwks(data: bytes) -> tuple[jwt.PyJWK, ...]:
    """The usable keys of a JSON Web Key Set: public, asymmetric, for signatures. Raises ValueError when it is none."""
    document = orjson.loads(data)
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise ValueError('expected a JSON Web Key Set: {"keys": [...]}')
    # RFC 7517, section 5: keys of kinds that are not understood are ignored.
    return tuple(key for entry in entries if (key := _usable(entry)) is not None)


def _usable(entry: Any) -> jwt.PyJWK | None:
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig" or "d" in entry:
        return None
    if entry.get("alg") is not None and entry["alg"] not in ALGORITHMS:
        return None
    operations = entry.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        return None
    try:
        key = jwt.PyJWK(entry)
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError):
        # What PyJWT raises for members of a wrong type is not all its own.
        return None
    if key.algorithm_name not in ALGORITHMS:
        return None
    bits = getattr(key.key, "key_size", 0) if entry.get("kty") == "RSA" else LEAST_RSA_BITS
    return key if bits >= LEAST_RSA_BITS else None


def _changed(file: Path, stamp: tuple[int, int, int] | None) -> tuple[tuple[int, int, int], bytes] | None:
    """What a file holds, and the stamp of that, unless its stamp is still this one. Raises OSError and ValueError."""
    with file.open("rb") as opened:
        found = os.fstat(opened.fileno())
        fresh = (found.st_ino, found.st_mtime_ns, found.st_size)
        if fresh == stamp:
            return None
        data = opened.read(MAX_KEYS_BYTES + 1)
    if len(data) > MAX_KEYS_BYTES:
        raise ValueError(f"larger than {MAX_KEYS_BYTES} bytes")
    return fresh, data
