"""By which names each target is known to agents that use the gateway as their forward proxy. Light to import."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from extproc.adapters.envoy.plan import EnvoyPlan, Scheme, TargetPlan, Upstream, is_address


@dataclass(frozen=True, slots=True)
class Destination:
    """`real` are the authorities that are the upstream's own, and `given` those that stand for the target here: host
    and port, and the host alone where http leaves the port out. `hosts` are the hosts of both, without port, IPv6
    addresses without brackets."""

    real: tuple[str, ...]
    given: tuple[str, ...]
    hosts: tuple[str, ...]


def destinations(plan: EnvoyPlan) -> Mapping[str, Destination]:
    """Each target's destinations, by its name.

    A host that was given to one target is that one's alone. An upstream that several targets have and none was given
    the host of is nobody's: which of them is meant, only a name of its own can say.
    """
    given = {target.name: _given(plan, target) for target in plan.targets}
    owner = {authority: name for name, authorities in given.items() for authority in authorities}
    real = {t.name: _authorities(t.upstream.host, (t.upstream.port,), t) for t in plan.targets}
    shared = Counter(authority for authorities in real.values() for authority in authorities)
    found = {}
    for target in plan.targets:
        name = target.name
        own = tuple(a for a in real[name] if owner.get(a) == name or (a not in owner and shared[a] == 1))
        rest = tuple(a for a in given[name] if a not in own)
        hosts = list(dict.fromkeys(_host(authority) for authority in (*own, *rest)))
        found[name] = Destination(own, rest, tuple(hosts))
    return found


def intercepted(plan: EnvoyPlan) -> Mapping[str, tuple[str, ...]]:
    """The targets whose tunnels end at the gateway, which shows a certificate of its own there, and the hosts that the
    certificate is for."""
    if plan.proxy is None:
        return {}
    found = destinations(plan)
    return {
        target.name: found[target.name].hosts
        for target in plan.targets
        if target.upstream.scheme is Scheme.HTTPS and not target.opaque
    }


def authority(upstream: Upstream) -> str:
    """What an upstream is called in the requests that it gets."""
    host = _bracketed(upstream.host)
    return host if upstream.port == _usual(upstream.scheme) else f"{host}:{upstream.port}"


def server_names(destination: Destination) -> tuple[str, ...]:
    """The names that a TLS client may ask for. Clients ask for no name where they connect to an address."""
    return tuple(host for host in destination.hosts if not is_address(host))


def _given(plan: EnvoyPlan, target: TargetPlan) -> tuple[str, ...]:
    hosts = (f"{target.name}.{plan.domain}", *target.hosts)
    ports = tuple(dict.fromkeys((_usual(target.upstream.scheme), target.upstream.port)))
    return tuple(a for host in hosts for a in _authorities(host, ports, target))


def _authorities(host: str, ports: tuple[int, ...], target: TargetPlan) -> tuple[str, ...]:
    found = [f"{_bracketed(host)}:{port}" for port in ports]
    if _usual(target.upstream.scheme) in ports:
        # Inside a tunnel, and in an http address, a client leaves the usual port out.
        found.append(_bracketed(host))
    return tuple(found)


def _usual(scheme: Scheme) -> int:
    return 443 if scheme is Scheme.HTTPS else 80


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _host(authority: str) -> str:
    if authority.startswith("["):
        return authority[1 : authority.index("]")]
    return authority.partition(":")[0]
