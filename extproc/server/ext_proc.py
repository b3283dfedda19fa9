"""Envoy's external processing service (envoy.service.ext_proc.v3.ExternalProcessor), one stream for each exchange.

Two rules keep it from ever failing open. A stream ends with OK only after Envoy has ended its side: an early OK makes
Envoy go on by itself. And whatever is unexpected ends the stream with an error.
"""

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import grpc
import grpc.aio

from extproc.domain.grant import Lane
from extproc.domain.identity import Identified, IdentityRefused, Why
from extproc.domain.json import JSON
from extproc.domain.target import NOWHERE, Inspect, Target
from extproc.masking.plan import Knowledge
from extproc.protocols.http.edge import unfit
from extproc.protocols.http.refuse import problem, stopped, unidentified
from extproc.protocols.http.session import HttpSession
from extproc.protocols.session import Answer, Cause, Event, HeadReceived, Session, Stopped
from extproc.protocols.tunnel.session import TunnelSession
from extproc.server.arrival import EXT_PROC, Arrival, arrival_of
from extproc.server.caps import Account, Capped, Caps
from extproc.server.driver import Aborted, Driver
from extproc.server.entrance import Entrance
from extproc.server.gate import Gate
from extproc.server.live import Exchanges
from extproc.server.records import Asker
from extproc.server.route import DeadEnd, Route, UnknownRoute, Via, route_of
from extproc.server.tickets import Tickets, lent
from extproc.server.turns import Turn, Turns
from extproc.server.wire import translate
from extproc.server.wire.ext_proc_pb2 import ProcessingRequest, ProcessingResponse, ProtocolConfiguration
from extproc.server.wire.stream import GrpcWire
from extproc.server.wire.structs import plain

SERVICE = "envoy.service.ext_proc.v3.ExternalProcessor"
_VIA_UPSTREAM = "via_upstream"
_log = logging.getLogger("holdpoint.ext_proc")

# Status, title and detail of a route that leads nowhere.
_DEAD_ENDS = {
    DeadEnd.UNKNOWN_TARGET: (404, "No such target", "No target of this gateway has this host or path."),
    DeadEnd.METHOD_REFUSED: (405, "This method is never forwarded", "Use another method."),
    DeadEnd.AMBIGUOUS_PATH: (
        400,
        "This path reads differently at different servers",
        "Write it without escaped escapes or '..;'.",
    ),
    DeadEnd.UNEXPECTED_DESTINATION: (
        403,
        "Not a destination of this gateway",
        "Only its targets can be reached; ask its operator to add one.",
    ),
    DeadEnd.MISDIRECTED: (421, "Another host than the tunnel's", "Open a tunnel of its own for each host."),
}
# What an origin answers where nobody is let in; everything else is 401.
_STATUS = {Why.FROZEN: 403, Why.WRONG_NETWORK: 403, Why.CONFLICT: 403, Why.UNAVAILABLE: 503, Why.TOO_MANY: 429}


@dataclass(frozen=True, slots=True)
class _Caller:
    """An identified caller: principal, source address, account of what is under way, and turn."""

    who: Identified
    source: str
    account: Account
    turn: Turn


Context = grpc.aio.ServicerContext[ProcessingRequest, ProcessingResponse]


class Refused(Exception):
    """This stream can't be served; the message says why, for Envoy's log and ours."""


class Targets(Protocol):
    """The targets of the configurations that Envoy's routes may still be of."""

    def target(self, name: str, revision: str) -> Target | None:
        """The target of this name in the configuration of this revision."""
        ...


@dataclass(frozen=True, slots=True)
class Service:
    """What every exchange needs. `known` gives what can be found, rules and credentials, as it is now; `epoch` tells
    one life of the gateway from the next."""

    gate: Gate
    targets: Targets
    entrance: Entrance
    tickets: Tickets
    exchanges: Exchanges
    caps: Caps
    known: Callable[[], Knowledge]
    digest_key: bytes
    epoch: str
    pool: ThreadPoolExecutor
    turns: Turns

    def handler(self) -> grpc.GenericRpcHandler:
        """The generic handler to add to a grpc.aio server."""
        method = grpc.stream_stream_rpc_method_handler(
            self.process,
            request_deserializer=ProcessingRequest.FromString,
            response_serializer=ProcessingResponse.SerializeToString,
        )
        return grpc.method_handlers_generic_handler(SERVICE, {"Process": method})

    async def process(self, _: object, context: Context) -> None:
        """Serve one exchange."""
        with self.gate.metrics.exchanges.track_inprogress():
            try:
                await self._serve(context)
            except Aborted as error:
                await context.abort(grpc.StatusCode.ABORTED, str(error))
            except (Refused, UnknownRoute) as error:
                _log.error("stream refused", extra={"why": str(error)})
                await context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
            except (asyncio.CancelledError, grpc.aio.AbortError):
                raise
            except Exception:
                # A fault of ours must never look like an end: Envoy would go on without us.
                _log.exception("fault in an exchange")
                await context.abort(grpc.StatusCode.INTERNAL, "internal")

    async def _serve(self, context: Context) -> None:
        first = await context.read()
        if not isinstance(first, ProcessingRequest):
            raise Refused("the stream ended before a request")
        route = route_of(context.invocation_metadata() or ())
        wire = GrpcWire(context)
        event = translate.event_of(first)
        if isinstance(event, HeadReceived) and event.lane is Lane.RESPONSE:
            await _pass_local_reply(wire, context, first, event)
            return
        if not isinstance(event, HeadReceived) or event.lane is not Lane.REQUEST:
            raise Refused("the stream does not start with a request's head")
        arrival = arrival_of(first, event)
        if not arrival.placed:
            raise Refused("Envoy does not tell source.address and connection.id; add them to request_attributes")
        try:
            who, source = await self._identify(route, arrival)
        except IdentityRefused as error:
            await self._turn_away(wire, route, arrival, error)
            return
        connects = route.via is Via.CONNECT
        turn = self.turns.turn(who.principal.key)
        try:
            # Tunnels stay open for long, and what goes through them is counted by itself.
            with self.caps.exchange(who.principal.key, tunnel=connects) as account:
                try:
                    await turn.take(partial(wire.keep_waiting, Lane.REQUEST))
                    # Whoever was frozen or revoked while this waited is known to no exchange yet that could be ended.
                    self.gate.check(who.principal, time.time())
                    caller = _Caller(who, source, account, turn)
                    await self._admitted(wire, route, arrival, first.protocol_config, caller)
                finally:
                    turn.give_back()
        except IdentityRefused as error:
            await self._turn_away(wire, route, arrival, error)
        except Capped as error:
            asker = self._asker(arrival, who, self.targets.target(route.target, route.revision) or NOWHERE, source)
            answer = stopped(Stopped(Cause.LIMIT, error.code, str(error)))
            await self._refuse(wire, arrival.asked(route.strip), asker, answer, str(error), turn)

    async def _admitted(
        self, wire: GrpcWire, route: Route, arrival: Arrival, modes: ProtocolConfiguration, caller: "_Caller"
    ) -> None:
        """Somebody known asks, and it is their turn."""
        who, source = caller.who, caller.source
        if route.dead_end is not None:
            status, title, detail = _DEAD_ENDS[route.dead_end]
            answer = problem(status, route.dead_end.value, title, detail)
            asked = arrival.pseudo(":method"), arrival.pseudo(":authority")
            await self._refuse(wire, asked, self._asker(arrival, who, NOWHERE, source), answer, detail, caller.turn)
            return
        target = self.targets.target(route.target, route.revision)
        if target is None:
            raise Refused(f"the route names no target of ours: {route.target} in revision {route.revision}")
        _check_modes(modes, target, route)
        fault = unfit(arrival.head.head, tunnel=route.via is Via.TUNNEL, connect=route.via is Via.CONNECT)
        if fault is not None:
            answer = problem(fault.status, fault.code, "Not a request that can be decided on", fault.detail)
            asker, asked = self._asker(arrival, who, target, source), arrival.asked(route.strip)
            await self._refuse(wire, asked, asker, answer, fault.detail, caller.turn)
            return
        await self._exchange(wire, route, arrival, self._asker(arrival, who, target, source), caller)

    async def _identify(self, route: Route, arrival: Arrival) -> tuple[Identified, str]:
        """Who asks, and from which address."""
        if route.via is not Via.TUNNEL:
            return await self.entrance.identify(arrival.shown), arrival.shown.source
        if arrival.ticket is None:
            raise IdentityRefused("the tunnel has no ticket", Why.MISSING)
        target, principal, source = self.tickets.read(arrival.ticket)
        if route.dead_end is None and target != route.target:
            raise IdentityRefused("the tunnel was opened to another target")
        self.gate.check(principal, time.time())
        # A token of ours that the request inside shows counts for nothing, and is not for its upstream either.
        return Identified(principal, self.entrance.identities.ours(arrival.shown)), source

    async def _turn_away(self, wire: GrpcWire, route: Route, arrival: Arrival, error: IdentityRefused) -> None:
        """Nobody known asks: nothing but a refusal is said, and recorded."""
        proxy = route.via in (Via.PROXY, Via.CONNECT)
        answer = unidentified(error.why.value, f"{error}.", proxy=proxy, status=_STATUS.get(error.why, 401))
        body: dict[str, JSON] = {
            "request": arrival.request,
            "principal": error.principal.document() if error.principal is not None else None,
            "target": {"name": route.target} if route.target else None,
            "source": {"address": arrival.shown.source},
            "method": arrival.pseudo(":method")[:32],
            "authority": arrival.pseudo(":authority")[:256],
            "status": answer.status,
            "via": route.via.value,
        }
        refusal = self.gate.records.turned_away(body, error.why.value, arrival.shown.source, route.target)
        await wire.refuse(answer, refusal)

    async def _refuse(
        self, wire: GrpcWire, asked: tuple[str, str], asker: Asker, answer: Answer, title: str, turn: Turn
    ) -> None:
        """Refuse an identified principal before there is an action to decide. `asked` are verb and resource."""
        decision = self.gate.records.refused(asker, *asked, answer.why, title)
        turn.give_back()  # the peer may take its time to end the stream
        await wire.refuse(answer, decision)

    async def _exchange(self, wire: GrpcWire, route: Route, arrival: Arrival, asker: Asker, caller: "_Caller") -> None:
        principal, target, asked = asker.principal, asker.target, arrival.asked(route.strip)
        if principal.targets is not None and target.name not in principal.targets:
            detail = f"This credential is good for {', '.join(principal.targets) or 'no target'} only."
            answer = problem(403, "target-out-of-scope", "Not this credential's target", detail)
            await self._refuse(wire, asked, asker, answer, "The credential is not for this target", caller.turn)
            return
        session: Session
        if route.via is Via.CONNECT:
            session = TunnelSession(target, principal, self.digest_key)
        else:
            session = HttpSession(target, principal, route.strip, self.digest_key, self.known())
        used = caller.who.used
        wire.hide = used | arrival.kept_back
        wire.told = {"iss": principal.issuer, "sub": principal.subject, "session": asker.session}
        if route.via is Via.CONNECT and target.inspect is not Inspect.OPAQUE:
            # The tunnel ends when its ticket does: a client that keeps it would be turned away inside from then on.
            principal = lent(principal, time.time())
            wire.told["ticket"] = self.tickets.sign(principal, target.name, asker.source)
        tunnel = target if route.via is Via.CONNECT else None
        driver = Driver(wire, session, self.gate, asker, caller.account, self.pool, asked, caller.turn)
        with self.gate.records.visit(asker), self.exchanges.under_way(driver, principal, tunnel):
            await driver.run(arrival.for_session(used))

    def _asker(self, arrival: Arrival, who: Identified, target: Target, source: str) -> Asker:
        # One client connection is one session. Envoy counts connections anew in each of its lives, hence the epoch.
        seen = repr((self.epoch, arrival.connection)).encode()
        session = hashlib.blake2b(seen, digest_size=16).hexdigest()
        return Asker(who.principal, target, session, arrival.request, source, {"trace": arrival.trace})


async def _pass_local_reply(wire: GrpcWire, context: Context, first: ProcessingRequest, event: Event | None) -> None:
    """Pass on what Envoy itself answers before a request came to us (a request's head that never ended, say).

    It holds nothing of an upstream's: no request was let through on this stream, for it would have begun with one.
    Envoy's own word for where the answer comes from is checked all the same."""
    details = plain(first.attributes[EXT_PROC]).get("response.code_details")
    if not isinstance(details, str) or not details or details.startswith(_VIA_UPSTREAM):
        raise Refused("a response without a request that is not Envoy's own")
    while event is not None:
        for answer in translate.echo(event):
            await context.write(answer)
        event = await wire.read()


def _check_modes(config: ProtocolConfiguration, target: Target, route: Route) -> None:
    """Refuse body modes in which Envoy could pass bytes that we have not vouched for."""
    unread = route.via is Via.CONNECT or target.inspect is Inspect.HEADERS
    expected = ProtocolConfiguration.NONE if unread else ProtocolConfiguration.FULL_DUPLEX_STREAMED
    if config.request_body_mode != expected or config.response_body_mode != expected:
        raise Refused(f"unsafe body modes for target {target.name}: expected {expected} both ways")
    if target.inspect is Inspect.OPAQUE and route.via is not Via.CONNECT:
        raise Refused(f"target {target.name} is opaque, and this is no tunnel")
