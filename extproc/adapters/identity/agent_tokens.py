"""Tokens that the gateway signs for agents, and knows again: Ed25519, and an allow list (access.ports.Standing)."""

import hashlib
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from extproc.access.credentials import AGENT_TOKEN
from extproc.access.model import AgentToken
from extproc.access.ports import AccessUnavailable, Standing
from extproc.adapters.identity import claims as reading
from extproc.adapters.identity.claims import Claims
from extproc.adapters.identity.keys import KeySet
from extproc.adapters.identity.verify import Proven, under
from extproc.domain.identity import IdentityRefused, Why
from extproc.domain.principal import Principal

AUDIENCE = "holdpoint-agent"
"""The audience of the gateway's own tokens, which no other issuer's may have."""

_PEM = re.compile(rb"-----BEGIN PUBLIC KEY-----.+?-----END PUBLIC KEY-----", re.DOTALL)
_SAYS = ("aud", "exp", "groups", "iat", "iss", "jti", "kind", "networks", "owner", "sub", "targets")


def issuer_of(domain: str) -> str:
    """The issuer of the tokens of the gateway with this `listen.domain`."""
    return f"urn:holdpoint:{domain}"


def issue(key: Ed25519PrivateKey, token: AgentToken, issuer: str) -> str:
    """The signed token. It counts only once the store has it."""
    return jwt.encode(_claims(token, issuer), key, "EdDSA", {"kid": key_id(key.public_key())})


def signer(private_key: Path, issuer: str) -> Callable[[AgentToken], str]:
    """What signs tokens with the key in this PEM file, which is read now. Raises OSError and ValueError."""
    key = load_pem_private_key(private_key.read_bytes(), None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(f"{private_key}: expected an Ed25519 private key")
    return lambda token: issue(key, token, issuer)


def key_id(key: Ed25519PublicKey) -> str:
    """What a key is called in the tokens that it signed."""
    raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return hashlib.blake2b(raw, digest_size=8).hexdigest()


class AgentTokens:
    """Verifies the gateway's own tokens. Belongs to one event loop."""

    def __init__(
        self,
        issuer: str,
        public_keys: Path,
        standing: Standing,
        *,
        clock: Callable[[], float] = time.time,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        """`public_keys` is a PEM file of one key or, while they are rotated, several. Clocks as in Tokens."""
        self._issuer = issuer
        self._standing = standing
        self._clock = clock
        self._keys = KeySet(issuer, public_keys, clock=ticks, parse=_public_keys)

    def ours(self, claims: Claims) -> bool:
        """Whether claims, unproven, say that they are of such a token."""
        return claims.get("iss") == self._issuer

    async def prove(self, token: str) -> Proven:
        """What a token proves, which is what the store has of it. Raises IdentityRefused."""
        header, _ = reading.peek(token)
        claims = await under(token, header, self._keys, "this gateway")
        if reading.audiences(claims) != {AUDIENCE} or not self.ours(claims):
            raise IdentityRefused("the token is not one for agents of this gateway", Why.WRONG_AUDIENCE)
        ends = reading.ends(claims, self._clock(), leeway=0)
        known = self._known(claims.get("jti"))
        says = _claims(known, self._issuer)
        if any(claims.get(name) != says.get(name) for name in _SAYS):
            # Signed by us and yet not what we keep: one of the two was tampered with, and we can't tell which.
            raise IdentityRefused("the agent token is not what was issued under its id; ask its owner for a new one")
        principal = Principal(
            self._issuer,
            known.subject,
            known.kind,
            known.groups,
            known.owner[1],
            min(ends, known.expires_at),
            AGENT_TOKEN + known.id,
            known.targets,
        )
        if known.revoked_at is not None:
            raise IdentityRefused("this agent token was revoked; ask its owner for a new one", Why.REVOKED, principal)
        return Proven(principal, self._keys, self._keys.generation, None, known.networks)

    def _known(self, token_id: Any) -> AgentToken:
        try:
            known = self._standing.token(token_id) if isinstance(token_id, str) else None
        except AccessUnavailable as error:
            raise IdentityRefused(
                "which agent tokens count can't be told now, so none does; a fault of the gateway", Why.UNAVAILABLE
            ) from error
        if known is None:
            raise IdentityRefused("this agent token was never issued, or is forgotten; ask its owner for a new one")
        return known


def _claims(token: AgentToken, issuer: str) -> dict[str, Any]:
    """What a token says. Times are whole seconds, its end rounded down."""
    claims: dict[str, Any] = {
        "iss": issuer,
        "aud": AUDIENCE,
        "sub": token.subject,
        "jti": token.id,
        "iat": int(token.issued_at),
        "exp": int(token.expires_at),
        "kind": token.kind.value,
        "groups": list(token.groups),
        "owner": {"iss": token.owner[0], "sub": token.owner[1]},
    }
    if token.targets is not None:
        claims["targets"] = list(token.targets)
    if token.networks is not None:
        claims["networks"] = list(token.networks)
    return claims


def _public_keys(data: bytes) -> tuple[jwt.PyJWK, ...]:
    """The Ed25519 keys of a PEM file. Raises ValueError when it holds anything else, or nothing."""
    keys = []
    for block in _PEM.findall(data):
        key = load_pem_public_key(block)
        if not isinstance(key, Ed25519PublicKey):
            raise ValueError("expected Ed25519 keys")
        public: dict[str, Any] = jwt.algorithms.OKPAlgorithm.to_jwk(key, as_dict=True)
        keys.append(jwt.PyJWK({**public, "kid": key_id(key), "alg": "EdDSA"}))
    if not keys:
        raise ValueError("expected -----BEGIN PUBLIC KEY-----")
    return tuple(keys)
