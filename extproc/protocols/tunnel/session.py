"""One tunnel as a sans-io session.

Policy decides on its destination. An intercepted tunnel ends at the gateway, which reads the requests inside as ones
of their own; an opaque one passes bytes that nobody reads, and is marked so. Of both only the heads come here: the
exchange stays open for as long as the tunnel, so that it can be ended.
"""

from extproc.domain.action import Action
from extproc.domain.grant import Grant, Lane, Refusal
from extproc.domain.json import JSON
from extproc.domain.mask import Mask
from extproc.domain.principal import Principal
from extproc.domain.target import Inspect, Protocol, Target
from extproc.protocols.digest import keyed
from extproc.protocols.http.refuse import answer, problem, stopped
from extproc.protocols.session import (
    BITE,
    Abort,
    Answer,
    Command,
    Decide,
    Decided,
    Event,
    HeadReceived,
    Lost,
    Pending,
    SendHead,
    SendTrailers,
    Stopped,
    TimedOut,
    TrailersReceived,
)

_ASK = 1


class TunnelSession:
    """Implements protocols.session.Session for one CONNECT to one target. `key` keys the action's digest."""

    def __init__(self, target: Target, principal: Principal, key: bytes) -> None:
        self._target = target
        self._principal = principal
        self._key = key
        self._asked = False
        self._grant: Grant | None = None
        self._done = False
        self._status: int | None = None

    @property
    def patience_seconds(self) -> float | None:
        """See protocols.session.Session. A tunnel may be silent for as long as Envoy lets it."""
        return None

    @property
    def held_bytes(self) -> int:
        """See protocols.session.Session."""
        return 0

    @property
    def bite_bytes(self) -> int:
        """See protocols.session.Session."""
        return BITE

    @property
    def completed(self) -> bool:
        """See protocols.session.Session. Once let open, how it ends is for its two ends to say."""
        return self._grant is not None and not self._done

    def delivery(self) -> dict[str, JSON]:
        """See protocols.session.Session. The bytes are Envoy's to count: its access log becomes a `tunnel` record."""
        return {"status": self._status, "masked": {}, "opaque": self._target.inspect is Inspect.OPAQUE}

    def handle(self, event: Event) -> list[Command]:
        """See protocols.session.Session."""
        if self._done:
            return []
        commands = self._step(event)
        self._done = bool(commands) and isinstance(commands[-1], Answer | Abort)
        if commands and isinstance(commands[-1], Answer):
            self._status = commands[-1].status
        return commands

    def _step(self, event: Event) -> list[Command]:
        match event:
            case HeadReceived(Lane.REQUEST, head) if not self._asked:
                self._asked = True
                return self._ask(dict(head.headers).get(":authority", ""))
            case Decided(_, Grant() as grant) if self._asked and self._grant is None:
                self._grant = grant
                return [SendHead(Lane.REQUEST, grant)]
            case Decided(_, Refusal() as refusal):
                return [answer(refusal, None)]
            case HeadReceived(Lane.RESPONSE, head) if self._grant is not None:
                status = dict(head.headers).get(":status", "")
                self._status = int(status) if status.isascii() and status.isdigit() else None
                return [SendHead(Lane.RESPONSE, self._grant)]
            case TrailersReceived(lane) if self._grant is not None:
                return [SendTrailers(lane, self._grant)]
            case Stopped(_, code, _):
                return [stopped(event) if self._grant is None else Abort(code)]
            case Pending() | TimedOut():
                return []
            case Lost(why):
                return [Abort(why)]
        return [Abort("unexpected-event")]

    def _ask(self, authority: str) -> list[Command]:
        # Names of hosts are the same in any case, so policy and approvers see one spelling.
        authority = authority.lower()
        host, colon, port = authority.rpartition(":")
        if not colon or not (port.isascii() and port.isdigit()):
            return [problem(400, "malformed-request", "The tunnel can't be read", "Name host:port after CONNECT.")]
        opaque = self._target.inspect is Inspect.OPAQUE

        def render(_: tuple[Mask, ...]) -> str:
            reads = "its bytes are not read" if opaque else "each request in it is decided by itself"
            return f"CONNECT {authority}\n({reads})"

        who, target = self._principal, self._target
        bound = ("CONNECT", who.issuer, who.subject, who.acts_for or "", target.name, target.revision, authority)
        facts: dict[str, JSON] = {"host": host, "port": int(port), "opaque": opaque}
        summary: dict[str, JSON] = {"host": host, "opaque": opaque}
        action = Action(Protocol.TUNNEL, "CONNECT", authority, facts, summary, render, keyed(self._key, bound))
        return [Decide(_ASK, action, self._target.wait_seconds)]
