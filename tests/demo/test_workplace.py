"""The demo's directory and identities: who may read what, and whose token is whose."""

import json
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import jwt
import pytest
import yaml

from examples.demo import people
from examples.demo.processes import DemoFailed
from examples.demo.workplace import Addresses, configuration, create, remove, write_configuration
from extproc.config import load

ADDRESSES = Addresses(*(f"127.0.0.1:{port}" for port in range(1, 7)))


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory for the demo; pytest's own have paths too long for unix sockets."""
    with tempfile.TemporaryDirectory(prefix="hp-") as directory:
        monkeypatch.setenv("HOLDPOINT_DEMO_DIR", directory)
        yield Path(directory)


def test_everything_but_the_way_through_is_closed_to_others(short: Path) -> None:
    """Directories are 0700, files 0600 without a newline at their end; the root can be passed and not listed."""
    place = create(None)
    write_configuration(place, configuration(ADDRESSES))
    modes = {stat.S_IMODE(path.stat().st_mode) for path in place.root.rglob("*") if path.is_dir()}
    files = [path for path in place.root.rglob("*") if path.is_file()]
    assert (stat.S_IMODE(place.root.stat().st_mode), modes) == (0o711, {0o700})
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert (place.gateway / "secrets" / "crm").read_text() == place.customer_credential
    assert place.upstream("model_server", "credential").read_text() == place.model_credential
    remove(place)
    assert not place.root.exists()


def test_the_agent_is_given_nothing_that_is_not_its_own(short: Path) -> None:
    """No credential of an upstream and no approver's token is in the agent's directory or equal to its token."""
    place = create(None)
    assert list(place.agent.iterdir()) == []
    tokens = {place.agent_token, place.approver_token, place.operator_token, place.auditor_token}
    tokens |= {place.customer_credential, place.model_credential, place.database_password}
    assert len(tokens) == 7


def test_the_configuration_is_one_that_the_gateway_reads(short: Path) -> None:
    """The product's own reader accepts it, with Jaeger and without."""
    place = create(None)
    for otlp, jaeger in ((None, None), ("127.0.0.1:7", "127.0.0.1:8")):
        document = configuration(replace(ADDRESSES, otlp=otlp, jaeger=jaeger))
        write_configuration(place, document)
        settings = load(str(place.config))
        assert [target.name for target in settings.targets] == ["crm", "models"]
        assert (settings.audit.otlp is None, settings.audit.jaeger is None) == (otlp is None, jaeger is None)
        assert yaml.safe_load(place.config.read_text()) == document


def test_the_database_is_a_target_where_there_is_one(short: Path) -> None:
    """The product's own reader accepts it; the password is a file of the gateway's."""
    place = create(None)
    document = configuration(replace(ADDRESSES, database="127.0.0.1:9", sql="127.0.0.1:10"))
    write_configuration(place, document)
    assert [target.name for target in load(str(place.config)).targets] == ["crm", "models", "crm-db"]
    assert place.database_secret.read_text() == place.database_password


def test_a_path_too_long_for_sockets_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the variable to change."""
    monkeypatch.setenv("HOLDPOINT_DEMO_DIR", str(tmp_path / ("x" * 90)))
    with pytest.raises(DemoFailed, match="HOLDPOINT_DEMO_DIR"):
        create(None)


def test_a_token_is_valid_for_its_own_audience_alone() -> None:
    """Each issuer's key set verifies its tokens; the other's does not, and neither does the other audience."""
    agents = people.Issuer.create(people.AGENT_ISSUER, people.AGENT_AUDIENCE)
    others = people.Issuer.create(people.APPROVER_ISSUER, people.APPROVER_AUDIENCE)
    token = agents.token(people.AGENT_SUBJECT, people.AGENT_GROUPS)
    key = jwt.PyJWK(json.loads(agents.key_set())["keys"][0])
    claims = jwt.decode(token, key, algorithms=["ES256"], audience=people.AGENT_AUDIENCE, issuer=people.AGENT_ISSUER)
    assert (claims["sub"], claims["groups"]) == (people.AGENT_SUBJECT, list(people.AGENT_GROUPS))
    with pytest.raises(jwt.InvalidAudienceError):
        jwt.decode(token, key, algorithms=["ES256"], audience=people.APPROVER_AUDIENCE)
    wrong = jwt.PyJWK(json.loads(others.key_set())["keys"][0])
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(token, wrong, algorithms=["ES256"], audience=people.AGENT_AUDIENCE)


def test_key_sets_hold_no_private_part() -> None:
    """What the gateway is given verifies and can't sign."""
    (key,) = json.loads(people.Issuer.create("https://one", "two").key_set())["keys"]
    assert "d" not in key
