"""Those who keep checkpoints outside: what they take, and what they refuse to go on with."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from extproc.adapters.witnesses import FileWitness, ObjectWitness, WebhookWitness
from extproc.audit.checkpoint import FIRST, build, digest_of
from extproc.audit.checkpoints import WitnessUnreachable
from extproc.audit.objects import ObjectStoreError
from extproc.config.values import Url
from tests.verify.conftest import EVERY, House


@pytest.fixture
def chain(house: House) -> list[dict[str, Any]]:
    """Three checkpoints, each naming the one before."""
    documents: list[dict[str, Any]] = []
    for n in range(3):
        previous = digest_of(documents[-1]) if documents else FIRST
        documents.append(build(n, previous, "2027-01-15T08:00:00.000000Z", EVERY, {}, house.signer))
    return documents


def _lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_a_file_has_a_line_for_each(chain: list[dict[str, Any]], tmp_path: Path) -> None:
    """Also by a process that comes after; what comes again is not written again, and a torn line is cut."""
    path = tmp_path / "witness.jsonl"
    FileWitness(path, tmp_path / "state").hand(chain[0], True)
    FileWitness(path, tmp_path / "state").hand(chain[0], True)
    with path.open("ab") as file:
        file.write(b'{"number":')
    FileWitness(path, tmp_path / "state").hand(chain[1], False)
    assert _lines(path) == chain[:2]


def test_a_file_in_the_state_folder_is_no_witness(tmp_path: Path) -> None:
    """Through a link neither."""
    (tmp_path / "state").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "state")
    for path in (tmp_path / "state" / "w.jsonl", tmp_path / "link" / "w.jsonl"):
        with pytest.raises(WitnessUnreachable, match="name a file elsewhere"):
            FileWitness(path, tmp_path / "state")


@pytest.mark.parametrize(
    ("left", "why"),
    [([], "empty, and checkpoints were in it"), ([0], "not the checkpoint before"), (["x"], "is no checkpoint")],
)
def test_a_file_that_lost_lines_is_not_gone_on_with(
    chain: list[dict[str, Any]], tmp_path: Path, left: list[Any], why: str
) -> None:
    """By whoever has not seen it before; who has, sees that it is shorter."""
    path = tmp_path / "witness.jsonl"
    writer = FileWitness(path, tmp_path / "state")
    for n in (0, 1):
        writer.hand(chain[n], n == 0)
    path.write_text("".join(json.dumps(chain[n] if isinstance(n, int) else n) + "\n" for n in left))
    with pytest.raises(WitnessUnreachable, match="it was cut"):
        writer.hand(chain[2], False)
    with pytest.raises(WitnessUnreachable, match=why):
        FileWitness(path, tmp_path / "state").hand(chain[2], False)


def test_a_file_that_is_out_of_reach_is_told(chain: list[dict[str, Any]], tmp_path: Path) -> None:
    """With its name."""
    with pytest.raises(WitnessUnreachable, match="nowhere"):
        FileWitness(tmp_path / "nowhere" / "w.jsonl", tmp_path / "state").hand(chain[0], True)


@contextmanager
def _receiver(status: int) -> Iterator[tuple[Url, list[Any]]]:
    taken: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Keep the document and answer."""
            body = self.rfile.read(int(self.headers["content-length"]))
            taken.append((self.path, self.headers["content-type"], json.loads(body)))
            self.send_response(status)
            self.send_header("location", "/elsewhere")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield Url("http", "127.0.0.1", server.server_port, "/secret-path"), taken
        finally:
            server.shutdown()
            thread.join()


def test_a_webhook_is_sent_the_document(chain: list[dict[str, Any]]) -> None:
    """As JSON; its name has no path, which may be a secret."""
    with _receiver(204) as (url, taken):
        witness = WebhookWitness(url)
        witness.hand(chain[0], True)
    assert taken == [("/secret-path", "application/json", chain[0])]
    assert witness.name == f"webhook http://127.0.0.1:{url.port}"


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_webhook_that_does_not_say_yes_has_nothing(chain: list[dict[str, Any]], status: int) -> None:
    """A redirect is not followed."""
    with _receiver(status) as (url, taken), pytest.raises(WitnessUnreachable, match=str(status)):
        WebhookWitness(url).hand(chain[0], True)
    assert len(taken) == 1


def test_a_webhook_that_is_away_is_told(chain: list[dict[str, Any]]) -> None:
    """Nobody listens there any more."""
    with _receiver(204) as (url, _):
        pass
    with pytest.raises(WitnessUnreachable, match="webhook http://127"):
        WebhookWitness(url).hand(chain[0], True)


def test_a_webhook_that_never_ends_is_left(chain: list[dict[str, Any]]) -> None:
    """However often it sends a byte."""
    over = threading.Event()

    def answer(listening: socket.socket) -> None:
        taken, _ = listening.accept()
        with taken, suppress(OSError):
            taken.sendall(b"HTTP/1.1 200 OK\r\n")
            while not over.wait(0.02):
                taken.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=answer, args=(listening,))
        thread.start()
        url = Url("http", "127.0.0.1", listening.getsockname()[1], "/")
        try:
            with pytest.raises(WitnessUnreachable, match="webhook http://127"):
                WebhookWitness(url, timeout=0.3).hand(chain[0], True)
        finally:
            over.set()
            thread.join()


class Bucket:
    """An object store in memory, which may be away."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.away, self.puts = False, 0

    def _there(self) -> None:
        if self.away:
            raise ObjectStoreError("bucket: away")

    def put(self, key: str, data: bytes | Path) -> None:
        """See ObjectStore."""
        self._there()
        self.puts += 1
        self.objects[key] = data if isinstance(data, bytes) else data.read_bytes()

    def get(self, key: str) -> Iterator[bytes]:
        """See ObjectStore."""
        self._there()
        yield self.objects[key]

    def delete(self, key: str) -> None:
        """See ObjectStore."""
        self.objects.pop(key, None)

    def list(self, prefix: str = "") -> Iterator[str]:
        """See ObjectStore."""
        self._there()
        yield from sorted(key for key in self.objects if key.startswith(prefix))

    def exists(self, key: str) -> bool:
        """See ObjectStore."""
        self._there()
        return key in self.objects


def test_a_bucket_has_an_object_for_each(chain: list[dict[str, Any]]) -> None:
    """What is there is left as it is, and another under its name is refused."""
    bucket = Bucket()
    witness = ObjectWitness(bucket, "bucket")
    for document in (*chain, chain[1]):
        witness.hand(document, False)
    assert [json.loads(bucket.objects[key]) for key in bucket.list("checkpoints/")] == chain
    assert bucket.puts == 3
    with pytest.raises(WitnessUnreachable, match="another checkpoint of number 1"):
        witness.hand({**chain[1], "at": "2028-01-15T08:00:00.000000Z"}, False)
    bucket.away = True
    with pytest.raises(WitnessUnreachable, match="away"):
        witness.hand(chain[2], False)
