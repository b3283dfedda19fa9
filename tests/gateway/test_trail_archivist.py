"""The archivist is killed in the middle of its work, again and again: nothing that it does is lost or done twice."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from extproc.audit.bodies.folder import BodyFolder
from tests.support.envoy import until
from tests.support.gateway import Gateway
from tests.support.s3 import BUCKET, S3Server
from tests.support.trail import bucket, checkpoint, checkpoints, index_made_anew, indexed, keys_of_store, load


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[tuple[Gateway, S3Server]]:
    """A gateway that uploads, with a witness in a file."""
    store = S3Server(tmp_path / "s3")
    audit = "otlp: null, checkpoint: 1s, record: {bodies: full, index: true}"
    made = Gateway(
        audit=f"{audit}, objects: {bucket(store, 'b/')}, witnesses: [{{file: {tmp_path / 'witness.jsonl'}}}]"
    )
    keys_of_store(made)
    try:
        with store:
            yield made.start(), store
    finally:
        made.stop()


def test_an_archivist_that_is_killed_goes_on_where_it_was(stored: tuple[Gateway, S3Server], tmp_path: Path) -> None:
    """Under load, the moment it indexes, uploads, makes a checkpoint: afterwards the index is what one made anew from
    the journal is, every body is in the store, checkpoints are one chain at the witness, and verification is clean."""
    gateway, store = stored
    wal, witness = gateway.state / "index.db-wal", tmp_path / "witness.jsonl"

    def uploaded() -> int:
        return sum(1 for _ in (store.folder / BUCKET / "b").rglob("*.zst"))

    def differs(look: Callable[[], object], seen: object) -> bool:
        return look() != seen

    watched: list[Callable[[], object]] = [
        lambda: (wal.stat().st_size, wal.stat().st_mtime_ns) if wal.exists() else None,
        uploaded,
        lambda: len(checkpoints(gateway.state)),
    ]
    answered = iter(range(10**6))

    def answer(_: object) -> list[bytes]:
        body = b"answer number %d, of a walrus" % next(answered)
        return [b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)]

    gateway.upstream.answer = answer
    with load(gateway, lambda n: f"/n/{n}", agents=2) as running:
        seen = [look() for look in watched]
        for n, look in enumerate(watched):
            until(partial(differs, look, seen[n]), "the archivist to do something", 30)
            # Of the next one's work a part may be done before it is said to be ready.
            seen = [look() for look in watched]
            os.kill(gateway.pid("archivist"), signal.SIGKILL)
            gateway.wait_ready_again("archivist")
            running.wait(20)
    assert set(running.answers.values()) == {200}
    gateway.wait_records("delivery", len(running.answers))
    indexed(gateway)
    checkpoint(gateway)
    # Its rounds of uploads are some seconds apart, and the first is when it starts.
    os.kill(gateway.pid("archivist"), signal.SIGKILL)
    gateway.wait_ready_again("archivist")
    shelf = BodyFolder(gateway.state / "bodies")
    until(lambda: uploaded() == len(set(shelf.list())), "every body to be in the store", 40)
    assert gateway.verify()["faults"] == []
    with gateway.control() as asked:
        found = asked.get("/v1/sessions?word=walrus").json()["sessions"]
    assert sum(row["actions"] for row in found) == len(running.answers)
    assert gateway.end() == 0
    written, anew = index_made_anew(gateway, tmp_path / "anew")
    assert written == anew
    kept = [json.loads(line) for line in witness.read_bytes().splitlines()]
    assert kept == checkpoints(gateway.state)
    assert [document["number"] for document in kept] == list(range(len(kept)))
    assert gateway.verify()["faults"] == []
