"""What Envoy is to be: plain values, checked before anything is generated from them."""

import ipaddress
import json
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePath
from urllib.parse import urlsplit

from extproc.domain.target import Inspect

LONGEST_WAIT_SECONDS = 3600.0
"""Envoy's own maximum for `max_message_timeout`: no request can be held in the open for longer."""

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}")
_PREFIX = re.compile(r"[\x20-\x7e]{0,64}")
_BASE_PATH = re.compile(r"/|(/[A-Za-z0-9._~-]+)+/?")
_RESERVED_HEADERS = re.compile(r"(?i)host|connection|content-length|transfer-encoding|te|x-envoy-.*|x-holdpoint-.*")


class Scheme(StrEnum):
    """How an upstream is spoken to."""

    HTTP = "http"
    HTTPS = "https"


class BadPlan(ValueError):
    """A plan that no safe configuration comes from. The message names every fault, one a line."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files of the listener: certificate chain and private key. Replaced by rename, both are read again."""

    certificate: str
    key: str


@dataclass(frozen=True, slots=True)
class Provider:
    """Whose tokens are believed: issuer and audience as they stand in the token; `jwks` is an http(s) address,
    or the JWKS document itself (`files.read_jwks` reads one). An https address needs `ca`, the PEM file of the roots
    that its certificate is checked against."""

    issuer: str
    audience: str
    jwks: str
    ca: str | None = None

    @property
    def remote(self) -> bool:
        """True where Envoy fetches the keys itself."""
        return self.jwks.startswith(("http://", "https://"))


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
    """One target: reached as `<name>.<domain>`, as each of `hosts`, and as `/<name>/` on any other host.

    `wait_seconds` is the longest that a request of it is held in the open."""

    name: str
    upstream: Upstream
    hosts: tuple[str, ...] = ()
    credential: Credential | None = None
    inspect: Inspect = Inspect.FULL
    wait_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class EnvoyPlan:
    """Everything that the generated configuration depends on.

    `address` and `port` are where agents connect (port 0 lets the kernel choose). `workers` is how many processor
    sockets there are, `<run>/worker-0.sock` and so on; `run` is relative to Envoy's working directory.
    Files may be absolute or relative to that directory. Raises BadPlan.
    """

    address: str
    port: int
    domain: str
    providers: tuple[Provider, ...]
    targets: tuple[TargetPlan, ...]
    workers: int
    tls: TlsFiles | None = None
    run: str = "../run"

    def __post_init__(self) -> None:
        faults = [*_listen_faults(self), *_provider_faults(self), *_target_faults(self)]
        if faults:
            raise BadPlan("\n".join(faults))


def is_address(host: str) -> bool:
    """True for an IP address, False for a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def has_keys(text: str) -> bool:
    """True if the text is a JWKS document with a key in it; what the keys are worth, Envoy finds out."""
    try:
        document = json.loads(text)
    except ValueError:
        return False
    keys = document.get("keys") if isinstance(document, dict) else None
    return isinstance(keys, list) and bool(keys)


def _listen_faults(plan: EnvoyPlan) -> list[str]:
    faults = []
    if not is_address(plan.address):
        faults.append(f"address: expected an IP address, found {plan.address!r}")
    if not 0 <= plan.port <= 65535:
        faults.append(f"port: expected 0 to 65535, found {plan.port}")
    if not _HOST.fullmatch(plan.domain):
        faults.append(f"domain: expected a lower-case DNS name, found {plan.domain!r}")
    if plan.workers < 1:
        faults.append(f"workers: expected 1 or more, found {plan.workers}")
    if not plan.run or PurePath(plan.run).is_absolute():
        faults.append(f"run: expected a relative folder (a socket's path is at most 107 bytes), found {plan.run!r}")
    return faults


def _provider_faults(plan: EnvoyPlan) -> list[str]:
    faults = []
    if not plan.providers:
        faults.append("providers: empty; without one nobody could be let in")
    for i, provider in enumerate(plan.providers):
        where = f"providers[{i}]"
        if not provider.issuer:
            faults.append(f"{where}.issuer: empty; a token of any issuer would do")
        if not provider.audience:
            faults.append(f"{where}.audience: empty; a token meant for another service would do")
        if provider.remote:
            try:
                parts = urlsplit(provider.jwks)
                named = bool(parts.hostname) and (parts.port is None or parts.port > 0) and parts.username is None
            except ValueError:
                named = False
            if not named:
                faults.append(f"{where}.jwks: expected http(s)://host[:port]/path, found {provider.jwks!r}")
            if provider.jwks.startswith("https:") and not provider.ca:
                faults.append(f"{where}.ca: expected a PEM file of root certificates, found nothing")
        elif not has_keys(provider.jwks):
            faults.append(f"{where}.jwks: expected an http(s) address or a JSON object with a list of `keys`")
    identities = [(p.issuer, p.audience) for p in plan.providers]
    if len(set(identities)) != len(identities):
        faults.append("providers: two name the same issuer and audience")
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
        faults += _upstream_faults(f"{where}.upstream", target.upstream)
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
