"""Networks that a credential is good for. Pure."""

from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network


def within(networks: tuple[str, ...], source: str) -> bool:
    """Whether an address lies in one of these networks (CIDR). One that is no address lies in none."""
    try:
        address = ip_address(source.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in network for network in _parsed(networks))


@lru_cache(1024)
def _parsed(networks: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    try:
        return tuple(ip_network(network, strict=False) for network in networks)
    except ValueError:
        # What can't be read restricts to nothing at all.
        return ()
