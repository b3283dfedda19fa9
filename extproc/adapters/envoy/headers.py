"""Header names that a client may not choose, and those that nobody but Envoy may change."""

STRIPPED_PREFIXES = ("x-holdpoint-", "x-envoy-", "x-forwarded", "x-original-")
"""Removed from every request before anything else reads it: ours, Envoy's switches, unverified forwarding claims."""

STRIPPED = (
    "forwarded",
    "x-request-id",
    "x-client-trace-id",
    # Where the client says it is.
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "fastly-client-ip",
    # What some frameworks take in place of the method, path or host that policy decided on.
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-rewrite-url",
    "x-host",
)
"""Removed likewise, by whole name."""

TICKET_HEADER = "x-holdpoint-ticket"
"""On requests inside an intercepted tunnel: what the processor said of it when the tunnel was opened. Set by Envoy."""

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

REFUSED_METHODS = r"(?i)TRACE|TRACK|DEBUG|CONNECT"
"""TRACE and its kin return the request, credential and all; what is written like CONNECT and is not, is no method."""

AMBIGUOUS_PATH = r"(?i)(.*/)?\.{1,2}(;|%3b).*|.*%25(2e|2f|5c|25|00).*|.*%0[0ad].*"
"""Paths that upstreams read in several ways once Envoy has normalised them: dot segments with path parameters (Envoy
resolves `..;`, but leaves `%2e%2e;x=1` and `..%3b`), separators and dots escaped twice, escaped line ends and NULs."""
