"""Which addresses a name may lead to. Whoever answers for a name, or stands between us and its servers, must not be
able to point agents at what is behind the gateway: its own machine, its network, a cloud's metadata service."""

import errno
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network

# What IANA's special-purpose registries say is not the public internet. `ipaddress` has a list too, which changes from
# one release of Python to the next.
_NEVER = (
    ("unspecified", "0.0.0.0/8"),
    ("multicast", "224.0.0.0/4"),
    ("broadcast", "255.255.255.255/32"),
    ("unspecified", "::/128"),
    ("multicast", "ff00::/8"),
)
_SPECIAL = (
    ("loopback", "127.0.0.0/8"),
    ("link-local", "169.254.0.0/16"),
    ("private", "10.0.0.0/8"),
    ("private", "172.16.0.0/12"),
    ("private", "192.168.0.0/16"),
    ("shared with a carrier's customers", "100.64.0.0/10"),
    ("reserved for protocols", "192.0.0.0/24"),
    ("for documentation", "192.0.2.0/24"),
    ("for documentation", "198.51.100.0/24"),
    ("for documentation", "203.0.113.0/24"),
    ("a 6to4 relay", "192.88.99.0/24"),
    ("for benchmarks", "198.18.0.0/15"),
    ("reserved", "240.0.0.0/4"),
    ("loopback", "::1/128"),
    ("link-local", "fe80::/10"),
    ("private", "fc00::/7"),
    ("private", "fec0::/10"),
    ("for documentation", "2001:db8::/32"),
    ("for documentation", "3fff::/20"),
    ("a Teredo tunnel", "2001::/32"),
    ("reserved for protocols", "2001::/23"),
    ("a 6to4 tunnel", "2002::/16"),
)
_Table = tuple[tuple[str, Network], ...]
_NEVER_TABLE: _Table = tuple((name, ip_network(text)) for name, text in _NEVER)
_SPECIAL_TABLE: _Table = tuple((name, ip_network(text)) for name, text in _SPECIAL)
_GLOBAL = ip_network("2000::/3")
_NAT64 = ip_network("64:ff9b::/96")


def permitted(address: str, networks: Sequence[Network], host: str) -> str | None:
    """Why a request for `host` may not go to this address; None where it may. `networks` are those that the target
    names. `localhost` names loopback itself. Anything that is no address is refused."""
    try:
        ip = plain(address)
    except ValueError:
        return "no IP address"
    for name, network in _NEVER_TABLE:
        if ip in network:
            return name
    if any(ip in network for network in networks):
        return None
    embedded = IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else None
    if embedded is not None:
        # The translator at our edge sends it to the IPv4 address in it.
        return permitted(str(embedded), networks, "")
    for name, network in _SPECIAL_TABLE:
        if ip in network:
            return None if host == "localhost" and name == "loopback" else name
    return "reserved" if isinstance(ip, IPv6Address) and ip not in _GLOBAL else None


def plain(address: str) -> IPv4Address | IPv6Address:
    """The address that a packet would have: an IPv4 address that is written as IPv6 is that IPv4 address. Raises
    ValueError."""
    ip = ip_address(address)
    return (ip.ipv4_mapped or ip) if isinstance(ip, IPv6Address) else ip


def is_our_own(address: str) -> bool:
    """Whether an interface of this machine has the address: then, and only then, can a socket be bound to it."""
    ip = plain(address)
    with socket.socket(socket.AF_INET if ip.version == 4 else socket.AF_INET6, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((str(ip), 0))
        except OSError as error:
            # Whatever else fails leaves it open, and what is open counts as ours.
            return error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
    return True


def is_listener(address: str, port: int, listeners: Sequence[tuple[str, int]]) -> bool:
    """Whether a connection to this address and port would meet one of these listeners of ours."""
    ip = plain(address)
    for host, listening in listeners:
        own = plain(host)
        if port == listening and (ip == own or ip.is_unspecified or (own.is_unspecified and is_our_own(address))):
            return True
    return False
