"""Checkpoints: what is signed, when one is made, and how each gets to every witness."""

import os
from pathlib import Path
from typing import Any

import pytest

from extproc.audit.checkpoint import BadCheckpoint, Checkpoint, Head, build, check, digest_of
from extproc.audit.checkpoints import Wish, written
from extproc.audit.keys import PublicKeys, make
from extproc.audit.reader import records, streams
from extproc.audit.verify import verify
from tests.verify.conftest import EVERY, House, Notebook

HEADS = {"worker-0": Head("0f", 3, "a" * 64, 700)}
AT = "2027-01-15T08:00:00.000000Z"


def test_a_checkpoint_is_read_back_as_it_was_signed(house: House) -> None:
    """Whoever has the public key alone can check it."""
    document = build(7, "b" * 64, AT, EVERY, HEADS, house.signer)
    found = check(document, house.keys)
    assert found == Checkpoint(7, "b" * 64, AT, EVERY, HEADS, house.signer.key_id, digest_of(document))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"number": 8}, "not a signature"),
        ({"at": "2027-01-15T08:00:01.000000Z"}, "not a signature"),
        ({"streams": {}}, "not a signature"),
        ({"key": "0" * 16}, "not among the public keys"),
        ({"number": True}, "its number is not of the right type"),
        ({"number": -1}, "not well-formed"),
        ({"previous": "x"}, "not well-formed"),
        ({"streams": {"s": {"seq": 1}}}, "the head of stream 's'"),
        ({"more": 1}, "exactly the members"),
    ],
)
def test_a_changed_checkpoint_is_refused(house: House, change: dict[str, Any], why: str) -> None:
    """The message says what is wrong."""
    document = build(7, "b" * 64, AT, EVERY, HEADS, house.signer) | change
    with pytest.raises(BadCheckpoint, match=why):
        check(document, house.keys)


def test_a_key_of_somebody_else_does_not_count(house: House, tmp_path: Path) -> None:
    """The name of the key is part of what is signed, and only keys that are given are believed."""
    other = make(tmp_path / "other.key", tmp_path / "other.pub")
    with pytest.raises(BadCheckpoint, match="not among"):
        check(build(0, "0" * 64, AT, EVERY, HEADS, other), house.keys)
    both = PublicKeys.load([tmp_path / "other.pub", house.state / "keys" / "audit.pub"])
    assert check(build(0, "0" * 64, AT, EVERY, HEADS, other), both).number == 0


def test_a_checkpoint_names_the_head_of_every_stream(house: House) -> None:
    """Each is where the checkpoint says, and checkpoints make a chain."""
    for stream in ("worker-0", "worker-1"):
        house[stream].append("config", {"n": 1})
    chore = house.archivist()
    chore.step()
    house["worker-0"].append("config", {"n": 2})
    chore.tell()
    chore.step()
    one, two = (check(record.body, house.keys) for record in written(house.folder("archivist")))
    assert (one.number, two.number, two.previous) == (0, 1, one.digest)
    for stream in ("worker-0", "worker-1"):
        last = list(records(house.folder(stream)))[-1]
        head = two.streams[stream]
        assert (last.seq, last.hash, last.end) == (head.seq, head.hash, head.offset)
    assert one.streams["worker-1"] == two.streams["worker-1"]
    assert one.streams["worker-0"].seq == two.streams["worker-0"].seq - 1


def test_there_is_a_checkpoint_a_period_and_one_an_hour_where_nothing_is_written(house: House) -> None:
    """The archivist's own checkpoint is no reason for the next."""
    house["worker-0"].append("config", {})
    chore = house.archivist()

    def made() -> int:
        chore.step()
        return sum(1 for _ in written(house.folder("archivist")))

    assert made() == 1
    house["worker-0"].append("config", {})
    assert made() == 1
    house.clock.now += EVERY
    assert made() == 2
    house.clock.now += EVERY
    assert made() == 2
    house["archivist"].append("reading", {})
    house.clock.now += EVERY
    assert made() == 3
    house.clock.now += 3600
    assert made() == 4


def test_a_new_archivist_goes_on_with_the_chain(house: House) -> None:
    """With what it noted and without it."""
    house["worker-0"].append("config", {})
    house.archivist().step()
    house.close()
    (house.state / "archivist.db").unlink()
    house.archivist().step()
    house["worker-0"].append("config", {})
    house.archivist().step()
    house.close()
    found = [check(record.body, house.keys) for record in written(house.folder("archivist"))]
    assert [c.number for c in found] == list(range(len(found)))
    assert [c.previous for c in found[1:]] == [c.digest for c in found[:-1]]


def test_a_witness_that_was_away_gets_everything_later(house: House) -> None:
    """In order, over a restart too; one alarm an outage, and whoever counts hears of each attempt."""
    heard: list[tuple[str, int, bool]] = []
    near, far = Notebook("near"), Notebook("far", away=True)
    chore = house.archivist(near, far, on_witness=lambda *told: heard.append(told))
    for n in range(3):
        house["worker-0"].append("config", {"n": n})
        chore.tell()
        chore.step()
        house.clock.now += EVERY
    assert [d["number"] for d in near.kept] == [0, 1, 2]
    assert far.kept == []
    assert ("far", 3, False) in heard
    alarms = [r.body for r in records(house.folder("archivist")) if r.kind == "alarm"]
    assert [(a["code"], a["witness"]) for a in alarms] == [("witness-unreachable", "far")]
    far.away = False
    chore = house.archivist(near, far)
    while chore.step():
        pass
    assert far.kept == near.kept
    assert len(far.kept) >= 3


def test_a_long_backlog_is_handed_out_in_steps(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other chores get their turn in between."""
    monkeypatch.setattr("extproc.audit.checkpoints.HANDED_AT_ONCE", 2)
    chore = house.archivist()
    for n in range(5):
        house["worker-0"].append("config", {"n": n})
        chore.tell()
        chore.step()
    late = Notebook()
    steps = [house.archivist(late).step()]
    assert house.chore is not None
    while steps[-1]:
        steps.append(house.chore.step())
    assert len(late.kept) == len(list(written(house.folder("archivist"))))
    assert len(steps) >= 3


def test_a_stream_that_lost_its_end_keeps_its_old_head(house: House) -> None:
    """Nothing is vouched for that does not go on from what was, and it is an alarm, once."""
    for n in range(3):
        house["worker-0"].append("config", {"n": n})
    chore = house.archivist()
    chore.step()
    whole = list(records(house.folder("worker-0")))
    segment = next(house.folder("worker-0").glob("*.segment"))
    os.truncate(segment, whole[-2].end)
    for _ in range(2):
        house["worker-1"].append("config", {})
        chore.tell()
        chore.step()
    found = [check(r.body, house.keys) for r in written(house.folder("archivist"))]
    assert len(found) == 3
    assert found[-1].streams["worker-0"].hash == whole[-1].hash
    assert [r.body["code"] for r in records(house.folder("archivist")) if r.kind == "alarm"] == [
        "journal-behind-witness"
    ]


def test_more_streams_than_a_short_record_holds(house: House) -> None:
    """The signature holds over all of them."""
    notebook = Notebook()
    for n in range(60):
        house[f"worker-{n}"].append("config", {})
    house.archivist(notebook).step()
    assert len(check(dict(notebook.kept[0]), house.keys).streams) == 61
    assert verify(house.state, keys=house.keys, processes=1).ok


def test_streams_that_were_moved_aside_have_no_head(house: House) -> None:
    """What is under another name is no stream."""
    house["worker-0"].append("config", {})
    house.shut("worker-0")
    house.folder("worker-0").rename(house.state / "journal" / "worker-0.old")
    house.archivist().step()
    found = check(next(written(house.folder("archivist"))).body, house.keys)
    assert set(found.streams) == {"archivist"} == {path.name for path in streams(house.state)}


def test_another_process_may_ask_for_a_checkpoint_now(house: House) -> None:
    """It hears when all that it wrote before is signed; where nobody makes one, that it is not."""
    house["worker-0"].append("config", {"n": 1})
    chore = house.archivist()
    chore.step()
    house["worker-0"].append("config", {"n": 2})
    (house.state / "run").mkdir(exist_ok=True)
    assert not Wish(house.state).make(0.0)
    chore.step()
    (*_, last) = written(house.folder("archivist"))
    head = last.body["streams"]["worker-0"]
    assert head["offset"] == house["worker-0"].offset
    assert not list((house.state / "run").glob("checkpoint.*"))


def test_a_stream_that_can_not_be_opened_stops_no_checkpoint(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an alarm, once; the others are signed."""
    chore = house.archivist()
    house["worker-0"].append("config", {})
    locked = house.folder("operator")
    monkeypatch.setattr("extproc.audit.heads.streams", lambda state: [locked, *streams(state)])
    for _ in range(2):
        house["worker-0"].append("config", {})
        chore.tell()
        chore.step()
    written = [r for r in records(house.folder("archivist")) if r.kind in ("checkpoint", "alarm")]
    assert [r.kind for r in written] == ["alarm", "checkpoint", "checkpoint"]
    assert (written[0].body["code"], written[0].body["stream"]) == ("journal-unreadable", "operator")
    assert written[-1].body["streams"]["worker-0"]["seq"] == 3
