"""Connections that were handed over to workers, as Envoy's access log has them, against the journal."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from extproc.audit.store import LogPosition, Store
from extproc.audit.verify import Report, Wrong, verify
from tests.verify.conftest import House

NOBODY: dict[str, Any] = {"code": "client-left", "principal": None, "via": "postgres", "source": {"address": "::1"}}


def _line(request: str | None, **members: Any) -> str:
    entry = {
        "time": "2026-01-15T08:00:00.000500Z", "request_id": request, "method": None, "status": 0,
        "response_flags": "-", "details": "handed-over:-:-:-", "decision": None, "target": None, "via": "postgres",
        "upstream_host": "../run/postgres-0.sock", "source": "192.0.2.7:4000", "duration_ms": 5, "bytes_in": 9,
        "bytes_out": 1,
    }  # fmt: skip
    return json.dumps(entry | members) + "\n"


def _verify(house: House, *lines: str) -> Report:
    path = house.state / "envoy" / "access.log"
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(lines))
    store = Store(house.state / "shipper.db")
    with store.transaction():
        store.set_log_position(LogPosition("none", 0, 0))
    store.close()
    house["archivist"]
    return verify(house.state, keys=house.keys, processes=1)


def _found(report: Report) -> list[str]:
    assert {fault.wrong for fault in report.faults.listed} <= {Wrong.CONNECTION_UNRECORDED}
    return [fault.message.partition(":")[0] for fault in report.faults.listed]


def _decided(house: House, request: str, verb: str = "CONNECT", stream: str = "postgres-0") -> None:
    house[stream].append("decision", {"request": request, "action": {"verb": verb}, "decision": {"id": f"d-{request}"}})


def test_each_connection_has_its_record(house: House) -> None:
    """That it was decided on, that it began at all, or that somebody was turned away."""
    _decided(house, "a")
    house["postgres-1"].append("session", {"what": "opened", "request": "b"})
    house["postgres-1"].append("refusal", {**NOBODY, "request": "c"})
    report = _verify(house, *map(_line, "abc"))
    assert (_found(report), report.requests) == ([], 3)


@pytest.mark.parametrize("request_", ["x", None])
def test_one_without_is_named(house: House, request_: str | None) -> None:
    """With its line, whatever other connections have."""
    _decided(house, "a")
    report = _verify(house, _line("a"), _line(request_))
    assert _found(report) == ["line 2"]
    assert report.faults.listed[0].offset == len(_line("a"))


def test_a_statement_does_not_tell_of_its_connection(house: House) -> None:
    """Nor does what another kind of worker says under the same name."""
    _decided(house, "a", "SELECT")
    _decided(house, "b", stream="worker-0")
    assert _found(_verify(house, _line("a"), _line("b"))) == ["line 1", "line 2"]


def test_as_many_strangers_as_were_counted_have_none_of_their_own(house: House) -> None:
    """Those on whose connections least passed."""
    house["postgres-0"].append("refusal", {**NOBODY, "request": "a"})
    house["postgres-0"].append("refusal", {**NOBODY, "more": 2})
    strangers = [_line("a"), _line("b"), _line("c", bytes_out=70)]
    assert _found(_verify(house, *strangers)) == []
    assert _found(_verify(house, strangers[0], _line("d", bytes_out=900), *strangers[1:])) == ["line 2"]


def test_what_a_worker_that_was_killed_had_to_tell_is_not_asked_for(house: House) -> None:
    """Its stream says that it began anew, while the connection lasted or soon after."""
    house.clock.now = datetime(2026, 1, 15, 8, 0, 30, tzinfo=UTC).timestamp()
    house["postgres-0"].append("config", {})
    house.shut("postgres-0")
    house["postgres-0"].append("config", {})
    other = {"upstream_host": "../run/postgres-1.sock"}
    early = {"time": "2026-01-15T07:55:00.000000Z"}
    report = _verify(
        house, _line("a"), _line("b", **other), _line("c", **early), _line("d", **early, duration_ms=320_000)
    )
    assert _found(report) == ["line 2", "line 3"]


def test_what_ended_just_now_is_still_to_be_told(house: House) -> None:
    """Strangers are counted for a second before a record says how many they were."""
    now = datetime.now(UTC)
    times = [(now - timedelta(seconds=ago)).strftime("%Y-%m-%dT%H:%M:%S.%fZ") for ago in (1, 3600)]
    assert _found(_verify(house, *(_line("a", time=time) for time in times))) == ["line 2"]


def test_what_was_erased_may_have_told_it(house: House) -> None:
    """Retention let go of what is as old."""
    house["postgres-0"].append("config", {})
    body = {**house.named("postgres-0"), "seq": 0, "hash": "", "base": 0, "to": "2026-02-01T00:00:00.000000Z"}
    house.announce("archivist", "retired", body)
    found = {fault.wrong for fault in _verify(house, _line("a")).faults.listed}
    assert Wrong.CONNECTION_UNRECORDED not in found
