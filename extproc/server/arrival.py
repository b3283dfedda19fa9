"""How an exchange arrives: what Envoy says of its connection, and what its head shows of who it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from extproc.domain.identity import CARRIERS, Certificate, Shown
from extproc.domain.json import JSON
from extproc.protocols.http.edge import TICKET_HEADER
from extproc.protocols.session import Head, HeadReceived
from extproc.server.wire.ext_proc_pb2 import ProcessingRequest
from extproc.server.wire.structs import plain

EXT_PROC = "envoy.filters.http.ext_proc"
# Of the two that carry nothing else, and of our own: no session sees them.
_NOT_FOR_SESSIONS = frozenset({"authorization", "proxy-authorization", TICKET_HEADER})


@dataclass(frozen=True, slots=True)
class Arrival:
    """One exchange at its start. `request` is Envoy's id of it; `connection` tells client connections apart within one
    life of Envoy; `ticket` is the tunnel's that it came through, or None."""

    head: HeadReceived
    shown: Shown
    ticket: str | None
    request: str
    connection: tuple[str, str]
    trace: dict[str, JSON] | None

    def pseudo(self, name: str) -> str:
        """A pseudo-header of the request (":method" and its like), or an empty text."""
        return next((v for n, v in self.head.head.headers if n == name), "")

    @property
    def placed(self) -> bool:
        """True if Envoy says from which address and on which connection it comes: without both, one client's session
        would be another's."""
        return bool(self.shown.source) and all(self.connection)

    @property
    def kept_back(self) -> frozenset[str]:
        """The names of those of its headers that no session sees, and that must not go on either."""
        return frozenset(n for n, _ in self.head.head.headers if n in _NOT_FOR_SESSIONS)

    def asked(self, strip: str) -> tuple[str, str]:
        """Verb and resource, for a record of what never comes to an action: the path without its query, which may
        carry what no record should, and without what the route takes off (`strip`); a tunnel's destination."""
        verb = self.pseudo(":method")
        if verb == "CONNECT":
            return verb, self.pseudo(":authority").lower()
        return verb, self.pseudo(":path").partition("?")[0].removeprefix(strip) or "/"

    def for_session(self, used: frozenset[str]) -> HeadReceived:
        """The head without what said who it is."""
        kept = tuple((n, v) for n, v in self.head.head.headers if n not in _NOT_FOR_SESSIONS and n not in used)
        return HeadReceived(self.head.lane, Head(kept), self.head.end)


def arrival_of(first: ProcessingRequest, head: HeadReceived) -> Arrival:
    """Read a stream's first message."""
    attributes = plain(first.attributes[EXT_PROC])
    headers = dict(head.head.headers)
    source = _text(attributes, "source.address")
    trace: dict[str, JSON] | None = None
    if "traceparent" in headers:
        trace = {"traceparent": headers["traceparent"], "tracestate": headers.get("tracestate", "")}
    carried = tuple((n, v) for n, v in head.head.headers if n in CARRIERS)
    return Arrival(
        head,
        Shown(carried, _certificate(attributes), source.rpartition(":")[0]),
        headers.get(TICKET_HEADER),
        _text(attributes, "request.id") or headers.get("x-request-id", ""),
        (source, str(attributes.get("connection.id", ""))),
        trace,
    )


def _certificate(attributes: Mapping[str, Any]) -> Certificate | None:
    digest = _text(attributes, "connection.sha256_peer_certificate_digest")
    if not digest or attributes.get("connection.mtls") is not True:
        return None
    return Certificate(
        digest.lower(),
        _text(attributes, "connection.uri_san_peer_certificate"),
        _text(attributes, "connection.dns_san_peer_certificate"),
        _text(attributes, "connection.subject_peer_certificate"),
    )


def _text(attributes: Mapping[str, Any], name: str) -> str:
    value = attributes.get(name)
    return value if isinstance(value, str) else ""
