"""Tickets: who opened a tunnel, told to whoever serves the requests inside it.

A tunnel is opened with CONNECT, which carries the identity; the requests in it come on another (internal) listener,
perhaps to another worker. The worker that lets the tunnel open signs a statement; Envoy keeps it with the tunnel's
connection and puts it on each request. It never leaves the gateway: Envoy takes it off before an upstream or an agent
could see it, and a forged one has no valid signature.
"""

import base64
import hashlib
import hmac
from dataclasses import replace
from functools import lru_cache
from math import inf

import orjson

from extproc.approvals.codec import dump_principal, load_principal
from extproc.domain.identity import IdentityRefused
from extproc.domain.principal import Principal

TUNNEL_SECONDS = 3600.0
"""How long a tunnel vouches for who opened it: requests inside show no credential that could be verified anew."""

_MAC_BYTES = 32
_REMEMBERED = 4096


class Tickets:
    """Signs and reads tickets with one key, which all workers share (32 bytes or more)."""

    def __init__(self, key: bytes) -> None:
        # A key of their own: a ticket's signature can never be some action's digest.
        self._key = hashlib.blake2b(b"tunnel tickets", key=key[:64], digest_size=32).digest()
        self._read = lru_cache(_REMEMBERED)(self._open)

    def sign(self, principal: Principal, target: str, source: str) -> str:
        """The ticket of a tunnel that this principal opened to this target, from this address. What it vouches for ends
        with the principal's `expires_at`; see `lent`."""
        body = orjson.dumps([target, source, dump_principal(principal)])
        return base64.urlsafe_b64encode(self._mac(body) + body).decode()

    def read(self, ticket: str) -> tuple[str, Principal, str]:
        """The tunnel's target, who opened it, and from which address. Raises IdentityRefused for one not ours."""
        return self._read(ticket)

    def _open(self, ticket: str) -> tuple[str, Principal, str]:
        try:
            data = base64.b64decode(ticket, altchars=b"-_", validate=True)
            mac, body = data[:_MAC_BYTES], data[_MAC_BYTES:]
            if not hmac.compare_digest(mac, self._mac(body)):
                raise IdentityRefused("the tunnel's ticket is not ours")
            target, source, text = orjson.loads(body)
            return target, load_principal(text), source
        except (ValueError, TypeError) as error:
            raise IdentityRefused("the tunnel's ticket can't be read") from error

    def _mac(self, body: bytes) -> bytes:
        return hmac.digest(self._key, body, "sha256")


def lent(principal: Principal, now: float) -> Principal:
    """The principal for as long as a tunnel that it opens now (seconds since the epoch) may vouch for it."""
    return replace(principal, expires_at=min(principal.expires_at or inf, now + TUNNEL_SECONDS))
