"""One HTTP exchange as a sans-io session.

    REQUEST                                        RESPONSE
    IDLE ─head─▶ READING ─end─▶ DECIDING           head ─▶ withheld ─first bytes─▶ open ─end─▶ done
                    │              │ Grant              (the head waits until the masks have vouched for some bytes,
                    ▼ too big      ▼                     so that a body they can't read is a clean error)
                  DONE ◀──end─── OPEN

READING is left out where policy reads heads only. Before a Grant nothing goes on; without one nothing ever does.
"""

from enum import Enum, auto

from extproc.domain.grant import Grant, Lane, Refusal
from extproc.domain.json import JSON
from extproc.domain.principal import Principal
from extproc.domain.target import Inspect, Target
from extproc.masking.build import check
from extproc.masking.plan import Knowledge
from extproc.masking.stage import MaskError
from extproc.masking.structure.coding import WORKSPACE, TooLong, UnknownCoding, codings, decoded
from extproc.protocols.http.interpret import Body, interpret
from extproc.protocols.http.lanes import RequestLane, ResponseLane, unmaskable
from extproc.protocols.http.mcp_call import McpCall
from extproc.protocols.http.message import MalformedRequest, RequestHead, read_head
from extproc.protocols.http.model_answer import ModelAnswerObserver
from extproc.protocols.http.model_call import ModelCall
from extproc.protocols.http.prefer import wait_seconds
from extproc.protocols.http.refuse import answer, grpc_unsupported, problem, stopped
from extproc.protocols.session import (
    BITE,
    Abort,
    Answer,
    Command,
    Decide,
    Decided,
    Event,
    Head,
    HeadReceived,
    Lost,
    Pending,
    Received,
    Send,
    Stopped,
    TimedOut,
    TrailersReceived,
)

REQUEST_PATIENCE_SECONDS = 60.0
RESPONSE_PATIENCE_SECONDS = 600.0
_ASK = 1
_GRPC = "application/grpc"


class _State(Enum):
    IDLE = auto()
    READING = auto()
    DECIDING = auto()
    OPEN = auto()
    DONE = auto()


class HttpSession:
    """Implements protocols.session.Session for one request to one target.

    `prefix` is what the route takes off the path; `key` keys the action's digest."""

    def __init__(self, target: Target, principal: Principal, prefix: str, key: bytes, known: Knowledge) -> None:
        self._target = target
        self._principal = principal
        self._prefix = prefix
        self._key = key
        self._known = known
        # Where bodies do not come here, nothing of them is asked for or looked at.
        self._known_in_bodies = known.without_credentials() if target.inspect is Inspect.HEADERS else known
        self._state = _State.IDLE
        self._head: RequestHead | None = None
        self._body = bytearray()
        self._decoding = 0  # bytes that reading a coded body takes beside those that came
        self._has_body = False
        self._body_ended = False
        self._call: ModelCall | McpCall | None = None
        self._grant: Grant | None = None
        self._request: RequestLane | None = None
        self._response: ResponseLane | None = None
        self._observer: ModelAnswerObserver | None = None
        self._answered: int | None = None
        self._completed = False

    @property
    def patience_seconds(self) -> float | None:
        """See protocols.session.Session."""
        if self._completed:
            # The peer owes nothing more; on a target whose bodies don't come here it may well be busy with one.
            return None
        if self._state is _State.OPEN and self._target.inspect is Inspect.HEADERS:
            # The same goes for a request's. Envoy keeps the time.
            return None
        if self._state is _State.READING or (self._state is _State.OPEN and not self._body_ended):
            return REQUEST_PATIENCE_SECONDS
        return RESPONSE_PATIENCE_SECONDS if self._response is not None else None

    @property
    def held_bytes(self) -> int:
        """See protocols.session.Session."""
        lanes = sum(lane.held for lane in (self._request, self._response) if lane is not None)
        return len(self._body) + self._decoding + lanes

    @property
    def bite_bytes(self) -> int:
        """See protocols.session.Session."""
        return min((lane.bite for lane in (self._request, self._response) if lane is not None), default=BITE)

    @property
    def completed(self) -> bool:
        """See protocols.session.Session."""
        return self._completed

    def delivery(self) -> dict[str, JSON]:
        """See protocols.session.Session."""
        masked: dict[str, JSON] = {
            lane.value: dict(side.counts())
            for lane, side in ((Lane.REQUEST, self._request), (Lane.RESPONSE, self._response))
            if side is not None and side.counts()
        }
        delivery: dict[str, JSON] = {
            "status": self._response.status if self._response is not None else self._answered,
            "bytes": {
                "request": self._request.bytes if self._request is not None else 0,
                "response": self._response.bytes if self._response is not None else 0,
            },
            "masked": masked,
        }
        if self._observer is not None:
            delivery["llm"] = self._observer.document()
        return delivery

    def handle(self, event: Event) -> list[Command]:
        """See protocols.session.Session."""
        if self._state is _State.DONE:
            return []
        commands = self._step(event)
        if commands and isinstance(commands[-1], Answer | Abort):
            self._state = _State.DONE
            self._body, self._decoding = bytearray(), 0
            self._answered = commands[-1].status if isinstance(commands[-1], Answer) else None
        else:
            self._completed = self._completed or self._completes(event)
        return commands

    def _completes(self, event: Event) -> bool:
        match event:
            case HeadReceived(Lane.RESPONSE, _, end) | Received(Lane.RESPONSE, _, end):
                # Where bodies don't come here, nothing but trailers can follow: Envoy does the rest by itself.
                headers_only = self._target.inspect is Inspect.HEADERS
                return end or headers_only or (self._observer is not None and self._observer.done)
            case TrailersReceived(Lane.RESPONSE):
                return True
        return False

    def _step(self, event: Event) -> list[Command]:
        match event:
            case HeadReceived(Lane.REQUEST, head, end):
                return self._on_request(head, end)
            case Received(Lane.REQUEST, data, end):
                return self._on_request_body(data, end)
            case TrailersReceived(Lane.REQUEST):
                return self._on_request_trailers()
            case HeadReceived(Lane.RESPONSE, head, end):
                return self._on_response(head, end)
            case Received(Lane.RESPONSE, data, end):
                return self._on_response_body(data, end)
            case TrailersReceived(Lane.RESPONSE, head):
                return self._on_response_trailers(head)
            case Decided(_, outcome):
                return self._on_decided(outcome)
            case TimedOut():
                return self._on_timeout()
            case Lost(why):
                return [Abort(why)]
            case Stopped(_, code, _):
                return [stopped(event) if self._grant is None else Abort(code)]
            case Pending():
                return []
        return [Abort("unexpected-event")]

    def _on_request(self, head: Head, end: bool) -> list[Command]:
        if self._state is not _State.IDLE:
            return [Abort("second-request-head")]
        try:
            self._head = read = read_head(head, self._prefix)
        except MalformedRequest as error:
            return [problem(400, "malformed-request", "The request can't be read", f"{error}.")]
        if read.content_type == _GRPC or read.content_type.startswith(f"{_GRPC}+"):
            return [grpc_unsupported()]
        self._has_body, self._body_ended = not end, end
        if end or self._target.inspect is not Inspect.FULL:
            return self._decide()
        try:
            self._decoding = WORKSPACE if codings([read.content_encoding]) else 0
        except UnknownCoding as error:
            return [_unreadable(error)]
        if read.content_length is not None and read.content_length > self._target.inspect_bytes:
            return [self._too_large()]
        self._state = _State.READING
        return []

    def _on_request_body(self, data: bytes, end: bool) -> list[Command]:
        self._body_ended = end
        if self._state is _State.OPEN and self._request is not None:
            try:
                return self._request.more(data, end)
            except MaskError:
                return [Abort("unmaskable-request")]
        self._body += data
        if self._state is _State.READING:
            if len(self._body) > self._target.inspect_bytes:
                return [self._too_large()]
            return self._decide() if end else []
        return [] if self._state is _State.DECIDING else [Abort("body-before-head")]

    def _on_request_trailers(self) -> list[Command]:
        # No policy reads them and no approver is shown them, so nothing goes on with them.
        if self._state is _State.READING:
            return [problem(400, "trailers", "Trailers are not taken", "Send the request without trailers.")]
        return [Abort("request-trailers")]

    def _decide(self) -> list[Command]:
        if self._head is None:
            return [Abort("no-head")]
        inspected = self._target.inspect is Inspect.FULL or not self._has_body
        try:
            body = Body(self._read() if inspected else None)
            found = interpret(self._key, self._principal, self._target, self._head, body, self._known)
        except TooLong:
            return [self._too_large()]
        except (MalformedRequest, MaskError) as error:
            return [problem(400, "malformed-request", "The request can't be read", f"{error}.")]
        self._state, self._call = _State.DECIDING, found.call
        prefer = [v for n, v in self._head.headers if n == "prefer"]
        return [Decide(_ASK, found.action, wait_seconds(prefer, self._target.wait_seconds))]

    def _read(self) -> bytes:
        """The body as it is meant, which is what the upstream will read. Raises MaskError."""
        if self._head is None or not self._decoding:
            return bytes(self._body)
        data = decoded(bytes(self._body), codings([self._head.content_encoding]), self._target.inspect_bytes)
        self._decoding += len(data)
        return data

    def _on_decided(self, outcome: Grant | Refusal) -> list[Command]:
        if self._state is not _State.DECIDING or self._head is None:
            return [Abort("decision-not-asked-for")]
        if isinstance(outcome, Refusal):
            return [answer(outcome, self._call)]
        try:
            check(outcome.decision.masks, self._known)
        except MaskError as error:
            return [problem(503, "impossible-mask", "Policy asks for a mask that can't be carried out", f"{error}.")]
        self._grant, self._state = outcome, _State.OPEN
        if isinstance(self._call, ModelCall):
            self._observer = ModelAnswerObserver(self._call.stream)
        read = self._has_body and self._target.inspect is Inspect.FULL
        body, self._body, self._decoding = bytes(self._body), bytearray(), 0
        try:
            lane = self._request = RequestLane(outcome, self._head, self._known, self._known_in_bodies, read)
            return lane.open(body, self._body_ended, self._has_body)
        except UnknownCoding as error:
            return [_unreadable(error)]
        except MaskError as error:
            return [problem(400, "unmaskable-request", "The request can't be masked", f"{error}.")]

    def _on_response(self, head: Head, end: bool) -> list[Command]:
        if self._grant is None or self._response is not None:
            return [Abort("response-not-asked-for")]
        try:
            self._response = lane = ResponseLane(self._grant, head, end, self._known, self._known_in_bodies)
            return lane.open(end)
        except MaskError as error:
            return [unmaskable(error)]
        except ValueError:
            return [Abort("unreadable-response-head")]

    def _on_response_body(self, data: bytes, end: bool) -> list[Command]:
        if self._response is None:
            return [Abort("response-body-before-head")]
        commands = self._response.more(data, end)
        if self._observer is not None:
            for command in commands:
                if isinstance(command, Send):
                    self._observer.feed(command.data)
        return commands

    def _on_response_trailers(self, head: Head) -> list[Command]:
        return self._response.trailers(head) if self._response is not None else [Abort("response-trailers-before-head")]

    def _on_timeout(self) -> list[Command]:
        if self._state is _State.READING:
            return [problem(408, "request-timeout", "The request's body did not come", "Send it again, whole.")]
        return [Abort("stalled")]

    def _too_large(self) -> Answer:
        target = self._target
        detail = (
            f"Policy reads bodies of up to {target.inspect_bytes} bytes here. The operator's setting is `inspect` of "
            f"the target {target.name}: a larger size, or `stream` for bodies that policy need not read."
        )
        return problem(413, "body-too-large", "The body is too large", detail)


def _unreadable(error: UnknownCoding) -> Answer:
    return problem(415, "unreadable-coding", "The body can't be read", f"Send it without content-encoding: {error}.")
