"""Header names that nobody but Envoy may change, beside those that a client may not choose (protocols/http/edge.py)."""

from extproc.protocols.http.edge import STRIPPED_PREFIXES, TICKET_HEADER

NOT_FOR_UPSTREAM = (
    "authorization",
    "proxy-authorization",
    TICKET_HEADER,
    "x-forwarded-proto",
    "x-forwarded-for",
    "x-envoy-external-address",
)
"""Removed when a request leaves, after the processor has seen it and before the real credential is put in: what says
who asks, and what Envoy itself adds at the edge."""

IMMUTABLE = r"(?i)^(:.*|host|x-request-id|x-envoy-.*|x-forwarded-.*)$"
"""What the processor may not touch in either direction; an attempt ends the request with 500. It does take credentials
and our own names out of answers; what it would put into a request's is overwritten by the credential injector."""

NOT_FOR_CLIENTS = ("host", "x-request-id")
NOT_FOR_CLIENTS_PREFIXES = STRIPPED_PREFIXES
"""Removed from answers and their trailers before the processor sees them: all of IMMUTABLE that an upstream can send,
because what the processor may not touch it can't mask either. Envoy puts the request's id on afterwards."""
