"""What Envoy's route says of an exchange. It comes as gRPC metadata, which no client can write."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Via(StrEnum):
    """The way on which an exchange came.

    DIRECT: on the agents' listener. PROXY: a whole address in the request line, on the proxy listener. CONNECT: asks
    the proxy listener for a tunnel. TUNNEL: a request inside an intercepted tunnel."""

    DIRECT = "direct"
    PROXY = "proxy"
    CONNECT = "connect"
    TUNNEL = "tunnel"


class DeadEnd(StrEnum):
    """Why a route leads nowhere; the code of the refusal's record."""

    UNKNOWN_TARGET = "unknown-target"
    METHOD_REFUSED = "method-refused"
    AMBIGUOUS_PATH = "ambiguous-path"
    UNEXPECTED_DESTINATION = "unexpected-destination"
    MISDIRECTED = "misdirected"


class UnknownRoute(ValueError):
    """The route says nothing that we know."""


@dataclass(frozen=True, slots=True)
class Route:
    """`target` and `revision` name a target of one configuration, and `strip` the path prefix that Envoy takes off; or
    `dead_end` says that there is no target here."""

    via: Via
    target: str = ""
    revision: str = ""
    strip: str = ""
    dead_end: DeadEnd | None = None


def route_of(metadata: Iterable[tuple[object, object]]) -> Route:
    """Read a stream's initial metadata. Raises UnknownRoute."""
    told = {str(k): str(v) for k, v in metadata}
    try:
        via = Via(told.get("x-holdpoint-via", ""))
        if "x-holdpoint-refuse" in told:
            return Route(via, dead_end=DeadEnd(told["x-holdpoint-refuse"]))
        return Route(via, told["x-holdpoint-target"], told["x-holdpoint-revision"], told.get("x-holdpoint-strip", ""))
    except (KeyError, ValueError) as error:
        raise UnknownRoute("the route names no target of ours") from error
