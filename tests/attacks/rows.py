"""One attack: bytes, and what must become of them."""

from dataclasses import dataclass

HOST = b"Host: tap.holdpoint.internal"
TOKEN = b"Authorization: Bearer <TOKEN>"
"""`<TOKEN>` is the attacker's own valid token; who attacks is an agent like any other."""

Status = int | tuple[int, ...]
EITHER = (200, 400, 401, 403)
"""Where the gateway may say yes or no, as long as what passes is what policy saw."""


@dataclass(frozen=True, slots=True)
class Row:
    """`steps` are bytes to send, or one of wire's words. `statuses` are the final answers in order; with none, none
    comes. `arrived` are the request lines that the upstream of `target` gets, one for each 200; everything else about
    them is compared with what policy saw. `own` says that the attacker sends its token on itself, `cut` that the start
    of a request may arrive whose end never does. `finding` says why a row does not hold yet."""

    id: str
    steps: tuple[bytes | str, ...]
    statuses: tuple[Status, ...] = (400,)
    arrived: tuple[str, ...] = ()
    target: str = "tap"
    method: bytes = b"GET"
    own: bool = False
    cut: bool = False
    finding: str = ""


def ask(line: bytes, *headers: bytes, body: bytes = b"", host: bytes = HOST, token: bytes = TOKEN) -> bytes:
    """A request's bytes. The version is added to a line that has none."""
    first = line if line.rpartition(b" ")[2].startswith(b"HTTP/") else line + b" HTTP/1.1"
    return b"\r\n".join([x for x in (first, host, token, *headers) if x]) + b"\r\n\r\n" + body


def at(target: str) -> bytes:
    """The Host line of another target."""
    return f"Host: {target}.holdpoint.internal".encode()
