"""What is old goes, what is not stays, and the trail still verifies."""

import os

import pytest

from extproc.audit.retention.rules import Keep, Rules
from tests.retention.conftest import DAY, House

SECRET = "Frau Mustermann, Konto 4711"


def test_bodies_go_after_their_targets_time(house: House) -> None:
    """Each target has its own; what goes was announced, and is nowhere any more."""
    gone, kept = house.act("worker-0", "wiki", says=SECRET), house.act("worker-1", "crm", says="of the crm")
    addresses = house.address(gone), house.address(kept)
    house.later(6)
    house.keep_house()
    assert list(house.folder.list()) == [addresses[1]]
    (said,) = house.said("body-deleted")
    assert (said.body["addresses"], said.body["why"]) == ([addresses[0]], "retention")
    assert house.contains("Mustermann") == []
    assert house.faults() == []
    house.later(5)
    house.keep_house()
    assert list(house.folder.list()) == []
    assert house.faults() == []


def test_a_shared_body_goes_with_its_last_use(house: House) -> None:
    """The same content of two targets, and of two days, is one body."""
    house.act("worker-0", "wiki", says="shared")
    house.later(4)
    second = house.act("worker-1", "crm", says="shared")
    address = house.address(second)
    os.utime(next(house.state.glob("bodies/*/*.zst")), (house.clock.now, house.clock.now))
    for days, there in ((2, True), (7, True), (2, False)):
        house.later(days)
        house.keep_house()
        assert house.folder.exists(address) is there
        assert house.faults() == []


def test_what_is_recorded_again_meanwhile_stays(house: House) -> None:
    """Between the search and the deletion somebody sends the same once more."""
    address = house.address(house.act("worker-0", "wiki", says="again"))
    house.later(6)
    house.index()
    generation, _ = house.store.holds()
    house.store.let_go([address], generation, house.clock.now)
    file = next(house.state.glob("bodies/*/*.zst"))
    os.utime(file, (house.clock.now + 1, house.clock.now + 1))
    house.retention.step()
    assert house.folder.exists(address)
    assert house.faults() == []


def test_records_are_erased_inside_segments(house: House) -> None:
    """A target with a shorter time: its records go, its neighbours' stay, the chain stands."""
    for n in range(3):
        house.act("worker-0", "wiki", who="wendy", says=f"{SECRET} {n}")
        house.act("worker-0", "crm", who="carl")
    house.later(61)
    house.keep_house()
    assert house.erased("worker-0") == 6
    assert house.faults() == []
    assert house.contains("wendy") == []
    assert house.contains("carl") != []
    assert [r.body["ranges"] for r in house.said("erased")] == [[[1, 2], [5, 6], [9, 10]]]
    house.keep_house()
    assert len(house.said("erased")) == 1


def test_an_interrupted_segment_is_not_touched_while_it_is_written(house: House) -> None:
    """Only complete segments are looked at."""
    house.act("worker-0", "wiki")
    house.clock.now += 400 * DAY
    house.keep_house()
    assert (house.bases("worker-0"), house.erased("worker-0")) == ([0], 0)


def test_whole_segments_are_retired(house: House) -> None:
    """From the start of a stream on, once nothing in them is to be kept; and the trail goes on."""
    house["worker-0"].append("alarm", {"code": "of-no-target"})
    for n in range(5):
        house.act("worker-0", "crm", who=f"carl-{n}")
        house.later(92)
        house.keep_house()
        assert house.faults() == []
        assert (house.bases("worker-0")[0] > 0) == (n >= 3)
    said = [r.body for r in house.said("retired") if r.body["stream"] == "worker-0"]
    assert [(s["records"], s["seq"]) for s in said] == [(5, 4), (5, 9)]
    assert house.contains("carl-3") == []
    assert house.faults() == []
    house.restart()
    house.act("worker-0", "crm")
    assert house.faults() == []


def test_the_archivist_keeps_what_others_need(house: House) -> None:
    """Its own old segments go too; what they announced is said again first."""
    house.rules = Rules(Keep(365 * DAY, 30 * DAY), {"crm": Keep(3000 * DAY, 30 * DAY)})
    hold = house.place(target="wiki")
    house.act("worker-0", "crm", says="long ago")
    house.act("worker-1", "other", who="otto")
    for _ in range(30):
        house.later(31)
        house.keep_house()
    assert house.bases("archivist")[0] > 0
    assert house.bases("control")[0] > 0
    assert house.bases("worker-0")[0] == 0
    assert house.faults() == []
    assert [h.id for h in house.store.holds()[1]] == [hold.id]
    assert {r.body["id"] for r in house.said("legal-hold")} == {hold.id}
    os.unlink(house.state / "index.db")
    for extra in house.state.glob("index.db-*"):
        extra.unlink()
    house.restart()
    house.keep_house()
    assert house.faults() == []


def test_nothing_goes_that_is_not_sent_or_not_indexed(house: House) -> None:
    """A collector that is away, and an index that is behind, keep everything."""
    house.act("worker-0", "crm", says="of the crm")
    house.later(400)
    house.shipped = {}
    house.keep_house()
    assert (house.bases("worker-0")[0], house.erased("worker-0")) == (0, 0)
    house.act("worker-0", "crm", says="not indexed")
    house.later(400)
    house.clock.now += 3601.0
    before = sorted(house.folder.list())
    house.shipped = None
    assert not house.retention.step()
    assert not house.retention.step()
    assert "in the index so far" in house.waits[-1]
    assert sorted(house.folder.list()) == before
    house.index()
    while house.retention.step():
        pass
    assert house.waits[-1] == ""
    assert list(house.folder.list()) == []
    assert house.bases("worker-0")[0] > 0


def test_without_an_index_nothing_goes(house: House) -> None:
    """And it is said."""
    house.act("worker-0", "crm", says="of the crm")
    house.later(40)
    assert not house.retention.step()
    assert "there is no index" in house.waits[-1]
    assert len(list(house.folder.list())) == 1


def test_a_target_that_is_configured_no_longer_keeps_its_time(house: House) -> None:
    """What was asked for its records does not end with it."""
    house.rules = Rules(RULES_SHORT, {"crm": Keep(900 * DAY, 20 * DAY)})
    house.act("worker-0", "crm", says="kept long")
    house.later(11)
    house.keep_house()
    house.rules = Rules(RULES_SHORT, {})
    house.later(5)
    house.keep_house()
    assert len(list(house.folder.list())) == 1
    house.later(5)
    house.keep_house()
    assert list(house.folder.list()) == []


RULES_SHORT = Keep(100 * DAY, 10 * DAY)


def test_bodies_that_nothing_names_go(house: House) -> None:
    """After the longest time of any."""
    address = house.address(house.act("worker-0", "crm", says="stray"))
    house.index()
    house.indexer.forget(addresses=[address])
    house.later(11)
    house.keep_house()
    assert house.folder.exists(address)
    house.later(20)
    house.keep_house()
    assert not house.folder.exists(address)
    assert house.faults() == []


@pytest.mark.parametrize("seconds", [0.0, 1800.0])
def test_it_runs_once_an_hour(house: House, seconds: float) -> None:
    """A step in between does nothing."""
    house.keep_house()
    house.act("worker-0", "wiki", says="old")
    house.clock.now += 6 * DAY
    house.retention._due = house.clock.now + 1801.0
    house.index()
    house.clock.now += seconds
    assert not house.retention.step()
    assert len(list(house.folder.list())) == 1


@pytest.mark.parametrize("restarted", [False, True])
def test_a_clock_that_leaps_makes_nothing_old(house: House, restarted: bool) -> None:
    """For a day nothing goes, and that is an alarm, also over a restart; put right again it is as if nothing was."""
    address = house.address(house.act(says="a letter"))
    house.keep_house()
    house.leap(800)
    for _ in range(3):
        if restarted:
            house.restart()
        house.keep_house()
    assert house.folder.exists(address)
    assert "the clock leapt" in house.waits[-1]
    assert [r.body["code"] for r in house.said("alarm")] == ["clock-leapt"] * (3 if restarted else 1)
    house.leap(-800)
    house.keep_house()
    assert house.waits[-1] == ""
    assert house.folder.exists(address)
    house.leap(800)
    for _ in range(26):
        house.keep_house()
    assert not house.folder.exists(address)
    assert house.faults() == []
