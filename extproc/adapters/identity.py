"""Knows approvers by their tokens: signed JWTs of configured issuers, checked here because no Envoy stands before
the console. RFC 7519 (claims), RFC 7517 (key sets), RFC 8725 (what to refuse)."""

import asyncio
import json
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import jwt

from extproc.approvals.ports import IdentityRefused
from extproc.domain.principal import Kind, Principal

# Asymmetric only: with a shared secret in the list, anyone who reads the public keys could sign.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
LEEWAY_SECONDS = 30
MAX_TOKEN_CHARS = 16_384
MAX_KEYS_BYTES = 1 << 20
FETCH_TIMEOUT_SECONDS = 5.0
# Between two fetches of one address, failed ones too: unknown key ids must not become requests to the issuer.
REFETCH_SECONDS = 10.0
# Keys of an address are fetched again after FRESH; while that fails they still count until STALE, then nobody is known.
FRESH_SECONDS = 300.0
STALE_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class ApproverProvider:
    """One issuer of approvers' tokens. `jwks` is an http(s) address or a file's path; `groups_claim` names the claim
    with the list of group names (dots go into objects: `realm_access.roles`); `ca` is a PEM file that replaces the
    system's roots for an https address."""

    issuer: str
    audience: str
    jwks: Path | str
    groups_claim: str = "groups"
    ca: Path | None = None


@dataclass(slots=True)
class _Keys:
    """What is known of one provider's key set, and since when (monotonic seconds)."""

    known: list[jwt.PyJWK] = field(default_factory=list)
    stamp: tuple[int, int, int] | None = None
    fetched: float = float("-inf")
    tried: float = float("-inf")
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Approvers:
    """The Verifier over JSON Web Tokens."""

    def __init__(
        self,
        providers: Sequence[ApproverProvider],
        agent_audiences: Sequence[str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises ValueError when an approvers' audience is also one of the agents': an agent's token would vote."""
        self._providers = tuple(providers)
        self._agents = frozenset(agent_audiences)
        self._clock = clock
        self._keys = {p: _Keys() for p in self._providers}
        for provider in self._providers:
            if provider.audience in self._agents:
                raise ValueError(f"approvers of {provider.issuer}: audience {provider.audience} is the agents' too")

    async def verify(self, token: str) -> Principal:
        """The person that a token proves. Raises IdentityRefused."""
        header, claims = _peek(token)
        provider = self._provider(claims)
        key = await self._key(provider, header)
        try:
            proven = jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                audience=provider.audience,
                issuer=provider.issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.ExpiredSignatureError:
            raise IdentityRefused("the token has expired; get a new one") from None
        except jwt.InvalidSignatureError:
            raise IdentityRefused(f"the token's signature is not by a key of {provider.issuer}") from None
        except jwt.MissingRequiredClaimError as error:
            raise IdentityRefused(f"the token lacks the claim {error.claim}") from None
        except jwt.ImmatureSignatureError:
            raise IdentityRefused("the token is not valid yet (nbf or iat lies ahead)") from None
        except jwt.PyJWTError as error:
            raise IdentityRefused(f"the token is not valid ({type(error).__name__})") from None
        return _person(provider, proven)

    def _provider(self, claims: dict[str, Any]) -> ApproverProvider:
        """Who the token says it is from and for; the signature is checked afterwards, against that issuer's keys."""
        issuer, audience = claims.get("iss"), claims.get("aud")
        audiences = {a for a in (audience if isinstance(audience, list) else [audience]) if isinstance(a, str)}
        if audiences & self._agents:
            raise IdentityRefused("the token is an agent's (its audience is the gateway's); approvers have their own")
        of_issuer = [p for p in self._providers if p.issuer == issuer]
        if not of_issuer:
            raise IdentityRefused("the token's issuer is not one of identity.approvers")
        for provider in of_issuer:
            if provider.audience in audiences:
                return provider
        wanted = " or ".join(p.audience for p in of_issuer)
        raise IdentityRefused(f"the token has the wrong audience; approvers need {wanted}")

    async def _key(self, provider: ApproverProvider, header: dict[str, Any]) -> jwt.PyJWK:
        algorithm, kid = header.get("alg"), header.get("kid")
        if algorithm not in ALGORITHMS:
            raise IdentityRefused(f"the token's algorithm is not accepted; expected one of {', '.join(ALGORITHMS)}")
        keys = self._keys[provider]
        async with keys.lock:
            address = str(provider.jwks)
            if not address.startswith(("https://", "http://")):
                await asyncio.to_thread(_reread, keys, Path(address))
                return _choose(keys.known, algorithm, kid, provider)
            now = self._clock()
            missing = kid is not None and all(k.key_id != kid for k in keys.known)
            if (missing or now - keys.fetched > FRESH_SECONDS) and now - keys.tried >= REFETCH_SECONDS:
                keys.tried = now
                fetched = await _fetch(address, provider.ca)
                if fetched is not None:
                    keys.known, keys.fetched = fetched, now
            if now - keys.fetched > STALE_SECONDS:
                raise IdentityRefused(f"the keys of {provider.issuer} can't be had from their address; try again later")
            return _choose(keys.known, algorithm, kid, provider)


def _peek(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims, unproven, to find the keys that prove them."""
    if len(token) > MAX_TOKEN_CHARS:
        raise IdentityRefused(f"the token is longer than {MAX_TOKEN_CHARS} characters")
    try:
        parts = jwt.decode_complete(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise IdentityRefused("the token is not a signed JSON Web Token") from None
    header, claims = parts["header"], parts["payload"]
    if "crit" in header:
        raise IdentityRefused("the token demands extensions (crit) that are not understood")
    return header, claims


def _person(provider: ApproverProvider, claims: dict[str, Any]) -> Principal:
    subject = claims["sub"]
    if not isinstance(subject, str) or not subject.strip():
        raise IdentityRefused("the token's subject (sub) is empty")
    if "act" in claims:
        # RFC 8693: someone else acts as this person. An agent that holds such a token must not vote with it.
        raise IdentityRefused("the token is delegated (act); people vote with a token of their own")
    groups: Any = claims
    for step in provider.groups_claim.split("."):
        groups = groups.get(step) if isinstance(groups, dict) else None
    # A claim whose name itself has dots (a URL, as some issuers demand) is taken whole.
    groups = claims.get(provider.groups_claim, groups)
    if groups is None:
        groups = []
    if not isinstance(groups, list) or not all(isinstance(g, str) for g in groups):
        raise IdentityRefused(f"the token's claim {provider.groups_claim} is not a list of group names")
    return Principal(provider.issuer, subject, Kind.HUMAN, tuple(groups), None, float(claims["exp"]))


def _choose(keys: Sequence[jwt.PyJWK], algorithm: str, kid: Any, provider: ApproverProvider) -> jwt.PyJWK:
    fit = [k for k in keys if k.algorithm_name == algorithm and (kid is None or k.key_id == kid)]
    if len(fit) == 1:
        return fit[0]
    if not fit:
        raise IdentityRefused(f"{provider.issuer} has no {algorithm} key of the token's key id")
    raise IdentityRefused(f"several keys of {provider.issuer} fit; the token must name one (kid)")


def _reread(keys: _Keys, path: Path) -> None:
    """Read a key file again when it is another one, or was written, since the last time."""
    try:
        found = path.stat()
        stamp = (found.st_ino, found.st_mtime_ns, found.st_size)
        if stamp != keys.stamp:
            keys.known = _parse(path.read_bytes())
            keys.stamp = stamp
    except (OSError, ValueError) as error:
        # What was known before may have been withdrawn in what can't be read now.
        keys.known, keys.stamp = [], None
        raise IdentityRefused(f"the approvers' keys can't be read from {path.name}: {error}") from None


async def _fetch(address: str, ca: Path | None) -> list[jwt.PyJWK] | None:
    """The keys at an address, or None when they can't be had. Redirects are not followed."""
    limit = aiohttp.ClientTimeout(total=FETCH_TIMEOUT_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=limit) as session,
            session.get(address, allow_redirects=False, ssl=_trust(ca)) as response,
        ):
            if response.status != 200:
                return None
            body = b""
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > MAX_KEYS_BYTES:
                    return None
            return _parse(body)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
        return None


def _trust(ca: Path | None) -> ssl.SSLContext | bool:
    """How the server is verified: by these roots, or by the system's."""
    return ssl.create_default_context(cafile=str(ca)) if ca is not None else True


def _parse(data: bytes) -> list[jwt.PyJWK]:
    """The usable keys of a set: asymmetric, for signatures. Raises ValueError when it isn't a key set or none is."""
    document = json.loads(data)
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise ValueError('expected a JSON Web Key Set: {"keys": [...]}')
    keys = []
    for entry in entries:
        if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
            continue
        try:
            key = jwt.PyJWK(entry)
        except jwt.PyJWTError:
            # RFC 7517 section 5: keys of kinds that are not understood are ignored.
            continue
        if key.algorithm_name in ALGORITHMS:
            keys.append(key)
    if not keys:
        raise ValueError(f"no usable key; expected asymmetric ones for {', '.join(ALGORITHMS)}")
    return keys
