"""Connections that Envoy hands over whole: whose they are, where they go, and what the access log says of them."""

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from extproc.adapters.envoy.plan import EnvoyPlan, PostgresPlan, Scheme, TargetPlan, Upstream
from extproc.audit.codes import judge
from extproc.server.terminator.proxy_v2 import SIGNATURE, Endpoint
from tests.support.envoy import Gateway, start, state_directory, until, with_targets
from tests.support.handed_over import Receiver

CRM = TargetPlan("crm", Upstream(Scheme.HTTP, "127.0.0.1", 9))


def databases(plan: EnvoyPlan) -> EnvoyPlan:
    """The same gateway with a listener for databases."""
    return replace(plan, postgres=PostgresPlan("127.0.0.1", 0))


@pytest.fixture
def state() -> Path:
    """A state directory."""
    return state_directory()


@pytest.fixture
def receivers(state: Path) -> Iterator[list[Receiver]]:
    """Two workers."""
    found = [Receiver(state / "run" / "workers" / f"postgres-{i}.sock") for i in range(2)]
    yield found
    for receiver in found:
        receiver.stop()


@pytest.fixture
def gateway(state: Path, receivers: list[Receiver]) -> Iterator[Gateway]:
    """An Envoy in front of both."""
    assert len(receivers) == 2
    found = start(lambda _: (CRM,), workers=2, change=databases, state=state)
    until(lambda: healthy(found) == 2, "both workers to be healthy")
    yield found
    found.stop()


def healthy(gateway: Gateway) -> int:
    """How many workers get connections."""
    return gateway.stat("cluster.postgres-workers.membership_healthy")


def echoed(connection: socket.socket, size: int) -> bytes:
    """So many bytes, or those that came before the end, however it came."""
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while len(found) < size and (piece := connection.recv(65536)):
            found += piece
    return found


def served(gateway: Gateway) -> bool:
    """Whether a new connection reaches a worker."""
    with gateway.open(b"hello", port=gateway.postgres_port) as connection:
        return echoed(connection, 5) == b"HELLO"


def test_whose_connection_it_is(gateway: Gateway, receivers: list[Receiver]) -> None:
    """The worker gets the client's address and Envoy's name of the connection first, and then every byte as it was
    sent, both ways; a client that ends its side is heard, and the line of the access log has the same name."""
    data = bytes(range(256)) * 4096
    with gateway.open(b"", port=gateway.postgres_port) as connection:
        mine = connection.getsockname()
        sending = threading.Thread(target=connection.sendall, args=(data,))
        sending.start()
        assert echoed(connection, len(data)) == data.upper()
        sending.join()
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""
    (receiver,) = (receiver for receiver in receivers if receiver.seen)
    (announced,) = receiver.seen
    assert announced.source == Endpoint(mine[0], mine[1])
    assert announced.destination == Endpoint("127.0.0.1", gateway.postgres_port)
    assert receiver.received == [data]
    assert len(announced.unique_id) == 36
    line = gateway.access_log(lambda line: line["via"] == "postgres")
    assert line["request_id"] == announced.unique_id
    assert (line["bytes_in"], line["bytes_out"]) == (len(data), len(data))
    assert line["source"] == f"{mine[0]}:{mine[1]}"
    assert judge(json.dumps(line).encode()) is None


def test_nobody_is_believed_but_envoy(gateway: Gateway, receivers: list[Receiver]) -> None:
    """A head that a client sends is the client's bytes."""
    forged = SIGNATURE + b"\x21\x11\x00\x0c" + bytes([203, 0, 113, 9]) * 2 + b"\0\1\0\2"
    with gateway.open(forged, port=gateway.postgres_port) as connection:
        assert echoed(connection, len(forged)) == forged.upper()
    (receiver,) = (receiver for receiver in receivers if receiver.seen)
    assert receiver.seen[0].source != Endpoint("203.0.113.9", 1)
    assert receiver.received == [forged]
    assert [r.refused for r in receivers] == [0, 0]


def test_each_connection_has_a_head_of_its_own(gateway: Gateway, receivers: list[Receiver]) -> None:
    """Connections are dealt out to all workers; no two have the same name, and each has its client's port."""
    ports = set()
    for _ in range(20):
        with gateway.open(b"a", port=gateway.postgres_port) as connection:
            ports.add(connection.getsockname()[1])
            assert echoed(connection, 1) == b"A"
    seen = [announced for receiver in receivers for announced in receiver.seen]
    assert {a.source.port for a in seen if a.source} == ports
    assert len({a.unique_id for a in seen}) == 20
    assert min(len(receiver.seen) for receiver in receivers) > 0


def test_half_of_the_workers(gateway: Gateway, receivers: list[Receiver], state: Path) -> None:
    """A dead worker costs no connection, and its successor is used again."""
    receivers[0].stop()
    assert [served(gateway) for _ in range(10)] == [True] * 10
    until(lambda: healthy(gateway) == 1, "the dead worker to be ejected")
    assert [served(gateway) for _ in range(10)] == [True] * 10
    receivers[0] = Receiver(state / "run" / "workers" / "postgres-0.sock")
    until(lambda: healthy(gateway) == 2, "both workers to be healthy")
    until(lambda: served(gateway) and bool(receivers[0].seen), "the new worker to get a connection")


def test_a_worker_that_hangs(gateway: Gateway, receivers: list[Receiver]) -> None:
    """The kernel accepts for a worker whose event loop hangs, and Envoy finds out all the same."""
    receivers[0].alive.clear()
    until(lambda: healthy(gateway) == 1, "the hung worker to be ejected")
    assert [served(gateway) for _ in range(10)] == [True] * 10
    receivers[0].alive.set()
    until(lambda: healthy(gateway) == 2, "both workers to be healthy")


def test_none_of_the_workers(gateway: Gateway, receivers: list[Receiver]) -> None:
    """With none left nobody is served, and each who was not is a refusal in the trail."""
    for receiver in receivers:
        receiver.stop()
    until(lambda: healthy(gateway) == 0, "both workers to be ejected")
    with gateway.open(b"hello", port=gateway.postgres_port) as connection:
        mine = "{}:{}".format(*connection.getsockname())
        assert echoed(connection, 5) == b""
    line = gateway.access_log(lambda line: line["source"] == mine)
    found = judge(json.dumps(line).encode())
    assert found is not None
    assert (found.kind, found.body["code"], found.body["source"]) == ("refusal", "processor-error", mine)


def test_connections_are_bounded(state: Path, receivers: list[Receiver], monkeypatch: pytest.MonkeyPatch) -> None:
    """One too many is closed at once, and there is room again when another has ended."""
    assert len(receivers) == 2
    monkeypatch.setattr("extproc.adapters.envoy.connections.AT_ONCE", 2)
    small = start(lambda _: (CRM,), workers=2, change=databases, state=state)
    try:
        until(lambda: healthy(small) == 2, "both workers to be healthy")
        with small.open(b"a", port=small.postgres_port) as first:
            assert echoed(first, 1) == b"A"
            with small.open(b"b", port=small.postgres_port) as second:
                assert echoed(second, 1) == b"B"
                assert not served(small)
        until(lambda: served(small), "room for another")
    finally:
        small.stop()


def test_a_change_of_targets_ends_no_session(gateway: Gateway) -> None:
    """Targets come and go behind the listener, which is not touched."""
    with gateway.open(b"before ", port=gateway.postgres_port) as connection:
        assert echoed(connection, 7) == b"BEFORE "
        other = TargetPlan("other", Upstream(Scheme.HTTP, "127.0.0.1", 8))
        plan = replace(with_targets(gateway.plan, CRM, other), dialled=("crm-db-r1",))
        assert "lds.json" not in gateway.apply(plan)
        assert (gateway.state / "envoy" / "eds" / "crm-db-r1.json").exists()
        connection.sendall(b"after")
        assert echoed(connection, 5) == b"AFTER"
