"""The keyed hash that an approval binds to."""

import hashlib
from collections.abc import Iterable


def keyed(key: bytes, parts: Iterable[str], body: bytes = b"") -> str:
    """BLAKE2b-256, keyed (at most 64 bytes), in hex, over the parts and then the body.

    Each part goes in with its length before it, so that no two different requests give the same input."""
    said: list[bytes] = []
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        said += (len(data).to_bytes(8, "big"), data)
    said.append(body)
    return hashlib.blake2b(b"".join(said), key=key, digest_size=32).hexdigest()
