"""What tests of identity are made of: clocks, standings, and an identity provider that can misbehave."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from extproc.access.model import AgentToken, Freeze, Password
from extproc.access.ports import AccessUnavailable
from extproc.adapters.identity import (
    AgentTokens,
    CertificateRule,
    Certificates,
    Gatekeeper,
    Provider,
    Tokens,
    issue,
    issuer_of,
)
from extproc.domain.identity import Certificate, Identified, Shown
from extproc.domain.principal import Kind, Principal
from tests.support.jwt import TokenIssuer

OURS = issuer_of("holdpoint.internal")
CERTIFICATE = Certificate("ab" * 32, "spiffe://example.org/ns/a", "a.example.org", "CN=a")


class Clock:
    """Seconds since the epoch that tests set; starts now."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


class Counts:
    """A Standing that tests set."""

    def __init__(self) -> None:
        self.tokens: dict[str, AgentToken] = {}
        self.passwords: dict[str, Password] = {}
        self.freezes: set[str] = set()
        self.broken = False

    def token(self, token_id: str) -> AgentToken | None:
        """See Standing."""
        self._look()
        return self.tokens.get(token_id)

    def password(self, password_id: str) -> Password | None:
        """See Standing."""
        self._look()
        return self.passwords.get(password_id)

    def frozen(self, principal: Principal) -> Freeze | None:
        """See Standing."""
        self._look()
        return Freeze(None, principal.subject, "x", "y", 0.0) if principal.subject in self.freezes else None

    def _look(self) -> None:
        if self.broken:
            raise AccessUnavailable("gone")


def agent_token(**changes: Any) -> AgentToken:
    """A token that was issued a minute ago and ends in an hour."""
    now = time.time()
    fields: dict[str, Any] = {
        "id": "0123456789abcdef",
        "subject": "ci-bot",
        "kind": Kind.AGENT,
        "groups": ("builders",),
        "owner": ("https://people.test", "dana"),
        "targets": ("crm",),
        "networks": None,
        "note": "",
        "issued_at": now - 60,
        "expires_at": now + 3600,
    }
    return AgentToken(**fields | changes)


@dataclass
class Door:
    """A Gatekeeper and everything behind it."""

    folder: Path
    issuer: TokenIssuer = field(default_factory=TokenIssuer)
    rules: Sequence[CertificateRule] = ()
    remember: int = 4096
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    standing: Counts = field(default_factory=Counts)
    clock: Clock = field(default_factory=Clock)
    ticks: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.jwks = Path(self.issuer.write(self.folder / "jwks.json"))
        self.pub = self.folder / "tokens.pub"
        self.pub.write_bytes(self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        self.keeper = Gatekeeper(
            Tokens([Provider(self.issuer.issuer, self.issuer.audience, self.jwks)], clock=self.clock, ticks=self.ticks),
            AgentTokens(OURS, self.pub, self.standing, clock=self.clock, ticks=self.ticks),
            Certificates(self.rules),
            self.standing,
            remember=self.remember,
            clock=self.clock,
        )

    def issued(self, **changes: Any) -> str:
        """A token of the gateway's own, which the store has."""
        token = agent_token(**changes)
        self.standing.tokens[token.id] = token
        return issue(self.key, token, OURS)

    def meet(self, *headers: tuple[str, str], certificate: Certificate | None = None, source: str = "") -> Identified:
        """Who this is, from scratch. Raises IdentityRefused."""
        return asyncio.run(self.keeper.identify(Shown(headers, certificate, source)))

    def recall(
        self, *headers: tuple[str, str], certificate: Certificate | None = None, source: str = ""
    ) -> Identified | None:
        """Who this is, from memory. Raises IdentityRefused."""
        return self.keeper.remembered(Shown(headers, certificate, source))


def bearer(token: str, header: str = "authorization") -> tuple[str, str]:
    """A Bearer header."""
    return header, f"Bearer {token}"


class KeyServer:
    """An identity provider's addresses: `/jwks` and the discovery document. Counts what it is asked."""

    def __init__(self) -> None:
        self.issuers: list[TokenIssuer] = []
        self.document: dict[str, Any] = {}
        self.asked: list[str] = []
        self.status = 200
        self.padding = ""
        self.gate: asyncio.Event | None = None
        self.arrived = asyncio.Event()

    async def answer(self, request: web.Request) -> web.Response:
        """Answer one request, once the gate, if there is one, is open."""
        self.asked.append(request.path)
        self.arrived.set()
        if self.gate is not None:
            await self.gate.wait()
        document = {"keys": [i.jwk() for i in self.issuers], "padding": self.padding}
        found = document if request.path == "/jwks" else self.document
        return web.json_response(found, status=self.status, headers={"Location": "/jwks"})

    @asynccontextmanager
    async def serving(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
        """Serve on the loopback; gives the address of its root, by the name `localhost` where it is https."""
        app = web.Application()
        app.router.add_get("/{path:.*}", self.answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        try:
            port = runner.addresses[0][1]
            root = f"https://localhost:{port}" if tls else f"http://127.0.0.1:{port}"
            self.document = {"issuer": root, "jwks_uri": f"{root}/jwks"}
            yield root
        finally:
            if self.gate is not None:
                self.gate.set()
            await runner.cleanup()
