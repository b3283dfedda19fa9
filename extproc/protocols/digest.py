"""The keyed hash that an approval binds to."""

import hashlib
from collections.abc import Iterable


def keyed(key: bytes, parts: Iterable[str], body: bytes = b"") -> str:
    """BLAKE2b-256, keyed (at most 64 bytes), in hex, over the parts and then the body.

    Each part goes in with its length before it, so that no two different requests give the same input."""
    h = hashlib.blake2b(key=key, digest_size=32)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        h.update(len(data).to_bytes(8, "big"))
        h.update(data)
    h.update(body)
    return h.hexdigest()
