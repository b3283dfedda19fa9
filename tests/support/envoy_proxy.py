"""A client of the forward proxy."""

import ssl
from pathlib import Path

from tests.support.envoy import Gateway


def inside(
    gateway: Gateway, authority: str, name: str | None, *, alpn: str = "http/1.1", ca: Path | None = None
) -> ssl.SSLSocket:
    """A TLS connection to the name through a tunnel to the authority. Raises ssl.SSLError and ConnectionError."""
    context = ssl.create_default_context(cafile=str(ca or gateway.state / "keys" / "ca.crt"))
    context.check_hostname = name is not None
    context.set_alpn_protocols([alpn])
    raw = gateway.tunnel(authority)
    try:
        return context.wrap_socket(raw, server_hostname=name)
    except OSError:
        raw.close()
        raise
