"""tls-server-end-point, by the functions that certificates are signed with."""

import datetime
import hashlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from extproc.protocols.postgres.auth.binding import server_end_point

NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server")])
DAY = datetime.datetime(2026, 1, 1)  # noqa: DTZ001 - certificates have no zone


def builder(key: ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey) -> x509.CertificateBuilder:
    made = x509.CertificateBuilder().subject_name(NAME).issuer_name(NAME).public_key(key).serial_number(1)
    return made.not_valid_before(DAY).not_valid_after(DAY)


@pytest.mark.parametrize("function", [hashes.SHA256(), hashes.SHA384(), hashes.SHA512()])
def test_the_function_is_the_signature_s(function: hashes.HashAlgorithm) -> None:
    """RFC 5929, section 4.1, for ECDSA."""
    key = ec.generate_private_key(ec.SECP256R1())
    assert isinstance(function, hashes.SHA256 | hashes.SHA384 | hashes.SHA512)
    certificate = builder(key.public_key()).sign(key, function).public_bytes(Encoding.DER)
    assert server_end_point(certificate) == hashlib.new(function.name, certificate).digest()


def test_a_function_among_the_parameters() -> None:
    """RSASSA-PSS names it apart from itself."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pss = padding.PSS(padding.MGF1(hashes.SHA384()), padding.PSS.DIGEST_LENGTH)
    signed = builder(key.public_key()).sign(key, hashes.SHA384(), rsa_padding=pss)
    certificate = signed.public_bytes(Encoding.DER)
    assert server_end_point(certificate) == hashlib.sha384(certificate).digest()


def test_a_signature_without_a_function() -> None:
    """There is nothing to bind to."""
    key = ed25519.Ed25519PrivateKey.generate()
    assert server_end_point(builder(key.public_key()).sign(key, None).public_bytes(Encoding.DER)) is None


def test_a_function_that_is_too_weak() -> None:
    """SHA-256 takes the place of SHA-1."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    certificate = builder(key.public_key()).sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
    # sha256WithRSAEncryption becomes sha1WithRSAEncryption, wherever it stands; nobody looks at the signature.
    weak = certificate.replace(bytes.fromhex("2a864886f70d01010b"), bytes.fromhex("2a864886f70d010105"))
    assert server_end_point(weak) == hashlib.sha256(weak).digest()


@pytest.mark.parametrize("certificate", [b"", b"0", b"\x30\x82\xff\xff", b"-----BEGIN CERTIFICATE-----"])
def test_what_is_no_certificate(certificate: bytes) -> None:
    """Is an error."""
    with pytest.raises(ValueError):
        server_end_point(certificate)
