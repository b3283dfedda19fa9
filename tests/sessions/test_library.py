"""Who may read what of the trail, and that a reading is recorded before there is a first byte."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from extproc.audit.bodies.folder import BodyFolder, BodyMissing
from extproc.audit.bodies.places import Bodies
from extproc.audit.index import Events, Index, Indexer, Query
from extproc.audit.index.indexer import Unreadable
from extproc.audit.library import EVERY_ROLE, Library, NotAllowed, NotFound, Reader, Role
from extproc.domain.json import Document
from extproc.domain.ports import JournalUnwritable
from extproc.domain.principal import Kind, Principal
from tests.sessions.making import TRACE, Trail

ANN = Principal("https://people", "ann", Kind.HUMAN, ("auditors",))
ALL = Reader(ANN, EVERY_ROLE)


class Journal:
    """Takes records, or none while it is full."""

    def __init__(self) -> None:
        self.records: list[tuple[str, Document]] = []
        self.full = False

    def append(self, kind: str, body: Document) -> int:
        """See domain.ports.Journal."""
        if self.full:
            raise JournalUnwritable("full")
        self.records.append((kind, body))
        return len(self.records)


@pytest.fixture
def journal() -> Journal:
    """Where readings are recorded."""
    return Journal()


@pytest.fixture
def shelf(filled: Trail, indexer: Indexer, index: Index, journal: Journal) -> Library:
    """The library of three sessions."""
    while indexer.step():
        continue
    return Library(filled.state, index, Bodies(BodyFolder(filled.state / "bodies")), journal)


def _address(library: Library, decision: str, lane: str) -> str:
    return str(library.exchange(ALL, decision).lanes()[lane]["address"])


def test_an_exchange_is_joined_from_everywhere(shelf: Library) -> None:
    """The decision, its delivery, its hold's records from another stream, its trace and its session."""
    found = shelf.exchange(ALL, "a3").document()
    assert (found["delivery"]["status"], found["holds"][0]["state"]) == (200, "pending")
    assert (found["votes"][0]["reason"], found["trace_id"]) == ("ok 4711", TRACE)
    assert found["session_key"] == shelf.sessions(ALL, Query(target="openai")).rows[0].key
    assert found["recorded"]["response"]["type"] == "image/png"


def test_a_session_is_read_oldest_first_a_page_at_a_time(shelf: Library) -> None:
    """By the start of its key; its records beside the exchanges too."""
    (row,) = shelf.sessions(ALL, Query(target="openai")).rows
    assert shelf.session(ALL, row.key[:6]).key == row.key
    first = shelf.exchanges(ALL, row.key, limit=2)
    ids = [e.joined.decision.body["decision"]["id"][:2] for e in first.rows]
    assert first.next is not None
    ids += [e.joined.decision.body["decision"]["id"][:2] for e in shelf.exchanges(ALL, row.key, first.next).rows]
    assert ids == ["a1", "a2", "a3"]
    assert [e.joined.decision.body["decision"]["id"][:2] for e in shelf.all_exchanges(ALL, row.key)] == ids
    assert [r.kind for r in shelf.others(ALL, row.key)] == ["session", "hold", "vote", "session"]


@pytest.mark.parametrize("start", ["", "zz", "a", "a" * 70])
def test_an_id_that_is_not_one_is_said(shelf: Library, start: str) -> None:
    """None, or several: with what they are."""
    with pytest.raises(NotFound, match="decision"):
        shelf.exchange(ALL, start)


@pytest.mark.parametrize("roles", [(), (Role.LIST,), (Role.READ,), (Role.EXPORT,), (Role.ADMINISTER,)])
def test_each_role_opens_its_own(shelf: Library, journal: Journal, roles: tuple[Role, ...]) -> None:
    """Lists without bodies, bodies without lists; nothing without a role, and nothing is recorded of a refusal."""
    reader, address = Reader(ANN, roles), _address(shelf, "a1", "response")
    lists = (
        lambda: shelf.sessions(reader, Query()),
        lambda: shelf.decisions(reader, Query()),
        lambda: shelf.events(reader, Events(("vote",))),
        lambda: shelf.settle(reader, 0),
        lambda: shelf.session(reader, "a"),
        lambda: shelf.exchanges(reader, "a"),
        lambda: shelf.exchange(reader, "a1"),
        lambda: list(shelf.all_exchanges(reader, "a")),
        lambda: shelf.others(reader, "a"),
    )
    for call in lists:
        if Role.LIST in roles:
            with suppress(NotFound):
                call()
        else:
            with pytest.raises(NotAllowed, match="'list'"):
                call()
    if Role.READ in roles:
        assert b"".join(shelf.body(reader, "a1".ljust(24, "0"), address)).startswith(b'{"total"')
    else:
        with pytest.raises(NotAllowed, match="'read'"):
            shelf.body(reader, "a1".ljust(24, "0"), address)
        assert journal.records == []


def test_who_may_not_read_bodies_finds_no_words_in_them(shelf: Library) -> None:
    """Else beginnings of words would tell a body, a letter at a time."""
    lister = Reader(ANN, (Role.LIST,))
    for word in ("zebra", "zeb*", "zebra report", "invoices"):
        assert shelf.decisions(ALL, Query(words=(word,))).rows
        assert shelf.sessions(ALL, Query(words=(word,))).rows
        assert not shelf.decisions(lister, Query(words=(word,))).rows
        assert not shelf.sessions(lister, Query(words=(word,))).rows
    assert shelf.decisions(lister, Query(words=("crm",))).rows
    assert shelf.sessions(lister, Query()).rows == shelf.sessions(ALL, Query()).rows


def test_who_may_not_read_bodies_is_not_shown_how_they_begin(shelf: Library) -> None:
    """The record of a decision has the request's beginning, for whoever approves and for whoever may read it."""
    lister, key = Reader(ANN, (Role.LIST,)), shelf.sessions(ALL, Query(target="openai")).rows[0].key
    assert "invoices" in str(shelf.exchange(ALL, "a1").document()["action"])
    for shown in (
        shelf.exchange(lister, "a1").document(),
        [e.document() for e in shelf.decisions(lister, Query()).rows],
        [e.document() for e in shelf.exchanges(lister, key).rows],
    ):
        assert "invoices" not in str(shown)


def test_a_reading_is_recorded_before_there_is_a_byte(shelf: Library, journal: Journal) -> None:
    """Who, what and of which session; where that can't be written nothing is given."""
    decision, address = "a1".ljust(24, "0"), _address(shelf, "a1", "response")
    pieces = shelf.body(ALL, decision, address)
    ((kind, body),) = journal.records
    wanted: dict[str, Any] = {"what": "body", "decision": decision, "lane": "response", "address": address}
    assert (kind, {name: body[name] for name in wanted}) == ("reading", wanted)
    assert body["by"] == ANN.document()
    assert body["session"] == shelf.exchange(ALL, decision).session
    assert b"".join(pieces) == b'{"total": 3, "names": ["M\xc3\xbcller"]}'
    journal.full = True
    with pytest.raises(JournalUnwritable):
        shelf.body(ALL, decision, address)


def test_a_body_is_read_under_its_own_decision_only(
    filled: Trail, shelf: Library, indexer: Indexer, journal: Journal
) -> None:
    """An address says nothing about whose it is; what is gone is said, and no reading recorded."""
    address = _address(shelf, "a1", "response")
    for decision, asked in (("a2".ljust(24, "0"), address), ("a1", address), ("a1".ljust(24, "0"), "0" * 64)):
        with pytest.raises(NotFound):
            shelf.body(ALL, decision, asked)
    BodyFolder(filled.state / "bodies").delete(address)
    with pytest.raises(BodyMissing):
        shelf.body(ALL, "a1".ljust(24, "0"), address)
    indexer.forget(addresses=[address])
    with pytest.raises(NotFound, match="it was deleted"):
        shelf.body(ALL, "a1".ljust(24, "0"), address)
    assert journal.records == []


def test_what_is_not_indexed_yet_is_counted(filled: Trail, shelf: Library, indexer: Indexer) -> None:
    """In bytes of the journal."""
    before = shelf.behind()
    filled.ask("d1")
    assert before == 0
    assert shelf.behind() > 500
    indexer.step()
    assert shelf.behind() == 0


def test_a_question_waits_for_what_was_written_before_it(filled: Trail, shelf: Library, indexer: Indexer) -> None:
    """As long as it is told to; a stream that can't be read on is not waited for."""
    filled.ask("d1")
    shelf.settle(ALL, 0)
    assert shelf.behind() > 500
    with ThreadPoolExecutor(1) as thread:
        indexed = thread.submit(indexer.step)
        shelf.settle(ALL, 60)
        assert shelf.exchange(ALL, "d1").joined.decision.body["outcome"] == "granted"
        indexed.result()
    segment = max((filled.state / "journal" / "worker-0").glob("*.segment"))
    place = segment.stat().st_size
    filled.ask("d2")
    filled.ask("d3")
    with segment.open("r+b") as file:
        file.seek(place + 100)
        file.write(b"\0junk")
    with pytest.raises(Unreadable):
        list(iter(indexer.step, False))
    shelf.settle(ALL, 60)
    assert shelf.behind() > 0
