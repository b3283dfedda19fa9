"""Requests with many header lines: let on whole, or refused before anything is decided, however they come."""

import socket
from collections.abc import Iterator

import pytest

from extproc.protocols.http.edge import MOST_HEADERS
from tests.support.envoy import read_reply
from tests.support.flows import tunnel
from tests.support.gateway import Gateway, running


@pytest.fixture(scope="module")
def proxied() -> Iterator[Gateway]:
    """A gateway with a forward proxy."""
    yield from running(proxy=True)


def sent(gateway: Gateway, way: str, count: int) -> tuple[int, str]:
    """The status and request id for a request with so many header lines, Host not counted."""
    at, token = f"127.0.0.1:{gateway.upstream.port}", gateway.agents.token("agent-1")
    line, host, first = {
        "direct": ("GET /x", "crm.holdpoint.internal", f"Authorization: Bearer {token}"),
        "proxy": (f"GET http://{at}/x", at, f"Proxy-Authorization: Bearer {token}"),
        "tunnel": ("GET /x", at, "X-First: a"),
    }[way]
    head = [f"{line} HTTP/1.1", f"Host: {host}", first, *(f"X-{i}: a" for i in range(count - 1)), "", ""]
    port = gateway.port if way == "direct" else gateway.proxy_port
    opened = tunnel(gateway, at, token) if way == "tunnel" else socket.create_connection(("127.0.0.1", port), 30)
    with opened as connection:
        connection.sendall("\r\n".join(head).encode())
        reply = read_reply(connection)
    return reply.status, reply.headers.get("x-request-id", "")


# Envoy itself takes 100, Host among them.
@pytest.mark.parametrize(("count", "status"), [(MOST_HEADERS, 200), (MOST_HEADERS + 1, 431), (99, 431), (100, 431)])
@pytest.mark.parametrize("way", ["direct", "proxy", "tunnel"])
def test_a_request_with_many_headers_is_not_lost_after_its_decision(
    proxied: Gateway, way: str, count: int, status: int
) -> None:
    """What is let on arrives; what is not has no record that says it was."""
    proxied.upstream.reset()
    got, request = sent(proxied, way, count)
    assert (got, len(proxied.upstream.seen)) == (status, 1 if status == 200 else 0)
    effects = [r["decision"]["effect"] for r in proxied.records("decision") if r["request"] == request]
    assert effects in ([["allow"]] if status == 200 else [["block"], []])
