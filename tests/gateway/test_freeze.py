"""`holdpoint freeze` through a whole gateway: whatever the principal has under way ends, and nothing new begins."""

import socket
from collections.abc import Iterator

import httpx
import pytest

from tests.support.envoy import read_reply
from tests.support.flows import PIECE, Asking, Slow, chunk, ended, endless, opened, tunnel, until
from tests.support.gateway import Gateway

TARGETS = """
flow: {upstream: "UPSTREAM", environment: staging, inspect: stream}
bulk: {upstream: "UPSTREAM", environment: staging, inspect: headers}
edit: {upstream: "UPSTREAM", environment: staging}
dark: {upstream: "UPSTREAM", environment: staging, opaque: true}
"""
# Nobody could mask what nobody reads.
DATA = """
policies:
  http.pii_in_responses: {unmasked_targets: [bulk]}
  http.secrets_in_requests: {unmasked_targets: [bulk]}
"""
FROZEN = "urn:holdpoint:refusal:identity-frozen"
REFUND = "/customers/7/refunds"


@pytest.fixture(scope="module")
def started() -> Iterator[Gateway]:
    """A gateway with a target of each inspection, and a forward proxy."""
    made = Gateway(targets=TARGETS.strip(), proxy=True, policy="data: data.yaml")
    (made.folder / "data.yaml").write_text(DATA)
    try:
        yield made.start()
    finally:
        made.stop()


def outcome(gateway: Gateway, subject: str) -> str:
    """How the last exchange of a principal ended, once its record is there."""
    found: list[str] = []

    def look() -> bool:
        found[:] = [d["outcome"] for d in gateway.records("delivery") if d["principal"]["subject"] == subject]
        return bool(found)

    until(look, f"a delivery record of {subject}")
    return found[-1]


@pytest.mark.parametrize("target", ["crm", "flow", "bulk"])
def test_a_download_breaks_off(gateway: Gateway, target: str) -> None:
    """However its body is inspected, also while its upstream is silent; another principal's goes on to its end."""
    subject = f"reader-{target}"
    slow = gateway.upstream.answer = Slow()
    mine = Asking(gateway.client(subject, target=target), "GET", "/download").wait()
    other = Asking(gateway.client("bystander", target=target), "GET", "/download").wait()
    gateway.freeze(subject)
    assert mine.end().broken is not None
    assert outcome(gateway, subject) == "aborted:identity-frozen"
    slow.go.set()
    assert (other.end().broken, other.status, bytes(other.body)) == (None, 200, PIECE * 2)


@pytest.mark.parametrize("target", ["flow", "bulk"])
def test_a_client_that_does_not_read_is_ended(gateway: Gateway, target: str) -> None:
    """What reaches it after the freeze is what was on its way by then, though its upstream goes on for ever."""
    token = gateway.agents.token(f"stalled-{target}")
    gateway.upstream.answer = endless
    head = f"GET /download HTTP/1.1\nHost: {target}.holdpoint.internal\nAuthorization: Bearer {token}"
    with opened(gateway.port, head) as connection:
        assert connection.recv(12) == b"HTTP/1.1 200"
        gateway.freeze(f"stalled-{target}")
        until(lambda: outcome(gateway, f"stalled-{target}") == "aborted:identity-frozen", "the end of it")
        assert ended(connection) < 16 << 20


def test_an_upload_that_is_read_first_is_refused(gateway: Gateway) -> None:
    """Nothing of it has gone on, so the client is told why."""
    token = gateway.agents.token("writer-edit")
    head = (
        f"POST /upload HTTP/1.1\nHost: edit.holdpoint.internal\nAuthorization: Bearer {token}\n"
        "Content-Type: text/plain\nContent-Length: 100000"
    )
    with opened(gateway.port, head, b"x" * 50000) as connection:
        until(lambda: under_way(gateway) == 1, "the upload")
        gateway.freeze("writer-edit")
        reply = read_reply(connection)
    assert (reply.status, reply.headers["content-type"]) == (403, "application/problem+json")
    assert b"identity-frozen" in reply.body
    assert gateway.upstream.seen == []


def under_way(gateway: Gateway) -> int:
    """How many exchanges the workers have under way."""
    lines = gateway.get_ops("/metrics")[1].splitlines()
    return sum(int(float(line.split()[-1])) for line in lines if line.startswith("holdpoint_exchanges"))


@pytest.mark.parametrize("target", ["flow", "bulk"])
def test_an_upload_that_has_gone_on_breaks_off(gateway: Gateway, target: str) -> None:
    """Its upstream never gets the rest."""
    subject = f"writer-{target}"
    token = gateway.agents.token(subject)
    head = (
        f"POST /upload HTTP/1.1\nHost: {target}.holdpoint.internal\nAuthorization: Bearer {token}\n"
        "Content-Type: text/plain\nTransfer-Encoding: chunked"
    )
    with opened(gateway.port, head, chunk(PIECE)) as connection:
        assert gateway.upstream.began.wait(20)
        gateway.freeze(subject)
        ended(connection)
    assert outcome(gateway, subject) == "aborted:identity-frozen"
    until(lambda: bool(gateway.upstream.seen), "the upstream to hear of the end")
    assert b"0123 a line" in gateway.upstream.seen[0].body
    assert not gateway.upstream.seen[0].body.endswith(chunk(b""))


def test_a_held_request_is_answered(gateway: Gateway) -> None:
    """Who waits for people learns of the freeze, and the hold ends with it."""
    asking = Asking(gateway.client("asker"), "POST", REFUND, json={"amount": 25})
    hold = gateway.wait_pending()
    frozen = gateway.freeze("asker")
    assert (asking.end().status, asking.broken) == (403, None)
    assert asking.headers["content-type"] == "application/problem+json"
    assert FROZEN.encode() in asking.body
    until(lambda: gateway.pending() == [], "the hold to end")
    states = [h["state"] for h in gateway.records("hold") if h["hold"] == hold["id"]]
    assert "cancelled" in states
    assert set(frozen["cancelled"]) <= {hold["id"]}
    approved = gateway.holdpoint("holds", "approve", hold["id"], "--reason", "late", groups=("finance",))
    assert approved.returncode != 0
    assert gateway.upstream.seen == []


def test_an_approval_that_was_not_used_is_gone(gateway: Gateway) -> None:
    """It lets nothing pass during the freeze, and none after it."""
    with gateway.client("claimer") as agent:

        def ask() -> httpx.Response:
            return agent.post(REFUND, json={"amount": 25}, headers={"prefer": "wait=0"})

        hold = ask().json()["hold"]
        approved = gateway.holdpoint("holds", "approve", hold, "--reason", "fine", groups=("finance",))
        assert approved.returncode == 0, approved.stderr
        assert gateway.freeze("claimer")["cancelled"] == [hold]
        until(lambda: agent.get("/x").status_code == 403, "the freeze")
        assert ask().json()["type"] == FROZEN
        assert gateway.administer("unfreeze", "claimer").returncode == 0
        until(lambda: agent.get("/x").status_code == 200, "the thaw")
        again = ask()
    assert again.status_code == 202
    assert again.json()["hold"] != hold
    assert {seen.line.split()[0] for seen in gateway.upstream.seen} == {"GET"}


def refusals(gateway: Gateway, subject: str) -> list[str]:
    """The codes of the records of a principal that was turned away."""
    found = [r for r in gateway.records("refusal") if r["principal"] is not None]
    return [r["code"] for r in found if r["principal"]["subject"] == subject]


def test_new_requests_are_refused_until_it_is_lifted(gateway: Gateway) -> None:
    """403 and a record of each, with who it was; both changes are records that say who made them and why."""
    with gateway.client("rogue", kind="agent") as agent, gateway.client("bystander") as other:
        assert agent.get("/x").status_code == 200
        gateway.freeze("Rogue")
        until(lambda: agent.get("/x").status_code == 403, "the freeze")
        before = len(refusals(gateway, "rogue"))
        replies = [agent.get("/x") for _ in range(3)]
        assert {(r.status_code, r.json()["type"]) for r in replies} == {(403, FROZEN)}
        assert other.get("/x").status_code == 200
        assert gateway.administer("unfreeze", "Rogue").returncode == 0
        until(lambda: agent.get("/x").status_code == 200, "the thaw")
    assert refusals(gateway, "rogue")[before : before + 3] == ["identity-frozen"] * 3
    changes = [r for r in gateway.records("freeze") if r["subject"] == "Rogue"]
    assert [(r["what"], r["reason"], r["by"]["issuer"][:5]) for r in changes] == [
        ("frozen", "a test", "unix:"), ("unfrozen", "a test", "unix:"),
    ]  # fmt: skip


def test_a_frozen_owner_freezes_what_is_theirs(gateway: Gateway) -> None:
    """Their agent tokens, and what an identity provider says acts for them; not what is another's."""
    _, theirs = gateway.issue("carols-bot", "--owner", "carol")
    _, others = gateway.issue("daves-bot", "--owner", "dave")

    def bearer(token: str) -> httpx.Client:
        headers = {"authorization": f"Bearer {token}", "host": "crm.holdpoint.internal"}
        return httpx.Client(base_url=gateway.url, headers=headers, timeout=30)

    delegate = gateway.client("carol", act={"sub": "her-agent"})
    clients = [bearer(theirs), delegate, bearer(others), gateway.client("bystander")]
    statuses = [c.get("/x").status_code for c in clients]
    assert statuses == [200] * 4
    slow = gateway.upstream.answer = Slow()
    streams = [Asking(bearer(t), "GET", "/download").wait() for t in (theirs, others)]
    gateway.freeze(f"{gateway.people.issuer} carol")
    assert streams[0].end().broken is not None
    slow.go.set()
    assert streams[1].end().broken is None
    gateway.upstream.reset()
    assert [c.get("/x").status_code for c in clients] == [403, 403, 200, 200]
    for client in clients:
        client.close()


def test_a_credential_that_ends_takes_its_stream_along(gateway: Gateway) -> None:
    """Nobody has to say so. A token counts for 30 seconds beyond its end, for clocks differ."""
    gateway.upstream.answer = Slow()
    stream = Asking(gateway.client("brief", expires_in=-27), "GET", "/download").wait()
    assert stream.end().broken is not None
    assert outcome(gateway, "brief") == "aborted:identity-expired"


@pytest.mark.parametrize("target", ["dark", "crm"])
def test_an_open_tunnel_ends(gateway: Gateway, target: str) -> None:
    """Whether its bytes are read or not; another principal's stays."""
    host, subject = f"{target}.holdpoint.internal", f"digger-{target}"

    def asked(connection: socket.socket) -> int:
        connection.sendall(f"GET /in HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        return read_reply(connection).status

    def opened_by(name: str) -> socket.socket:
        return tunnel(gateway, f"{host}:{gateway.upstream.port}", gateway.agents.token(name))

    with opened_by(subject) as mine, opened_by("bystander") as others:
        assert [asked(mine), asked(others)] == [200, 200]
        gateway.freeze(subject)
        assert ended(mine) == 0
        assert outcome(gateway, subject) == "aborted:identity-frozen"
        assert asked(others) == 200
