"""A refusal in the words that each client understands.

Plain HTTP gets RFC 9457 problem details (202 for a hold that is still open). A model's client gets an answer of its own
API (see model_refusal), and one of MCP a JSON-RPC error with status 200: with another status most clients hang, or end
their session.
"""

import orjson

from extproc.domain.grant import Refusal, RefusalKind
from extproc.protocols.http import mcp_call, model_refusal
from extproc.protocols.http.mcp_call import Kind as McpKind
from extproc.protocols.http.mcp_call import McpCall
from extproc.protocols.http.model_call import ModelCall
from extproc.protocols.refusal import TITLE, grounds
from extproc.protocols.session import Answer, Cause, Stopped

_STATUS = {
    RefusalKind.BLOCKED: 403,
    RefusalKind.DENIED: 403,
    RefusalKind.EXPIRED: 403,
    RefusalKind.PENDING: 202,
    RefusalKind.UNAVAILABLE: 503,
    RefusalKind.LIMITED: 429,
    RefusalKind.UNSETTLED: 503,
}
_NEXT = {
    RefusalKind.BLOCKED: "Sending it again will not help; do something else, or ask the owner of the policy.",
    RefusalKind.DENIED: "A person said no; sending it again will not help.",
    RefusalKind.EXPIRED: "Send it again to ask anew.",
    RefusalKind.PENDING: "Send exactly the same request again later: once it is approved it goes through, once.",
    RefusalKind.UNAVAILABLE: "This is a fault of the gateway, not of the request; try again later.",
    RefusalKind.LIMITED: "Try again when others of yours have ended.",
    RefusalKind.UNSETTLED: "This is a fault of the gateway; try again later.",
}


def answer(refusal: Refusal, call: ModelCall | McpCall | None) -> Answer:
    """Render a refusal for this client. The body names reason, policy and decision id, and never payload."""
    if isinstance(call, McpCall) and call.kind is McpKind.REQUEST:
        return _mcp_answer(refusal, call)
    if isinstance(call, ModelCall) and refusal.kind is not RefusalKind.UNAVAILABLE:
        return _model_answer(refusal, call)
    status = _STATUS[refusal.kind]
    problem = refusal_document(refusal, status)
    content_type = "application/json" if status == 202 else "application/problem+json"
    headers = [("content-type", content_type), ("cache-control", "no-store")]
    if status != 202:
        # OpenAI's clients retry 409, 429 and 5xx by themselves unless told not to.
        headers.append(("x-should-retry", "false"))
    if refusal.kind is RefusalKind.PENDING:
        headers.append(("preference-applied", "respond-async"))
    if refusal.retry_after_seconds is not None:
        headers.append(("retry-after", str(refusal.retry_after_seconds)))
    return Answer(status, tuple(headers), orjson.dumps(problem, option=orjson.OPT_APPEND_NEWLINE), refusal.kind.value)


def refusal_document(refusal: Refusal, status: int) -> dict[str, object]:
    """The problem details: RFC 9457 members first, then ours."""
    reasons = [
        {"policy": r.policy, "code": r.code, "message": r.message, "severity": r.severity.value}
        for r in grounds(refusal.decision)
    ]
    detail = " ".join(str(r["message"]).rstrip(".") + "." for r in reasons)
    document: dict[str, object] = {
        "type": f"urn:holdpoint:refusal:{refusal.kind.value}",
        "title": TITLE[refusal.kind],
        "status": status,
        "detail": detail,
        "instance": f"urn:holdpoint:decision:{refusal.decision.id}",
        "next": _NEXT[refusal.kind],
        "message": f"{TITLE[refusal.kind]}: {detail}",
        "decision": refusal.decision.id,
        "reasons": reasons,
    }
    if refusal.hold is not None:
        document["hold"] = refusal.hold
    return document


def problem(status: int, code: str, title: str, detail: str, *more: tuple[str, str], retry: bool = False) -> Answer:
    """A refusal that needs no policy: the request can't be vouched for as it is. `more` are further headers."""
    body = {
        "type": f"urn:holdpoint:refusal:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        # What OpenAI's clients put into the exception that an agent's developer reads.
        "message": f"{title}: {detail}",
    }
    headers = [("content-type", "application/problem+json"), ("cache-control", "no-store"), *more]
    if not retry:
        headers.append(("x-should-retry", "false"))
    return Answer(status, tuple(headers), orjson.dumps(body, option=orjson.OPT_APPEND_NEWLINE), code)


def grpc_unsupported() -> Answer:
    """The answer to a call of gRPC, which needs HTTP/2 and trailers all the way. Envoy makes a gRPC answer of it: the
    status becomes UNIMPLEMENTED, and the body its message."""
    message = (
        "gRPC is not governed, so it does not pass. An opaque target lets it through the forward proxy unread; "
        "gRPC-Web and JSON transcoding pass as HTTP."
    )
    return Answer(404, (("content-type", "text/plain"),), message.encode(), "grpc-unsupported")


def stopped(event: Stopped) -> Answer:
    """The answer where an exchange is stopped before anything of it went on."""
    match event.cause:
        case Cause.LIMIT:
            return problem(429, event.code, "Too much at one time", event.message, ("retry-after", "1"), retry=True)
        case Cause.TARGET:
            return problem(404, event.code, "No such target any more", event.message)
        case Cause.UNAVAILABLE:
            return problem(503, event.code, "Nobody can be let in now", event.message, ("retry-after", "1"))
    return problem(403, event.code, "This identity may not go on", event.message)


def unidentified(why: str, message: str, *, proxy: bool, status: int) -> Answer:
    """Nobody is let in without a credential that counts (RFC 9110, section 15.5.2; 15.5.8 for a proxy). `status` is
    what an origin would say; a proxy asks with 407 where that is 401."""
    challenge = 'realm="holdpoint"'
    more: tuple[tuple[str, str], ...] = ()
    if status == 401:
        # Bearer first: a client that knows both should send the token as what it is.
        name = "proxy-authenticate" if proxy else "www-authenticate"
        more = ((name, f"Bearer {challenge}, Basic {challenge}"),)
        status = 407 if proxy else 401
    elif status in (429, 503):
        more = (("retry-after", "1"),)
    title = "This identity may not go on" if status == 403 else "The gateway does not know who this is"
    return problem(status, why, title, message, *more, retry=status in (429, 503))


def _mcp_answer(refusal: Refusal, call: McpCall) -> Answer:
    document = refusal_document(refusal, _STATUS[refusal.kind])
    headers = (("cache-control", "no-store"), ("content-type", "application/json"))
    return Answer(200, headers, mcp_call.refusal(call, _words(refusal, document), document), refusal.kind.value)


def _words(refusal: Refusal, document: dict[str, object]) -> str:
    """One line for a model to read."""
    held = f", hold {refusal.hold}" if refusal.hold else ""
    detail = f"{document['title']}: {document['detail']} {document['next']}"
    return f"[holdpoint] {detail} (decision {refusal.decision.id}{held})"


def _model_answer(refusal: Refusal, call: ModelCall) -> Answer:
    document = refusal_document(refusal, 200)
    text = _words(refusal, document)
    content_type, body = model_refusal.refusal(call, refusal.decision.id, text, document)
    headers = (("cache-control", "no-store"), ("content-type", content_type))
    return Answer(200, headers, body, refusal.kind.value)
