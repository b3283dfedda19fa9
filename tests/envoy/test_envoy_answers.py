"""What Envoy takes off an answer before the processor sees it: names that the processor may not touch, under which an
upstream could otherwise tell what was masked everywhere else."""

import socket

import pytest

from extproc.adapters.envoy import manager
from extproc.adapters.envoy.plan import Scheme, TargetPlan, Upstream
from tests.support.envoy import Gateway, start
from tests.support.envoy_processor import Processor
from tests.support.envoy_upstream import RecordingUpstream, Seen

TOLD = "told-by-the-upstream"
NAMES = (
    "host",
    "Host",
    "x-request-id",
    "x-envoy-upstream-service-time",
    "X-Envoy-Any",
    "x-forwarded-for",
    "x-forwarded-any",
    "x-original-any",
    "x-holdpoint-any",
)


def telling(_: Seen) -> list[bytes]:
    """An answer that says it under each name, in the head and in the trailers, once more beside what is harmless."""
    lines = "".join(f"{name}: {TOLD}\r\n" for name in NAMES)
    head = (
        f"HTTP/1.1 200 OK\r\n{lines}x-plain: kept\r\ntransfer-encoding: chunked\r\ntrailer: {', '.join(NAMES)}\r\n\r\n"
    )
    return [f"{head}2\r\nok\r\n0\r\n{lines}x-last: kept\r\n\r\n".encode()]


def whole(connection: socket.socket) -> str:
    """All that comes until the other side closes."""
    data = b""
    while piece := connection.recv(65536):
        data += piece
    return data.decode()


@pytest.mark.parametrize("target", ["crm", "files"])
def test_what_could_not_be_masked_is_taken_off_answers(
    gateway: Gateway, processor: Processor, upstream: RecordingUpstream, target: str
) -> None:
    """Head and trailers, whether bodies go through the processor or not; everything else stays."""
    upstream.answer = telling
    asked = gateway.head("GET", f"/{target}/a", {"Connection": "close", "TE": "trailers"})
    with gateway.open(asked) as connection:
        answer = whole(connection)
    assert answer.startswith("HTTP/1.1 200 OK")
    assert TOLD not in answer
    assert "x-plain: kept" in answer
    assert "x-last: kept" in answer
    assert TOLD not in str(processor.exchange())


def test_a_connection_on_which_nothing_is_asked_is_closed(
    server: RecordingUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that whoever opens many of them does not keep everybody else out for long."""
    monkeypatch.setattr(manager, "SILENT_SECONDS", 1)
    here = Upstream(Scheme.HTTP, "127.0.0.1", server.port)
    gateway = start(lambda _: (TargetPlan("crm", here),))
    try:
        with gateway.open(b"") as silent:
            assert whole(silent) == ""
    finally:
        gateway.stop()
