"""Remarks on configurations that are allowed and unwise."""

from pathlib import Path

from extproc.config import advice, parse


def test_advice_remarks_on_what_is_allowed_and_unwise(home: Path) -> None:
    """Clear text across the network and the lack of approvers are remarks, not mistakes."""
    minimal = b"""
version: 1
identity: {agents: [{issuer: x, audience: a, jwks: keys.json}]}
targets: {crm: {upstream: "http://127.0.0.1:9001"}}
"""
    assert advice(parse(minimal, home / "c.yaml")) == (
        "identity.approvers: nobody can approve or deny; every hold ends by expiring",
    )
    settings = parse(
        b"""
version: 1
listen: {address: 0.0.0.0:80, ops: 0.0.0.0:81}
identity:
  agents: [{issuer: x, audience: a, jwks: "https://x/keys"}]
  approvers: [{issuer: x, audience: b, jwks: "http://localhost/keys"}]
targets: {crm: {upstream: "http://x", credential: token}}
policy: {engine: "http://opa"}
audit: {otlp: "http://otlp"}
""",
        home / "c.yaml",
    )
    assert [line.partition(":")[0] for line in advice(settings)] == [
        "listen.tls",
        "listen.ops",
        "targets.crm.upstream",
        "policy.engine",
        "audit.otlp",
    ]
