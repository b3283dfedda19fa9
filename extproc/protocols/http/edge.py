"""What Envoy takes off or turns away at its edge, and whether it did so of a head. Pure.

The lists are what Envoy's configuration is generated from. A worker looks again, because somebody else may have written
the configuration of the Envoy that asks it.
"""

import re
from dataclasses import dataclass

from extproc.protocols.session import Head

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

REFUSED_METHODS = r"(?i)TRACE|TRACK|DEBUG|CONNECT"
"""TRACE and its kin return the request, credential and all; what is written like CONNECT and is not, is no method."""

AMBIGUOUS_PATH = r"(?i)(.*/)?\.{1,2}(;|%3b).*|.*%25(2e|2f|5c|25|00).*|.*%0[0ad].*"
"""Paths that upstreams read in several ways once Envoy has normalised them: dot segments with path parameters (Envoy
resolves `..;`, but leaves `%2e%2e;x=1` and `..%3b`), separators and dots escaped twice, escaped line ends and NULs."""

MOST_HEADERS = 80
"""Header lines of a request, Host not counted. Envoy ends a request of more than 100 by itself, and counts its own and
what a worker adds among them: a request that came close would fail after its decision."""

LONGEST_PATH = 8 * 1024
"""Bytes of a path with its query. Policy, detectors and records read all of it."""

MOST_SEGMENTS = 256
"""Segments of a path. Policy looks at each."""

# What Envoy itself puts on a request before the processor sees it. The last three are traces' and meshes', on which
# no router acts.
_ENVOYS = frozenset(
    {
        "x-request-id",
        "x-forwarded-proto",
        "x-envoy-external-address",
        "x-envoy-decorator-operation",
        "x-envoy-peer-metadata",
        "x-envoy-peer-metadata-id",
    }
)
# In a path that Envoy has normalised there is none of these: separators that could be merged, turned or unescaped, dot
# segments, and escapes of what needs none.
_NOT_NORMALISED = re.compile(
    r"(?i)//|\\|#|/\.{1,2}(/|$)|%(2[def]|5[cf]|7e|3[0-9]|[46][1-9a-f]|[57][0-9a])",
)
_AMBIGUOUS = re.compile(AMBIGUOUS_PATH)
_METHODS = re.compile(REFUSED_METHODS)


UPGRADE_REFUSED = "upgrade-refused"


@dataclass(frozen=True, slots=True)
class Unfit:
    """Why a request can't go on: the code of the refusal's record, a sentence for whoever sent it, and the status."""

    code: str
    detail: str
    status: int = 400


def unfit(head: Head, *, tunnel: bool = False, connect: bool = False) -> Unfit | None:
    """Why a request's head can't have come through an Envoy that keeps to our configuration, or None. Inside a `tunnel`
    it has a ticket; a `connect` is a CONNECT, which has no path."""
    if sum(_clients(name) for name, _ in head.headers) > MOST_HEADERS:
        return Unfit("header-refused", f"Send {MOST_HEADERS} header lines at most.", 431)
    if not connect and (fault := _oversized(next((value for name, value in head.headers if name == ":path"), ""))):
        return fault
    for name, value in head.headers:
        if name == ":path" and not connect and not normalised(value):
            return Unfit("ambiguous-path", "Send the path in its normal form: no dot segments, no '//', no '%2f'.")
        if name == ":method" and not connect and _METHODS.fullmatch(value):
            return Unfit("method-refused", "Use another method.", 405)
        if name == "upgrade" or name == ":protocol":
            return Unfit(UPGRADE_REFUSED, "Bytes of another protocol can't be decided on; send it as plain HTTP.")
        if "_" in name:
            return Unfit("header-refused", "Header names with underscores read differently at different servers.")
        if _stripped(name) and not (tunnel and name == TICKET_HEADER):
            return Unfit("header-refused", f"A client may not say {name[:64]!r}; leave the header out.")
    return None


def normalised(path: str) -> bool:
    """True for a path (with or without query) that Envoy's normalisation would leave as it is, and that every upstream
    reads in one way."""
    path = path.partition("?")[0]
    return path[:1] == "/" and not _NOT_NORMALISED.search(path) and not _AMBIGUOUS.fullmatch(path)


def _oversized(path: str) -> Unfit | None:
    """Why a path is more than is decided on."""
    if len(path) > LONGEST_PATH:
        why = f"The path with its query has {len(path)} bytes, and may have {LONGEST_PATH}; send long values in a body."
        return Unfit("path-too-long", why, 414)
    segments = path.partition("?")[0].count("/")
    if segments > MOST_SEGMENTS:
        return Unfit("path-too-long", f"The path has {segments} segments, and may have {MOST_SEGMENTS}.", 414)
    return None


def _clients(name: str) -> bool:
    return not name.startswith(":") and name not in _ENVOYS and name != TICKET_HEADER


def _stripped(name: str) -> bool:
    return name not in _ENVOYS and (name in STRIPPED or name.startswith(STRIPPED_PREFIXES))
