"""Envoy's access log against the journal."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from extproc.audit.accesslog import AccessLog
from extproc.audit.store import Store
from extproc.audit.verify import Report, Wrong, verify
from tests.verify.conftest import House


def _line(**members: Any) -> str:
    entry = {
        "time": "2027-01-15T08:00:00.000500Z", "request_id": "r", "method": "GET", "authority": "crm", "status": 200,
        "response_flags": "-", "details": "via_upstream", "decision": None, "target": "crm", "upstream_host": None,
        "source": "127.0.0.1:4000", "iss": None, "sub": None, "session": None,
    }  # fmt: skip
    return json.dumps(entry | members) + "\n"


@pytest.fixture
def log(house: House) -> Path:
    """A log of decided requests, a crowd of strangers, an alarm and a tunnel, all of which the journal has."""
    path = house.state / "envoy" / "access.log"
    path.parent.mkdir()
    for n in range(3):
        house["worker-0"].append("decision", {"decision": {"id": f"d{n}", "effect": "allow"}})
    strange = _line(details="codec_error", status=400, target=None)
    path.write_text(
        _line(decision="d0")
        + strange * 4
        + _line(decision="d1", method="CONNECT")
        + _line(upstream_host="10.0.0.1:80")
        + "not JSON\n"
        + _line(decision="d2")
    )
    _follow(house, path)
    return path


def _follow(house: House, path: Path) -> None:
    store = Store(house.state / "shipper.db")
    follower = AccessLog(path, store, house["gateway"], house.folder("gateway"))
    while follower.step():
        pass
    follower._tell()
    follower._note()
    follower.close()
    store.close()


def _verify(house: House) -> Report:
    return verify(house.state, keys=house.keys, processes=1)


def test_every_request_has_its_record(house: House, log: Path) -> None:
    """Decisions, and what the shipper took over, one by one and counted."""
    report = _verify(house)
    assert [fault.message for fault in report.faults.listed] == []
    assert report.requests == 9


def test_a_request_whose_decision_is_not_there_is_named(house: House, log: Path) -> None:
    """With its line."""
    with log.open("a") as file:
        file.write(_line(decision="dX"))
    _follow(house, log)
    fault = _verify(house).faults.listed[0]
    assert (fault.wrong, fault.path) == (Wrong.REQUEST_UNDECIDED, log)
    assert "line 10" in fault.message
    assert "'dX'" in fault.message


def test_a_refusal_that_is_not_there_is_named(house: House, log: Path) -> None:
    """Somebody took the gateway's stream away, and began another."""
    house.close()
    for path in house.folder("gateway").glob("*.segment"):
        path.unlink()
    house["gateway"].append("config", {})
    found = [fault for fault in _verify(house).faults.listed if fault.wrong is Wrong.REQUEST_UNRECORDED]
    assert len(found) == 7


def test_lines_that_nobody_has_read_yet_are_told(house: House, log: Path) -> None:
    """The shipper is behind, or was never there; that is no fault."""
    os.rename(log, log.with_suffix(".log.1"))
    log.write_text(_line(details="route_not_found", status=404))
    report = _verify(house)
    assert report.ok
    assert any("1 lines of the access log are newer" in note for note in report.notes)
    (house.state / "shipper.db").unlink()
    report = _verify(house)
    assert report.ok
    assert any("shipper.db says nothing" in note for note in report.notes)
