"""Raw bytes to the gateway, and what it answers."""

import contextlib
import re
import socket
import struct
from dataclasses import dataclass

SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Reply:
    """One final answer of the gateway."""

    status: int
    head: bytes
    body: bytes

    @property
    def request(self) -> str:
        """The request's id as the gateway told it, or ""."""
        found = re.search(rb"\r\nx-request-id: ([^\r]+)", self.head)
        return found[1].decode() if found else ""


@dataclass(slots=True)
class Exchange:
    """What came back: final answers, interim statuses, and all bytes."""

    replies: list[Reply]
    interim: list[int]
    data: bytes


# What a step may be beside bytes to send.
RESET = "reset"
HALF_CLOSE = "half-close"
CONTINUE = "until 100"


def exchange(
    port: int,
    steps: tuple[bytes | str, ...],
    expected: int,
    method: bytes = b"GET",
    *,
    until_interim: bool = False,
) -> Exchange:
    """Do the steps on a connection of its own, wait for so many final answers, and read to the end. Where none is
    expected wait for the end, or with `until_interim` for the first 1xx."""
    data = bytearray()
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as peer, contextlib.suppress(OSError):
        for step in steps:
            if step == RESET:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return parse(b"", method)
            if step == HALF_CLOSE:
                peer.shutdown(socket.SHUT_WR)
            elif step == CONTINUE:
                while not parse(bytes(data), method).interim and (more := peer.recv(65536)):
                    data += more
            elif isinstance(step, bytes):
                peer.sendall(step)
        while not _enough(parse(bytes(data), method), expected, until_interim) and (more := peer.recv(65536)):
            data += more
        with contextlib.suppress(OSError):
            peer.shutdown(socket.SHUT_WR)
        while more := peer.recv(65536):
            data += more
    return parse(bytes(data), method)


def _enough(got: Exchange, expected: int, until_interim: bool) -> bool:
    if until_interim:
        return bool(got.interim or got.replies)
    return 0 < expected <= len(got.replies)


def parse(data: bytes, method: bytes) -> Exchange:
    """All whole answers in these bytes."""
    found = Exchange([], [], data)
    while b"\r\n\r\n" in data:
        head, _, rest = data.partition(b"\r\n\r\n")
        head += b"\r\n"
        status = int(head.split(b" ", 2)[1])
        if status < 200:
            found.interim.append(status)
            data = rest
            continue
        length = re.search(rb"\r\ncontent-length: ([0-9]+)", head, re.IGNORECASE)
        if method == b"HEAD" or status in (204, 304):
            body = b""
        elif length:
            size = int(length[1])
            if len(rest) < size:
                break
            body, rest = rest[:size], rest[size:]
        elif b"transfer-encoding: chunked" in head.lower():
            whole = re.match(rb"((?:.|\n)*?\r\n)??0\r\n((?:[^\r\n]+\r\n)*)\r\n", rest)
            if not whole:
                break
            body, rest = whole[0], rest[whole.end() :]
        else:
            body, rest = rest, b""
        found.replies.append(Reply(status, head, body))
        data = rest
    return found
