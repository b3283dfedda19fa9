"""`holdpoint audit`, as people and programs use it."""

import json
import re
from pathlib import Path

import pytest

from extproc.audit.segments import name_of
from extproc.audit.shipper import Shipper
from extproc.audit.store import Store
from extproc.cli import audit, main
from extproc.cli._terminal import width
from tests.audit.conftest import Collector, Streams, decision, delivery

LIST = """\
TIME                 DECISION  WHO                   EFFECT  ACTION                      POLICY       HOLD
2027-01-15 08:00:00  d1        agent-7               allow   DELETE crm /customers/7     http.writes  -
2027-01-15 08:00:00  d2        agent-7               mask    DELETE openai /customers/7  http.writes  -
2027-01-15 08:00:00  d3        evil<U+001B>[2Jagent  block   DELETE crm /customers/7     http.writes  -
2027-01-15 08:00:00  d4        agent-7               allow   DELETE crm /customers/7     http.writes  h1 by ann
"""
ACTS = """\
TIME                 KIND    WHAT    WHO  ABOUT
2027-01-15 08:00:00  freeze  frozen  ann  subject evil<U+001B>[2Jagent, reason asks too much
2027-01-15 08:00:00  token   issued  bob  target crm
"""
SETTINGS = """\
version: 1
identity: {agents: [{issuer: x, audience: a, jwks: keys.json}]}
targets: {crm: {upstream: "http://x"}}
state: state
"""


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
    by = {**ann, "kind": "human"}
    streams["control"].append(
        "freeze", {"what": "frozen", "by": by, "subject": other["subject"], "reason": "asks too much"}
    )
    streams["control"].append("token", {"what": "issued", "by": {**by, "subject": "bob"}, "target": {"name": "crm"}})
    streams["worker-0"].append("refusal", {"code": "identity-missing", "source": {"address": "127.0.0.1"}})
    streams.close()
    return streams.state


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ([], ["d1", "d2", "d3", "d4"]),
        (["--effect", "block"], ["d3"]),
        (["--effect", "mask"], ["d2"]),
        (["--effect", "allow"], ["d1", "d4"]),
        (["--decision", "d"], ["d1", "d2", "d3", "d4"]),
        (["--hold", "h1"], ["d4"]),
        (["--until", "2027-01-15T08:00:00.004Z"], ["d1", "d2"]),
        (["delet*", "--target", "openai"], ["d2"]),
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


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["--kind", "acts"], ["frozen", "issued"]),
        (["--kind", "freeze"], ["frozen"]),
        (["--kind", "freeze", "--principal", "bob"], []),
        (["--kind", "acts", "--principal", "bob"], ["issued"]),
        (["--kind", "acts", "--principal", "https://people ann"], ["frozen"]),
        (["--kind", "acts", "--target", "crm"], ["issued"]),
        (["--kind", "acts", "--limit", "1"], ["issued"]),
        (["--kind", "acts", "--since", "2099-01-01"], []),
        (["--kind", "vote", "--hold", "h1"], [None]),
        (["--kind", "alarm"], []),
    ],
)
def test_list_finds_other_records(
    state: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], wanted: list[str | None]
) -> None:
    """By kind; each with its place in the journal."""
    assert main(["audit", "list", "--json", "--state", str(state), *arguments]) == 0
    rows = [json.loads(row) for row in capsys.readouterr().out.splitlines()]
    assert [row["body"].get("what") for row in rows] == wanted
    assert all(row["audit"].keys() == {"stream", "seq", "hash"} for row in rows)


def test_list_draws_a_table_that_nothing_in_it_can_change(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Who, what, effect, policy and approver, each on its own line, controls made visible."""
    assert main(["audit", "list", "--state", str(state)]) == 0
    out = capsys.readouterr().out
    assert out == LIST
    assert "\x1b" not in out


@pytest.mark.parametrize("most", [60, 80, 100, 120, 250])
def test_tables_fit(
    state: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """Whatever the width; traces have their whole address or no column."""
    monkeypatch.setattr(audit, "columns", lambda: most)
    for arguments in ([], ["--kind", "acts"], ["--kind", "refusal"]):
        assert main(["audit", "list", "--state", str(state), *arguments]) == 0
        out = capsys.readouterr().out
        assert max(map(width, out.splitlines())) <= most
        if not arguments:
            assert (re.search(r"http://127.0.0.1:16686/trace/[0-9a-f]{32}$", out, re.M) is not None) == (most >= 200)


def test_list_draws_acts(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was done, by whom, and about what."""
    assert main(["audit", "list", "--kind", "acts", "--state", str(state)]) == 0
    assert capsys.readouterr().out == ACTS


def test_show_joins_all_that_is_known(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The decision, its delivery, its hold's votes, by the start of its id; an unknown id is an error."""
    assert main(["audit", "show", "d4", "--state", str(state)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["votes"][0]["reason"], told["delivery"], told["audit"]["stream"]) == ("ok", None, "worker-1")
    assert told["trace_address"].startswith("http://127.0.0.1:16686/trace/")
    for start, said in (("nothing", "no decision in the index starts with"), ("d", "several decisions start with 'd'")):
        assert main(["audit", "show", start, "--state", str(state)]) == 2
        assert said in capsys.readouterr().err


@pytest.mark.parametrize("command", [["audit", "list"], ["audit", "show", "d1"], ["sessions", "list"]])
def test_no_gateway(tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    """How its files are read is said, with the configuration's own folder, and to those who can read nothing else of
    what the configuration names; without one, that it takes a folder."""
    path = tmp_path / "holdpoint.yaml"
    assert main([*command, "--control", str(tmp_path / "none.sock"), "-c", str(path)]) == 2
    assert "read without it, by its user: --state DIR" in capsys.readouterr().err
    path.write_text(SETTINGS)
    assert main([*command, "-c", str(path)]) == 2
    said = capsys.readouterr().err
    assert "is it running? (`holdpoint up`)" in said
    assert "--state" not in said, "there is no journal yet"
    (tmp_path / "state" / "journal").mkdir(parents=True)
    assert main([*command, "-c", str(path)]) == 2
    assert f"--state {tmp_path / 'state'}" in capsys.readouterr().err


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
    [
        ["list", "--since", "soon"],
        ["list", "--limit", "0"],
        ["list", "--state", "/nowhere"],
        ["list", "--kind", "acts", "--effect", "block"],
        ["list", "--kind", "acts", "word"],
        ["list", "--kind", "none"],
    ],
)
def test_mistakes_are_told(state: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    """Exit code 2, and what would be right."""
    assert main(["audit", arguments[0], "--state", str(state), *arguments[1:]]) == 2
    assert capsys.readouterr().err
