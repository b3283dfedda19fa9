"""What an approval of an HTTP action binds to."""

from extproc.domain.principal import Principal
from extproc.domain.target import Target
from extproc.protocols.digest import keyed
from extproc.protocols.http.message import RequestHead


def digest(key: bytes, principal: Principal, target: Target, head: RequestHead, body: bytes) -> str:
    """The digest over who asks, of what, and everything that will be forwarded (see `protocols.digest.keyed`)."""
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
    return keyed(key, parts, body)
