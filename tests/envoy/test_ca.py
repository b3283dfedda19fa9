"""The gateway's certificate authority: made once, kept safe, and what it signs."""

import argparse
import datetime
import json
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from extproc.adapters import ca
from extproc.adapters.ca import CaUnusable, ensure_ca, ensure_leaf, fingerprint
from extproc.cli import ca as command
from extproc.cli._common import CommandError

HOSTS = ("api.test", "crm.hp.test", "192.0.2.1", "2001:db8::1")


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A folder of keys."""
    found = tmp_path / ".holdpoint" / "keys"
    found.mkdir(parents=True)
    return found


def leaf(folder: Path, target: str) -> x509.Certificate:
    """The certificate of a target."""
    return x509.load_pem_x509_certificate((folder / f"{target}.crt").read_bytes())


def test_authority_is_made_once(keys: Path) -> None:
    """Its files are the owner's alone, and it may sign servers' certificates and nothing else."""
    first, again = ensure_ca(keys), ensure_ca(keys)
    assert first.pem == again.pem
    assert {stat.S_IMODE(file.stat().st_mode) for file in keys.iterdir()} == {0o600}
    extensions = first.certificate.extensions
    constraints = extensions.get_extension_for_class(x509.BasicConstraints)
    usage = extensions.get_extension_for_class(x509.KeyUsage).value
    assert (constraints.critical, constraints.value.ca, constraints.value.path_length) == (True, True, 0)
    assert (usage.key_cert_sign, usage.crl_sign, usage.digital_signature) == (True, False, False)
    assert isinstance(first.key.curve, ec.SECP256R1)
    life = first.certificate.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    assert 3650 <= life.days <= 3653


def test_missing_certificate_is_made_for_the_key(keys: Path) -> None:
    """A start that was cut off between the two files is made good."""
    first = ensure_ca(keys)
    (keys / "ca.crt").unlink()
    assert ensure_ca(keys).key.public_key() == first.key.public_key()


def test_unusable_authority_is_no_new_one(keys: Path, tmp_path: Path) -> None:
    """No agent would trust a new authority: what is wrong is said instead, without a word of the key."""
    ensure_ca(keys)
    key = (keys / "ca.key").read_bytes()
    other = tmp_path / "other"
    other.mkdir()
    ensure_ca(other)
    rows = [(None, "is gone"), ((other / "ca.key").read_bytes(), "not the key of"), (b"abc", "expected a private key")]
    for content, complaint in rows:
        (keys / "ca.key").unlink(missing_ok=True)
        if content is not None:
            (keys / "ca.key").write_bytes(content)
            (keys / "ca.key").chmod(0o600)
        with pytest.raises(CaUnusable, match=complaint):
            ensure_ca(keys)
    (keys / "ca.key").write_bytes(key)
    (keys / "ca.key").chmod(0o640)
    with pytest.raises(CaUnusable, match=r"ca\.key: others can read it, and may have; chmod 600"):
        ensure_ca(keys)
    (keys / "ca.key").chmod(0o600)
    (keys / "ca.crt").write_text("abc")
    with pytest.raises(CaUnusable, match="expected a certificate"):
        ensure_ca(keys)


def test_expired_authority_is_said(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its end is the user's to handle."""
    monkeypatch.setattr(ca, "CA_LIFE", datetime.timedelta(seconds=-1))
    ensure_ca(keys)
    with pytest.raises(CaUnusable, match="has expired"):
        ensure_ca(keys)


def test_leaf_is_for_its_hosts(keys: Path, tmp_path: Path) -> None:
    """A server's certificate of the authority for these hosts and addresses, good for three months."""
    authority, folder = ensure_ca(keys), tmp_path / "certs"
    assert ensure_leaf(authority, folder, "crm", HOSTS)
    certificate = leaf(folder, "crm")
    certificate.verify_directly_issued_by(authority.certificate)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["api.test", "crm.hp.test"]
    assert [str(a) for a in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.1", "2001:db8::1"]
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert life <= datetime.timedelta(days=91)
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}


def test_leaf_is_made_anew_when_it_has_to_be(keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not while it is good; for other hosts, another authority, a key that does not fit, damage, and near its end."""
    authority, folder = ensure_ca(keys), tmp_path / "certs"
    other_keys = tmp_path / "other"
    other_keys.mkdir()
    other = ensure_ca(other_keys)
    assert ensure_leaf(authority, folder, "crm", HOSTS)
    assert not ensure_leaf(authority, folder, "crm", HOSTS[::-1])
    assert ensure_leaf(authority, folder, "crm", HOSTS[1:])
    assert ensure_leaf(other, folder, "crm", HOSTS[1:])
    (folder / "crm.key").write_bytes((keys / "ca.key").read_bytes())
    assert ensure_leaf(other, folder, "crm", HOSTS[1:])
    (folder / "crm.crt").write_text("abc")
    assert ensure_leaf(other, folder, "crm", HOSTS[1:])
    assert not ensure_leaf(other, folder, "crm", HOSTS[1:])
    monkeypatch.setattr(ca, "LEAF_LIFE", datetime.timedelta(days=29))
    assert ensure_leaf(other, folder, "next", HOSTS)
    monkeypatch.undo()
    assert ensure_leaf(other, folder, "next", HOSTS)


def run(home: Path, *words: str) -> int:
    """`holdpoint ca ...` in a folder."""
    parser = argparse.ArgumentParser()
    command.register(parser.add_subparsers())
    (home / "keys.json").write_text('{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "abc"}]}')
    identity = {"issuer": "https://id.test", "audience": "a", "jwks": "keys.json"}
    document = {
        "version": 1,
        "identity": {"agents": [identity], "approvers": [{**identity, "audience": "b"}]},
        "targets": {"crm": {"upstream": "http://127.0.0.1:9001"}},
    }
    (home / "holdpoint.yaml").write_text(json.dumps(document))
    arguments = parser.parse_args(["ca", *words, "--config", str(home / "holdpoint.yaml")])
    code: int = arguments.run(arguments)
    return code


def test_command_shows_it(
    keys: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The certificate alone on stdout, to be written to a file; its fingerprint beside it; on request the system's
    authorities, or JSON."""
    with pytest.raises(CommandError, match="holdpoint up"):
        run(tmp_path, "show")
    authority = ensure_ca(keys)
    assert run(tmp_path, "show") == 0
    shown = capsys.readouterr()
    assert shown.out == authority.pem
    assert fingerprint(authority.certificate) in shown.err
    bundle = tmp_path / "system.pem"
    bundle.write_text("-----the system's-----\n")
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    assert run(tmp_path, "show", "--with-system") == 0
    assert capsys.readouterr().out == authority.pem + bundle.read_text()
    assert run(tmp_path, "show", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["pem"], document["fingerprint"]) == (authority.pem, fingerprint(authority.certificate))
