"""The keyed hash that an approval binds to."""

import hashlib

from extproc.domain.principal import Principal
from extproc.domain.target import Target
from extproc.protocols.http.message import RequestHead


def digest(
    key: bytes,
    principal: Principal,
    target: Target,
    head: RequestHead,
    body: bytes,
) -> str:
    """BLAKE2b-256, keyed (at most 64 bytes), in hex, over who asks, of what, and everything that will be forwarded.

    Each part goes in with its length before it, so that no two different requests give the same input."""
    h = hashlib.blake2b(key=key, digest_size=32)
    parts = [
        principal.issuer,
        principal.subject,
        principal.acts_for or "",
        target.name,
        target.revision,
        head.method,
        head.host,
        head.target_path,
    ]
    pairs = head.binding_headers()
    parts.append(str(len(pairs)))
    for name, value in pairs:
        parts += (name, value)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        h.update(len(data).to_bytes(8, "big"))
        h.update(data)
    h.update(body)
    return h.hexdigest()
