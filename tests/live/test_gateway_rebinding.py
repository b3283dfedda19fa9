"""A name that an agent's operator trusted turns on the gateway's own machine, with the real Envoy in between."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.live.making import name_server
from tests.support.gateway import Gateway

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"


@contextmanager
def listening(address: str, port: int = 0) -> Iterator[tuple[int, list[str]]]:
    """A server at an address of the loopback: its port, and who connected."""
    server = socket.create_server((address, port))
    server.settimeout(0.2)
    met: list[str] = []
    end = threading.Event()

    def serve() -> None:
        while not end.is_set():
            try:
                connection, _ = server.accept()
            except TimeoutError:
                continue
            with connection:
                met.append(address)
                connection.settimeout(5)
                connection.recv(65536)
                connection.sendall(ANSWER)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield server.getsockname()[1], met
    finally:
        end.set()
        thread.join(10)
        server.close()


def test_a_name_that_turns_on_the_gateways_machine_reaches_nothing() -> None:
    """127.0.0.2 stands for the upstream's own network, which the target names; then the name says 127.0.0.1, where a
    service listens on the same port. It never hears of it, and the journal says why the target is closed."""
    with (
        name_server() as dns,
        listening("127.0.0.2") as (port, upstream),
        listening("127.0.0.1", port) as (_, inside),
    ):
        dns.answers["crm.test"] = ("127.0.0.2",)
        target = f'evil: {{upstream: "http://crm.test:{port}", networks: [127.0.0.2/32]}}'
        gateway = Gateway(targets=target)
        with gateway.config.open("a") as file:
            file.write(f'dns: {{servers: ["127.0.0.1:{dns.port}"], refresh: 1s}}\n')
        try:
            gateway.start()
            with gateway.client(target="evil") as agent:
                assert agent.get("/").status_code == 200
                dns.answers["crm.test"] = ("127.0.0.1",)
                gateway.wait_log(lambda e: "target evil is closed" in str(e.get("message")))
                closed = [agent.get("/").status_code for _ in range(5)]
                dns.answers["crm.test"] = ("127.0.0.2",)
                gateway.wait_log(lambda e: "target evil is at 127.0.0.2" in str(e.get("message")))
            assert set(closed) <= {200, 503}
            assert inside == []
            assert upstream
            (record,) = [r for r in gateway.wait_records("refusal", 1) if r.get("code") == "address-refused"]
            assert record["target"]["name"] == "evil"
            assert record["addresses"] == [{"address": "127.0.0.1", "why": "loopback"}]
        finally:
            gateway.stop()
