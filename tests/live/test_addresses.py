"""Where a name may lead, case by case."""

import socket
from ipaddress import ip_network

import pytest

from extproc.adapters.addresses import is_listener, is_our_own, permitted

REFUSED = [
    ("0.0.0.0", "unspecified"),
    ("0.1.2.3", "unspecified"),
    ("127.0.0.1", "loopback"),
    ("127.255.255.254", "loopback"),
    ("10.0.0.1", "private"),
    ("172.16.0.1", "private"),
    ("172.31.255.255", "private"),
    ("192.168.1.1", "private"),
    ("100.64.0.1", "shared with a carrier's customers"),
    ("100.127.255.255", "shared with a carrier's customers"),
    ("169.254.169.254", "link-local"),
    ("192.0.0.192", "reserved for protocols"),
    ("198.18.0.1", "for benchmarks"),
    ("203.0.113.7", "for documentation"),
    ("224.0.0.1", "multicast"),
    ("240.0.0.1", "reserved"),
    ("255.255.255.255", "broadcast"),
    ("::", "unspecified"),
    ("::1", "loopback"),
    ("::127.0.0.1", "reserved"),
    ("fe80::1", "link-local"),
    ("fe80::1%eth0", "link-local"),
    ("fc00::1", "private"),
    ("fd12:3456::1", "private"),
    ("fec0::1", "private"),
    ("ff02::1", "multicast"),
    ("::ffff:127.0.0.1", "loopback"),
    ("::ffff:169.254.169.254", "link-local"),
    ("::ffff:0:127.0.0.1", "reserved"),
    ("64:ff9b::7f00:1", "loopback"),
    ("64:ff9b::a9fe:a9fe", "link-local"),
    ("64:ff9b::ffff:ffff", "broadcast"),
    ("64:ff9b:1::1", "reserved"),
    ("2002:7f00:1::", "a 6to4 tunnel"),
    ("2001:0:7f00:1::", "a Teredo tunnel"),
    ("2001:db8::1", "for documentation"),
    ("5f00::1", "reserved"),
    ("100::1", "reserved"),
    ("example.com", "no IP address"),
    ("127.1", "no IP address"),
    ("0x7f000001", "no IP address"),
    ("", "no IP address"),
]


@pytest.mark.parametrize(("address", "reason"), REFUSED)
def test_what_is_not_the_public_internet_is_refused(address: str, reason: str) -> None:
    """Each by its own name, however it is written."""
    assert permitted(address, (), "crm.example.com") == reason


@pytest.mark.parametrize("address", ["93.184.216.34", "1.1.1.1", "100.128.0.1", "172.32.0.1", "2606:4700::1111",
                                     "::ffff:1.1.1.1", "64:ff9b::101:101", "192.0.1.1", "11.0.0.1"])  # fmt: skip
def test_the_public_internet_is_not(address: str) -> None:
    """Neighbours of what is refused included."""
    assert permitted(address, (), "crm.example.com") is None


NAMED = [
    ("10.1.2.3", "10.1.0.0/16", None),
    ("10.2.0.1", "10.1.0.0/16", "private"),
    ("::ffff:10.1.2.3", "10.1.0.0/16", None),
    ("64:ff9b::a01:203", "10.1.0.0/16", None),
    ("127.0.0.2", "127.0.0.2/32", None),
    ("127.0.0.1", "127.0.0.2/32", "loopback"),
    ("fd00::1", "fd00::/8", None),
    ("0.0.0.0", "0.0.0.0/0", "unspecified"),
    ("::", "::/0", "unspecified"),
    ("224.0.0.1", "0.0.0.0/0", "multicast"),
    ("255.255.255.255", "0.0.0.0/0", "broadcast"),
]


@pytest.mark.parametrize(("address", "network", "reason"), NAMED)
def test_networks_that_a_target_names(address: str, network: str, reason: str | None) -> None:
    """They are permitted beside the rest, but for what is no host's address at all."""
    assert permitted(address, (ip_network(network),), "crm.example.com") == reason


def test_localhost_names_loopback_and_nothing_else() -> None:
    """An upstream that says `localhost` means this machine; no other name does."""
    assert permitted("127.0.0.1", (), "localhost") is None
    assert permitted("::1", (), "localhost") is None
    assert permitted("10.0.0.1", (), "localhost") == "private"
    assert permitted("64:ff9b::7f00:1", (), "localhost") == "loopback"


def test_our_own_addresses_are_those_that_a_socket_can_be_bound_to() -> None:
    """Loopback and the interfaces' addresses are; an address of somebody else's is not."""
    assert is_our_own("127.0.0.1")
    assert is_our_own("::ffff:127.0.0.1")
    assert not is_our_own("192.0.2.1")


LISTENERS = [
    ("127.0.0.1", 8080, [("127.0.0.1", 8080)], True),
    ("127.0.0.1", 8081, [("127.0.0.1", 8080)], False),
    ("127.0.0.2", 8080, [("127.0.0.1", 8080)], False),
    ("127.0.0.2", 8080, [("0.0.0.0", 8080)], True),
    ("0.0.0.0", 8080, [("127.0.0.1", 8080)], True),
    ("::ffff:127.0.0.1", 8080, [("127.0.0.1", 8080)], True),
    ("192.0.2.1", 8080, [("0.0.0.0", 8080)], False),
]


@pytest.mark.parametrize(("address", "port", "listeners", "ours"), LISTENERS)
def test_listeners(address: str, port: int, listeners: list[tuple[str, int]], ours: bool) -> None:
    """A connection that would come back to the gateway is known as one."""
    assert is_listener(address, port, listeners) is ours


def test_a_reason_is_given_for_every_address_of_this_machine() -> None:
    """What the machine itself has on its loopback is refused to any name."""
    for info in socket.getaddrinfo("localhost", None):
        assert permitted(str(info[4][0]), (), "evil.example.com") == "loopback"
