"""Settings, journals and name servers for tests of what changes while a gateway runs."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path

from extproc.config import Settings, load
from extproc.domain.json import Document

KEYS = '{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}'
CRM = 'crm: {upstream: "http://127.0.0.1:9001", credential: token}'


def configuration(home: Path, *targets: str, more: str = "") -> Path:
    """A configuration with these targets (lines of YAML), and what it names; the file's path."""
    for name, content in (("keys.json", KEYS), ("token", "s3cret-token")):
        (home / name).write_text(content)
        (home / name).chmod(0o600)
    file = home / "holdpoint.yaml"
    lines = [
        "version: 1",
        "identity: {agents: [{issuer: https://agents.test, audience: agents, jwks: keys.json}]}",
        "targets:",
        *(f"  {line}" for line in targets or (CRM,)),
        more,
    ]
    file.write_text("\n".join(lines) + "\n")
    return file


def settings(home: Path, *targets: str, more: str = "") -> Settings:
    """The settings of such a configuration."""
    return load(configuration(home, *targets, more=more))


class Records:
    """A journal in memory."""

    def __init__(self) -> None:
        self.written: list[tuple[str, Document]] = []

    def append(self, kind: str, body: Document) -> int:
        """Keep it."""
        self.written.append((kind, body))
        return len(self.written)

    def of(self, kind: str) -> list[Document]:
        """The bodies of one kind."""
        return [body for its, body in self.written if its == kind]


class NameServer:
    """A DNS server on loopback, over UDP. `answers` maps a name to its addresses; `failing` ones are SERVFAIL, others
    NXDOMAIN. Answers live for no time."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[str, ...]] = {}
        self.failing: set[str] = set()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join(5)
        self._socket.close()

    def _serve(self) -> None:
        while True:
            query, peer = self._socket.recvfrom(4096)
            if not query:
                return
            self._socket.sendto(self._answer(query), peer)

    def _answer(self, query: bytes) -> bytes:
        labels, at = [], 12
        while length := query[at]:
            labels.append(query[at + 1 : at + 1 + length].decode())
            at += length + 1
        name, (kind,) = ".".join(labels).lower(), struct.unpack("!H", query[at + 1 : at + 3])
        version = {1: 4, 28: 6}.get(kind)
        found = [ip_address(a) for a in self.answers.get(name, ())]
        rows = [a.packed for a in found if a.version == version]
        code = 2 if name in self.failing else 0 if name in self.answers else 3
        head = query[:2] + struct.pack("!HHHHH", 0x8580 | code, 1, len(rows), 0, 0)
        body = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 0, len(row)) + row for row in rows)
        return head + query[12 : at + 5] + body


@contextmanager
def name_server() -> Iterator[NameServer]:
    """A name server for as long as the context lasts."""
    server = NameServer()
    try:
        yield server
    finally:
        server.close()
