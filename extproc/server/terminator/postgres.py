"""PostgreSQL connections of one worker: from Envoy's hand-over to the end of the session."""

import asyncio
import contextlib
import hashlib
import logging
import secrets
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from ipaddress import ip_address

from extproc.access.proving import Proving
from extproc.audit.codes import Code
from extproc.domain.identity import Certificate, IdentityRefused, Shown, Why
from extproc.domain.json import JSON, Document
from extproc.domain.principal import Principal
from extproc.domain.target import NOWHERE, Protocol, Target
from extproc.masking.plan import Knowledge
from extproc.protocols.connection import Tell
from extproc.protocols.postgres import context, errors
from extproc.protocols.postgres.action import Scene
from extproc.protocols.postgres.auth.client import Greeting
from extproc.protocols.postgres.auth.commands import (
    AnswerTls,
    CancelAsked,
    Command,
    FindVerifier,
    NeedIdentity,
    Ready,
    Refused,
)
from extproc.protocols.postgres.definitions import Definitions
from extproc.protocols.postgres.session import PostgresSession
from extproc.protocols.postgres.tag import Tag, label
from extproc.protocols.postgres.wire.startup import CancelRequest
from extproc.server.caps import Capped, Caps
from extproc.server.entrance import Entrance
from extproc.server.gate import Gate
from extproc.server.live import Exchanges
from extproc.server.records import Asker
from extproc.server.terminator.cancels import Cancels
from extproc.server.terminator.databases import Database, Databases
from extproc.server.terminator.dial import PostgresUpstream
from extproc.server.terminator.driver import ConnectionDriver
from extproc.server.terminator.inbox import Inbox, Left
from extproc.server.terminator.peer import Peer
from extproc.server.terminator.proxy_v2 import Announced

_GREETING_SECONDS = 60.0
"""As PostgreSQL's authentication_timeout."""

_NONCE_BYTES = 18
_NOWHERE = replace(NOWHERE, protocol=Protocol.POSTGRES)
_HANDSHAKE = b"\x16"
"""What TLS begins with, and no startup message: that would be far too long."""
_ALPN = "postgresql"
_log = logging.getLogger("holdpoint.postgres")


Tls = Callable[[], tuple[ssl.SSLContext, bytes | None] | None]
"""What clients are offered, and what binds a login to it (RFC 5929); None where there is no certificate."""


@dataclass(frozen=True, slots=True)
class PostgresTerminator:
    """server.terminator.front.Terminator. `known` gives what can be found in values, as it is now; `epoch` tells one
    life of the gateway from the next; `passwords` are the short-lived ones."""

    gate: Gate
    databases: Databases
    entrance: Entrance
    exchanges: Exchanges
    caps: Caps
    known: Callable[[], Knowledge]
    digest_key: bytes
    epoch: str
    tls: Tls
    passwords: Proving
    pool: ThreadPoolExecutor
    cancels: Cancels
    definitions: Definitions
    _serving: set[asyncio.Task[None]] = field(default_factory=set)

    def accept(self, announced: Announced) -> asyncio.Protocol:
        """See Terminator."""
        inbox = Inbox()
        return Peer(inbox, partial(self._accepted, announced, inbox))

    async def drain(self, seconds: float) -> None:
        """See Terminator. A session says of itself neither that it is idle nor for how long, so all of them end at
        once: clients take that for what it is, a server that shuts down."""
        for task in self._serving:
            task.cancel()
        if self._serving:
            await asyncio.wait(self._serving, timeout=seconds)

    def _accepted(self, announced: Announced, inbox: Inbox, peer: Peer) -> None:
        task = asyncio.get_running_loop().create_task(_Arrival(self, announced, peer, inbox).serve())
        # asyncio keeps tasks by weak references only.
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)


class _Arrival:
    """One connection, until it is a session or is turned away."""

    def __init__(self, service: PostgresTerminator, announced: Announced, peer: Peer, inbox: Inbox) -> None:
        self._service = service
        self._peer = peer
        self._inbox = inbox
        self._announced = announced
        self._greeting: Greeting | None = None
        self._server_name: str | None = None
        self._certificate: Certificate | None = None
        self._principal: Principal | None = None
        # Who it would have been, of somebody who was not let in, where that is certain.
        self._suspect: Principal | None = None
        # Whether a record tells of this connection, or one is about to.
        self._told = False

    async def serve(self) -> None:
        """To the end. Raises nothing: a fault of ours ends this connection, and no other."""
        why = Code.CLIENT_LEFT
        try:
            with self._service.gate.metrics.exchanges.track_inprogress():
                await self._serve()
        except (Left, OSError, TimeoutError) as error:
            why = Code.TIMEOUT if isinstance(error, TimeoutError) else why
            _log.debug("connection ended early", extra={"why": str(error)})
        except Exception:
            why = Code.PROCESSOR_ERROR
            _log.exception("fault in a connection")
        finally:
            if not self._told and not self._relayed:
                # Envoy's access log has it: verification holds that no connection is without a record.
                self._turned_away(why.value, None)
            self._peer.close()

    async def _serve(self) -> None:
        async with asyncio.timeout(_GREETING_SECONDS):
            ready = await self._greet()
        if ready is not None:
            await self._session(ready)

    @property
    def _relayed(self) -> bool:
        """Whether another worker has it from its client, with whatever is to be told of it."""
        return not self._source

    @property
    def _source(self) -> str:
        return self._announced.source.host if self._announced.source is not None else ""

    # -- the greeting --------------------------------------------------------------------------------------------------

    async def _greet(self) -> Ready | None:
        """Talk until the client is known. None where it was turned away, or wanted a session cancelled."""
        tls = self._service.tls()
        greeting = Greeting(secrets.token_urlsafe(_NONCE_BYTES), tls=tls is not None, secure=_loopback(self._source))
        self._greeting = greeting
        first = await self._inbox.read()
        if tls is not None and first.startswith(_HANDSHAKE):
            if not await self._start_tls(tls, first):
                return None
            first = await self._inbox.read()
        commands = greeting.feed(first)
        while True:
            for command in commands:
                more = await self._do(command)
                if isinstance(more, Ready):
                    return more
                if more is None:
                    return None
                if more:
                    commands = more
                    break
            else:
                commands = greeting.feed(await self._inbox.read())

    async def _do(self, command: Command) -> Ready | list[Command] | None:
        """Carry out one command. Gives those that follow from it, what ends the greeting, or None for an end."""
        greeting = self._greeting
        assert greeting is not None
        match command:
            case Tell(data):
                self._peer.write(data)
                return []
            case AnswerTls(accept):
                return await self._answer_tls(accept)
            case FindVerifier(user):
                return self._find_verifier(user)
            case NeedIdentity():
                return await self._identify(command)
            case Ready():
                return command
            case CancelAsked(pid, secret):
                if not self._relayed:
                    self._turned_away("cancel-request", None)
                await self._service.cancels.asked(CancelRequest(pid, secret), relayed=self._relayed)
            case Refused(data, code):
                self._peer.write(data)
                self._turned_away(code, self._suspect)
        return None

    async def _answer_tls(self, accept: bool) -> list[Command]:
        greeting, tls = self._greeting, self._service.tls()
        assert greeting is not None
        if not accept or tls is None:
            self._peer.write(b"N")
            return []
        self._peer.write(b"S")
        await self._start_tls(tls)
        return []

    async def _start_tls(self, tls: tuple[ssl.SSLContext, bytes | None], direct: bytes = b"") -> bool:
        """Go on under TLS, whose first bytes came already where the client did not ask first. False where it speaks
        another protocol within."""
        greeting, (context, binding) = self._greeting, tls
        assert greeting is not None
        self._peer.read(False)
        await self._peer.start_tls(context, server_side=True, early=direct)
        found = self._peer.transport.get_extra_info("ssl_object")
        if direct and found.selected_alpn_protocol() != _ALPN:
            # Else what a browser is made to send could be taken for a session ("Direct SSL", ALPACA).
            self._turned_away("no-alpn", None)
            return False
        self._server_name = getattr(found, "asked_for", None)
        shown = found.getpeercert(binary_form=True)
        if shown:
            self._certificate = _certificate(shown, found.getpeercert())
        greeting.tls_started(binding, certificate=self._named_by_certificate())
        return True

    def _named_by_certificate(self) -> bool:
        """Whether the certificate alone says who it is: then no password is asked for."""
        if self._certificate is None:
            return False
        try:
            self._service.entrance.identities.remembered(Shown((), self._certificate, self._source))
        except IdentityRefused as error:
            return error.why is not Why.MISSING
        return True

    def _find_verifier(self, user: str) -> list[Command]:
        greeting = self._greeting
        assert greeting is not None
        try:
            return greeting.verifier_found(self._service.passwords.verifier(user))
        except IdentityRefused as error:
            return greeting.unidentified(error.why.value, f"{error}.")

    async def _identify(self, need: NeedIdentity) -> list[Command]:
        greeting = self._greeting
        assert greeting is not None
        headers = (("authorization", f"Bearer {need.password}"),) if need.password is not None else ()
        shown = Shown(headers, self._certificate, self._source)
        try:
            if need.proven:
                self._principal = self._service.passwords.principal(need.opening.user, self._source)
            else:
                self._principal = (await self._service.entrance.identify(shown)).principal
        except IdentityRefused as error:
            self._suspect = error.principal
            return greeting.unidentified(error.why.value, f"{error}.", "" if need.proven else _hint(error.why))
        return greeting.identified()

    def _turned_away(self, code: str, principal: Principal | None) -> None:
        """Record that nobody was let in."""
        self._told = True
        body: dict[str, JSON] = {
            "request": self._announced.unique_id,
            "principal": principal.document() if principal is not None else None,
            "target": None,
            "source": {"address": self._source},
            "via": "postgres",
        }
        self._service.gate.records.turned_away(body, code, self._source, "")

    # -- the session ---------------------------------------------------------------------------------------------------

    def _database(self, asked: str) -> tuple[Database | None, str]:
        """The target that a client means, and which of its server's databases."""
        if self._server_name is not None and (found := self._service.databases.at(self._server_name)) is not None:
            # Whoever moves a client to TLS has the target's name where the database's is; a database of that very name,
            # where it may be asked for, comes first.
            means_target = asked == found.target.name and not found.has(asked)
            return found, found.name if means_target else asked
        name, _, inner = asked.partition("/")
        found = self._service.databases.named(name)
        return found, inner or (found.name if found is not None else "")

    async def _session(self, ready: Ready) -> None:
        service, principal, opening = self._service, self._principal, ready.opening
        if principal is None:
            return
        self._told = True
        database, name = self._database(opening.database)
        target = _NOWHERE if database is None else database.target
        asker = self._asker(principal, target, context.of_connection(opening.settings, opening.application_name))
        wanted = name or opening.database
        scene = Scene(principal, target, wanted, "", "", None, application=opening.application_name)
        if database is None:
            why = "No database target of this gateway has this name."
            self._refuse(
                asker, scene, "unknown-target", "3D000", why, "Name one as database: target, or target/database."
            )
            return
        if principal.targets is not None and target.name not in principal.targets:
            why = f"This credential is good for {', '.join(principal.targets) or 'no target'} only."
            self._refuse(asker, scene, "target-out-of-scope", errors.INSUFFICIENT_PRIVILEGE, why)
            return
        if not database.has(name):
            why = "This target is not for that database of its server."
            hint = f"Connect to {target.name}, or ask for the database in the target's setting `databases`."
            self._refuse(asker, scene, "database-out-of-scope", errors.INSUFFICIENT_PRIVILEGE, why, hint)
            return
        try:
            # What a connection holds and how many there are counts as for tunnels: both stay open for long.
            visited = service.gate.records.visit(asker, whole=True)
            with service.caps.exchange(principal.key, tunnel=True) as account, visited:
                settings = context.for_the_server(opening.settings)
                tag = Tag(label(asker.session, principal.subject) if database.tagged else "")
                upstream = PostgresUpstream(
                    database, name, principal, service.databases.addresses, settings, tag.name(opening.application_name)
                )
                driver: ConnectionDriver | None = None

                async def cancel() -> None:
                    if driver is not None:
                        await driver.cancel()

                with service.cancels.known(ready.version, lambda: upstream.pid, cancel) as secret:
                    session = PostgresSession(
                        scene,
                        settings,
                        service.known,
                        service.digest_key,
                        secret,
                        target.inspect_bytes,
                        tag,
                        definitions=service.definitions,
                    )
                    driver = ConnectionDriver(self._peer, session, upstream, service.gate, asker, account, service.pool)
                    with service.exchanges.under_way(driver, principal, target):
                        self._inbox.release()
                        await driver.run(session.start(), ready.rest)
        except Capped as error:
            self._refuse(asker, scene, error.code, errors.LIMIT_EXCEEDED, str(error))

    def _refuse(self, asker: Asker, scene: Scene, code: str, state: str, why: str, hint: str = "") -> None:
        """Refuse somebody known before there is an action to decide."""
        facts = scene.facts("connect")
        decision = self._service.gate.records.refused(asker, "CONNECT", scene.database, code, why, facts)
        self._peer.write(errors.fatal(state, why, f"Code {code}; decision {decision}.", hint))

    def _asker(self, principal: Principal, target: Target, trace: Document | None) -> Asker:
        request = self._announced.unique_id or secrets.token_hex(16)
        seen = repr((self._service.epoch, "postgres", request)).encode()
        session = hashlib.blake2b(seen, digest_size=16).hexdigest()
        return Asker(principal, target, session, request, self._source, {"trace": trace})


def _loopback(source: str) -> bool:
    with contextlib.suppress(ValueError):
        return ip_address(source).is_loopback
    return False


def _hint(why: Why) -> str:
    return "Give a token as the password, for example by PGPASSWORD." if why is Why.INVALID else ""


def _certificate(der: bytes, read: object) -> Certificate:
    """A certificate that TLS verified, as identities know it."""
    names = read.get("subjectAltName", ()) if isinstance(read, dict) else ()
    by_kind = dict(reversed(names))
    return Certificate(hashlib.sha256(der).hexdigest(), by_kind.get("URI", ""), by_kind.get("DNS", ""), "")
