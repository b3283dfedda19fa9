"""What the network lets through: targets, admin ports, the cloud's metadata, another address family, a proxy."""

import ipaddress
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from extproc.app.doctor.finding import PATIENCE_SECONDS, Finding, Severity, closed
from extproc.app.doctor.plan import Endpoint, Plan

METADATA = ("169.254.169.254", "fd00:ec2::254")
"""Where clouds serve credentials of the machine itself."""

_PROBE_SECONDS = PATIENCE_SECONDS * 0.8
_SHOWN = 4


@dataclass(frozen=True, slots=True)
class _Reached:
    """One address of an endpoint, and what came of connecting to it: "" if nothing did."""

    address: str
    how: str


def target(end: Endpoint) -> Iterator[Finding]:
    """Whether a target can be reached past the gateway, at any of its addresses."""
    tried, reached = _try(end)
    if not reached:
        yield closed("direct", f"target {end.what}: {end} {'is not reached' if tried else 'is not resolved'}")
        return
    yield Finding(
        "direct",
        Severity.HIGH,
        True,
        f"target {end.what}: {end} is reached directly ({_listed(reached)})",
        "What goes that way meets no policy, and no record tells of it.",
        f"Let the gateway alone connect to {end} (docs/network.md).",
    )


def admin(end: Endpoint) -> Iterator[Finding]:
    """Whether a port of the gateway's own, or of what it reports to, can be reached."""
    _, reached = _try(end)
    if not reached:
        yield closed("admin", f"{end.what}: {end} is not reached")
        return
    yield Finding(
        "admin",
        Severity.HIGH,
        True,
        f"{end.what}: {end} is reached ({_listed(reached)})",
        "It tells of other agents' actions, or takes false records.",
        f"Close {end} to agents, or have it listen where they can't connect (docs/network.md).",
    )


def metadata(host: str, port: int) -> Iterator[Finding]:
    """Whether the cloud's metadata service answers."""
    end = Endpoint("the cloud's metadata", host, port)
    _, reached = _try(end)
    if not reached:
        yield closed("metadata", f"{end.what}: {end} is not reached")
        return
    yield Finding(
        "metadata",
        Severity.HIGH,
        True,
        f"{end.what}: {end} is reached",
        "It gives the credentials of the machine's own role to whoever asks.",
        "Block it for the agent's user; ask for session tokens with hop limit 1; give the machine no role.",
    )


def gateway(url: str) -> Iterator[Finding]:
    """Whether the gateway itself can be reached, which is how it should be."""
    end = _endpoint("the gateway", url)
    if end is not None and _try(end)[1]:
        yield closed("gateway", f"the gateway: {end} is reached")
    else:
        yield Finding(
            "gateway",
            Severity.NOTE,
            True,
            f"the gateway: {url} is not reached from here",
            "The agent can't do its work through it.",
            "Let the agent connect to it, and to nothing else; is it up, and is the address right?",
        )


def second_family() -> Iterator[Finding]:
    """Whether IPv6 has a way out, which rules for IPv4 do not close. Nothing is sent."""
    if not _routed(socket.AF_INET6, "2001:db8::1"):
        yield closed("ipv6", "IPv6 has no way out")
        return
    yield Finding(
        "ipv6",
        Severity.NOTE,
        True,
        "IPv6 has a way out of this host",
        "Rules written for IPv4 do not hold there; a target with an IPv6 address is reached past them.",
        "Write the rules for both families (nftables: table inet), or take the IPv6 route away.",
    )


def names(plan: Plan) -> Iterator[Finding]:
    """Whether outside names resolve: a resolver carries data out in the names that it is asked for."""
    outside = [end.host for end in plan.targets if _is_name(end.host)]
    if not any(_addresses(host, 443) for host in outside):
        yield closed("dns", "targets' names do not resolve here")
        return
    yield Finding(
        "dns",
        Severity.LOW,
        True,
        f"names outside resolve here ({_shown(outside)})",
        "An agent can carry data out in the names that it asks for, to a server that logs them.",
        "Give agents no resolver, or one that knows the gateway's name alone; the gateway resolves targets itself.",
    )


def proxies(plan: Plan, gateway_url: str, environment: Mapping[str, str]) -> Iterator[Finding]:
    """Where the proxy variables lead, and what they leave out."""
    ours = {end_of(url) for url in (plan.proxy, plan.gateway, gateway_url) if url}
    proxy, seen = end_of(plan.proxy), end_of(gateway_url)
    if proxy and seen:  # the gateway's host may have another name or address from here
        ours.add((seen[0], proxy[1]))
    variables = {
        name: value
        for name, value in environment.items()
        if name.upper() in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY") and value
    }
    for name, value in sorted(variables.items()):
        end = _endpoint(f"the proxy of {name}", value)
        if end is not None and (end.host, end.port) in ours:
            yield closed("proxy", f"{name} leads to the gateway")
        elif end is None or _try(end)[1]:
            yield Finding(
                "proxy",
                Severity.HIGH,
                True,
                f"{name} leads to {end or 'a place that can not be read'}, which is not the gateway",
                "It is another way out, with rules of its own or none.",
                f"Set {name} to the gateway's proxy, and close that address to agents.",
            )
        else:
            yield closed("proxy", f"{name} leads to {end}, which is not reached")
    if plan.proxy and not variables:
        yield Finding(
            "proxy",
            Severity.NOTE,
            True,
            "HTTPS_PROXY is not set, and the gateway has a forward proxy",
            "Clients that know no other way fail instead of asking the gateway.",
            f"Set HTTPS_PROXY and HTTP_PROXY to http://{plan.proxy} where agents should use it.",
        )
    yield from _exceptions(plan, environment)


def _exceptions(plan: Plan, environment: Mapping[str, str]) -> Iterator[Finding]:
    listed = {
        entry.strip().lower()
        for name in ("NO_PROXY", "no_proxy")
        for entry in environment.get(name, "").split(",")
        if entry.strip()
    }
    hosts = [end.host for end in plan.targets]
    past = sorted(entry for entry in listed if any(_matches(entry, host) for host in hosts))
    if past:
        yield Finding(
            "proxy",
            Severity.MEDIUM,
            True,
            f"NO_PROXY leaves out targets ({_shown(past)})",
            "Clients go to these directly, and fail, or pass the gateway by.",
            "Take them out of NO_PROXY.",
        )


def _matches(entry: str, host: str) -> bool:
    if entry == "*":
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        name = entry.rpartition(":")[0] if entry.rpartition(":")[2].isdigit() else entry
        return host == name.lstrip("*.") or host.endswith("." + name.lstrip("*."))


def end_of(url: str) -> tuple[str, int] | None:
    """Host and port of an address, with or without a scheme."""
    end = _endpoint("", url)
    return None if end is None else (end.host, end.port)


def _endpoint(what: str, url: str) -> Endpoint | None:
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        host = (parts.hostname or "").lower()
    except ValueError:
        return None
    wild = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not listened on
    return Endpoint(what, wild.get(host, host), port, parts.scheme == "https") if host else None


def _try(end: Endpoint) -> tuple[list[str], list[_Reached]]:
    """The addresses of an endpoint, and those that were reached."""
    addresses = _addresses(end.host, end.port)[:8]
    reached: list[_Reached] = []
    for address in addresses:
        if how := _connect(address, end, _PROBE_SECONDS / len(addresses)):
            reached.append(_Reached(address, how))
    return addresses, reached


def _connect(address: str, end: Endpoint, seconds: float) -> str:
    try:
        with socket.create_connection((address, end.port), timeout=seconds) as connection:
            if not end.tls:
                return "TCP"
            # Who answers is not the question: whoever it is was reached.
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            try:
                with context.wrap_socket(connection, server_hostname=end.host if _is_name(end.host) else None):
                    return "TLS"
            except OSError:
                return "TCP, then no TLS"
    except OSError:
        return ""


def _addresses(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return list(dict.fromkeys(str(item[4][0]) for item in found))


def _routed(family: socket.AddressFamily, address: str) -> bool:
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 53))
            return not ipaddress.ip_address(probe.getsockname()[0].partition("%")[0]).is_loopback
    except OSError:
        return False


def _is_name(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host != "localhost" and not host.endswith(".localhost")
    return False


def _listed(reached: list[_Reached]) -> str:
    return _shown([f"{item.address}, {item.how}" for item in reached])


def _shown(items: list[str]) -> str:
    more = len(items) - _SHOWN
    return "; ".join(items[:_SHOWN]) + (f"; {more} more" if more > 0 else "")
