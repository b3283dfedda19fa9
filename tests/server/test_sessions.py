"""A session is told of when it begins and when it has ended."""

from collections.abc import Callable

import pytest

from extproc.domain.json import Document
from extproc.domain.ports import JournalUnwritable
from extproc.domain.principal import Kind, Principal
from extproc.server import sessions
from extproc.server.sessions import IDLE_SECONDS, Sessions

ALICE = Principal("https://issuer.test", "alice", Kind.AGENT)


class Told:
    """A journal that keeps what it is told, or can't."""

    def __init__(self) -> None:
        self.bodies: list[Document] = []
        self.broken = False
        self.failed = 0
        self.now = 0.0

    def append(self, kind: str, body: Document) -> int:
        """See domain.ports.Journal."""
        assert kind == "session"
        if self.broken:
            raise JournalUnwritable("full")
        self.bodies.append(body)
        return len(self.bodies)

    def fail(self) -> None:
        """A record could not be written."""
        self.failed += 1

    @property
    def said(self) -> list[tuple[object, object, object]]:
        """What of which session, and why."""
        return [(b["what"], b["session"], b.get("why")) for b in self.bodies]


@pytest.fixture
def told() -> Told:
    """An empty journal."""
    return Told()


@pytest.fixture
def book(told: Told) -> Sessions:
    """Sessions by a clock that the test moves."""
    return Sessions(told, lambda: "2026-01-01T00:00:00Z", told.fail, lambda: told.now)


def common(session: str) -> Callable[[], Document]:
    """What a session's records have in common."""
    return lambda: {"session": session}


def visit(book: Sessions, session: str) -> None:
    """One exchange, over at once."""
    with book.visit(ALICE, session, common(session)):
        pass


def test_one_session_is_opened_once_and_closed_when_nothing_came_for_a_while(book: Sessions, told: Told) -> None:
    """However many exchanges it has; the next one after that opens it again."""
    visit(book, "s")
    told.now = IDLE_SECONDS - 1
    visit(book, "s")
    told.now += IDLE_SECONDS - 1
    book.sweep()
    assert told.said == [("opened", "s", None)]
    told.now += 1
    book.sweep()
    assert told.said[1:] == [("closed", "s", "idle")]
    assert told.bodies[1]["exchanges"] == 2
    visit(book, "s")
    assert told.said[2:] == [("opened", "s", None)]


def test_what_is_under_way_is_not_idle(book: Sessions, told: Told) -> None:
    """A stream of an hour keeps its session open."""
    with book.visit(ALICE, "s", common("s")):
        told.now = 3600.0
        book.sweep()
        assert told.said == [("opened", "s", None)]
    book.close()
    assert told.said[1:] == [("closed", "s", "stopped")]


def test_memory_is_bounded(book: Sessions, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond so many, the one that is idle for longest has ended."""
    monkeypatch.setattr(sessions, "MOST", 2)
    for name in "abca":
        visit(book, name)
    assert told.said == [
        ("opened", "a", None), ("opened", "b", None), ("opened", "c", None), ("closed", "a", "crowded"),
        ("opened", "a", None), ("closed", "b", "crowded"),
    ]  # fmt: skip


def test_what_cannot_be_written_is_counted(book: Sessions, told: Told) -> None:
    """The exchange is refused where its decision is recorded; the next one tells of the session."""
    told.broken = True
    visit(book, "s")
    assert told.failed == 1
    told.broken = False
    visit(book, "s")
    assert told.said == [("opened", "s", None)]


def test_one_that_is_known_to_be_over_is_told_at_once(told: Told, book: Sessions) -> None:
    """Nothing is waited for."""
    with book.visit(ALICE, "s", common("s"), whole=True):
        assert len(told.said) == 1
    assert told.said[1:] == [("closed", "s", "ended")]
    book.sweep()
    book.close()
    assert len(told.said) == 2
