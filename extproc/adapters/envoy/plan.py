"""What Envoy is to be: plain values, checked before anything is generated from them."""

import ipaddress
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePath

from extproc.domain.target import Inspect

LONGEST_WAIT_SECONDS = 3600.0
"""Envoy's own maximum for `max_message_timeout`: no request can be held in the open for longer."""

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_REVISION = re.compile(r"[A-Za-z0-9]{1,64}")
_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}")
_PREFIX = re.compile(r"[\x20-\x7e]{0,64}")
_BASE_PATH = re.compile(r"/|(/[A-Za-z0-9._~-]+)+/?")
_RESERVED_HEADERS = re.compile(r"(?i)host|connection|content-length|transfer-encoding|te|x-envoy-.*|x-holdpoint-.*")


class Scheme(StrEnum):
    """How an upstream is spoken to."""

    HTTP = "http"
    HTTPS = "https"


class Via(StrEnum):
    """The way on which an exchange comes; the processor is told it as `x-holdpoint-via`. POSTGRES: a connection that is
    handed over whole, of which there is no exchange."""

    DIRECT = "direct"
    PROXY = "proxy"
    CONNECT = "connect"
    TUNNEL = "tunnel"
    POSTGRES = "postgres"


class BadPlan(ValueError):
    """A plan that no safe configuration comes from. The message names every fault, one a line."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files of the listeners: certificate chain and private key. With `client_ca`, a client may show a certificate
    of one of these authorities; `crl` has the revocation lists of all of them, in the same folder. Replaced by rename,
    each is read again."""

    certificate: str
    key: str
    client_ca: str | None = None
    crl: str | None = None


@dataclass(frozen=True, slots=True)
class ProxyPlan:
    """Where agents connect that use the gateway as their forward proxy; port 0 lets the kernel choose."""

    address: str
    port: int


@dataclass(frozen=True, slots=True)
class PostgresPlan:
    """Where agents connect as if it were a PostgreSQL server; port 0 lets the kernel choose."""

    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where a target lives. `path` is put in front of what the agent asks for. `ca` is the PEM file of the roots that
    an https upstream's certificate is checked against (Envoy has none of its own). `host` is a name or an address (IPv6
    without brackets)."""

    scheme: Scheme
    host: str
    port: int
    path: str = "/"
    ca: str | None = None


@dataclass(frozen=True, slots=True)
class Credential:
    """The real credential: the file's content, after `prefix`, becomes the value of `header` on the way upstream."""

    file: str
    header: str = "Authorization"
    prefix: str = "Bearer "


@dataclass(frozen=True, slots=True)
class TargetPlan:
    """One target: reached as `<name>.<domain>`, as each of `hosts`, and as `/<name>/` on any other host; through the
    forward proxy, also by its upstream's own host and port. An `opaque` one is reached through the proxy's tunnels
    only, and nobody reads what is inside.

    `revision` names this very configuration of it to the workers, which may know several at a time. `wait_seconds` is
    the longest that a request of it is held in the open."""

    name: str
    upstream: Upstream
    hosts: tuple[str, ...] = ()
    credential: Credential | None = None
    inspect: Inspect = Inspect.FULL
    wait_seconds: float = 30.0
    revision: str = "0"
    opaque: bool = False

    @property
    def key(self) -> str:
        """Names what leads to this very upstream with this very credential: what a request was decided for must not
        become another while it waits."""
        return f"{self.name}-{self.revision}"


@dataclass(frozen=True, slots=True)
class EnvoyPlan:
    """Everything that the generated configuration depends on.

    `address` and `port` are where agents connect (port 0 lets the kernel choose). `workers` is how many processor
    sockets there are, `<run>/worker-0.sock` and so on, and with `postgres` as many `<run>/postgres-0.sock`; `run` is
    relative to Envoy's working directory. `dialled` are the keys of targets that workers connect to themselves: Envoy
    knows nothing of them, and what their names stand for is written down beside its own.
    Files may be absolute or relative to that directory. Raises BadPlan.
    """

    address: str
    port: int
    domain: str
    targets: tuple[TargetPlan, ...]
    workers: int
    tls: TlsFiles | None = None
    run: str = "../run/workers"
    proxy: ProxyPlan | None = None
    postgres: PostgresPlan | None = None
    dialled: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        faults = [*_listen_faults(self), *_target_faults(self)]
        if faults:
            raise BadPlan("\n".join(faults))


def is_address(host: str) -> bool:
    """True for an IP address, False for a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _listen_faults(plan: EnvoyPlan) -> list[str]:
    faults = []
    if not is_address(plan.address):
        faults.append(f"address: expected an IP address, found {plan.address!r}")
    if not 0 <= plan.port <= 65535:
        faults.append(f"port: expected 0 to 65535, found {plan.port}")
    if plan.proxy is not None and not is_address(plan.proxy.address):
        faults.append(f"proxy.address: expected an IP address, found {plan.proxy.address!r}")
    if plan.proxy is not None and not 0 <= plan.proxy.port <= 65535:
        faults.append(f"proxy.port: expected 0 to 65535, found {plan.proxy.port}")
    if plan.postgres is not None and not is_address(plan.postgres.address):
        faults.append(f"postgres.address: expected an IP address, found {plan.postgres.address!r}")
    if plan.postgres is not None and not 0 <= plan.postgres.port <= 65535:
        faults.append(f"postgres.port: expected 0 to 65535, found {plan.postgres.port}")
    if plan.dialled and plan.postgres is None:
        faults.append("dialled: targets that workers connect to, and no listener that leads to such workers")
    if plan.tls is not None and plan.tls.crl is not None and plan.tls.client_ca is None:
        faults.append("tls.crl: a revocation list, and no client_ca whose certificates it could revoke")
    if not _HOST.fullmatch(plan.domain):
        faults.append(f"domain: expected a lower-case DNS name, found {plan.domain!r}")
    if plan.workers < 1:
        faults.append(f"workers: expected 1 or more, found {plan.workers}")
    if not plan.run or PurePath(plan.run).is_absolute():
        faults.append(f"run: expected a relative folder (a socket's path is at most 107 bytes), found {plan.run!r}")
    return faults


def _target_faults(plan: EnvoyPlan) -> list[str]:
    faults = []
    taken: dict[str, str] = {}
    for target in plan.targets:
        where = f"targets.{target.name}"
        if not _NAME.fullmatch(target.name):
            faults.append(f"{where}: expected a name of lower-case letters, digits and inner hyphens")
        for host in (f"{target.name}.{plan.domain}", *target.hosts):
            if not _HOST.fullmatch(host):
                faults.append(f"{where}.hosts: expected a lower-case DNS name without a port, found {host!r}")
            if host in taken:
                faults.append(f"{where}.hosts: {host} already belongs to {taken[host]}")
            taken[host] = target.name
        if not 0 < target.wait_seconds <= LONGEST_WAIT_SECONDS:
            faults.append(f"{where}.wait: expected up to {LONGEST_WAIT_SECONDS:.0f} s, found {target.wait_seconds}")
        if not _REVISION.fullmatch(target.revision):
            faults.append(f"{where}.revision: expected up to 64 letters and digits, found {target.revision!r}")
        faults += _upstream_faults(f"{where}.upstream", target.upstream)
        if target.opaque and (target.credential is not None or target.upstream.path != "/"):
            faults.append(f"{where}.opaque: nothing can be added to what nobody reads, no credential and no base path")
        if target.credential is not None:
            faults += _credential_faults(f"{where}.credential", target.credential)
    names = [t.name for t in plan.targets]
    if len(set(names)) != len(names):
        faults.append("targets: two have the same name")
    return faults


def _upstream_faults(where: str, upstream: Upstream) -> list[str]:
    faults = []
    if not is_address(upstream.host) and not _HOST.fullmatch(upstream.host):
        faults.append(f"{where}.host: expected a lower-case DNS name or an IP address, found {upstream.host!r}")
    if upstream.scheme is Scheme.HTTPS and not upstream.ca:
        faults.append(f"{where}.ca: expected a PEM file of root certificates, found nothing")
    if not 1 <= upstream.port <= 65535:
        faults.append(f"{where}.port: expected 1 to 65535, found {upstream.port}")
    segments = upstream.path.split("/")
    if not _BASE_PATH.fullmatch(upstream.path) or "." in segments or ".." in segments:
        faults.append(f"{where}.path: expected plain segments after a slash, found {upstream.path!r}")
    return faults


def _credential_faults(where: str, credential: Credential) -> list[str]:
    faults = []
    if not credential.file:
        faults.append(f"{where}.file: expected a file, found nothing")
    if not _HEADER.fullmatch(credential.header) or _RESERVED_HEADERS.fullmatch(credential.header):
        faults.append(f"{where}.header: expected a header that carries a credential, found {credential.header!r}")
    if not _PREFIX.fullmatch(credential.prefix):
        faults.append(f"{where}.prefix: expected at most 64 printable characters, found {credential.prefix!r}")
    return faults
