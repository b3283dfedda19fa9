"""The keys that sign agent tokens and passwords: an Ed25519 pair in two files."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

PRIVATE = "tokens.key"
PUBLIC = "tokens.pub"


def exist(folder: Path) -> bool:
    """Whether this folder has a key that tokens may have been signed with."""
    return (folder / PRIVATE).exists()


def ensure_token_keys(folder: Path) -> tuple[Path, Path]:
    """The files of the private key (mode 0600) and the public one, PEM; made where they are missing, each whole or not
    at all, and the public one written anew where it is not the private one's. Raises as `read_private_key` does."""
    private, public = folder / PRIVATE, folder / PUBLIC
    if not private.exists():
        made = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        # A link, not a rename: of two processes that make one at the same time the first one's stays.
        fresh = _write(private, made, 0o600)
        try:
            with contextlib.suppress(FileExistsError):
                os.link(fresh, private)
        finally:
            fresh.unlink()
        _sync(folder)
    key = read_private_key(folder)
    theirs = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    if not public.exists() or public.read_bytes() != theirs:
        _write(public, theirs, 0o644).replace(public)
        _sync(folder)
    return private, public


def read_private_key(folder: Path) -> Ed25519PrivateKey:
    """The key that signs. Raises OSError, and ValueError where it is none, or others than its owner can read it."""
    private = folder / PRIVATE
    if private.stat().st_mode & 0o077:
        raise ValueError(f"{private}: others can read it; `chmod 600 {private}`")
    try:
        key = serialization.load_pem_private_key(private.read_bytes(), None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(f"{private}: expected an Ed25519 private key in PEM, without a password")
    return key


def read_genuine(folder: Path) -> Callable[[bytes, bytes], bool]:
    """What says whether a signature (the second) of some bytes was made with the key that signs. Raises OSError, and
    ValueError where the public key is none."""
    public = folder / PUBLIC
    key = serialization.load_pem_public_key(public.read_bytes())
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError(f"{public}: expected an Ed25519 public key in PEM")

    def genuine(data: bytes, signature: bytes) -> bool:
        with contextlib.suppress(InvalidSignature):
            key.verify(signature, data)
            return True
        return False

    return genuine


def _write(file: Path, data: bytes, mode: int) -> Path:
    """Data on the disk, in a new file beside `file`."""
    fresh = file.with_name(f".{file.name}.{os.getpid()}.new")
    fresh.unlink(missing_ok=True)
    opened = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(opened, "wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
    return fresh


def _sync(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
