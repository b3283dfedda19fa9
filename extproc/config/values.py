"""The values that settings are made of, and how each is read from text. A parser raises Wrong, whose message says
what is the matter and what would be right; it never repeats what may be a secret."""

import re
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from extproc.config.source import quote
from extproc.domain.target import Inspect


class Wrong(ValueError):
    """A text that is not what the setting asks for. The message follows the setting's name."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen: an IP address and a TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Url:
    """An http, https or postgres address. `host` is lower case and without brackets, `port` always known, `path` as
    written ("" or from its first slash on)."""

    scheme: str
    host: str
    port: int
    path: str = ""

    @property
    def authority(self) -> str:
        """Host and port as a Host header has them: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def base(self) -> str:
        """The path without its closing slash: what to put before a request's own path."""
        return self.path.rstrip("/")

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"


@dataclass(frozen=True, slots=True)
class Inspection:
    """How much of a body is read. `limit` is in bytes and counts only for Inspect.FULL."""

    mode: Inspect
    limit: int

    def __str__(self) -> str:
        return size_text(self.limit) if self.mode is Inspect.FULL else self.mode.value


Network = IPv4Network | IPv6Network

_PORTS = {"http": 80, "https": 443, "postgres": 5432, "postgresql": 5432}
_SIZES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_MILLISECONDS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
HOST_PATTERN = rf"{_LABEL}(?:\.{_LABEL})*"
SIZE_PATTERN = r"[0-9]{1,9} ?(B|KiB|MiB|GiB)"
DURATION_PATTERN = r"[0-9]{1,9} ?(ms|s|m|h|d)"
HEADER_PATTERN = r"[A-Za-z0-9][A-Za-z0-9-]{0,63}"
_RESERVED_HEADERS = re.compile(
    r"(?i)host|connection|content-length|content-type|transfer-encoding|te|trailer|upgrade|expect|x-envoy-.*|x-holdpoint-.*"
)
_BASE_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)*/?")
_DATABASE = re.compile(r"/[A-Za-z0-9._~$-]{1,63}")
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(?:[^/?#]*@)?(\[[^\]/?#]*\]|[^:/?#\[\]]*)(?::([^/?#]*))?(/[^?#]*)?")
_URL_PATH = re.compile(r"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*)*")


def parse_size(text: str) -> int:
    """Bytes from `64KiB`. Raises Wrong."""
    found = re.fullmatch(SIZE_PATTERN, text)
    if not found:
        raise Wrong(f"{quote(text)} is not a size; write a whole number and a unit (B, KiB, MiB, GiB), such as 1MiB")
    return int(text[: found.start(1)]) * _SIZES[found[1]]


def size_text(size: int) -> str:
    """The shortest exact writing of a number of bytes."""
    unit = next(u for u in ("GiB", "MiB", "KiB", "B") if size % _SIZES[u] == 0 and (size or u == "B"))
    return f"{size // _SIZES[unit]}{unit}"


def parse_duration(text: str) -> float:
    """Seconds from `250ms`. Raises Wrong."""
    found = re.fullmatch(DURATION_PATTERN, text)
    if not found:
        raise Wrong(f"{quote(text)} is not a duration; write a whole number and a unit (ms, s, m, h, d), such as 30s")
    return int(text[: found.start(1)]) * _MILLISECONDS[found[1]] / 1000


def duration_text(seconds: float) -> str:
    """The shortest exact writing of a duration; the inverse of parse_duration."""
    milliseconds = round(seconds * 1000)
    if milliseconds == 0:
        return "0s"
    unit = next(u for u in ("d", "h", "m", "s", "ms") if milliseconds % _MILLISECONDS[u] == 0)
    return f"{milliseconds // _MILLISECONDS[unit]}{unit}"


def parse_host(text: str) -> str:
    """A DNS name in lower case. Raises Wrong."""
    if len(text) > 253 or not re.fullmatch(HOST_PATTERN, text):
        raise Wrong(f"{quote(text)} is not a host name in lower case, such as crm.example.com")
    return text


def parse_address(text: str) -> Address:
    """An address to listen on. Raises Wrong. A name is refused: Envoy listens on addresses only."""
    host, colon, port = text.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or (":" in bare and bare == host):
        raise Wrong(f"{quote(text)} is not an address and a port; write both, such as 127.0.0.1:8080 or [::1]:8080")
    try:
        ip = ip_address(bare)
    except ValueError:
        raise Wrong(f"{quote(bare)} is not an IP address; write one, such as 127.0.0.1 or 0.0.0.0") from None
    return Address(str(ip), _port(port))


def parse_network(text: str) -> Network:
    """A network in CIDR notation. Raises Wrong."""
    try:
        network = ip_network(text) if "/" in text else None
    except ValueError:
        network = None
    if network is None:
        raise Wrong(
            f"{quote(text)} is not a network; write its first address and the bits that are fixed, such as 10.1.0.0/16"
        )
    return network


def parse_url(text: str, schemes: tuple[str, ...] = ("http", "https")) -> Url:
    """An http(s) address. Raises Wrong. One with a user or password in it is refused, and not repeated."""
    ways = " or ".join(f"{scheme}://" for scheme in schemes)
    found = _URL.fullmatch(re.split("[?#]", text)[0])
    if "@" in (re.split("[/?#]", text.partition("://")[2])[0] if found else text):
        raise Wrong("holds a user name or a password; leave them out of the address")
    if any(mark in text for mark in "?#"):
        raise Wrong(f"{quote(re.split('[?#]', text)[0])} goes on with a query or a fragment; leave it out")
    if not found or found[1].lower() not in schemes:
        raise Wrong(f"{quote(text)} is not an address; it starts with {ways}, such as {schemes[0]}://127.0.0.1:9001")
    scheme, host, path = found[1].lower(), found[2].lower(), found[4] or ""
    if host.startswith("["):
        host = str(parse_address(f"{host}:1").host)
    elif not re.fullmatch(HOST_PATTERN, host):
        raise Wrong(f"{quote(text)} has no host that could be asked; write {scheme}://host:port")
    port = _PORTS[scheme] if found[3] is None else _port(found[3])
    if not _URL_PATH.fullmatch(path) or any(part in (".", "..") for part in path.split("/")) or "//" in path:
        raise Wrong(f"the path {quote(path)} is not a plain path; write one without empty, . or .. parts, such as /v1")
    return Url(scheme, host, port, path)


def trustworthy(url: Url) -> bool:
    """Whether what it answers can't be replaced on the way: https, or http on the machine itself."""
    try:
        return url.scheme == "https" or ip_address(url.host).is_loopback
    except ValueError:
        return url.host == "localhost"


def parse_trusted_url(text: str) -> Url:
    """An http(s) address that keys are fetched from. Raises Wrong."""
    url = parse_url(text)
    if not trustworthy(url):
        raise Wrong(f"{quote(text)} can be replaced on the way; write an https address, or one on this machine")
    return url


def parse_upstream(text: str) -> Url:
    """An address that requests are sent to. Raises Wrong. Its path stands before the request's own, so that it is kept
    to characters that nobody decodes twice."""
    url = parse_url(text)
    if not _BASE_PATH.fullmatch(url.path):
        raise Wrong(f"the path {quote(url.path)} is not a plain path; write one of a-z, A-Z, 0-9, . _ ~ - and /")
    return url


def parse_database(text: str) -> Url:
    """A PostgreSQL server, and the database that is meant where nobody names one: `postgres://host:port/database`, as
    libpq's connection URIs have it (its documentation, 34.1.1.2) without user, password and parameters. Raises
    Wrong."""
    wanted = "write postgres://host:port/database"
    if "@" not in text and not re.match("(?i)postgres(ql)?://", text):
        raise Wrong(f"{quote(text)} is not the address of a database; {wanted}")
    url = parse_url(text, ("postgres", "postgresql"))
    if not url.base:
        raise Wrong(f"{quote(text)} names no database; {wanted}")
    if not _DATABASE.fullmatch(url.path):
        raise Wrong(f"{quote(url.path[1:])} is no name of a database that can be written here; {wanted}")
    return replace(url, scheme="postgres")


def parse_header(text: str) -> str:
    """The name of a header that may carry a credential. Raises Wrong."""
    if not re.fullmatch(HEADER_PATTERN, text):
        raise Wrong(f"{quote(text)} is not the name of a header, such as Authorization or X-Api-Key")
    if _RESERVED_HEADERS.fullmatch(text):
        raise Wrong(f"{quote(text)} is a header that steers the request; a credential goes into another")
    return text


def parse_inspection(text: str, largest: int) -> Inspection:
    """`stream`, `headers`, or a size up to `largest` bytes. Raises Wrong."""
    if text in (Inspect.STREAM, Inspect.HEADERS):
        return Inspection(Inspect(text), 0)
    try:
        size = parse_size(text)
    except Wrong:
        raise Wrong(f"{quote(text)} is neither a size, such as 1MiB, nor one of: stream, headers") from None
    if not 1 <= size <= largest:
        raise Wrong(f"{text} is out of range; write 1B to {size_text(largest)}, or stream for bodies of any size")
    return Inspection(Inspect.FULL, size)


def _port(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        raise Wrong(f"{quote(text)} is not a port; write a number from 1 to 65535")
    return int(text)
