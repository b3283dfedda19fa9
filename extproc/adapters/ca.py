"""The gateway's own certificate authority, and the certificates that intercepted tunnels show.

An agent that uses the gateway as its forward proxy trusts this authority, and with it the gateway for every name that
the agent asks for: its key must stay here. It can sign servers' certificates only, and each is for one target's hosts.
"""

import contextlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from extproc.adapters.envoy.replace import replace_file

CA_KEY = "ca.key"
CA_CERTIFICATE = "ca.crt"
CA_LIFE = timedelta(days=3652)
LEAF_LIFE = timedelta(days=90)
# Clocks differ: a certificate counts from a while ago.
_SKEW = timedelta(hours=1)
_PEM = serialization.Encoding.PEM


class CaUnusable(Exception):
    """The authority's files can't be used. The message names the file and what to do."""


@dataclass(frozen=True, slots=True)
class Ca:
    """The authority: its certificate, and the key that signs."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> str:
        """The certificate, as clients want it."""
        return self.certificate.public_bytes(_PEM).decode()


def ensure_ca(keys: Path) -> Ca:
    """The authority whose files, `ca.key` and `ca.crt`, are in the folder of keys; made on the first call.

    P-256, which every client can verify. Raises CaUnusable and OSError. A key without a certificate gets one; a
    certificate without its key is an error, because a new authority is one that no agent trusts yet.
    """
    key_file, file = keys / CA_KEY, keys / CA_CERTIFICATE
    if file.exists():
        return _loaded(file, key_file)
    if key_file.exists():
        key = _load_key(key_file)
    else:
        key = ec.generate_private_key(ec.SECP256R1())
        replace_file(key_file, _private(key))
    ca = Ca(_root(key), key)
    replace_file(file, ca.pem.encode())
    return ca


def read_certificate(keys: Path) -> x509.Certificate:
    """The authority's certificate alone. Raises CaUnusable where it is unreadable, FileNotFoundError where there is
    none yet."""
    return _load_certificate(keys / CA_CERTIFICATE)


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of a certificate as people compare it: pairs of hex digits with colons."""
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def ensure_leaf(ca: Ca, folder: Path, target: str, hosts: Sequence[str]) -> bool:
    """Keep `<target>.crt` and `<target>.key` in the folder good for these hosts (names, or IP addresses without
    brackets); True if they were made anew. That happens when the hosts or the authority changed, or a third of the
    certificate's life is left. Raises OSError."""
    file, key_file = folder / f"{target}.crt", folder / f"{target}.key"
    names = [_general_name(host) for host in dict.fromkeys(hosts)]
    if _good(ca, file, key_file, names):
        return False
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _leaf(ca, key, target, names)
    # Envoy takes neither while they do not fit, and goes on with what it has.
    replace_file(key_file, _private(key))
    replace_file(file, certificate.public_bytes(_PEM))
    return True


def _good(ca: Ca, file: Path, key_file: Path, names: list[x509.GeneralName]) -> bool:
    with contextlib.suppress(FileNotFoundError, CaUnusable, x509.ExtensionNotFound, InvalidSignature, ValueError):
        certificate = _load_certificate(file)
        certificate.verify_directly_issued_by(ca.certificate)
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        left = certificate.not_valid_after_utc - datetime.now(UTC)
        fits = _load_key(key_file).public_key() == certificate.public_key()
        return fits and set(found) == set(names) and left > LEAF_LIFE / 3
    return False


def _root(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    # Its own name for each gateway: a client that trusts two tells them apart.
    name = _name(f"Holdpoint gateway {identifier.digest.hex()[:8]}")
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = _builder(name, name, key, CA_LIFE)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(usage, critical=True)
    return builder.sign(key, hashes.SHA256())


def _leaf(ca: Ca, key: ec.EllipticCurvePrivateKey, target: str, names: list[x509.GeneralName]) -> x509.Certificate:
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.key.public_key())
    builder = _builder(_name(f"Holdpoint target {target}"[:64]), ca.certificate.subject, key, LEAF_LIFE)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(usage, critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    builder = builder.add_extension(authority, critical=False)
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(ca.key, hashes.SHA256())


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, life: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _loaded(file: Path, key_file: Path) -> Ca:
    certificate = _load_certificate(file)
    try:
        key = _load_key(key_file)
    except FileNotFoundError:
        raise CaUnusable(
            f"{key_file} is gone and {file} is there; bring the key back, or remove {file} too and have every agent "
            "trust the new authority"
        ) from None
    if key.public_key() != certificate.public_key():
        raise CaUnusable(f"{key_file} is not the key of {file}; bring back the one that belongs to it")
    if certificate.not_valid_after_utc <= datetime.now(UTC):
        raise CaUnusable(f"{file} has expired; remove it, and have every agent trust the new one")
    return Ca(certificate, key)


def _load_certificate(file: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(file.read_bytes())
    except ValueError as error:
        raise CaUnusable(f"{file}: expected a certificate in PEM: {error}") from None


def _load_key(file: Path) -> ec.EllipticCurvePrivateKey:
    if file.stat().st_mode & 0o077:
        raise CaUnusable(f"{file}: others can read it, and may have; chmod 600 {file}, or make a new authority")
    try:
        key = serialization.load_pem_private_key(file.read_bytes(), None)
    except (ValueError, TypeError):
        # Its content is nothing to quote from.
        raise CaUnusable(f"{file}: expected a private key in PEM, without a password") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise CaUnusable(f"{file}: expected an elliptic curve key")
    return key


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
