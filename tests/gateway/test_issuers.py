"""An issuer that is taken out of `identity` while the gateway runs: what it let in ends, as after a freeze."""

from collections.abc import Iterator

import httpx
import pytest

from tests.support.envoy import read_reply
from tests.support.flows import Asking, Slow, ended, tunnel, until
from tests.support.gateway import Gateway
from tests.support.jwt import TokenIssuer

TARGETS = 'flow: {upstream: "UPSTREAM", inspect: stream}\nmodels: {upstream: "http://localhost:1", opaque: true}'


@pytest.fixture
def other() -> TokenIssuer:
    """The issuer that goes."""
    return TokenIssuer("https://other.test", "holdpoint-agents", "o1")


@pytest.fixture
def gateway(other: TokenIssuer) -> Iterator[Gateway]:
    """A gateway that believes both issuers."""
    made = Gateway(targets=TARGETS, proxy=True)
    other.write(made.folder / "other.json")
    second = f"{{issuer: {other.issuer}, audience: {other.audience}, jwks: other.json}}"
    text = made.config.read_text()
    made.config.write_text(text.replace("jwks: agents.json}]", f"jwks: agents.json}}, {second}]"))
    try:
        yield made.start()
    finally:
        made.stop()


def test_what_it_let_in_ends(gateway: Gateway, other: TokenIssuer) -> None:
    """Streams, tunnels and requests in tunnels; those of an issuer that stays go on, and the record says what went."""
    token, stays = other.token("leaver"), gateway.agents.token("stayer")
    authority = f"crm.holdpoint.internal:{gateway.upstream.port}"
    tunnels = [tunnel(gateway, authority, t) for t in (token, stays)]
    # One through which nothing comes is closed after ten seconds.
    tunnels[1].sendall(f"GET /first HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
    assert read_reply(tunnels[1]).status == 200
    slow = gateway.upstream.answer = Slow()

    def agent(bearer: str) -> httpx.Client:
        headers = {"authorization": f"Bearer {bearer}", "host": "flow.holdpoint.internal"}
        return httpx.Client(base_url=gateway.url, headers=headers, timeout=30)

    mine, others = (Asking(agent(t), "GET", "/download").wait() for t in (token, stays))
    text = gateway.config.read_text()
    start = text.index(f", {{issuer: {other.issuer}")
    gateway.config.write_text(text[:start] + text[text.index("}", start) + 1 :])
    gateway.signal_reload()
    assert mine.end().broken is not None
    assert ended(tunnels[0]) == 0
    with agent(token) as client:
        assert client.get("/x").status_code == 401
    slow.go.set()
    assert (others.end().status, others.broken) == (200, None)
    tunnels[1].sendall(f"GET /inside HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n".encode())
    assert ended(tunnels[1]) > 0
    tunnels[0].close()
    tunnels[1].close()

    def recorded() -> bool:
        found = [d for d in gateway.records("delivery") if d["outcome"] == "aborted:identity-revoked"]
        return {d["principal"]["issuer"] for d in found} == {other.issuer} and len(found) == 2

    until(recorded, "the records of both ends")
    (change,) = [r for r in gateway.records("config") if r["what"] == "changed"]
    (setting,) = change["settings"]
    assert (setting["path"], setting["after"]) == ("identity.agents", [])
    assert [a["issuer"] for a in setting["before"]] == [other.issuer]
