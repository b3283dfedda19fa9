"""What must hold between settings. Each check reads whatever could be read, so that a mistake in one place hides no
mistake in another."""

import os
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

from extproc.config import audit_checks, postgres
from extproc.config.postgres import ServerTls
from extproc.config.reading import Reading, Seen
from extproc.config.settings import CONTROL_SOCKET
from extproc.config.source import Problem, quote
from extproc.config.values import Address, Inspection, Url, size_text
from extproc.domain.target import Inspect, Protocol

LISTENERS = ("listen.address", "listen.ops", "listen.proxy", "listen.postgres")
LONGEST_SOCKET = 107  # bytes in sockaddr_un.sun_path on Linux, without its closing NUL


def cross_check(reading: Reading) -> Iterator[Problem]:
    """The problems that only show when settings are compared."""
    for check in _CHECKS:
        for path, seen, message in check(reading):
            yield Problem(seen.mark, f"{path}: {message}")


_Finding = tuple[str, Seen, str]


def _audiences(reading: Reading) -> Iterator[_Finding]:
    agents = {seen.value: path for path, seen in reading.matching(r"identity\.agents\[\d+\]\.audience")}
    for path, seen in reading.matching(r"identity\.approvers\[\d+\]\.audience"):
        if seen.value in agents:
            same = f"{quote(seen.value)} is the agents' audience too ({agents[seen.value]})"
            yield path, seen, f"{same}, so an agent's token could approve; give approvers one of their own"


def _issuers(reading: Reading) -> Iterator[_Finding]:
    first: dict[tuple[str, str, str], str] = {}
    for path, seen in reading.matching(r"identity\.(agents|approvers)\[\d+\]\.issuer"):
        entry = path.removesuffix(".issuer")
        audience = reading.value(f"{entry}.audience")
        key = (entry.partition("[")[0], seen.value, audience)
        if audience is not None and first.setdefault(key, entry) != entry:
            yield path, seen, f"{first[key]} has the same issuer and audience; keep one of them"


def _hosts(reading: Reading) -> Iterator[_Finding]:
    """Each target has `<name>.<domain>` whatever its `host`, so that nobody else's can be that."""
    hosts = [(path, path.split(".")[1], seen) for path, seen in reading.matching(r"targets\.[^.]+\.host")]
    owners = {f"{name}.{reading.value('listen.domain')}": name for _, name, _ in hosts}
    for path, name, seen in hosts:
        if owners.setdefault(seen.value, name) != name:
            yield path, seen, f"{quote(seen.value)} is the host of {owners[seen.value]} too; each has one of its own"


def _listeners(reading: Reading) -> Iterator[_Finding]:
    taken: dict[str, Address] = {}
    for path in LISTENERS:
        address: Address | None = reading.value(path)
        if address is None:
            continue
        for other, there in taken.items():
            if address.port == there.port and (_any(address) or _any(there) or address.host == there.host):
                yield path, reading.seen[path], f"{address} is taken by {other} ({there}); use another port"
        taken[path] = address


def _loops(reading: Reading) -> Iterator[_Finding]:
    """A target that is the gateway, its metrics or its engine would hand agents what they must not reach."""
    ours = [(path, reading.value(path)) for path in LISTENERS]
    engine = reading.value("policy.engine")
    for path, seen in reading.matching(r"targets\.[^.]+\.upstream"):
        url: Url = seen.value
        for name, address in ours:
            if isinstance(address, Address) and _reaches(url, address):
                yield path, seen, f"{url} is Holdpoint's own {name}; name the service that agents are to reach"
        if isinstance(engine, Url) and (engine.host, engine.port) == (url.host, url.port):
            yield path, seen, f"{url} is the policy engine (policy.engine); agents must not reach it"


def _opaque(reading: Reading) -> Iterator[_Finding]:
    """A tunnel is asked for by CONNECT alone, and what nobody reads can't be changed."""
    for path, seen in reading.matching(r"targets\.[^.]+\.opaque"):
        if seen.value is not True:
            continue
        target = path.removesuffix(".opaque")
        if reading.value(f"{target}.protocol") is Protocol.POSTGRES:
            continue
        if "listen.proxy" in reading.seen and reading.value("listen.proxy") is None:
            yield path, seen, "a tunnel is reached through the forward proxy only; set listen.proxy too"
        if reading.value(f"{target}.credential") is not None:
            path = f"{target}.credential"
            yield (
                path,
                reading.seen[path],
                "nothing can be added to what nobody reads; leave it out, or leave out opaque",
            )
        upstream: Url | None = reading.value(f"{target}.upstream")
        if upstream is not None and upstream.base:
            path = f"{target}.upstream"
            yield (
                path,
                reading.seen[path],
                f"a tunnel has no path; write {upstream.scheme}://{upstream.authority} alone",
            )


def _bodies(reading: Reading) -> Iterator[_Finding]:
    """A body that policy is to read whole has to fit into what one principal may hold in one worker."""
    limit, workers = reading.value("limits.bytes"), reading.value("workers")
    if limit is None or workers is None:
        return
    share = -(-limit // workers)
    for path, seen in reading.matching(r"targets\.[^.]+\.inspect"):
        inspection: Inspection = seen.value
        if inspection.mode is Inspect.FULL and inspection.limit > share:
            least = size_text(inspection.limit * workers)
            yield (
                path,
                seen,
                f"{inspection} is more than one worker's share of limits.bytes; set that to {least} or more",
            )


def _authorities(reading: Reading) -> Iterator[_Finding]:
    for path, seen in reading.matching(r".+\.ca"):
        section = path.removesuffix(".ca")
        named = (reading.value(f"{section}.{name}") for name in ("upstream", "jwks", "endpoint"))
        address = next((value for value in named if value is not None), None)
        if address is None:
            continue
        https = isinstance(address, Url) and address.scheme == "https"
        database = isinstance(address, Url) and address.scheme == "postgres"
        proved = https or (database and reading.value(f"{section}.tls") is ServerTls.VERIFY_FULL)
        if proved and seen.value is None:
            yield path, seen, "the system's certificate authorities were not found; name them in a PEM file"
        if seen.value is not None and database and reading.value(f"{section}.tls") is ServerTls.OFF:
            yield path, seen, "is for checking the server's certificate, and tls is off; leave one of the two out"
        if seen.value is not None and not https and not database:
            yield path, seen, f"is for checking an https address, and {address} is not one; leave it out, or use https"


def _own_files(reading: Reading) -> Iterator[_Finding]:
    """What is sent to others is never one of the gateway's own secrets."""
    state: Path | None = reading.value("state")
    if not state:
        return
    own = os.path.realpath(state)
    for path, seen in reading.matching(
        r"targets\.[^.]+\.(credential\.file|ca|logins\[\d+\]\.(password|certificate|key))|identity\..+\.ca|audit\..+\.(ca|access_key|secret_key)"
    ):
        # Links count as what they lead to.
        if seen.value and os.path.commonpath([own, os.path.realpath(seen.value)]) == own:
            yield path, seen, f"{seen.value} is in the gateway's own folder ({state}); keep yours outside of it"


def _engine(reading: Reading) -> Iterator[_Finding]:
    if reading.value("policy.token") is None or "policy.engine" not in reading.seen:
        return
    if reading.value("policy.engine") is None:
        yield "policy.token", reading.seen["policy.token"], "a managed engine makes its own token; leave this out"


def _sockets(reading: Reading) -> Iterator[_Finding]:
    state: Path | None = reading.value("state")
    control: Path | None = reading.value("listen.control")
    engine = reading.value("policy.engine")
    if state:
        longest = max((len(os.fsencode(state / "run" / name)) for name in _socket_names(reading)), default=0)
        spare = LONGEST_SOCKET - longest
        if spare < 0:
            fits = f"the path of a unix socket in it would have {longest} bytes and {LONGEST_SOCKET} is the most"
            yield "state", reading.seen["state"], f"{fits}; choose a folder whose path is {-spare} bytes shorter"
    for path, socket in (("listen.control", control), ("policy.engine", engine)):
        if isinstance(socket, Path) and (not state or socket != state / CONTROL_SOCKET):
            length = len(os.fsencode(socket))
            if length > LONGEST_SOCKET:
                yield path, reading.seen[path], f"has {length} bytes; a socket's path has {LONGEST_SOCKET} at most"


def _socket_names(reading: Reading) -> Iterator[str]:
    yield from (CONTROL_SOCKET.name, "envoy-admin.sock", "opa.sock")
    last = (reading.value("workers") or 1) - 1
    yield f"workers/worker-{last}.sock"
    if reading.value("listen.postgres") is not None:
        yield f"workers/postgres-{last}.sock"


def _own_envoy(reading: Reading) -> Iterator[_Finding]:
    """Tunnels are the work of two listeners that know of one another; a snippet has one."""
    if reading.value("listen.envoy") != "own":
        return
    own = "an Envoy of your own (listen.envoy: own) serves no"
    if reading.value("listen.proxy") is not None:
        yield "listen.proxy", reading.seen["listen.proxy"], f"{own} forward proxy; leave one of the two out"
    for path, seen in reading.matching(r"targets\.[^.]+\.opaque"):
        if seen.value:
            yield path, seen, f"{own} opaque targets; leave one of the two out"


def _certificates(reading: Reading) -> Iterator[_Finding]:
    if reading.value("identity.certificates") and reading.value("listen.tls.client_ca") is None:
        message = "no client certificate is asked for; name its authorities in listen.tls.client_ca"
        yield "identity.certificates", reading.seen["identity.certificates"], message


def _any(address: Address) -> bool:
    return ip_address(address.host).is_unspecified


def _reaches(url: Url, address: Address) -> bool:
    if url.port != address.port:
        return False
    local = url.host == "localhost"
    try:
        host = ip_address(url.host)
    except ValueError:
        return local and (_any(address) or ip_address(address.host).is_loopback)
    return str(host) == address.host or host.is_unspecified or (host.is_loopback and _any(address))


_CHECKS = (
    *(_audiences, _issuers, _certificates, _hosts, _listeners, _loops, _opaque, _bodies, _authorities),
    *(
        _own_envoy,
        _own_files,
        _engine,
        _sockets,
        postgres.only_here,
        postgres.logins,
        audit_checks.witnesses,
        audit_checks.keeping,
    ),
)
