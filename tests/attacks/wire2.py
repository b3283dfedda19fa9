"""HTTP/2 frames to the gateway, prior knowledge, with nothing checked on our side."""

import contextlib
import socket
from dataclasses import dataclass, field

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, DataReceived, ResponseReceived, StreamEnded, StreamReset, TrailersReceived
from h2.exceptions import ProtocolError

from tests.attacks.wire import SECONDS, Reply

Fields = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class Stream:
    """One request: header fields, perhaps a body in pieces, perhaps trailers. `end` is false where it never ends."""

    fields: Fields
    body: tuple[bytes, ...] = ()
    trailers: Fields = ()
    end: bool = True
    reset: bool = False


@dataclass(slots=True)
class Outcome:
    """`result` is a status, "reset" or "goaway" (or None while nothing came)."""

    result: int | str | None = None
    reply: Reply | None = None
    head: bytes = b""
    body: bytearray = field(default_factory=bytearray)


def exchange2(port: int, streams: tuple[Stream, ...]) -> list[Outcome]:
    """Send all streams over one connection at once, in order; what became of each."""
    quiet = H2Configuration(
        client_side=True,
        validate_outbound_headers=False,
        normalize_outbound_headers=False,
        validate_inbound_headers=False,
        header_encoding=None,
    )
    connection = H2Connection(config=quiet)
    outcomes: dict[int, Outcome] = {}
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as peer, contextlib.suppress(OSError):
        connection.initiate_connection()
        for stream in streams:
            number = connection.get_next_available_stream_id()
            outcomes[number] = Outcome()
            bare = not stream.body and not stream.trailers and stream.end
            connection.send_headers(number, list(stream.fields), end_stream=bare)
            for i, piece in enumerate(stream.body):
                last = stream.end and not stream.trailers and i == len(stream.body) - 1
                connection.send_data(number, piece, end_stream=last)
            if stream.trailers:
                connection.send_headers(number, list(stream.trailers), end_stream=True)
            if stream.reset:
                connection.reset_stream(number)
                outcomes[number].result = "reset"
        peer.sendall(connection.data_to_send())
        waiting = {n for n, o in outcomes.items() if o.result is None}
        while waiting:
            data = peer.recv(65536)
            if not data:
                break
            try:
                events = connection.receive_data(data)
            except ProtocolError:
                break
            for event in events:
                waiting -= _take(event, outcomes)
            with contextlib.suppress(ProtocolError):
                peer.sendall(connection.data_to_send())
        for number in waiting:
            outcomes[number].result = outcomes[number].result or "goaway"
    return list(outcomes.values())


def _take(event: object, outcomes: dict[int, Outcome]) -> set[int]:
    """Note an event; the streams that are over with it."""
    match event:
        case ResponseReceived(stream_id=number, headers=fields) if number and fields:
            outcome = outcomes[number]
            status = next(int(v) for n, v in fields if n == b":status")
            outcome.result = status
            outcome.head = b"".join(b"\r\n%b: %b" % (bytes(n), bytes(v)) for n, v in fields)
            outcome.reply = Reply(status, outcome.head, b"")
        case DataReceived(stream_id=number, data=data) if number and data:
            outcomes[number].body += data
        case StreamEnded(stream_id=number) if number:
            return {number}
        case StreamReset(stream_id=number) if number in outcomes:
            outcomes[number].result = outcomes[number].result or "reset"
            return {number}
        case ConnectionTerminated(error_code=code) if code:
            return set(outcomes)
        case TrailersReceived():
            return set()
    return set()
