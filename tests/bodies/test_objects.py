"""The object store, asked of a real S3-compatible server."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from extproc.adapters.objects import PART_BYTES, S3Objects
from extproc.app.stores import object_store
from extproc.audit.objects import ObjectStore, ObjectStoreError
from extproc.config.audit import ObjectStoreSettings
from extproc.config.values import Url
from tests.support.gateway import free_port
from tests.support.s3 import ACCESS, BUCKET, SECRET, Cut, S3Server


@pytest.fixture
def store(s3: S3Server) -> Iterator[S3Objects]:
    """The bucket, emptied afterwards."""
    store = s3.objects()
    yield store
    for key in list(store.list()):
        store.delete(key)


def test_what_is_put_can_be_had(store: S3Objects) -> None:
    """Bytes and files; an object is replaced, listed by prefix, and deleted, twice without complaint."""
    kept: ObjectStore = store
    kept.put("bodies/ab/one.zst", b"first")
    kept.put("bodies/ab/one.zst", b"second")
    kept.put("bodies/cd/two.zst", b"")
    kept.put("other", b"x")
    assert b"".join(kept.get("bodies/ab/one.zst")) == b"second"
    assert b"".join(kept.get("bodies/cd/two.zst")) == b""
    assert (kept.exists("other"), kept.exists("othe"), kept.exists("bodies")) == (True, False, False)
    assert list(kept.list()) == ["bodies/ab/one.zst", "bodies/cd/two.zst", "other"]
    assert list(kept.list("bodies/")) == ["bodies/ab/one.zst", "bodies/cd/two.zst"]
    assert list(kept.list("bodies/ab/on")) == ["bodies/ab/one.zst"]
    assert list(kept.list("nothing")) == []
    kept.delete("other")
    kept.delete("other")
    assert not kept.exists("other")


def test_keys_stand_below_the_prefix(s3: S3Server, store: S3Objects) -> None:
    """Two gateways share a bucket and see nothing of each other."""
    other = s3.objects(prefix="gateway-2/")
    store.put("a", b"mine")
    assert (other.exists("a"), list(other.list())) == (False, [])
    assert (s3.folder / BUCKET / "gateway-1" / "a").read_bytes() == b"mine"


def test_a_large_file_goes_in_parts(store: S3Objects, tmp_path: Path) -> None:
    """And is read back in pieces."""
    file = tmp_path / "large"
    file.write_bytes(content := os.urandom(2 * PART_BYTES + 12345))
    store.put("large", file)
    pieces = list(store.get("large"))
    assert (b"".join(pieces) == content, len(pieces) > 10) == (True, True)


def test_a_checkpoint_is_never_replaced(store: S3Objects) -> None:
    """The store itself refuses the second writer."""
    store.put_new("checkpoint", b"1")
    with pytest.raises(ObjectStoreError, match="there is one already"):
        store.put_new("checkpoint", b"2")
    assert b"".join(store.get("checkpoint")) == b"1"


WRONG = {
    "no such bucket": ({"bucket": "nobody-has-this"}, "the store has no such bucket"),
    "another secret": ({"secret_key": "another-secret"}, "the store refuses this access key"),
    "another key": ({"access_key": "another-key"}, "the store says XAdminUserNotFound"),
    "nobody there": ({"endpoint": f"http://127.0.0.1:{free_port()}"}, "error"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said(s3: S3Server, case: str) -> None:
    """With the store and the object, and without the key. A wrong bucket is never an object that is not there."""
    changed, why = WRONG[case]
    store = s3.objects(**changed)
    asked = (
        lambda: store.put("a", b"x"),
        lambda: list(store.get("a")),
        lambda: store.delete("a"),
        lambda: list(store.list()),
        lambda: store.put_new("a", b"x"),
    )
    for ask in asked:
        with pytest.raises(ObjectStoreError, match=why) as caught:
            ask()
        assert SECRET not in str(caught.value)
    with pytest.raises(ObjectStoreError):
        store.exists("a")


@pytest.mark.parametrize("endpoint", ["nonsense", "127.0.0.1:9000", "ftp://127.0.0.1"])
def test_an_address_that_is_none(s3: S3Server, endpoint: str) -> None:
    """Is refused before anything is asked."""
    with pytest.raises(ObjectStoreError, match="expected http:// or https://"):
        s3.objects(endpoint=endpoint)


@pytest.mark.parametrize("key", ["", "a b", "a\n", "schlüssel"])
def test_a_key_that_is_none(s3: S3Server, key: str) -> None:
    """The same."""
    for name in ("access_key", "secret_key"):
        with pytest.raises(ObjectStoreError, match="a key is empty"):
            s3.objects(**{name: key})


def test_an_upload_that_breaks_leaves_nothing(s3: S3Server, store: S3Objects, tmp_path: Path) -> None:
    """In its middle: the object is not there, and a later attempt puts it there whole."""
    file = tmp_path / "large"
    file.write_bytes(os.urandom(3 * PART_BYTES))
    cut = Cut(s3.port, PART_BYTES)
    broken = s3.objects(endpoint=f"http://127.0.0.1:{cut.port}")
    try:
        broken.put("large", file)
    except ObjectStoreError:
        assert not store.exists("large")
        broken.put("large", file)
    finally:
        cut.close()
    assert cut.broke.is_set()
    assert b"".join(store.get("large")) == file.read_bytes()


def test_a_store_that_comes_back(tmp_path: Path) -> None:
    """A client needs no new start."""
    with S3Server(tmp_path) as server:
        store = server.objects()
        store.put("a", b"1")
        server.kill()
        with pytest.raises(ObjectStoreError):
            store.put("b", b"2")
        server.start()
        store.put("b", b"2")
        assert list(store.list()) == ["a", "b"]


def certified(folder: Path) -> tuple[Path, Path, Path]:
    """An authority's certificate, one of its for `localhost`, and that one's key."""
    now, day = datetime.now(UTC), timedelta(days=1)
    authority, server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "the company's own")])

    def builder(key: ec.EllipticCurvePrivateKey, name: x509.Name) -> x509.CertificateBuilder:
        fresh = x509.CertificateBuilder().issuer_name(issuer).subject_name(name).public_key(key.public_key())
        fresh = fresh.serial_number(x509.random_serial_number())
        return fresh.not_valid_before(now - day).not_valid_after(now + day)

    above = builder(authority, issuer).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    below = builder(server, x509.Name([])).add_extension(names, critical=True)
    pem = serialization.Encoding.PEM
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    found = {
        "ca.pem": above.sign(authority, hashes.SHA256()).public_bytes(pem),
        "server.pem": below.sign(authority, hashes.SHA256()).public_bytes(pem),
        "server.key": server.private_bytes(pem, form, plain),
    }
    for name, content in found.items():
        (folder / name).write_bytes(content)
    return folder / "ca.pem", folder / "server.pem", folder / "server.key"


def test_a_store_under_an_authority_of_ones_own(tmp_path: Path) -> None:
    """It is believed where its authority is named, and nowhere else."""
    ca, certificate, key = certified(tmp_path)
    with S3Server(tmp_path / "store", (certificate, key)) as server:
        endpoint = f"https://localhost:{server.port}"
        believing = server.objects(endpoint=endpoint, ca=ca.read_bytes())
        believing.put("a", b"1")
        assert b"".join(believing.get("a")) == b"1"
        with pytest.raises(ObjectStoreError):
            server.objects(endpoint=endpoint).put("a", b"1")
    with pytest.raises(ObjectStoreError, match="PEM"):
        server.objects(ca=b"no certificate")


def test_the_store_of_the_configuration(s3: S3Server, tmp_path: Path) -> None:
    """Its keys come from files; one that is not there is named."""
    access, secret = tmp_path / "id", tmp_path / "key"
    access.write_text(f"{ACCESS}\n")
    secret.write_text(f"{SECRET}\n")
    endpoint = Url("http", "127.0.0.1", s3.port)
    settings = ObjectStoreSettings(
        endpoint=endpoint, bucket=BUCKET, region="us-east-1", prefix="x/", access_key=access, secret_key=secret, ca=None
    )
    store = object_store(settings)
    store.put("a", b"1")
    assert list(store.list()) == ["a"]
    store.delete("a")
    secret.unlink()
    with pytest.raises(ObjectStoreError, match=str(secret)):
        object_store(settings)
