"""`holdpoint audit`, as people and programs use it."""

import json
from pathlib import Path

import pytest

from extproc.audit.reader import find_decision
from extproc.audit.segments import name_of
from extproc.audit.shipper import Shipper
from extproc.audit.store import Store
from extproc.cli import main
from tests.audit.conftest import Collector, Streams, decision, delivery


@pytest.fixture
def state(streams: Streams) -> Path:
    """A journal with an allowed, a masked, a blocked and an approved action."""
    ann = {"issuer": "https://people", "subject": "ann"}
    other = {**decision()["principal"], "subject": "evil\x1b[2Jagent"}
    streams["worker-0"].append("decision", decision("d1"))
    streams["worker-0"].append("delivery", delivery("d1"))
    streams["worker-0"].append("decision", decision("d2", target={"name": "openai", "protocol": "http"}))
    streams["worker-0"].append("delivery", delivery("d2", masked={"response": {"card": 1}}))
    streams["worker-1"].append("decision", decision("d3", "block", principal=other))
    streams["control"].append("vote", {"hold": "h1", "approver": ann, "approve": True, "reason": "ok"})
    streams["worker-1"].append("decision", decision("d4", hold="h1", approvers=[ann]))
    streams.close()
    return streams.state


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ([], ["d1", "d2", "d3", "d4"]),
        (["--effect", "block"], ["d3"]),
        (["--target", "openai"], ["d2"]),
        (["--principal", "agent-7"], ["d1", "d2", "d4"]),
        (["--principal", "https://id.example agent-7"], ["d1", "d2", "d4"]),
        (["--policy", "http.writes", "--limit", "2"], ["d3", "d4"]),
        (["--policy", "none"], []),
        (["--since", "2027-01-15T08:00:00.006Z"], ["d3", "d4"]),
        (["--since", "2099-01-01"], []),
    ],
)
def test_list_finds(state: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], wanted: list[str]) -> None:
    """Filters narrow, the limit keeps the newest."""
    assert main(["audit", "list", "--json", "--state", str(state), *arguments]) == 0
    rows = [json.loads(row) for row in capsys.readouterr().out.splitlines()]
    assert [row["decision"]["id"] for row in rows] == wanted


def test_list_draws_a_table_that_nothing_in_it_can_change(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Who, what, effect, policy, approver and the trace's address, each on its own line, controls made visible."""
    assert main(["audit", "list", "--state", str(state)]) == 0
    head, one, two, three, four = capsys.readouterr().out.splitlines()
    assert head.split() == ["TIME", "DECISION", "WHO", "ACTION", "EFFECT", "POLICY", "HOLD", "TRACE"]
    assert "DELETE crm /customers/7" in one
    assert "mask" in two
    assert "\x1b" not in three
    assert "http.writes" in three
    assert "h1 by ann" in four
    assert "http://127.0.0.1:16686/trace/" in four


def test_show_joins_all_that_is_known(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The decision, its delivery, its hold's votes; an unknown id is an error."""
    assert main(["audit", "show", "d4", "--state", str(state)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["votes"][0]["reason"], told["delivery"], told["audit"]["stream"]) == ("ok", None, "worker-1")
    assert main(["audit", "show", "nothing", "--state", str(state)]) == 2


def test_a_decision_is_found_by_its_id(state: Path) -> None:
    """Joined with its delivery, or None."""
    found = find_decision(state, "d2")
    assert found is not None
    assert (found["target"]["name"], found["delivery"]["masked"]) == ("openai", {"response": {"card": 1}})
    assert find_decision(state, "nothing") is None


def test_verify_believes_what_was_shipped(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A journal that lost its end at a record's end is whole by itself, but the shipper knows better."""
    store = Store(state / "shipper.db")
    shipper = Shipper(state, store, Collector())
    while shipper.step().records:
        pass
    store.close()
    path = state / "journal" / "worker-0" / name_of(0)
    data = path.read_bytes()
    assert main(["audit", "verify", "--state", str(state)]) == 0
    path.write_bytes(data[: 8 + int.from_bytes(data[:4], "big")])
    assert main(["audit", "verify", "--state", str(state)]) == 1
    assert "behind-witness" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [["list", "--since", "soon"], ["list", "--limit", "0"], ["list", "--state", "/nowhere"]],
)
def test_mistakes_are_told(state: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    """Exit code 2, and what would be right."""
    assert main(["audit", arguments[0], "--state", str(state), *arguments[1:]]) == 2
    assert capsys.readouterr().err
