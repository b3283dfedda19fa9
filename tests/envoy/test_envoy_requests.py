"""What a request has to be to reach an upstream, and what is left of it there."""

import json

import pytest

from tests.support.envoy import Gateway
from tests.support.envoy_processor import Processor, allow_all
from tests.support.envoy_upstream import RecordingUpstream

PATHS = [
    ("gateway", "/crm/a?b=1", 200, "/a?b=1"),
    ("gateway", "/crm/", 200, "/"),
    ("gateway", "/crm", 200, "/"),
    ("gateway", "/api/a", 200, "/v1/a"),
    ("gateway", "/api", 200, "/v1"),
    ("crm.holdpoint.test", "/crm/a", 200, "/crm/a"),
    ("CRM.holdpoint.test:8080", "/a", 200, "/a"),
    ("crm.holdpoint.test.", "/a", 200, "/a"),
    ("api.example.com", "/a", 200, "/v1/a"),
    # Dot segments are resolved before a route is chosen.
    ("gateway", "/crm/../api/x", 200, "/v1/x"),
    ("gateway", "/crm/../admin", 404, None),
    ("gateway", "/crm/%2e%2e/admin", 404, None),
    ("gateway", "/crm/.%2E/admin", 404, None),
    ("gateway", "/crm/..\\admin", 404, None),
    ("gateway", "/crm%2e%2e/admin", 404, None),
    ("gateway", "/crm/a/./b/../c", 200, "/a/c"),
    ("gateway", "/../../crm/a", 200, "/a"),
    # Slashes are merged; escaped ones are refused.
    ("gateway", "//crm///a//b", 200, "/a/b"),
    ("gateway", "/crm//../admin", 200, "/admin"),
    ("gateway", "/crm/a%2fb", 400, None),
    ("gateway", "/crm/a%5Cb", 400, None),
    ("gateway", "/crm%2fa", 400, None),
    # Dot segments with path parameters are dot segments.
    ("gateway", "/crm/..;/admin", 404, None),
    ("gateway", "/crm/%2e%2e;x=1/admin", 400, None),
    ("gateway", "/crm/a/..%3b/admin", 400, None),
    ("gateway", "/crm/a;x=1/b", 200, "/a;x=1/b"),
    ("gateway", "/crm/.;x=1/admin", 200, "/admin"),
    # What servers read in more than one way.
    ("gateway", "/crm/a%252fb", 400, None),
    ("gateway", "/crm/%252e%252e/b", 400, None),
    ("gateway", "/crm/a%00b", 400, None),
    ("gateway", "/crm/a%0d%0ab", 400, None),
    ("gateway", "/crm/a#b", 400, None),
    # Nothing near a target's name is the target.
    ("gateway", "/crmx/a", 404, None),
    ("gateway", "/CRM/a", 404, None),
    ("gateway", "/", 404, None),
    ("nobody.holdpoint.test", "/a", 404, None),
    ("crm.holdpoint.test", "/../a?x=/../b%2f", 200, "/a?x=/../b%2f"),
]


@pytest.mark.parametrize(("host", "path", "status", "arrived"), PATHS)
def test_path_is_read_in_one_way(
    gateway: Gateway,
    processor: Processor,
    upstream: RecordingUpstream,
    host: str,
    path: str,
    status: int,
    arrived: str | None,
) -> None:
    """The path that arrives is the one that was decided on, without the mount; anything ambiguous goes nowhere."""
    reply = gateway.request(path, headers={"Host": host})
    assert reply.status == status
    assert [seen.path for seen in upstream.seen] == ([] if arrived is None else [arrived])
    if arrived is None:
        assert not any("target" in exchange.told for exchange in processor.exchanges)
    else:
        exchange = processor.exchange()
        shown = exchange.headers[":path"][0].removeprefix(exchange.metadata.get("x-holdpoint-strip", ""))
        assert arrived.removeprefix("/v1").lstrip("/") == shown.lstrip("/")


REFUSED = [
    ("TRACE", {}, 405),
    ("TRACK", {}, (400, 405)),
    ("GET", {"X_Underscore": "1"}, 400),
    ("GET", {"Connection": "Upgrade", "Upgrade": "websocket"}, 403),
    ("GET", {"Connection": "Upgrade", "Upgrade": "SPDY/3.1"}, 403),
    ("GET", {"Transfer-Encoding": "chunked", "Content-Length": "3"}, 400),
    ("GET", {"Content-Length": "3, 4"}, 400),
    ("GET", {"Transfer-Encoding": "gzip, chunked"}, (400, 501)),
]


@pytest.mark.parametrize(("method", "headers", "status"), REFUSED)
def test_refused_by_envoy(
    gateway: Gateway,
    upstream: RecordingUpstream,
    method: str,
    headers: dict[str, str],
    status: int | tuple[int, ...],
) -> None:
    """Methods, upgrades and framings that nothing should carry end at Envoy."""
    reply = gateway.request("/crm/a", method=method, headers=headers)
    assert reply.status in (status if isinstance(status, tuple) else (status,))
    assert upstream.seen == []


def test_a_websocket_is_refused_in_words(gateway: Gateway, upstream: RecordingUpstream) -> None:
    """What Envoy refuses by itself says why, and what is possible instead."""
    headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "x"}
    reply = gateway.request("/crm/a", headers=headers)
    problem = json.loads(reply.body)
    assert (reply.status, reply.headers["content-type"]) == (403, "application/problem+json")
    assert (problem["type"], problem["status"]) == ("urn:holdpoint:refusal:upgrade-refused", 403)
    assert "server-sent events" in problem["detail"]
    assert gateway.logged(reply)["details"] == "upgrade_failed"
    assert upstream.seen == []


def test_connect_is_refused(gateway: Gateway, processor: Processor, upstream: RecordingUpstream) -> None:
    """A tunnel to anywhere, ourselves included, is not opened: Envoy refuses it before any filter."""
    for authority in ("crm.holdpoint.test:443", f"127.0.0.1:{upstream.port}"):
        head = f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n"
        reply = gateway.send(head.encode())
        assert reply.status == 403
        assert gateway.logged(reply)["details"] == "upgrade_failed"
    assert (upstream.seen, processor.exchanges) == ([], [])


def test_h2c_upgrade_is_not_taken_up(gateway: Gateway, upstream: RecordingUpstream) -> None:
    """An offer of h2c is ignored: the request goes on as HTTP/1.1 and the upstream never hears of the offer."""
    headers = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABkAAQAAP__"}
    assert gateway.request("/crm/a", headers=headers).status == 200
    assert not {"upgrade", "http2-settings"} & set(upstream.seen[0].headers)


CLAIMED = [
    "x-holdpoint-target",
    "x-holdpoint-strip",
    "x-holdpoint-ticket",
    "x-envoy-retry-on",
    "x-envoy-max-retries",
    "x-envoy-hedge-on-per-try-timeout",
    "x-envoy-upstream-rq-timeout-ms",
    "x-envoy-original-path",
    "x-envoy-internal",
    "X-Envoy-Force-Trace",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-client-cert",
    "x-original-url",
    "x-rewrite-url",
    "forwarded",
    "x-real-ip",
    "true-client-ip",
    "x-request-id",
    "x-http-method-override",
    "X-HTTP-Method",
    "x-method-override",
]


@pytest.mark.parametrize("name", CLAIMED)
def test_claimed_header_is_stripped(
    gateway: Gateway, processor: Processor, upstream: RecordingUpstream, name: str
) -> None:
    """What a client says in these headers reaches neither the processor nor the upstream."""
    assert gateway.request("/crm/a", headers={name: "claimed"}).status == 200
    assert all("claimed" not in values for values in processor.exchange().headers.values())
    assert b"claimed" not in upstream.seen[0].head


def test_upstream_gets_nothing_of_envoys_own(gateway: Gateway, upstream: RecordingUpstream) -> None:
    """Beside what the agent sent, the upstream sees our request id and nothing else of the gateway."""
    reply = gateway.request("/files/a", headers={"Accept": "text/plain"})
    expected = {"host": [f"127.0.0.1:{upstream.port}"], "accept": ["text/plain"]}
    assert upstream.seen[0].headers == {**expected, "x-request-id": [reply.headers["x-request-id"]]}


def test_answer_carries_the_request_id(gateway: Gateway, processor: Processor) -> None:
    """People can quote the id that the record has; it is never the client's own."""
    reply = gateway.request("/crm/a", headers={"X-Request-Id": "mine"})
    assert reply.headers["x-request-id"] == processor.exchange().attributes["request.id"]
    assert reply.headers["server"] == "holdpoint"


def test_processor_is_told_the_target(gateway: Gateway, processor: Processor) -> None:
    """The target comes as gRPC metadata that no client can write; the mount is named only where there is one."""
    gateway.request("/crm/a")
    gateway.request("/a", headers={"Host": "crm.holdpoint.test"})
    told = {"target": "crm", "revision": "r1", "via": "direct"}
    assert [processor.exchange(i).told for i in range(2)] == [{**told, "strip": "/crm"}, told]
    assert set(processor.exchange().attributes) == {
        "source.address",
        "source.port",
        "connection.id",
        "connection.mtls",
        "connection.requested_server_name",
        "request.id",
        "xds.route_name",
    }


DEAD_ENDS = [
    ("GET", "/none/a", "unknown-target", 404),
    ("GET", "/crm/a%252fb", "ambiguous-path", 400),
    ("TRACE", "/crm/a", "method-refused", 405),
]


@pytest.mark.parametrize(("method", "path", "code", "status"), DEAD_ENDS, ids=[row[2] for row in DEAD_ENDS])
def test_dead_end_is_refused_by_the_processor(
    gateway: Gateway, processor: Processor, method: str, path: str, code: str, status: int
) -> None:
    """What leads nowhere comes to the processor with the reason and the credential, so that it has a record."""
    reply = gateway.request(path, method=method)
    assert (reply.status, reply.body) == (status, code.encode())
    exchange = processor.exchange()
    assert exchange.told == {"refuse": code, "via": "direct"}
    assert exchange.headers["authorization"][0].startswith("Bearer ")
    line = gateway.logged(reply)
    assert f"holdpoint:d-1:{code}" in line["details"]


@pytest.mark.parametrize(("method", "path", "code", "status"), DEAD_ENDS, ids=[row[2] for row in DEAD_ENDS])
def test_dead_end_leads_nowhere_whatever_the_processor_says(
    gateway: Gateway, processor: Processor, upstream: RecordingUpstream, method: str, path: str, code: str, status: int
) -> None:
    """A processor that allows one by mistake opens nothing: Envoy's own answer stands behind it."""
    processor.script = allow_all
    reply = gateway.request(path, method=method)
    assert (reply.status, json.loads(reply.body)["error"]["code"]) == (status, code)
    assert upstream.seen == []


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 503 No\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n"])
def test_nothing_is_sent_twice(gateway: Gateway, upstream: RecordingUpstream, answer: bytes) -> None:
    """A failing upstream sees a request once, whatever the client asks Envoy to do about it."""
    upstream.answer = lambda _: [answer] if answer else []
    headers = {"x-envoy-retry-on": "5xx,reset", "x-envoy-max-retries": "3", "x-envoy-retriable-status-codes": "503"}
    assert gateway.request("/crm/a", method="POST", headers=headers, body=b"pay").status == 503
    assert len(upstream.seen) == 1


def test_large_header_is_refused_and_logged(gateway: Gateway) -> None:
    """A request that Envoy itself refuses has a line in the access log, with no decision and no upstream."""
    assert gateway.request("/crm/big", headers={"X-Big": "x" * 70_000}).status == 431
    line = gateway.access_log(lambda line: line["status"] == 431)
    assert (line["decision"], line["upstream_host"]) == (None, None)


def test_malformed_request_is_logged(gateway: Gateway) -> None:
    """So has one that is not even HTTP."""
    assert gateway.send(b"GET /crm/a HTTP/1.1\r\nHost: gateway\r\nBad Header : 1\r\n\r\n").status == 400
    line = gateway.access_log(lambda line: "codec_error" in (line["details"] or ""))
    assert line["status"] == 400


def test_access_log_has_every_field(gateway: Gateway, upstream: RecordingUpstream) -> None:
    """One JSON object a request: whose, what, where to and under which decision; its path stays out."""
    reply = gateway.request("/crm/logged?card=4111", method="POST", body=b"hello")
    line = gateway.logged(reply)
    del line["time"], line["duration_ms"], line["source"]
    assert line == {
        "request_id": reply.headers["x-request-id"],
        "method": "POST",
        "authority": f"127.0.0.1:{upstream.port}",
        "status": 200,
        "response_flags": "-",
        "details": "via_upstream",
        "decision": "d-1",
        "target": "crm",
        "via": "direct",
        "bytes_in": 5,
        "bytes_out": 2,
        "upstream_host": f"127.0.0.1:{upstream.port}",
        "server_name": None,
        "iss": "https://id.test",
        "sub": "agent-1",
        "session": None,
    }
