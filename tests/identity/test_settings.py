"""The settings of identity that say where keys are, which certificates count and who administers."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from extproc.adapters.identity import AUDIENCE, issuer_of
from extproc.config import SettingsError, parse
from extproc.config.identity import OWN_AUDIENCE, OWN_ISSUER, Identity
from extproc.config.reference import settings_yaml
from extproc.domain.principal import Kind

ISSUER = {"issuer": "https://id.test", "audience": "holdpoint"}


def test_our_own_names_are_reserved() -> None:
    """What no issuer may be called is what our own tokens say."""
    assert (OWN_AUDIENCE, issuer_of("a.test")) == (AUDIENCE, f"{OWN_ISSUER}a.test")


def text(identity: dict[str, Any]) -> bytes:
    """A configuration with this identity."""
    document: dict[str, Any] = {"version": 1, "targets": {"crm": {"upstream": "http://127.0.0.1:9001"}}}
    document["identity"] = {"agents": [ISSUER]} | identity
    if "certificates" in identity:
        names = ("certificate", "key", "client_ca")
        document["listen"] = {"tls": {name: f"{name}.pem" for name in names}}
    return yaml.safe_dump(document).encode()


def identity(folder: Path, **given: Any) -> Identity:
    """What is read of it, which is also read from what is written of it."""
    settings = parse(text(given), folder / "c.yaml", files=False)
    assert parse(settings_yaml(settings).encode(), settings.file, files=False) == settings
    return settings.identity


def test_what_may_be_left_out(tmp_path: Path) -> None:
    """Keys are discovered; no certificates count; nobody administers from afar."""
    read = identity(tmp_path, approvers=[ISSUER | {"audience": "approvals"}])
    assert (read.agents[0].jwks, read.agents[0].ca, read.certificates, read.administrators) == (None, None, (), ())
    assert (read.approvers[0].client_id, read.approvers[0].login_scopes) == (None, ("openid",))


def test_what_may_be_said(tmp_path: Path) -> None:
    """Certificates by trust domain and by name; how people log in; who administers."""
    read = identity(
        tmp_path,
        approvers=[ISSUER | {"audience": "approvals", "client_id": "cli", "login_scopes": ["openid", "groups"]}],
        certificates=[{"spiffe": "example.org", "kind": "service", "groups": ["mesh"]}, {"name": "corp-ca"}],
        administrators=["admins"],
    )
    assert [(c.spiffe, c.name, c.kind, c.groups) for c in read.certificates] == [
        ("example.org", None, Kind.SERVICE, ("mesh",)),
        (None, "corp-ca", Kind.AGENT, ()),
    ]
    assert (read.approvers[0].client_id, read.approvers[0].login_scopes) == ("cli", ("openid", "groups"))
    assert read.administrators == ("admins",)


@pytest.mark.parametrize(
    ("issuer", "discovered"),
    [
        ("https://id.test/realms/x", True),
        ("http://127.0.0.1:8080/realms/x", True),
        ("http://[::1]:8080", True),
        ("http://localhost", True),
        ("http://id.test", False),
        ("id.test", False),
        ("https://user@id.test", False),
    ],
)
def test_who_can_be_discovered(tmp_path: Path, issuer: str, discovered: bool) -> None:
    """Issuers whose discovery document nobody can replace on the way."""
    given = {"agents": [{"issuer": issuer, "audience": "a"}]}
    if discovered:
        assert identity(tmp_path, **given).agents[0].jwks is None
        return
    with pytest.raises(SettingsError, match=r"identity\.agents\[0\]\.jwks: is missing, and the issuer"):
        identity(tmp_path, **given)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"agents": [ISSUER | {"audience": "holdpoint-agent"}]}, r"agents\[0\].audience: .* gateway's own tokens"),
        ({"approvers": [ISSUER | {"audience": "holdpoint-agent"}]}, r"approvers\[0\].audience: .* gateway's own"),
        ({"agents": [ISSUER | {"issuer": "urn:holdpoint:x"}]}, r"agents\[0\].issuer: .* gateway's own"),
        ({"agents": [ISSUER | {"issuer": "a b"}]}, r"agents\[0\].issuer: .* text without spaces"),
        ({"certificates": [{}]}, r"certificates\[0\]: has neither of spiffe and name"),
        ({"certificates": [{"spiffe": "a", "name": "b"}]}, r"certificates\[0\]: has both of spiffe and name"),
        ({"certificates": [{"spiffe": "A.org"}]}, r"certificates\[0\].spiffe: .* not a SPIFFE trust domain"),
        ({"certificates": [{"spiffe": "a"}, {"spiffe": "a"}]}, "certificates: each trust domain has one entry"),
        ({"certificates": [{"name": "a"}, {"name": "b"}]}, "certificates: each trust domain has one entry"),
        ({"administrators": "admins"}, "administrators: expected a list"),
    ],
)
def test_what_is_refused(tmp_path: Path, given: dict[str, Any], expected: str) -> None:
    """Each says what would be right."""
    with pytest.raises(SettingsError, match=f"identity.{expected}"):
        parse(text(given), tmp_path / "c.yaml")
