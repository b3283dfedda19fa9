"""Certificates for tests."""

import datetime
import ipaddress
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def self_signed(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate for `localhost` with this common name, and its key, each put in place by rename."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    found = []
    for file, content in (("key.pem", private), ("cert.pem", certificate.public_bytes(pem))):
        fresh = folder / f".{file}"
        fresh.write_bytes(content)
        fresh.replace(folder / file)
        found.append(folder / file)
    return found[1], found[0]


class Authority:
    """Issues client certificates; `folder` gets `ca.pem`, `crl.pem` and each client's `<name>.pem` (both halves)."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self._builder(self._name, self._key.public_key())
        certificate = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        pem = certificate.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        (folder / "ca.pem").write_bytes(pem)
        self.revoke()

    def issue(self, name: str, *, spiffe: bool = True, hosts: Sequence[str] = ()) -> x509.Certificate:
        """A client certificate with this common name, `<name>.test` and, unless told otherwise, `spiffe://test/<name>`;
        with `hosts`, IPv4 addresses or names, a server's."""
        key = ec.generate_private_key(ec.SECP256R1())
        uris = [x509.UniformResourceIdentifier(f"spiffe://test/{name}")] if spiffe else []
        numbers = [x509.IPAddress(ipaddress.IPv4Address(host)) for host in hosts if host[-1].isdigit()]
        words = [x509.DNSName(host) for host in (f"{name}.test", *hosts) if not host[-1].isdigit()]
        names = x509.SubjectAlternativeName([*uris, *words, *numbers])
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self._builder(subject, key.public_key()).add_extension(names, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        pem = serialization.Encoding.PEM
        private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        (self.folder / f"{name}.pem").write_bytes(certificate.public_bytes(pem) + private)
        return certificate

    def revoke(self, *certificates: x509.Certificate) -> None:
        """Replace the revocation list by one of these."""
        now = datetime.datetime.now(datetime.UTC)
        day = datetime.timedelta(days=1)
        builder = x509.CertificateRevocationListBuilder().issuer_name(self._name)
        builder = builder.last_update(now - day).next_update(now + day)
        for certificate in certificates:
            gone = x509.RevokedCertificateBuilder().serial_number(certificate.serial_number).revocation_date(now - day)
            builder = builder.add_revoked_certificate(gone.build())
        fresh = self.folder / ".crl.pem"
        fresh.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        fresh.replace(self.folder / "crl.pem")

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
        )
