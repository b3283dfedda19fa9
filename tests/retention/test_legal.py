"""What is on legal hold does not go, and a hold does not get lost."""

import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from extproc.audit.index.query import Query
from extproc.audit.retention.legal import lift
from extproc.audit.retention.purge import purge
from extproc.audit.retention.rules import NotSelects, Selects, Subject
from extproc.audit.retention.store import HoldsChanged, RetentionStore, UnknownHold
from tests.retention.conftest import OFFICER, House


@pytest.mark.parametrize(
    "selects",
    [
        {"target": "wiki"},
        {"principal": "wendy"},
        {"principal": "https://id.example wendy"},
        {"since": "2020-01-01T00:00:00Z", "until": "2100-01-01T00:00:00+02:00", "principal": "wendy"},
    ],
)
def test_what_is_held_stays(house: House, selects: dict[str, str]) -> None:
    """Bodies and records, until the hold is lifted."""
    house.act("worker-0", "wiki", who="wendy", says="held words")
    house.act("worker-0", "crm", who="carl", says="free words")
    hold = house.place(**selects)
    house.later(400)
    house.keep_house()
    assert house.contains("held words") != []
    assert house.contains("free words") == []
    assert (house.erased("worker-0"), house.bases("worker-0")[0]) == (2, 0)
    assert house.faults() == []
    house.keep_house()
    house.lift(hold)
    house.keep_house()
    assert house.contains("held words") == []
    assert house.bases("worker-0")[0] > 0
    assert house.faults() == []


def test_more_gets_old_beside_what_is_held(house: House) -> None:
    """A segment that was looked at with a hold is looked at again when other records' time is over."""
    house.act("worker-0", "wiki", who="wendy")
    house.act("worker-0", "crm", who="carl")
    house.place(principal="wendy")
    house.later(61)
    house.keep_house()
    assert house.erased("worker-0") == 0
    house.later(30)
    house.keep_house()
    assert house.erased("worker-0") == 2
    assert house.contains("carl") == []
    assert house.faults() == []


def test_one_held_use_keeps_a_shared_body(house: House) -> None:
    """From age, and from a purge."""
    house.act("worker-0", "wiki", who="wendy", says="shared")
    house.act("worker-0", "crm", who="carl", says="shared")
    house.place(principal="carl")
    house.index()
    noted = purge(house.state, house.store, OFFICER, "asked", Query(principal="wendy"), house.clock)
    assert (noted.decisions, noted.bodies, noted.kept) == (1, 0, 1)
    house.later(40)
    house.keep_house()
    assert len(list(house.folder.list())) == 1
    assert house.faults() == []


def test_a_hold_that_the_database_lost_is_reinstated(house: House) -> None:
    """Before anything goes, with an alarm; one that was lifted is not."""
    house.act("worker-0", "wiki", who="wendy", says="held words")
    lost, lifted = house.place(principal="wendy"), house.place(target="crm")
    house.later(1)
    house.lift(lifted)
    house.store.close()
    for file in house.state.glob("retention.db*"):
        os.unlink(file)
    house.restart()
    house.later(40)
    house.keep_house()
    assert house.contains("held words") != []
    assert house.store.holds()[1] == [lost]
    (alarm,) = [r for r in house.said("alarm") if r.body["code"] == "legal-hold-reinstated"]
    assert alarm.body["id"] == lost.id
    house.keep_house()
    assert len([r for r in house.said("alarm") if r.body["code"] == "legal-hold-reinstated"]) == 1
    assert house.faults() == []


def test_a_hold_placed_meanwhile_wins(house: House) -> None:
    """What was found before it was placed is looked for again."""
    address = house.address(house.act("worker-0", "wiki", who="wendy", says="held words"))
    generation, _ = house.store.holds()
    house.place(principal="wendy")
    with pytest.raises(HoldsChanged):
        house.store.let_go([address], generation, house.clock.now)
    assert house.store.going("", 10) == []


def test_a_database_that_was_replaced_takes_no_hold(house: House) -> None:
    """It would be seen by nobody else; what the journal says of it comes into force with the file that is there."""
    os.rename(house.store._path, house.state / "aside.db")
    with pytest.raises(sqlite3.OperationalError, match="another file is there"):
        house.place(principal="wendy")
    os.rename(house.state / "aside.db", house.store._path)
    assert house.store.holds()[1] == []
    house.later(1)
    house.keep_house()
    assert [hold.selects.principal for hold in house.store.holds()[1]] == ["wendy"]


def test_many_open_it_at_once(tmp_path: Path) -> None:
    """As the processes of a gateway do at its first start."""
    with ThreadPoolExecutor(8) as pool:
        for store in pool.map(lambda _: RetentionStore(tmp_path / "retention.db"), range(16)):
            store.close()


def test_only_what_is_placed_can_be_lifted(house: House) -> None:
    """Once."""
    hold = house.place(target="crm")
    house.lift(hold)
    with pytest.raises(UnknownHold):
        lift(house.store, house["control"], OFFICER, "again", hold.id)
    assert [r.body["what"] for r in house.said("legal-hold")] == ["placed", "lifted"]


ABOUT = Subject("crm", "https://id.example carl", "a" * 16, "2026-02-03T04:05:06.000000Z")


@pytest.mark.parametrize(
    ("selects", "fits"),
    [
        ({"target": "crm"}, True),
        ({"target": "wiki"}, False),
        ({"principal": "carl"}, True),
        ({"principal": "https://id.example carl"}, True),
        ({"principal": "https://other.example carl"}, False),
        ({"principal": "car"}, False),
        ({"session": "a" * 16}, True),
        ({"session": "b" * 16}, False),
        ({"since": "2026-02-03T04:05:06Z"}, True),
        ({"since": "2026-02-03T05:05:06.1+01:00"}, False),
        ({"until": "2026-02-03T04:05:06Z"}, True),
        ({"until": "2026-02-03T04:05:05Z"}, False),
        ({"target": "crm", "principal": "wendy"}, False),
    ],
)
def test_what_a_hold_selects(selects: dict[str, str], fits: bool) -> None:
    """All that is given has to fit."""
    assert Selects.parse(selects).fits(ABOUT) is fits


@pytest.mark.parametrize(
    "selects",
    [
        {},
        {"host": "x"},
        {"target": ""},
        {"target": 7},
        {"since": "yesterday"},
        {"since": "2026-01-01T00:00:00"},
        {"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"},
        [],
        None,
    ],
)
def test_what_no_hold_selects(selects: object) -> None:
    """Nothing, everything, and what nobody understands."""
    with pytest.raises(NotSelects):
        Selects.parse(selects)
