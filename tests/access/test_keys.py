"""The keys that sign tokens."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from extproc.adapters.access_keys import ensure_token_keys


def pair(folder: Path) -> tuple[bytes, bytes]:
    """What is in both files."""
    private, public = ensure_token_keys(folder)
    return private.read_bytes(), public.read_bytes()


def test_a_pair_is_made_once(folder: Path) -> None:
    """It fits, its private half is its owner's alone, and no other file is left."""
    first = pair(folder)
    key, public = serialization.load_pem_private_key(first[0], None), serialization.load_pem_public_key(first[1])
    assert isinstance(key, Ed25519PrivateKey)
    assert isinstance(public, Ed25519PublicKey)
    public.verify(key.sign(b"x"), b"x")
    assert sorted(f.name for f in folder.iterdir()) == ["tokens.key", "tokens.pub"]
    assert (folder / "tokens.key").stat().st_mode & 0o777 == 0o600
    assert pair(folder) == first


def test_a_public_key_that_is_not_the_private_ones(folder: Path) -> None:
    """It is written anew, missing or another's."""
    first = pair(folder)
    (folder / "tokens.pub").write_text("another's")
    assert pair(folder) == first
    (folder / "tokens.pub").unlink()
    assert pair(folder) == first


def test_private_keys_that_are_not_used(folder: Path) -> None:
    """One that others may have read, and what is none."""
    private, _ = ensure_token_keys(folder)
    private.chmod(0o640)
    with pytest.raises(ValueError, match="chmod 600"):
        ensure_token_keys(folder)
    private.chmod(0o600)
    private.write_text("no key")
    with pytest.raises(ValueError, match="Ed25519"):
        ensure_token_keys(folder)
