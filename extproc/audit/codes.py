"""Why Envoy refused a request by itself: a stable code from its access log's response details and flags. Pure."""

import re
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Any

import orjson

LONGEST = 2048
"""Characters of one member that are kept."""


class Code(StrEnum):
    """The closed vocabulary of refusals that no decision of ours made."""

    CLIENT_CERTIFICATE = "client-certificate"
    TLS_FAILED = "tls-failed"
    CONNECTION_REFUSED = "connection-refused"
    TUNNEL_MISMATCH = "tunnel-mismatch"
    NO_DECISION = "no-decision"
    PROCESSOR_TIMEOUT = "processor-timeout"
    PROCESSOR_ERROR = "processor-error"
    CREDENTIAL_UNAVAILABLE = "credential-unavailable"
    ROUTE_NOT_FOUND = "route-not-found"
    HEADERS_TOO_LARGE = "headers-too-large"
    BODY_TOO_LARGE = "body-too-large"
    CODEC_ERROR = "codec-error"
    MALFORMED_REQUEST = "malformed-request"
    UPGRADE_REFUSED = "upgrade-refused"
    OVERLOAD = "overload"
    TIMEOUT = "timeout"
    CLIENT_LEFT = "client-left"
    UPSTREAM_UNAVAILABLE = "upstream-unavailable"
    UPSTREAM_TIMEOUT = "upstream-timeout"
    UPSTREAM_RESET = "upstream-reset"
    LOG_MALFORMED = "access-log-malformed"
    LOG_GAP = "access-log-gap"
    UNDECIDED_UPSTREAM = "undecided-upstream"
    OTHER = "other"


# Envoy's details are free text with spaces turned to `_`; the first pattern that is found says what it was. Their
# words are in Envoy's "Response Code Details" page, and the processor's in its ext_proc filter.
_DETAILS = [
    (re.compile(pattern), code)
    for pattern, code in [
        (r"connection:.*(certificate_verify_failed|certificate_revoked)", Code.CLIENT_CERTIFICATE),
        (r"connection:.*tls_error", Code.TLS_FAILED),
        (r"connection:", Code.CONNECTION_REFUSED),
        (r"rbac_access_denied", Code.NO_DECISION),
        (r"ext_proc.*timeout", Code.PROCESSOR_TIMEOUT),
        (r"ext_proc", Code.PROCESSOR_ERROR),
        (r"inject.*credential|credential.*inject", Code.CREDENTIAL_UNAVAILABLE),
        (r"headers?_too_large|header_list_size|too_many_headers|headers_count", Code.HEADERS_TOO_LARGE),
        (r"payload_too_large|body_too_large", Code.BODY_TOO_LARGE),
        (r"route_not_found|cluster_not_found|filter_chain_not_found|direct_response", Code.ROUTE_NOT_FOUND),
        (r"upstream.*timeout|via_upstream.*timeout", Code.UPSTREAM_TIMEOUT),
        (r"no_healthy_upstream|upstream.*(connection_failure|connect_error|overflow)", Code.UPSTREAM_UNAVAILABLE),
        (r"upstream", Code.UPSTREAM_RESET),
        (r"overload", Code.OVERLOAD),
        (r"downstream_remote_disconnect|remote_reset|downstream_remote_reset", Code.CLIENT_LEFT),
        (r"missing_(host|path|required)|path_normalization|absolute_path", Code.MALFORMED_REQUEST),
        (r"invalid_(url|path|host|scheme|characters)|unexpected_underscore", Code.MALFORMED_REQUEST),
        (r"upgrade_failed", Code.UPGRADE_REFUSED),
        (r"low_version|failed_strict_check", Code.MALFORMED_REQUEST),
        (r"codec|http[123]\.|protocol_error", Code.CODEC_ERROR),
        (r"timeout|max_duration", Code.TIMEOUT),
    ]
]

# The flags are the coarser word, asked only where the details say nothing we know.
_FLAGS = {
    "NR": Code.ROUTE_NOT_FOUND,
    "NC": Code.ROUTE_NOT_FOUND,
    "NFCF": Code.ROUTE_NOT_FOUND,
    "DPE": Code.CODEC_ERROR,
    "UAEX": Code.PROCESSOR_ERROR,
    "UH": Code.UPSTREAM_UNAVAILABLE,
    "UF": Code.UPSTREAM_UNAVAILABLE,
    "UO": Code.UPSTREAM_UNAVAILABLE,
    "UT": Code.UPSTREAM_TIMEOUT,
    "UR": Code.UPSTREAM_RESET,
    "UC": Code.UPSTREAM_RESET,
    "UPE": Code.UPSTREAM_RESET,
    "OM": Code.OVERLOAD,
    "RL": Code.OVERLOAD,
    "SI": Code.TIMEOUT,
    "DT": Code.TIMEOUT,
    "UMSDR": Code.TIMEOUT,
    "DC": Code.CLIENT_LEFT,
    "DR": Code.CLIENT_LEFT,
}


def code_of(details: str, flags: str) -> Code:
    """The code of a refusal; OTHER where neither text is known. Both are as Envoy logs them, empty for none."""
    text = details.lower().replace(" ", "_")
    if text.startswith("connection:") and "NR" in re.split(r"[,\s]+", flags):
        # No filter chain for the server name that was asked for: another host than the tunnel was opened to.
        return Code.TUNNEL_MISMATCH
    for pattern, code in _DETAILS:
        if pattern.search(text):
            return code
    return next((_FLAGS[flag] for flag in re.split(r"[,\s]+", flags) if flag in _FLAGS), Code.OTHER)


@dataclass(frozen=True, slots=True)
class Judged:
    """What a line of the access log amounts to: a record's kind and body."""

    kind: str
    body: dict[str, Any]


_TEXTS = ("time", "method", "authority", "response_flags", "details", "upstream_host", "source")
_NUMBERS = ("status", "bytes_in", "bytes_out", "duration_ms")


_UNREACHED = frozenset({"UF", "UH", "UO", "URX", "NC", "OM"})
HANDED_OVER = {"postgres": re.compile(r"(?:.*/)?(postgres-[0-9]+)\.sock")}
"""The ways (`via`) on which connections go to a worker whole, and where its socket is, called as its stream is."""


def judge(line: bytes) -> Judged | None:
    """A line of Envoy's access log as a record, or None where a decision of ours covers it and says all.

    A tunnel that a decision let open is a `tunnel`: how much went through it, and for how long, only Envoy knows. No
    decision is a `refusal`; no decision and yet an upstream is an `alarm`. Of a connection that was handed over to a
    worker the worker's own records tell, and there is none here; where no worker could be reached it is a `refusal`.
    A line that is not the JSON object that was asked for is a refusal of its own code, with its hash in place of its
    content. The query is left out of the path: nothing has looked for secrets in it."""
    try:
        entry = orjson.loads(line)
    except orjson.JSONDecodeError:
        entry = None
    if not isinstance(entry, dict):
        return Judged(
            "refusal",
            {"code": Code.LOG_MALFORMED.value, "size": len(line), "sha256": sha256(line).hexdigest()},
        )
    details = _text(entry, "details")
    ours = details.split(":", 2)
    decided = _text(entry, "decision")
    tunnel = bool(decided) and _text(entry, "method") == "CONNECT"
    if not tunnel and (decided or (len(ours) == 3 and ours[0] == "holdpoint" and ours[1])):
        return None
    upstream, worker = _text(entry, "upstream_host"), HANDED_OVER.get(_text(entry, "via"))
    unreached = not _UNREACHED.isdisjoint(re.split(r"[,\s]+", _text(entry, "response_flags")))
    to_worker = worker is not None and (not upstream or worker.fullmatch(upstream) is not None)
    if to_worker and upstream and not unreached:
        return None
    alarm = bool(upstream) and not to_worker
    body: dict[str, Any] = {name: _text(entry, name) for name in _TEXTS}
    body |= {name: entry.get(name) if isinstance(entry.get(name), int) else None for name in _NUMBERS}
    body["request"] = _text(entry, "request_id")
    body["target"] = {"name": _text(entry, "target")} if _text(entry, "target") else None
    who, issuer = _text(entry, "sub"), _text(entry, "iss")
    body["principal"] = {"issuer": issuer, "subject": who} if who and issuer else None
    if tunnel:
        return Judged("tunnel", body | {"decision": decided, "session": _text(entry, "session")})
    code = Code.UNDECIDED_UPSTREAM if alarm else code_of(details, body["response_flags"])
    if to_worker and unreached:
        # To Envoy the worker is an upstream.
        code = Code.PROCESSOR_ERROR
    body["code"] = code.value
    return Judged("alarm" if alarm else "refusal", body)


def _text(entry: dict[str, Any], name: str) -> str:
    """The member as text; Envoy writes null or `-` for what it does not have."""
    value = entry.get(name)
    return value[:LONGEST] if isinstance(value, str) and value != "-" else ""
