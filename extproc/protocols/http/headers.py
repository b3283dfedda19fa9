"""Which headers carry secrets, which bind an approval, and which never go on."""

import re

from extproc.domain.identity import CARRIERS

# Never shown to policy or people, never recorded: they carry the client's own secrets.
SECRET = frozenset({*CARRIERS, "cookie"})

# In an answer they could only be the real credential, or a session made with it.
NOT_FOR_AGENTS = SECRET | {"set-cookie", "set-cookie2"}

# They differ between two sendings of one action, so an approval can't bind them, and say what they like, so they don't
# go on. A trace keeps its `traceparent`, if it is one: that has room for ids only (W3C Trace Context, section 3.2).
NOT_FOR_UPSTREAMS = frozenset({"b3", "baggage", "tracestate"})
NOT_FOR_UPSTREAMS_PREFIXES = ("x-b3-", "x-stainless-")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")

# Set by Envoy for each request, about the message's framing, or bound in a form of their own (`prefer`).
_NOT_BOUND = frozenset(
    {"accept-encoding", "content-length", "prefer", "traceparent", "transfer-encoding", "x-request-id"}
)
_NOT_BOUND_PREFIXES = (":", "x-envoy-", "x-forwarded-")

# Envoy's own, which the processor may not change; no client can set them, for Envoy takes theirs away.
_ENVOYS = frozenset({"host", "x-request-id", "traceparent"})
_ENVOYS_PREFIXES = (":", "x-envoy-", "x-forwarded-")


def goes_on(name: str, value: str) -> bool:
    """False for a request's header that never reaches an upstream."""
    if name == "traceparent":
        return _TRACEPARENT.fullmatch(value) is not None
    return name not in NOT_FOR_UPSTREAMS and not name.startswith(NOT_FOR_UPSTREAMS_PREFIXES)


def binds(name: str, value: str) -> bool:
    """True for a request's header that an approval binds as it is."""
    return goes_on(name, value) and name not in _NOT_BOUND and not name.startswith(_NOT_BOUND_PREFIXES)


def masked(name: str) -> bool:
    """True for a request's header whose value is searched and masked: neither a secret as a whole nor Envoy's own."""
    return name not in SECRET and name not in _ENVOYS and not name.startswith(_ENVOYS_PREFIXES)


def masked_in_answers(name: str) -> bool:
    """The same for a header of an answer, where `traceparent` is the upstream's and Envoy has no part in it."""
    return name == "traceparent" or masked(name)
