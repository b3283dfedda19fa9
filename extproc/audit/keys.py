"""The keys that seal the journal: Ed25519, a private one for its writers and a public one for whoever verifies."""

import os
from base64 import b64decode, b64encode
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey


class KeyUnusable(ValueError):
    """A key file does not hold what it should. The message says which and what would be right."""


class BadSignature(ValueError):
    """A signature is not of this key over this text, or its key is not known."""


def key_id(key: Ed25519PublicKey) -> str:
    """The name of a key: the first 16 hex digits of the SHA-256 of its 32 bytes."""
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return sha256(raw).hexdigest()[:16]


class Signer:
    """Signs texts with one key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = key.public_key()
        self.key_id = key_id(self.public)

    @classmethod
    def load(cls, path: Path) -> Self:
        """The key in a PEM file (PKCS #8, not encrypted). Raises OSError and KeyUnusable."""
        try:
            key = serialization.load_pem_private_key(path.read_bytes(), None)
        except (ValueError, TypeError) as error:
            raise KeyUnusable(f"{path}: not a private key in PEM: {error}") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise KeyUnusable(f"{path}: expected an Ed25519 key (openssl genpkey -algorithm ed25519)")
        return cls(key)

    def sign(self, text: str) -> str:
        """The signature of a text, in base64."""
        return b64encode(self._key.sign(text.encode())).decode()


class PublicKeys:
    """Checks signatures of keys that are trusted, old ones among them."""

    def __init__(self, keys: Iterable[Ed25519PublicKey]) -> None:
        self._keys = {key_id(key): key for key in keys}

    @classmethod
    def load(cls, paths: Iterable[Path]) -> Self:
        """The keys in PEM files. Raises OSError and KeyUnusable."""
        return cls(_public(path) for path in paths)

    @property
    def ids(self) -> frozenset[str]:
        """The names of the keys."""
        return frozenset(self._keys)

    def verify(self, key: str, text: str, signature: str) -> None:
        """Raises BadSignature where it is not the signature of the key with this name."""
        known = self._keys.get(key)
        if known is None:
            raise BadSignature(f"signed by key {key[:64]!r}, which is not among the public keys given")
        try:
            known.verify(b64decode(signature, validate=True), text.encode())
        except (InvalidSignature, ValueError):
            raise BadSignature(f"not a signature of key {key} over what stands there") from None


def make(private: Path, public: Path) -> Signer:
    """A new key pair: `private` for its owner alone, whole or not at all, and `public` beside it. Raises OSError,
    FileExistsError where there is a private key already."""
    key = Ed25519PrivateKey.generate()
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    _write(private, key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain), 0o600)
    publish(Signer(key), public)
    return Signer(key)


def publish(signer: Signer, public: Path) -> None:
    """Write the signer's public key, in place of what is there. Raises OSError."""
    pem = signer.public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    public.unlink(missing_ok=True)
    _write(public, pem, 0o644)


def _write(path: Path, content: bytes, mode: int) -> None:
    # Linked rather than renamed: a key that is there is never replaced.
    fresh = path.with_suffix(path.suffix + ".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        os.link(fresh, path)
    finally:
        fresh.unlink()


def _public(path: Path) -> Ed25519PublicKey:
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except ValueError:
        raise KeyUnusable(f"{path}: not a public key in PEM, as keys/audit.pub of a state folder is") from None
    if not isinstance(key, Ed25519PublicKey):
        raise KeyUnusable(f"{path}: expected an Ed25519 key")
    return key
