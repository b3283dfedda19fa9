"""What a token says: its header and claims as values. RFC 7519 (claims), RFC 7800 and 8705 (what it is bound to),
RFC 8693 (who acts for whom), RFC 8725 (what to refuse). Every function raises IdentityRefused."""

import base64
import binascii
import hashlib
import math
import re
from collections.abc import Mapping
from typing import Any

import jwt
import orjson

from extproc.domain.identity import IdentityRefused, Why

LEEWAY_SECONDS = 30
MAX_TOKEN_CHARS = 16_384
_SHAPE = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
# RFC 9068 (access tokens), RFC 7519, JWT-SVID. Anything else says that it was made for something else.
_TYPES = frozenset({"jwt", "at+jwt", "jose"})
_JWS = jwt.PyJWS()

Claims = Mapping[str, Any]


def looks_signed(token: str) -> bool:
    """Whether a text has the shape of a signed token, which an API key of somebody else's hardly ever has."""
    return len(token) <= MAX_TOKEN_CHARS and _SHAPE.fullmatch(token) is not None


def peek(token: str) -> tuple[Claims, Claims]:
    """Header and claims, unproven, to find the keys that prove them."""
    if len(token) > MAX_TOKEN_CHARS:
        raise IdentityRefused(f"the token is longer than {MAX_TOKEN_CHARS} characters")
    if _SHAPE.fullmatch(token) is None:
        raise IdentityRefused("the token is not a signed JSON Web Token")
    header, claims, _ = token.split(".")
    return _object(header), _object(claims)


def signed(token: str, header: Claims, key: jwt.PyJWK, issuer: str) -> Claims:
    """The claims, proven to be signed by this key with the algorithm that the key is for."""
    if "crit" in header:
        raise IdentityRefused("the token demands extensions (crit) that are not understood")
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower().removeprefix("application/") not in _TYPES:
        raise IdentityRefused("the token's type (typ) says that it is not an access token")
    try:
        payload = _JWS.decode_complete(token, key, algorithms=[key.algorithm_name])["payload"]
        claims = orjson.loads(payload)
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise IdentityRefused(f"the token's signature is not by a key of {issuer}") from None
    if not isinstance(claims, dict):
        raise IdentityRefused("the token is not a signed JSON Web Token")
    return claims


def ends(claims: Claims, now: float, leeway: float = LEEWAY_SECONDS) -> float:
    """When the token ends, in seconds since the epoch; it counts now. At its end, `leeway` seconds are
    allowed for other clocks."""
    end = _time(claims, "exp")
    if end is None:
        raise IdentityRefused("the token lacks the claim exp")
    if end + leeway <= now:
        raise IdentityRefused("the token has expired; get a new one", Why.EXPIRED)
    for name in ("nbf", "iat"):
        start = _time(claims, name)
        if start is not None and start > now + LEEWAY_SECONDS:
            raise IdentityRefused("the token is not valid yet (nbf or iat lies ahead)")
    return end


def subject(claims: Claims, what: str = "the token's subject (sub)") -> str:
    """Whom the claims name: text that a person could read."""
    value = claims.get("sub")
    if value is None:
        raise IdentityRefused("the token lacks the claim sub")
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise IdentityRefused(f"{what} is empty, or no plain text")
    return value


def actor(claims: Claims, issuer: str) -> str | None:
    """Who acts in the subject's place, or None. Of nested ones the outermost acts now (RFC 8693, section 4.1)."""
    if "act" not in claims:
        return None
    act = claims["act"]
    if not isinstance(act, Mapping):
        raise IdentityRefused("the token has an act claim without a sub")
    if act.get("iss", issuer) != issuer:
        # Named by this token's issuer, it would be taken for whoever has that subject there.
        raise IdentityRefused("the token's actor (act) is of another issuer")
    return subject(act, "the subject of the token's actor (act)")


def audiences(claims: Claims) -> frozenset[str]:
    """Whom the token is for."""
    value = claims.get("aud")
    return frozenset(a for a in (value if isinstance(value, list) else [value]) if isinstance(a, str))


def claim(claims: Claims, path: str) -> Any:
    """A claim by its name (also one with dots, such as an address), or by a path of names into objects."""
    if path in claims:
        return claims[path]
    value: Any = claims
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def bound_to(claims: Claims) -> str | None:
    """The digest (hex) of the certificate without which the token proves nothing, or None for a bearer's token.
    A token that is bound to anything else is refused: we could not tell a thief's."""
    if "cnf" not in claims:
        return None
    confirmation = claims["cnf"]
    digest = confirmation.get("x5t#S256") if isinstance(confirmation, Mapping) else None
    if not isinstance(digest, str) or len(confirmation) != 1:
        raise IdentityRefused("the token is bound (cnf) to something other than a client certificate")
    raw = _decoded(digest)
    if raw is None or len(raw) != hashlib.sha256().digest_size:
        raise IdentityRefused("the token is bound (cnf) to no SHA-256 of a certificate")
    return raw.hex()


def credential(claims: Claims, token: str, issuer: str) -> str:
    """What to call this token in records: by its id where it has one, else by what was signed. Not by its signature:
    of an elliptic curve's there is always a second one that is valid too, and it would be another credential's name."""
    jti = claims.get("jti")
    name = f"{issuer} {jti}" if isinstance(jti, str) and jti else token.rpartition(".")[0]
    return f"jwt:{hashlib.blake2b(name.encode(), digest_size=8).hexdigest()}"


def _object(part: str) -> Claims:
    raw = _decoded(part)
    try:
        value = orjson.loads(raw) if raw is not None else None
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise IdentityRefused("the token is not a signed JSON Web Token")
    return value


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None


def _time(claims: Claims, name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise IdentityRefused(f"the token's claim {name} is not a number of seconds")
    return float(value)
