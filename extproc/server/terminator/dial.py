"""Connecting to a PostgreSQL server and logging in, as the driver of a connection wants it."""

import asyncio
import contextlib
import logging
import secrets
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from extproc.domain.limits import UNLIMITED, Limits
from extproc.domain.principal import Principal
from extproc.protocols.postgres.auth.binding import server_end_point
from extproc.protocols.postgres.auth.failure import LoginFailed
from extproc.protocols.postgres.auth.upstream import LoggedIn, Secret
from extproc.protocols.postgres.auth.upstream import Login as LoginTo
from extproc.protocols.postgres.masks.defined import Defined
from extproc.protocols.postgres.masks.question import Question
from extproc.protocols.postgres.pinned import READ_ONLY
from extproc.protocols.postgres.session import LoggedInAs
from extproc.protocols.postgres.tag import SETTING
from extproc.protocols.postgres.wire.backend import BackendKeyData, ErrorResponse, ReadyForQuery
from extproc.protocols.postgres.wire.fields import Malformed
from extproc.protocols.postgres.wire.frame import Framer
from extproc.protocols.postgres.wire.frontend import Query
from extproc.protocols.postgres.wire.row import DATA_ROW, split_row
from extproc.protocols.postgres.wire.startup import CancelRequest, SSLRequest
from extproc.server.terminator.databases import Database, Login
from extproc.server.terminator.driver import NotConnected, Upstream
from extproc.server.terminator.inbox import Inbox, Left
from extproc.server.terminator.peer import Peer

_CONNECT_SECONDS = 10.0
_CANCEL_SECONDS = 3.0
_LEARN_SECONDS = 10.0
_LONGEST = 1 << 16
_LONGEST_ROW = 16 << 20
_NOBODY = (1 << 31) - 1
"""A process id that no server's process has. Clients take it for a positive 32-bit number."""

_WATCH = ("client_connection_check_interval", "2s")
"""Has the server look whether it runs a statement for somebody who is gone: should this very process be killed, nobody
would cancel it. Servers before 14 don't know the setting, and poolers don't pass it on."""

_log = logging.getLogger("holdpoint.postgres")


@dataclass(frozen=True, slots=True)
class _Way:
    """Where the server is, and what it takes to log in, as it was when it was read; `tls` None where there is none."""

    addresses: tuple[tuple[str, int], ...]
    tls: ssl.SSLContext | None
    login: Login
    secret: Secret = field(repr=False)


class PostgresUpstream(Upstream):
    """One client's way to its database. What the gateway logs in with is read when it connects, and not kept."""

    def __init__(
        self,
        database: Database,
        name: str,
        principal: Principal,
        addresses: Callable[[Database], tuple[tuple[str, int], ...]],
        settings: Sequence[tuple[str, str]],
        application: str = "",
    ) -> None:
        """`name` is the server's database that is meant; `settings` are those that the client wants in its session, and
        `application` is what the server is to call that."""
        self._database = database
        self._name = name
        self._principal = principal
        self._addresses = addresses
        self._settings = settings
        self._application = application
        self._used: tuple[_Way, tuple[str, int]] | None = None
        self._key: BackendKeyData | None = None
        self._asking: tuple[Peer, Inbox] | None = None
        self._turn = asyncio.Lock()
        self._limits = UNLIMITED
        self._watched = True

    async def connect(self, limits: Limits) -> tuple[Peer, object]:
        """See Upstream."""
        self._limits = limits
        try:
            way = await asyncio.to_thread(self._way)
            async with asyncio.timeout(_CONNECT_SECONDS):
                try:
                    peer, inbox, logged = await self._enter(way)
                except NotConnected as error:
                    if error.code != "settings-refused":
                        raise
                    self._watched = False
                    peer, inbox, logged = await self._enter(way)
        except TimeoutError:
            raise NotConnected("upstream-timeout", "The database did not answer in time.") from None
        except (OSError, ValueError, Left, Malformed) as error:
            _log.warning("no connection", extra={"target": self._database.target.name, "why": str(error)})
            raise NotConnected("upstream-unreachable", "The database can't be reached now.") from None
        self._key = logged.key
        inbox.release()
        return peer, LoggedInAs(logged.statuses, way.login.user, way.login.role, limits.read_only, self.pid)

    @property
    def pid(self) -> int:
        """What the server calls the session that it was logged in to; of one that it gives no name, nobody's."""
        return _NOBODY if self._key is None else self._key.pid

    async def _enter(self, way: _Way) -> tuple[Peer, Inbox, LoggedIn]:
        peer, inbox, binding = await self._open(way)
        try:
            return peer, inbox, await self._login(way, peer, inbox, binding)
        except BaseException:
            peer.abort()
            raise

    async def cancel(self) -> None:
        """See Upstream ("Canceling Requests in Progress"): on a connection of its own, to the same address."""
        if self._used is None or self._key is None:
            return
        way, address = self._used
        with contextlib.suppress(OSError, TimeoutError, Left):
            async with asyncio.timeout(_CANCEL_SECONDS):
                peer, inbox, _ = await self._open_at(way, address)
                peer.write(CancelRequest(self._key.pid, self._key.secret).encode())
                # It is done when the server closes; nobody tells whether there was anything to cancel.
                with contextlib.suppress(Left):
                    await inbox.read()
                peer.close()

    async def learn(self, question: object) -> object | None:
        """See Upstream. On a connection of its own too, for the client's is in the middle of an answer; it is kept, as
        whoever asks once asks again. Gives the rows of the question's statement, in text."""
        if self._used is None or not isinstance(question, Question | Defined):
            return None
        try:
            # One after the other: a statement may ask while the rows of another wait for their masks.
            async with asyncio.timeout(_LEARN_SECONDS), self._turn:
                if self._asking is None or self._asking[0].over:
                    self._asking = await self._open_to_ask(*self._used)
                return await _rows(*self._asking, question.sql())
        except (OSError, TimeoutError, Left, NotConnected, Malformed) as error:
            _log.warning("catalogue not read", extra={"target": self._database.target.name, "why": str(error)})
            # Its answer may still come, and would be taken for the next one's.
            self.close()
            return None

    def close(self) -> None:
        """See Upstream."""
        if self._asking is not None:
            asking, self._asking = self._asking, None
            asking[0].close()

    async def _open_to_ask(self, way: _Way, address: tuple[str, int]) -> tuple[Peer, Inbox]:
        peer, inbox, binding = await self._open_at(way, address)
        try:
            await self._login(way, peer, inbox, binding)
        except BaseException:
            peer.abort()
            raise
        return peer, inbox

    def _way(self) -> _Way:
        """Read what it takes. Raises NotConnected, OSError and ValueError; blocks for as long as small files take."""
        login = self._database.login(self._principal)
        if login is None:
            raise NotConnected("no-login", "This database has no login for you; ask its operator for one.")
        secret = Secret(login.secret())
        return _Way(self._addresses(self._database), self._database.tls(login), login, secret)

    def _wanted(self, login: Login) -> list[tuple[str, str]]:
        """The settings of the session: the client's, less those that are not for it to choose."""
        ours = {SETTING: self._application} if self._application else {}
        if login.role is not None:
            ours["role"] = login.role
        if self._watched and _WATCH[0] not in {name.lower() for name, _ in self._settings}:
            ours |= [_WATCH]
        if self._limits.read_only:
            ours[READ_ONLY] = "on"
        return [*((name, value) for name, value in self._settings if name.lower() not in ours), *ours.items()]

    async def _open(self, way: _Way) -> tuple[Peer, Inbox, bytes | None]:
        failed = OSError("its name leads nowhere that may be connected to")
        for address in way.addresses:
            try:
                opened = await self._open_at(way, address)
            except OSError as error:
                failed = error
                continue
            self._used = way, address
            return opened
        raise failed

    async def _open_at(self, way: _Way, address: tuple[str, int]) -> tuple[Peer, Inbox, bytes | None]:
        """A connection, with TLS where there is to be any, and what TLS binds a login to."""
        loop = asyncio.get_running_loop()
        inbox = Inbox()
        peer = Peer(inbox)
        await loop.create_connection(lambda: peer, *address)
        if way.tls is None:
            return peer, inbox, None
        peer.write(SSLRequest().encode())
        answer = await inbox.read()
        if answer != b"S":
            # More than the one byte would be read as if it had come within TLS.
            peer.abort()
            raise NotConnected("upstream-tls", "The database offers no TLS; its target has to say `tls: off` for that.")
        try:
            await peer.start_tls(way.tls, server_hostname=self._database.host)
        except ssl.SSLError as error:
            peer.abort()
            raise NotConnected("upstream-tls", "The database could not prove who it is.") from error
        certificate: Any = peer.transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return peer, inbox, server_end_point(certificate) if certificate else None

    async def _login(self, way: _Way, peer: Peer, inbox: Inbox, binding: bytes | None) -> LoggedIn:
        login = LoginTo(
            way.login.user,
            way.secret,
            self._name,
            self._wanted(way.login),
            channel_binding=binding,
            allow_cleartext=way.tls is not None,
            nonce=secrets.token_urlsafe(24),
        )
        framer = Framer(_LONGEST)
        peer.write(login.start())
        while True:
            try:
                frames = framer.feed(await inbox.read())
            except Malformed:
                raise NotConnected("upstream-malformed", "What answers is no database.") from None
            for frame in frames:
                # A key may be derived from the password, for half a second.
                apart = asyncio.to_thread(login.feed, frame) if login.heavy else None
                for outcome in login.feed(frame) if apart is None else await apart:
                    if isinstance(outcome, LoggedIn):
                        return outcome
                    if isinstance(outcome, LoginFailed):
                        told = {"target": self._database.target.name, "why": outcome.code, **_renamed(outcome)}
                        _log.warning("login failed", extra=told)
                        raise NotConnected(outcome.code, f"{outcome.told[:1].upper()}{outcome.told[1:]}.")
                    peer.write(outcome)


async def _rows(peer: Peer, inbox: Inbox, sql: str) -> list[list[str | None]] | None:
    """What a statement gives, in text; None where it fails. Raises Left and Malformed."""
    framer, rows, failed = Framer(_LONGEST_ROW), list[list[str | None]](), False
    peer.write(Query(sql).encode())
    while True:
        for frame in framer.feed(await inbox.read()):
            if frame.kind == DATA_ROW:
                rows.append([None if v is None else v.decode("utf-8", "replace") for v in split_row(frame.body)])
            elif frame.kind == ErrorResponse.kind:
                failed = True
            elif frame.kind == ReadyForQuery.kind:
                return None if failed else rows


def _renamed(failed: LoginFailed) -> dict[str, str]:
    """The server's own words, under names that a log line has not got already."""
    return {f"server_{name}": text for name, text in failed.detail.items()}
