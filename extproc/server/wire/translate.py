"""ext_proc messages ↔ session events and commands. No I/O.

Envoy's message for each command: SendHead answers the headers message (in FULL_DUPLEX_STREAMED it may come late),
Send is a streamed body response (chunks need not match what came in), SendTrailers answers the trailers message,
Answer is an immediate response.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from extproc.domain.grant import Lane
from extproc.protocols.session import (
    Answer,
    Event,
    Head,
    HeadReceived,
    Received,
    Send,
    SendHead,
    SendTrailers,
    TrailersReceived,
)
from extproc.server.wire.ext_proc_pb2 import (
    BodyMutation,
    BodyResponse,
    CommonResponse,
    HeaderMap,
    HeaderMutation,
    HeadersResponse,
    HeaderValue,
    HeaderValueOption,
    HttpStatus,
    ImmediateResponse,
    ProcessingRequest,
    ProcessingResponse,
    StreamedBodyResponse,
    TrailersResponse,
)

# gRPC's own default bound for one message is 4 MiB; small chunks keep the loop free and memory flat.
CHUNK_BYTES = 64 * 1024


class UnknownMessage(ValueError):
    """Envoy sent a message that this contract has no word for."""


def event_of(message: ProcessingRequest) -> Event:
    """The event that a message is. Raises UnknownMessage."""
    match message.WhichOneof("request"):
        case "request_headers":
            part = message.request_headers
            return HeadReceived(Lane.REQUEST, _head(part.headers), part.end_of_stream)
        case "response_headers":
            part = message.response_headers
            return HeadReceived(Lane.RESPONSE, _head(part.headers), part.end_of_stream)
        case "request_body":
            return Received(Lane.REQUEST, message.request_body.body, message.request_body.end_of_stream)
        case "response_body":
            return Received(Lane.RESPONSE, message.response_body.body, message.response_body.end_of_stream)
        case "request_trailers":
            return TrailersReceived(Lane.REQUEST, _head(message.request_trailers.trailers))
        case "response_trailers":
            return TrailersReceived(Lane.RESPONSE, _head(message.response_trailers.trailers))
    raise UnknownMessage("a message with no known request")


def send_head(
    command: SendHead, told: Mapping[str, str] = MappingProxyType({}), hide: Iterable[str] = ()
) -> ProcessingResponse:
    """The answer to a headers message. With a request's head goes what the RBAC filter behind us asks for, and `told`:
    further dynamic metadata of ours. `hide` are headers that stay behind beside those of the command."""
    common = CommonResponse(header_mutation=_mutation(command.set, (*command.remove, *hide)))
    if command.lane is Lane.RESPONSE:
        return ProcessingResponse(response_headers=HeadersResponse(response=common))
    answer = ProcessingResponse(request_headers=HeadersResponse(response=common))
    verdict = answer.dynamic_metadata.fields["holdpoint"].struct_value.fields
    verdict["decision"].string_value = "allow"
    verdict["id"].string_value = command.under.decision.id
    for name, value in told.items():
        verdict[name].string_value = value
    return answer


def send(command: Send) -> Iterable[ProcessingResponse]:
    """Body bytes, cut into chunks; the last carries the end."""
    data = command.data
    for start in range(0, max(len(data), 1), CHUNK_BYTES):
        chunk = data[start : start + CHUNK_BYTES]
        end = command.end and start + CHUNK_BYTES >= len(data)
        mutation = BodyMutation(streamed_response=StreamedBodyResponse(body=chunk, end_of_stream=end))
        body = BodyResponse(response=CommonResponse(body_mutation=mutation))
        if command.lane is Lane.REQUEST:
            yield ProcessingResponse(request_body=body)
        else:
            yield ProcessingResponse(response_body=body)


def send_trailers(command: SendTrailers) -> ProcessingResponse:
    """The answer to a trailers message."""
    trailers = TrailersResponse(header_mutation=_mutation((), command.remove))
    if command.lane is Lane.REQUEST:
        return ProcessingResponse(request_trailers=trailers)
    return ProcessingResponse(response_trailers=trailers)


def answer(command: Answer, decision_id: str) -> ProcessingResponse:
    """An answer of our own. `details` joins Envoy's access log to the decision."""
    return ProcessingResponse(
        immediate_response=ImmediateResponse(
            status=HttpStatus(code=command.status),
            headers=_mutation(command.headers, ()),
            body=command.body,
            details=f"holdpoint:{decision_id}:{command.why}",
        )
    )


def keep_waiting(seconds: int) -> ProcessingResponse:
    """Ask Envoy to wait longer for the answer that is due. It hears this once for each head, so say the whole time."""
    answer = ProcessingResponse()
    answer.override_message_timeout.seconds = seconds
    return answer


def _head(headers: HeaderMap) -> Head:
    # Header values are bytes; latin-1 gives each byte back as it was. Blanks around a value are no part of it (RFC
    # 9110, section 5.5): HTTP/2 brings them as they are, and the upstream, over HTTP/1.1, does not see them.
    return Head(tuple((h.key, (h.raw_value.decode("latin-1") or h.value).strip(" \t")) for h in headers.headers))


def _mutation(pairs: tuple[tuple[str, str], ...], remove: tuple[str, ...]) -> HeaderMutation:
    seen: set[str] = set()
    options = []
    for name, value in pairs:
        option = HeaderValueOption(header=HeaderValue(key=name, raw_value=value.encode("latin-1", "replace")))
        if name in seen:
            # Of several lines with one name Envoy would keep the last: its ext_proc pays no regard to `append_action`.
            option.append.value = True
        else:
            option.append_action = HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
        seen.add(name)
        options.append(option)
    return HeaderMutation(set_headers=options, remove_headers=remove)


def echo(event: Event) -> Iterable[ProcessingResponse]:
    """Let one message of a response that is Envoy's own go on as it is."""
    match event:
        case HeadReceived(Lane.RESPONSE):
            yield ProcessingResponse(response_headers=HeadersResponse())
        case Received(Lane.RESPONSE, data, end):
            mutation = BodyMutation(streamed_response=StreamedBodyResponse(body=data, end_of_stream=end))
            yield ProcessingResponse(response_body=BodyResponse(response=CommonResponse(body_mutation=mutation)))
        case TrailersReceived(Lane.RESPONSE):
            yield ProcessingResponse(response_trailers=TrailersResponse())
