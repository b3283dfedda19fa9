"""The list of tokens and freezes, damaged in every way while a whole gateway runs."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing

import httpx
import pytest

from tests.support.flows import Asking, Slow, until
from tests.support.gateway import Gateway


def shows(gateway: Gateway, token: str) -> httpx.Client:
    """A client with a token."""
    headers = {"host": "crm.holdpoint.internal", "authorization": f"Bearer {token}"}
    return httpx.Client(base_url=gateway.url, headers=headers, timeout=30)


@pytest.fixture
def clean() -> Iterator[ExitStack]:
    """What a test leaves open."""
    with ExitStack() as stack:
        yield stack


def test_nobody_is_let_in_by_a_damaged_list(gateway: Gateway, clean: ExitStack) -> None:
    """access.db deleted, put back, replaced by an older one, overwritten: while who is frozen can't be told nobody is
    let in, what is under way ends, and who was frozen is never free. A gateway without its list does not start."""
    file, kept = gateway.state / "access.db", gateway.folder / "kept.db"
    _, token = gateway.issue("bot")
    old = gateway.folder / "old.db"
    with closing(sqlite3.connect(file)) as here, closing(sqlite3.connect(old)) as there:
        here.backup(there)
    gateway.freeze("rogue")
    clients = [gateway.client("rogue"), gateway.client("agent-1"), shows(gateway, token)]
    for client in clients:
        clean.enter_context(client)

    def codes() -> set[str]:
        found = set()
        for client in clients:
            reply = client.get("/x")
            problem = reply.headers.get("content-type") == "application/problem+json"
            found.add(reply.json()["type"].rpartition(":")[2] if problem else f"{reply.status_code} {reply.text[:80]}")
        return found

    def closed() -> None:
        def shut() -> bool:
            # Who is frozen is not let in at any moment in between.
            assert clients[0].get("/x").status_code in (403, 503)
            return codes() == {"identity-unavailable"}

        until(shut, "the gate to close")

    until(lambda: codes() == {"200 ok", "identity-frozen"}, "the freeze")
    gateway.upstream.answer = Slow()
    stream = Asking(gateway.client("agent-1"), "GET", "/download").wait()
    gateway.upstream.reset()
    os.link(file, kept)
    file.unlink()
    closed()
    assert stream.end().broken is not None
    os.rename(kept, file)
    until(lambda: codes() == {"200 ok", "identity-frozen"}, "the file to be read again")

    os.rename(file, kept)
    shutil.copy(old, file)
    closed()
    refused = gateway.administer("freeze", "another", "--reason", "x")
    assert refused.returncode != 0
    os.rename(kept, file)
    until(lambda: codes() == {"200 ok", "identity-frozen"}, "the file to be read again")

    with file.open("r+b") as damaged:
        damaged.write(os.urandom(4096))
    closed()
    gateway.kill()
    file.unlink()
    with pytest.raises(AssertionError, match=r"access\.db is missing"):
        gateway.start()
