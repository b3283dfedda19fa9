"""Statements in the index and the library: found by their words and shown to those who may read what was sent."""

from typing import Any

import pytest

from extproc.audit.bodies.folder import BodyFolder
from extproc.audit.bodies.heads import POSTGRES
from extproc.audit.bodies.places import Bodies
from extproc.audit.index import BodyTexts, Index, Indexer, Query
from extproc.audit.library import EVERY_ROLE, Library, Reader, Role
from extproc.protocols.postgres.wire.backend import DataRow, ErrorResponse
from extproc.protocols.postgres.wire.frontend import Query as Asked
from tests.sessions.making import Trail
from tests.sessions.test_library import ALL, ANN, Journal

DECISION = "d1".ljust(24, "0")
SUMMARY = {"database": "crm", "tables": ["customers"], "statement": "SELECT owl FROM customers", "values": ["heron"]}


@pytest.fixture
def library(trail: Trail, index: Index) -> Library:
    """One statement that was recorded, and one whose recording a crash cut short."""
    action = {"protocol": "postgres", "verb": "SELECT", "resource": "customers", "digest": "a" * 64, "summary": SUMMARY}
    trail.ask("d1", action=action)
    trail.ask("d2", action={**action, "summary": {**SUMMARY, "statement": "SELECT 2"}})
    response = DataRow((b"a long-eared bat",)).encode() + ErrorResponse((("M", "no badger"),)).encode()
    trail.answer(DECISION, request=Asked("SELECT 'stoat'").encode(), response=response, type_=POSTGRES, index=True)
    torn: dict[str, Any] = {
        "decision": "d2".ljust(24, "0"),
        "lane": "request",
        "address": "b" * 64,
        "bytes": 7,
        "kept": 7,
    }
    trail["worker-0"].append("recording", {**torn, "salvaged": True})
    bodies = Bodies(BodyFolder(trail.state / "bodies"))
    indexer = Indexer(trail.state, BodyTexts(bodies))
    while indexer.step():
        continue
    indexer.close()
    return Library(trail.state, index, bodies, Journal())


@pytest.mark.parametrize("word", ["owl", "heron", "stoat", "bat", "badger"])
def test_a_statement_is_found_by_what_was_sent_and_what_came_back(library: Library, word: str) -> None:
    """Its text and values as the record has them, and the words of its recording; by those who may read these."""
    rows = library.decisions(ALL, Query(words=(word,))).rows
    assert "d1" in {row.joined.decision.body["decision"]["id"][:2] for row in rows}
    assert not library.decisions(Reader(ANN, (Role.LIST,)), Query(words=(word,))).rows


def test_the_rest_of_a_statement_is_for_those_who_list(library: Library) -> None:
    """Where it ran and what it is about, not what it says."""
    assert len(library.decisions(Reader(ANN, (Role.LIST,)), Query(words=("customers",))).rows) == 2
    lists, reads = (Reader(ANN, roles) for roles in ((Role.LIST,), EVERY_ROLE))
    shown = library.exchange(lists, "d1").document()["action"]["summary"]
    assert shown == {"database": "crm", "tables": ["customers"]}
    assert library.exchange(reads, "d1").document()["action"]["summary"] == SUMMARY


def test_what_a_crash_left_is_known_by_its_protocol(library: Library) -> None:
    """Its own record has no type."""
    assert library.exchange(ALL, "d2").document()["recorded"]["request"]["type"] == POSTGRES
