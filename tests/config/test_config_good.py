"""What a good file comes to."""

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from extproc.config import Address, Credential, Inspection, Url, load, parse
from extproc.domain.decision import Recording
from extproc.domain.principal import Kind
from extproc.domain.target import Inspect, Protocol, Target

MINIMAL = """\
version: 1
identity:
  agents: [{issuer: "https://login.example.com", audience: agents, jwks: keys.json}]
targets:
  crm: {upstream: "http://127.0.0.1:9001"}
"""


def test_minimal_file_gets_every_default(home: Path) -> None:
    """What is left out has the documented default, and paths start at the file's folder."""
    (home / "c.yaml").write_text(MINIMAL)
    settings = load(home / "c.yaml")
    assert (settings.version, settings.workers, settings.state) == (1, 2, home / ".holdpoint")
    assert settings.file == home / "c.yaml"
    assert settings.listen.address == Address("127.0.0.1", 8080)
    assert settings.listen.control == home / ".holdpoint/run/control.sock"
    assert settings.listen.tls is None
    (agents,) = settings.identity.agents
    assert (agents.jwks, agents.kind, agents.groups_claim) == (home / "keys.json", Kind.AGENT, "groups")
    assert settings.identity.approvers == ()
    (crm,) = settings.targets
    assert crm.target == Target(
        "crm", Protocol.HTTP, "production", Inspect.FULL, 1 << 20, 4.0, crm.revision, Recording.HEAD
    )
    assert (crm.host, crm.upstream, crm.credential) == ("crm.holdpoint.internal", Url("http", "127.0.0.1", 9001), None)
    assert settings.policy.managed
    assert (settings.policy.path, settings.policy.deadline_seconds) == (None, 0.25)
    assert settings.audit.otlp == Url("http", "127.0.0.1", 4318)
    assert settings.audit.sync_seconds == 0.02


def test_full_file_is_read(home: Path) -> None:
    """Every notation that a setting has is understood."""
    settings = parse(
        b"""
version: 1
state: s
workers: 64
listen: {address: "[::1]:443", ops: 0.0.0.0:9000, domain: gw.test, control: c.sock,
  tls: {certificate: tls.crt, key: tls.key}}
identity:
  agents: [{issuer: spiffe://x, audience: a, jwks: "https://x/keys", kind: service, groups_claim: roles}]
  approvers: [{issuer: https://x, audience: b, jwks: keys.json}]
targets:
  a: {upstream: "https://A.test/v1/", credential: token, ca: tls.crt, inspect: stream, wait: 1s, environment: e-1}
  b: {upstream: "http://[::2]", credential: {file: token, header: X-Key}, inspect: 64 KiB, wait: 3540s, host: b.test}
policy: {path: folder, data: keys.json, engine: "unix:///opa.sock", deadline: 1s, token: token}
audit: {otlp: null, sync: 0s, jaeger: ~}
""",
        home / "c.yaml",
    )
    a, b = settings.targets
    assert settings.listen.address == Address("::1", 443)
    assert settings.listen.control == home / "c.sock"
    assert settings.identity.agents[0].jwks == Url("https", "x", 443, "/keys")
    assert a.upstream == Url("https", "a.test", 443, "/v1/")
    assert (str(a.upstream), a.upstream.base, a.upstream.authority) == ("https://a.test/v1/", "/v1", "a.test")
    assert a.credential == Credential(file=home / "token", header="Authorization", prefix="Bearer ")
    assert a.inspect == Inspection(Inspect.STREAM, 0)
    assert b.credential == Credential(file=home / "token", header="X-Key", prefix="")
    assert (b.inspect, b.wait_seconds, b.host) == (Inspection(Inspect.FULL, 65536), 3540.0, "b.test")
    assert settings.policy.engine == Path("/opa.sock")
    assert (settings.audit.otlp, settings.audit.jaeger, settings.audit.sync_seconds) == (None, None, 0.0)


def test_settings_are_frozen(home: Path) -> None:
    """Nobody changes what was loaded."""
    settings = parse(MINIMAL.encode(), home / "c.yaml")
    with pytest.raises(FrozenInstanceError):
        settings.workers = 3  # type: ignore[misc]


def test_files_can_be_left_alone(home: Path) -> None:
    """A person who may not read the gateway's secrets can still read its configuration."""
    text = MINIMAL.replace("keys.json", "missing.json").replace("9001", "9001', credential: 'missing").replace('"', "'")
    settings = parse(text.encode(), home / "c.yaml", files=False)
    assert settings.targets[0].credential == Credential(file=home / "missing", header="Authorization", prefix="Bearer ")


def test_authorities_of_the_system_are_the_default_for_https(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is reached over https is checked against the system's authorities, plain http against nothing."""
    monkeypatch.setenv("SSL_CERT_FILE", str(home / "tls.crt"))
    text = f"""
version: 1
identity:
  agents:
  - {{issuer: x, audience: a, jwks: "https://x/keys"}}
  - {{issuer: x, audience: b, jwks: keys.json}}
targets:
  a: {{upstream: "https://x"}}
  b: {{upstream: "http://x"}}
  c: {{upstream: "https://x", ca: {home}/tls.crt}}
  d: {{upstream: "https://x", ca: null}}
"""
    settings = parse(text.encode(), home / "c.yaml")
    assert [target.ca for target in settings.targets] == [home / "tls.crt", None, home / "tls.crt", home / "tls.crt"]
    assert [agents.ca for agents in settings.identity.agents] == [home / "tls.crt", None]
