"""What a step sends: in one piece for each peer, and recorded before any of it went."""

from typing import Any, cast

import pytest

from extproc.audit.bodies.recorder import Recording
from extproc.audit.bodies.writer import RecordingFailed
from extproc.domain.grant import Lane
from extproc.server.terminator.outbox import Outbox
from extproc.server.terminator.peer import Peer


class Book:
    """Says in one list what was recorded and what was sent."""

    def __init__(self, full: bool = False) -> None:
        self.full, self.said = full, list[tuple[str, bytes]]()

    def peer(self, name: str) -> Peer:
        """A peer that writes it down."""

        class Writing:
            def write(_, data: bytes) -> None:
                self.said.append((name, data))

        return cast(Peer, Writing())

    def recording(self, name: str) -> Recording:
        """A recording that writes it down, or can't."""

        class Keeping:
            def write(_, lane: str, data: bytes) -> None:
                if self.full:
                    raise RecordingFailed("full")
                self.said.append((f"{name}.{lane}", data))

        return cast(Recording, Keeping())


def _filled(book: Book) -> Outbox:
    outbox, client, server = Outbox(), book.peer("client"), book.peer("server")
    one, other = book.recording("one"), book.recording("other")
    steps: list[tuple[Any, ...]] = [
        (server, Lane.REQUEST, b"a", one),
        (server, Lane.REQUEST, b"b", other),
        (client, Lane.RESPONSE, b"c", one),
        (server, Lane.REQUEST, b"d", one),
        (server, Lane.REQUEST, b"e"),
    ]
    for step in steps:
        outbox.put(*step)
    return outbox


def test_all_is_recorded_and_then_sent_in_order() -> None:
    """Each recording gets what is under it, each peer everything; a second time there is nothing."""
    book = Book()
    outbox = _filled(book)
    assert book.said == []
    for _ in range(2):
        outbox.record()
        outbox.send()
    recorded = [("one.request", b"ad"), ("other.request", b"b"), ("one.response", b"c")]
    assert book.said == [*recorded, ("server", b"abde"), ("client", b"c")]


def test_what_can_t_be_recorded_does_not_go() -> None:
    """Nothing of the step, now or later."""
    book = Book(full=True)
    outbox = _filled(book)
    with pytest.raises(RecordingFailed):
        outbox.record()
    book.full = False
    outbox.record()
    outbox.send()
    assert book.said == []
