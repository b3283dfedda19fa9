"""The demo's two identity providers, for agents and for people. A token of one is none of the other."""

import json
import time
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

AGENT_ISSUER = "https://agents.demo.holdpoint.internal"
AGENT_AUDIENCE = "holdpoint"
AGENT_SUBJECT = "support-assistant"
AGENT_GROUPS = ("support-agents",)

APPROVER_ISSUER = "https://people.demo.holdpoint.internal"
APPROVER_AUDIENCE = "holdpoint-approvals"
APPROVER_SUBJECT = "dana"
APPROVER_GROUPS = ("finance",)

# Issues and revokes agent tokens (identity.administrators).
OPERATOR_SUBJECT = "omar"
OPERATOR_GROUPS = ("operators",)

# Reads the trail and takes evidence away (audit.roles).
AUDITOR_SUBJECT = "quinn"
AUDITOR_GROUPS = ("auditors",)

LIFETIME_SECONDS = 12 * 3600


@dataclass(frozen=True, slots=True)
class Issuer:
    """One identity provider: its name, its key (in memory only), and whom its tokens are for."""

    name: str
    audience: str
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def create(cls, name: str, audience: str) -> "Issuer":
        """A provider with a fresh P-256 key."""
        return cls(name, audience, ec.generate_private_key(ec.SECP256R1()))

    def key_set(self) -> str:
        """The public key as a JSON Web Key Set."""
        public: dict[str, Any] = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self.key.public_key()))
        return json.dumps({"keys": [public | {"kid": "demo", "alg": "ES256", "use": "sig"}]})

    def token(self, subject: str, groups: tuple[str, ...]) -> str:
        """A signed token for `subject`, valid for LIFETIME_SECONDS from now."""
        now = int(time.time())
        claims = {
            "iss": self.name,
            "aud": self.audience,
            "sub": subject,
            "groups": list(groups),
            "iat": now,
            "nbf": now - 5,
            "exp": now + LIFETIME_SECONDS,
        }
        return jwt.encode(claims, self.key, algorithm="ES256", headers={"kid": "demo"})
