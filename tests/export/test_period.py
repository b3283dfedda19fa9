"""Reports on a period: figures, gaps, and the command."""

import json
from pathlib import Path
from typing import Any

import pytest

from extproc.audit.export import period as module
from extproc.audit.export.period import OTHERS, Tally, period
from extproc.audit.reader import records
from extproc.audit.segments import Folder
from extproc.cli import main
from tests.export import making


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state folder of a month."""
    world = making.World(tmp_path_factory.mktemp("month") / "state")
    making.month(world, 120)
    world.checkpoint()
    world.close()
    return world.state


def test_story(tmp_path: Path) -> None:
    """The figures of the story are those that one counts by hand."""
    world = making.World(tmp_path / "state")
    making.story(world)
    world.close()
    found = period(world.state)
    assert found.actions == {"crm": Tally({"allowed": 3, "masked": 2, "held": 1, "blocked": 1})}
    assert found.blocked_by_policy == Tally({"http.bulk": 1})
    assert found.blocked_by_principal == Tally({"crm-bot": 1})
    assert found.holds == Tally({"pending": 1, "approved": 1})
    assert found.approved_by == Tally({"j.okafor@example.com": 1})
    assert found.masked == Tally({"email": 2, "card": 2, "phone": 1})
    assert found.median_wait == 192.4
    assert (found.lost, found.open, found.faults) == (0, 0, [])


def test_from_and_to(month: Path) -> None:
    """Two halves have together what the whole has, wherever it is cut, and skip what they need not read."""
    whole = period(month)
    for at in ("2026-03-02T12:00:00", "2026-03-04", "2027"):
        before, after = period(month, "", at), period(month, at, "")
        assert before.records + after.records == whole.records
        assert before.total + after.total == whole.total
        assert before.until == after.since == at


def test_begins_where_it_must(tmp_path: Path) -> None:
    """A report on the last days reads the last segments alone, and misses nothing."""
    world = making.World(tmp_path / "state")
    world.journal("worker-0", segment_bytes=4000)
    making.month(world, 40)
    world.close()
    folder = world.state / "journal" / "worker-0"
    with Folder(folder) as opened:
        assert len(opened.bases()) > 5
    since = period(world.state).last[:10]
    expected = [r.at for r in records(folder) if r.at >= since]
    assert module._begin(folder, since) > 0
    assert period(world.state, since).first == min([*expected, period(world.state, since).first])


def test_lost_and_open(tmp_path: Path) -> None:
    """An action whose worker started anew has lost its end; one that is under way has none yet."""
    world = making.World(tmp_path / "state")
    granted: dict[str, Any] = {"decision": {"id": "a" * 24, "effect": "allow", "reasons": []}, "outcome": "granted"}
    world.journal("worker-0").append("decision", {**world.common(), **granted})
    world.close()
    world.journal("worker-0").append("decision", {**world.common(), **granted, "decision": {"id": "b" * 24}})
    world.close()
    found = period(world.state)
    assert (found.lost, found.open) == (1, 1)


def test_names_are_for_people(tmp_path: Path) -> None:
    """Lists are told as lists, and what was refused without policies is of no revision."""
    world = making.World(tmp_path / "state")
    control = world.journal("control")
    control.append("config", {"what": "started", "targets": ["crm", "models"]})
    control.append("decision", {"decision": {"id": "d1", "effect": "block", "revision": "none", "reasons": []}})
    world.close()
    found = period(world.state)
    assert [act.about for act in found.changes.first] == ["crm, models"]
    assert found.revisions == Tally()


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """However many names there are, so many are counted apart, and the rest together: nothing is lost."""
    monkeypatch.setattr(module, "MOST_NAMES", 3)
    monkeypatch.setattr(module, "MOST_ROWS", 2)
    world = making.World(tmp_path / "state")
    block = [making.reason("p", "c", "m", "block")]
    for n in range(9):
        who = {**making.BOT, "subject": f"bot-{n}"}
        world.act("GET", "/", reasons=block, effect="block", outcome="blocked", who=who, target=f"t{n}")
        world.journal("control").append("freeze", {"what": "frozen", "subject": f"bot-{n}"})
    world.close()
    found = period(world.state)
    assert found.blocked_by_principal == Tally({"bot-0": 1, "bot-1": 1, "bot-2": 1, OTHERS: 6})
    assert set(found.actions) == {"t0", "t1", "t2", OTHERS}
    assert (len(found.changes.first), found.changes.total) == (2, 9)


def test_command(month: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Text, JSON and the page agree; a page is not overwritten; nothing is wrong, so the exit code is 0."""
    out = tmp_path / "report.html"
    assert main(["audit", "report", "--state", str(month), "--html", str(out)]) == 0
    told = capsys.readouterr().out
    assert told.splitlines()[-1] == "gaps: none"
    assert main(["audit", "report", "--state", str(month), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["gaps"] == []
    assert found["actions"]["crm"]["blocked"] == period(month).actions["crm"]["blocked"]
    assert "Gaps: none." in out.read_text()
    assert "http.bulk" in out.read_text()
    assert main(["audit", "report", "--state", str(month), "--html", str(out)]) == 2
    assert "--force replaces it" in capsys.readouterr().err


def test_gaps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was changed in the journal is named with its place, and the exit code is 1."""
    world = making.World(tmp_path / "state")
    making.month(world, 30)
    world.checkpoint()
    world.close()
    segment = next((world.state / "journal" / "worker-1").glob("*.segment"))
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)
    assert main(["audit", "report", "--state", str(world.state)]) == 1
    told = capsys.readouterr().out
    assert any(line.startswith("GAP ") and "worker-1" in line and "byte" in line for line in told.splitlines()), told


WRONG = (
    (["--from", "yesterday"], "--from 'yesterday': expected"),
    (["--from", "1d", "--to", "2d"], "--to: is not after --from"),
)


@pytest.mark.parametrize(("arguments", "said"), WRONG)
def test_wrong_usage(month: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Mistakes are said in a line."""
    assert main(["audit", "report", "--state", str(month), *arguments]) == 2
    assert said in capsys.readouterr().err
