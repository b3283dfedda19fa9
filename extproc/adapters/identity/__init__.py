"""Who somebody is: tokens of identity providers, the gateway's own tokens, client certificates."""

from extproc.adapters.identity.agent_tokens import AUDIENCE, AgentTokens, issue, issuer_of, key_id, signer
from extproc.adapters.identity.certificates import NAMED, SPIFFE, CertificateRule, Certificates
from extproc.adapters.identity.people import Approvers
from extproc.adapters.identity.verify import Provider, Tokens
from extproc.adapters.identity.who import Gatekeeper

__all__ = [
    "AUDIENCE",
    "NAMED",
    "SPIFFE",
    "AgentTokens",
    "Approvers",
    "CertificateRule",
    "Certificates",
    "Gatekeeper",
    "Provider",
    "Tokens",
    "issue",
    "issuer_of",
    "key_id",
    "signer",
]
