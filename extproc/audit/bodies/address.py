"""How a body is named: by its content, and by a key, so that nobody without it can tell whose content that would be."""

import hmac
import re
from hashlib import sha256
from pathlib import Path

SALT_BYTES = 32
SUFFIX = ".zst"
_ADDRESS = re.compile(r"[0-9a-f]{64}")


def salt_of(key: bytes, digest: bytes) -> bytes:
    """The salt of content with this SHA-256: what makes its address nobody's guess."""
    return hmac.digest(key, digest, "sha256")


def address_of(salt: bytes, digest: bytes) -> str:
    """The address of content with this SHA-256: SHA-256 over salt and digest, in hex."""
    return sha256(salt + digest).hexdigest()


def is_address(text: str) -> bool:
    """Whether this can be one: it becomes part of a path."""
    return _ADDRESS.fullmatch(text) is not None


def place(folder: Path, address: str) -> Path:
    """Where a body lies. Raises ValueError for what is no address."""
    return folder / name(address)


def name(address: str) -> str:
    """The same, below whatever folder or bucket holds bodies. Raises ValueError for what is no address."""
    if not is_address(address):
        raise ValueError(f"{address[:80]!r} is no body's address: expected 64 hexadecimal digits")
    return f"{address[:2]}/{address}{SUFFIX}"
