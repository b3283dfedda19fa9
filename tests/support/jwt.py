"""Issues tokens for tests, and the JWKS that verifies them."""

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
        kept = {name: value for name, value in body.items() if value is not None}
        return jwt.encode(kept, self._key, algorithm="ES256", headers={"kid": self.kid})

    def unsigned(self, subject: str = "agent-1") -> str:
        """The same claims under `alg: none`."""
        body = {"iss": self.issuer, "aud": self.audience, "sub": subject, "exp": int(time.time()) + 300}
        return jwt.encode(body, "", algorithm="none")

    def jwks(self) -> str:
        """The public key as a JWKS document."""
        document = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self._key.public_key()))
        return json.dumps({"keys": [{**document, "kid": self.kid, "alg": "ES256", "use": "sig"}]})

    def write(self, path: Path) -> str:
        """Put the JWKS into a file, by rename; returns its path as text."""
        fresh = path.with_name(f".{path.name}.new")
        fresh.write_text(self.jwks(), encoding="utf-8")
        fresh.replace(path)
        return str(path)
