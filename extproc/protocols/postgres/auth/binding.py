"""Channel binding by the server's certificate: tls-server-end-point (RFC 5929, section 4)."""

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.hashes import MD5, SHA1, SHA256, Hash


def server_end_point(certificate: bytes) -> bytes | None:
    """The hash of a certificate (DER) by the function that its signature uses, SHA-256 in place of MD5 and SHA-1. None
    where there is no one such function (Ed25519), as binding is not defined for those. Raises ValueError for what is no
    certificate."""
    try:
        function = x509.load_der_x509_certificate(certificate).signature_hash_algorithm
    except UnsupportedAlgorithm:
        return None
    if function is None:
        return None
    digest = Hash(SHA256() if isinstance(function, MD5 | SHA1) else function)
    digest.update(certificate)
    return digest.finalize()
