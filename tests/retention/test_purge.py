"""One person's bodies go at once, and whoever asked for it gets a receipt."""

import json
from dataclasses import replace
from typing import Any

import pytest

import extproc.audit.retention.purge
from extproc.audit.index.indexer import SCRUB_SECONDS
from extproc.audit.index.query import Query
from extproc.audit.keys import PublicKeys, make
from extproc.audit.reader import records
from extproc.audit.retention.purge import NothingAsked, purge, query_of, search
from extproc.audit.retention.receipt import BadReceipt, verify_receipt
from extproc.audit.retention.uses import IndexBehind
from tests.retention.conftest import OFFICER, House


def keys(house: House) -> PublicKeys:
    """The trail's public key."""
    return PublicKeys.load([house.state / "keys" / "audit.pub"])


def purged(house: House, query: Query) -> dict[str, Any]:
    """Purge; the receipt, as it would be read from a file."""
    noted = purge(house.state, house.store, OFFICER, "asked to be forgotten", query, house.clock)
    while house.retention.step():
        pass
    house.clock.now += SCRUB_SECONDS
    house.index()
    found = house.store.find_purge(noted.id)
    assert found is not None
    receipt: dict[str, Any] = json.loads(json.dumps(found.receipt))
    return receipt


@pytest.mark.parametrize(
    "query",
    [
        Query(principal="wendy"),
        Query(words=("mustermann",)),
        Query(principal="wendy", target="wiki"),
        Query(since="2020-01-01T00:00:00Z", principal="https://id.example wendy"),
    ],
)
def test_a_purge(house: House, query: Query) -> None:
    """What was found is gone, from the index too; others' stays; the receipt names places in the chain."""
    first, second = (house.act("worker-0", "wiki", "wendy", f"Mustermann {n}") for n in range(2))
    other = house.act("worker-0", "crm", "carl", "of somebody else")
    house.index()
    addresses = [house.address(d) for d in (first, second)]
    found, _ = search(house.state, house.store, query)
    assert found.document() == {
        "decisions": 2, "bodies": 2, "kept": 0, "others": 0, "examples": [second, first]
    }  # fmt: skip
    assert sorted(house.folder.list()) == sorted([*addresses, house.address(other)])
    receipt = purged(house, query)
    assert verify_receipt(receipt, keys(house)) == receipt
    assert receipt["addresses"] == {addresses[0]: [first], addresses[1]: [second]}
    assert (receipt["purge"]["reason"], receipt["purge"]["by"]["subject"]) == ("asked to be forgotten", "officer")
    chain = {(r.stream, r.seq): r for r in records(house.journal("archivist"))}
    said = [chain[place["stream"], place["seq"]] for place in receipt["records"]]
    assert [r.kind for r in said] == ["purge", "body-deleted"]
    assert [r.hash for r in said] == [place["hash"] for place in receipt["records"]]
    assert sorted(said[1].body["addresses"]) == sorted(addresses)
    assert list(house.folder.list()) == [house.address(other)]
    assert (
        house.contains("Mustermann") == house.contains("mustermann" if query.words else "Mustermann 0") or query.words
    )
    assert house.contains("Mustermann ") == []
    assert house.faults() == []


def test_many_bodies_go_in_parts(house: House) -> None:
    """Each record names a hundred; none is shortened."""
    for n in range(230):
        house.act("worker-0", "wiki", "wendy", f"number {n}")
    house.index()
    receipt = purged(house, Query(principal="wendy"))
    said = house.said("body-deleted")
    assert [len(r.body["addresses"]) for r in said] == [100, 100, 30]
    assert not any("shortened" in r.body for r in said)
    assert len(receipt["addresses"]) == 230
    assert len(receipt["records"]) == 4
    assert house.faults() == []


def test_what_is_held_is_counted_and_kept(house: House) -> None:
    """And not named: its addresses are nobody's business yet."""
    house.act("worker-0", "wiki", "wendy", "held")
    house.act("worker-0", "crm", "wendy", "free")
    house.place(target="wiki")
    house.index()
    receipt = purged(house, Query(principal="wendy"))
    assert (receipt["purge"]["bodies"], receipt["purge"]["kept"]) == (1, 1)
    assert house.contains("held") != []
    assert house.contains("free") == []
    assert house.faults() == []


def test_what_others_sent_too_is_said(house: House) -> None:
    """The same content is one body: their decisions are in the receipt."""
    mine, theirs = house.act("worker-0", "wiki", "wendy", "same"), house.act("worker-1", "crm", "carl", "same")
    house.index()
    found, _ = search(house.state, house.store, Query(principal="wendy"))
    assert (found.decisions, found.others) == (1, 1)
    receipt = purged(house, Query(principal="wendy"))
    assert list(receipt["addresses"].values()) == [[mine, theirs]]
    assert house.faults() == []


def test_two_purges_of_the_same(house: House) -> None:
    """Both are answered; the body goes once."""
    house.act("worker-0", "wiki", "wendy", "twice")
    house.index()
    first = purge(house.state, house.store, OFFICER, "one", Query(principal="wendy"), house.clock)
    second = purge(house.state, house.store, OFFICER, "two", Query(target="wiki"), house.clock)
    while house.retention.step():
        pass
    receipts = [house.store.find_purge(p.id) for p in (first, second)]
    assert [r.receipt is not None for r in receipts if r is not None] == [True, True]
    assert len(house.said("body-deleted")) == 1
    assert house.faults() == []


@pytest.mark.parametrize("query", [Query(), Query(words=("", " ", "_"))])
def test_everything_is_not_asked_for(house: House, query: Query) -> None:
    """A purge says what of."""
    with pytest.raises(NothingAsked):
        search(house.state, house.store, query)


def test_an_index_that_is_behind_finds_too_little(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """So nothing is purged by it."""
    monkeypatch.setattr(extproc.audit.retention.purge, "WAIT_SECONDS", 0.0)
    house.act("worker-0", "wiki", "wendy", "one")
    house.index()
    house.act("worker-0", "wiki", "wendy", "two")
    with pytest.raises(IndexBehind):
        search(house.state, house.store, Query(principal="wendy"))


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("done", "2020-01-01T00:00:00.000000Z"),
        ("records", []),
        ("addresses", {}),
        ("purge", {}),
        ("signature", "AAAA"),
        ("key", "0" * 16),
        ("more", 1),
        ("done", 7),
    ],
)
def test_a_receipt_that_was_changed(house: House, member: str, value: object) -> None:
    """Any change of it shows."""
    house.act("worker-0", "wiki", "wendy", "gone")
    house.index()
    receipt = purged(house, Query(principal="wendy"))
    with pytest.raises(BadReceipt):
        verify_receipt({**receipt, member: value}, keys(house))
    other = make(house.state / "keys" / "other.key", house.state / "keys" / "other.pub")
    with pytest.raises(BadReceipt):
        verify_receipt(receipt, PublicKeys([other.public]))


def test_a_query_as_records_have_it() -> None:
    """It can be asked again from there."""
    query = Query(principal="wendy", words=("a b", "c"), since="2026-01-01T00:00:00.000000Z")
    document = {"principal": "wendy", "words": ["a b", "c"], "since": "2026-01-01T00:00:00.000000Z"}
    assert query_of(document) == query
    with pytest.raises(ValueError, match="expected texts"):
        query_of({"limit": 3})
    assert replace(query, limit=7) != query
