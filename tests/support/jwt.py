"""Issues tokens for tests, and the JWKS that verifies them."""

import base64
import json
import time
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec


class TokenIssuer:
    """An identity provider: one ES256 key, one issuer, one audience."""

    def __init__(self, issuer: str = "https://id.test", audience: str = "holdpoint", kid: str = "k1") -> None:
        self.issuer = issuer
        self.audience = audience
        self.kid = kid
        self._key = ec.generate_private_key(ec.SECP256R1())

    def token(self, subject: str = "agent-1", *, expires_in: float = 300, **claims: Any) -> str:
        """A signed token that ends in so many seconds. `claims` add to the usual ones or replace them; None removes."""
        body = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": subject,
            "exp": int(time.time() + expires_in),
            **claims,
        }
        return self.headed({}, **body)

    def unsigned(self, subject: str = "agent-1") -> str:
        """The same claims under `alg: none`."""
        body = {"iss": self.issuer, "aud": self.audience, "sub": subject, "exp": int(time.time()) + 300}
        return jwt.encode(body, "", algorithm="none")

    def headed(self, headers: dict[str, Any], /, **claims: Any) -> str:
        """These claims and no others, signed, with these members of its header beside the usual ones; None removes."""
        signed = f"{_encoded({'alg': 'ES256', 'kid': self.kid, 'typ': 'JWT', **headers})}.{_encoded(claims)}"
        algorithm = jwt.get_algorithm_by_name("ES256")
        return f"{signed}.{_base64url(algorithm.sign(signed.encode(), self._key))}"

    def jwk(self) -> dict[str, Any]:
        """The public key."""
        document = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self._key.public_key()))
        return {**document, "kid": self.kid, "alg": "ES256", "use": "sig"}

    def jwks(self) -> str:
        """The public key as a JWKS document."""
        return json.dumps({"keys": [self.jwk()]})

    def write(self, path: Path) -> str:
        """Put the JWKS into a file, by rename; returns its path as text."""
        fresh = path.with_name(f".{path.name}.new")
        fresh.write_text(self.jwks(), encoding="utf-8")
        fresh.replace(path)
        return str(path)


def _encoded(members: dict[str, Any]) -> str:
    kept = {name: value for name, value in members.items() if value is not None}
    return _base64url(json.dumps(kept, separators=(",", ":")).encode())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
