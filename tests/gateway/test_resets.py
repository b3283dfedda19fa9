"""Streams that a client resets as soon as it has opened them ("rapid reset")."""

import contextlib
import socket

from h2.connection import H2Connection

from tests.support.gateway import Gateway

RESETS = 60


def opened_and_reset(streams: int) -> bytes:
    """The bytes of a connection of somebody without a token."""
    connection = H2Connection()
    connection.initiate_connection()
    for number in range(1, 2 * streams, 2):
        host = [(":method", "GET"), (":scheme", "http"), (":authority", "crm.holdpoint.internal"), (":path", "/x")]
        connection.send_headers(number, host, end_stream=True)
        connection.reset_stream(number)
    return connection.data_to_send()


def test_a_connection_with_many_resets_ends(gateway: Gateway) -> None:
    """Each costs a worker more than the client, and no cap counts what is over at once."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=30) as peer:
        peer.sendall(opened_and_reset(RESETS))
        with contextlib.suppress(ConnectionResetError):
            while peer.recv(65536):
                pass
    with gateway.client() as agent:
        assert agent.get("/customers/7").status_code == 200
