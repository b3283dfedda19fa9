"""The small parts of a worker: routes, tickets, caps, and who was turned away."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from extproc.domain.identity import IdentityRefused, neighbourhood
from extproc.domain.json import Document
from extproc.domain.principal import Kind, Principal
from extproc.server.caps import Capped, Caps, Knocks, Limits
from extproc.server.metrics import Metrics
from extproc.server.route import DeadEnd, Route, UnknownRoute, Via, route_of
from extproc.server.tickets import TUNNEL_SECONDS, Tickets, lent
from extproc.server.turnstile import Turnstile

ALICE = Principal("https://issuer.test", "alice", Kind.AGENT, ("a", "b"), "bob", 1e10, "agent-token:1", ("crm",))


@pytest.mark.parametrize(
    ("told", "route"),
    [
        (
            {"x-holdpoint-via": "direct", "x-holdpoint-target": "crm", "x-holdpoint-revision": "7"},
            Route(Via.DIRECT, "crm", "7"),
        ),
        (
            {"x-holdpoint-via": "proxy", "x-holdpoint-refuse": "unexpected-destination", "other": "x"},
            Route(Via.PROXY, dead_end=DeadEnd.UNEXPECTED_DESTINATION),
        ),
        ({}, None),
        ({"x-holdpoint-via": "direct"}, None),
        ({"x-holdpoint-via": "direct", "x-holdpoint-target": "crm"}, None),
        ({"x-holdpoint-target": "crm", "x-holdpoint-revision": "7"}, None),
        ({"x-holdpoint-via": "direct", "x-holdpoint-refuse": ""}, None),
    ],
    ids=str,
)
def test_a_route_is_known_or_refused(told: dict[str, str], route: Route | None) -> None:
    """Nothing is guessed."""
    if route is None:
        with pytest.raises(UnknownRoute):
            route_of(told.items())
    else:
        assert route_of(told.items()) == route


def test_a_ticket_says_who_opened_the_tunnel() -> None:
    """Everything that the next decision needs, from any worker with the key."""
    ticket = Tickets(b"k" * 32).sign(ALICE, "crm", "10.0.0.7")
    assert Tickets(b"k" * 32).read(ticket) == ("crm", ALICE, "10.0.0.7")
    with pytest.raises(IdentityRefused):
        Tickets(b"other" * 8).read(ticket)


@pytest.mark.parametrize(("ends", "expected"), [(None, 100 + TUNNEL_SECONDS), (1e10, 100 + TUNNEL_SECONDS), (101, 101)])
def test_a_tunnel_vouches_for_an_hour_at_most(ends: float | None, expected: float) -> None:
    """However long what was shown for it counts."""
    assert lent(replace(ALICE, expires_at=ends), 100) == replace(ALICE, expires_at=expected)


@given(st.data())
def test_a_changed_ticket_is_nobodys(data: st.DataObject) -> None:
    """Whichever character is another."""
    ticket = Tickets(b"k" * 32).sign(ALICE, "crm", "10.0.0.7")
    at = data.draw(st.integers(0, len(ticket) - 1))
    other = data.draw(st.characters(codec="latin-1").filter(lambda c: c != ticket[at]))
    changed = ticket[:at] + other + ticket[at + 1 :]
    try:
        assert Tickets(b"k" * 32).read(changed) == ("crm", ALICE, "10.0.0.7")
        # Unused bits of the last base64 digit: the bytes are the same.
        assert at >= len(ticket.rstrip("=")) - 1
    except IdentityRefused:
        pass


@given(st.text())
def test_no_text_breaks_the_reader_of_tickets(text: str) -> None:
    """It is a header: anybody may try."""
    with pytest.raises(IdentityRefused):
        Tickets(b"k" * 32).read(text)


def test_caps_count_what_is_under_way() -> None:
    """By principal; what ended makes room."""
    caps = Caps(Limits(exchanges=2, held_bytes=100))
    with caps.exchange("a") as one, caps.exchange("a") as two:
        with pytest.raises(Capped, match="At most 2"), caps.exchange("a"):
            pass
        with caps.exchange("b"):
            pass
        assert one is two
        one.hold(60)
        with pytest.raises(Capped, match="100 bytes"):
            two.hold(41)
        two.hold(40)
        one.hold(-100)
    assert caps._accounts == {}


def test_a_name_does_not_take_anothers_tunnels() -> None:
    """A principal may be called whatever its issuer likes."""
    caps = Caps(Limits(exchanges=1, held_bytes=100))
    with caps.exchange("a", tunnel=True), caps.exchange("a"), caps.exchange("a tunnels"):
        pass


@pytest.mark.parametrize(("workers", "share"), [(1, (64, 1000)), (2, (32, 500)), (3, (22, 334)), (100, (1, 10))])
def test_a_worker_has_its_share_rounded_up(workers: int, share: tuple[int, int]) -> None:
    """None gets nothing."""
    assert Limits(64, 1000).share(workers) == Limits(*share)


class Records:
    """A journal in memory."""

    def __init__(self) -> None:
        self.bodies: list[Document] = []

    def append(self, _: str, body: Document) -> int:
        """Keep it."""
        self.bodies.append(body)
        return len(self.bodies)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the turnstile's time."""
    now = [0.0]
    monkeypatch.setattr("extproc.server.turnstile.time.monotonic", lambda: now[0])

    def to(seconds: float) -> None:
        now[0] = seconds

    return to


def test_a_crowd_is_counted(clock: Callable[[float], None]) -> None:
    """The first of a kind at once, the others as a number: nothing is lost, and nothing fills the journal."""
    records = Records()
    gate = Turnstile(records, lambda: "now")
    for n in range(1000):
        gate.turn_away("identity-missing", "10.0.0.7", "crm", {"id": str(n), "source": {"address": "10.0.0.7"}})
    gate.turn_away("identity-invalid", "10.0.0.7", "crm", {"id": "x"})
    assert len(records.bodies) == 2
    clock(1.5)
    gate.turn_away("identity-missing", "10.0.0.7", "crm", {"id": "y"})
    assert [b.get("more") for b in records.bodies] == [None, None, 999, None]
    assert "id" not in records.bodies[2]


def test_a_network_of_one_host_is_one_peer(clock: Callable[[float], None]) -> None:
    """Whoever has an IPv6 address has 2^64 of them."""
    records = Records()
    gate = Turnstile(records, lambda: "now")
    for n in range(1, 100):
        gate.turn_away("identity-missing", f"[2001:db8::{n:x}]", "crm", {})
    gate.flush()
    assert [b.get("more") for b in records.bodies] == [None, 98]


def test_peers_beyond_counting_are_one_kind(clock: Callable[[float], None]) -> None:
    """Memory stays bounded whatever addresses come."""
    records = Records()
    gate = Turnstile(records, lambda: "now")
    for n in range(5000):
        gate.turn_away("identity-missing", str(n), "", {})
    gate.flush()
    counted = sum(int(str(b["more"])) for b in records.bodies if "more" in b)
    assert len(records.bodies) < 1100
    assert counted + sum("more" not in b for b in records.bodies) == 5000


def test_a_peer_has_so_many_guesses_a_second() -> None:
    """Others have theirs, and a second later so has this one."""
    now = [0.0]
    knocks = Knocks(2, lambda: now[0])
    for _ in range(5):
        knocks.knock("[2001:db8::1]")()
    back, _ = knocks.knock("[2001:db8::1]"), knocks.knock("[2001:db8::ffff:2]")
    with pytest.raises(Capped):
        knocks.knock("[2001:db8::3]")
    knocks.knock("[2001:db8:0:1::1]")
    now[0] = 1.0
    back()
    for _ in range(2):
        knocks.knock("[2001:db8::1]")
    with pytest.raises(Capped):
        knocks.knock("[2001:db8::1]")


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("10.0.0.7", "10.0.0.7"),
        ("[2001:db8:1:2:3:4:5:6]", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:10.0.0.7", "10.0.0.7"),
        ("envoy://internal", "envoy://internal"),
        ("", ""),
    ],
)
def test_a_host_is_counted_as_one(address: str, counted: str) -> None:
    """However many addresses it makes itself."""
    assert neighbourhood(address) == counted


def test_masked_values_are_counted_each_way() -> None:
    """By kind, lane and target; names of members, of which there is no end, together."""
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    metrics.masked("crm", "request", {"github-token": 1})
    metrics.masked("crm", "response", {"card": 2, "key:ssn": 1, "key:pin": 3})
    metrics.masked("shop", "response", {"card": 4})
    expected = {
        ("github-token", "request", "crm"): 1,
        ("card", "response", "crm"): 2,
        ("key", "response", "crm"): 4,
        ("card", "response", "shop"): 4,
    }
    samples = [s for family in registry.collect() for s in family.samples if s.name == "holdpoint_masked_total"]
    assert {(s.labels["kind"], s.labels["lane"], s.labels["target"]): s.value for s in samples} == expected
