"""How found values are counted; our engine on a few cases of its own; whole runs."""

import json
import re
import sys
from pathlib import Path

import pytest

from bench.children import BenchFailed
from bench.masking import corpora, dense, kinds, ours, peers, quality, speed, stalls
from bench.masking.__main__ import PAGE
from bench.masking.cases import Case, Label
from bench.masking.children import Peer
from bench.masking.quality_report import QualityReport
from bench.masking.score import Found, Tally, judge, judge_line, overlap
from bench.masking.speed_report import SpeedReport
from tests.bench.masking_cases import CASES, CLEAN

# -- counting --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([], 0.0),
        ([(10, 20)], 1.0),
        ([(0, 15)], 0.5),
        ([(10, 14), (12, 16)], 0.6),
        ([(16, 18), (10, 12)], 0.4),
        ([(0, 10), (20, 30)], 0.0),
    ],
)
def test_overlap(spans: list[tuple[int, int]], expected: float) -> None:
    """The share of [10, 20) that they cover together."""
    assert overlap(10, 20, spans) == expected


TWO = Case("t", frozenset({"E"}), "x" * 40, (Label("E", 0, 10), Label("E", 20, 30)))


@pytest.mark.parametrize(
    ("case", "findings", "expected"),
    [
        (TWO, [], Tally(values=2)),
        (TWO, [Found("k", 0, 10), Found("k", 19, 30)], Tally(2, 2, 1, 2, 2, 2)),
        (TWO, [Found("k", 6, 12), Found("other", 0, 10)], Tally(2, 0, 0, 1, 1, 1)),
        (TWO, [Found("k", 8, 18)], Tally(2, 0, 0, 0, 1, 0)),
        (TWO, [Found("k", 0, 40)], Tally(2, 2, 0, 2, 1, 1)),
        (Case("t", frozenset({"E"}), "x"), [Found("k", 0, 1)], Tally(findings=1)),
        (Case("t", frozenset({"E"}), "x", count=2), [Found("k", 0, 1)] * 3, Tally(2, 2, 2, 2, 3, 2)),
        (Case("t", frozenset({"E"}), "x", count=1), [Found("other", 0, 1)], Tally(1, 0, 0, 1, 0, 0)),
    ],
)
def test_values_and_findings_are_counted(case: Case, findings: list[Found], expected: Tally) -> None:
    """Half of a label makes it found; half of a finding in a label makes it right."""
    assert judge(case, "E", frozenset({"k"}), findings) == expected


FLAGGED = Case("t", frozenset({"p"}), "x" * 20, count=1)


@pytest.mark.parametrize(
    ("case", "findings", "expected"),
    [
        (FLAGGED, [Found("secret", 3, 9)], Tally(1, 1, 1, 1, 1, 1)),
        (FLAGGED, [Found("email", 3, 9)], Tally(1, 0, 0, 1, 0, 0)),
        (Case("t", frozenset({"p"}), "x" * 20, (Label("p", 4, 8),)), [Found("secret", 9, 12)], Tally(values=1)),
        (Case("t", frozenset({"p"}), "x", count=0), [Found("secret", 0, 1)], Tally()),
        (Case("t", frozenset({"p"}), "x", count=0), [Found("own", 0, 1)], Tally(findings=1)),
    ],
)
def test_lines_are_counted(case: Case, findings: list[Found], expected: Tally) -> None:
    """A secret is found under whatever name; without one, only a finding of what was meant is a false alarm."""
    assert judge_line(case, frozenset({"own"}), frozenset({"own", "secret"}), findings) == expected


def test_shares_of_nothing_are_none() -> None:
    """Neither perfect nor zero."""
    assert (Tally().recall, Tally().precision) == (None, None)
    assert (Tally(4, 3, findings=5, right=4).recall, Tally(4, 3, findings=5, right=4).precision) == (0.75, 0.8)


# -- texts that are made ---------------------------------------------------------------------------------------------


def test_what_is_made_is_the_same_every_time() -> None:
    """Bytes that are compared from run to run must not change between them."""
    assert corpora.ordinary(20_000) == corpora.ordinary(20_000)
    assert dense.decoys(20_000) == dense.decoys(20_000)
    for name, text in corpora.clean(5_000).items():
        assert len(text) >= 5_000, name
        assert corpora.clean(5_000)[name] == text


def test_pieces_are_whole_lines() -> None:
    """Joined they are the text."""
    text = corpora.cut(corpora.logs(), 5_000)
    pieces = corpora.pieces(text, 1_000)
    assert "".join(pieces) == text
    assert all(piece.endswith("\n") for piece in pieces)
    assert len(pieces) > 3


def test_decoys_are_dense() -> None:
    """One every fifty bytes, give or take."""
    text = dense.decoys(50_000)
    assert 40 < len(text) / sum(text.count(fill) / 2 for fill in dense.FILL) < 65


# -- our engine ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "marked"), CASES, ids=[f"{kind}: {text[:24]}" for kind, text in CASES])
def test_our_engine_finds(kind: str, marked: str) -> None:
    """The marked value of each case, as that kind."""
    text = marked.replace("⟦", "").replace("⟧", "")
    start = marked.index("⟦")
    label = (start, marked.index("⟧") - 1)
    found = ours.find([text])[0]
    assert overlap(*label, [(f.start, f.end) for f in found if f.kind == kind]) >= 0.5, found


@pytest.mark.parametrize("text", CLEAN)
def test_our_engine_leaves_alone(text: str) -> None:
    """What looks like a value and is none."""
    assert ours.find([text])[0] == []


def test_offsets_are_those_of_characters() -> None:
    """Also after characters of several bytes."""
    found = ours.find(["größe ☃ jane@example.com"])[0]
    assert [(f.kind, f.start, f.end) for f in found] == [("email", 8, 24)]


def test_every_kind_that_is_compared_exists() -> None:
    """A kind that was renamed would otherwise be compared as never found."""
    named = {kind for entity in kinds.ENTITIES.values() for kind in entity.kinds}
    named |= {kind for own, _ in kinds.PLUGINS.values() for kind in own}
    assert named - set(ours.families()) == set()
    assert set(kinds.ENTITIES).isdisjoint(kinds.LEFT_OUT)


# -- whole runs ------------------------------------------------------------------------------------------------------

FAKE = """
import json, sys
print(json.dumps({"version": "fake 1"}), flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    found = [[["CREDIT_CARD", 0, 4, 0.9]] if "4" in text else [] for text in asked["texts"]]
    print(json.dumps({"found": found, "cpu": 0.5}), flush=True)
"""


@pytest.fixture
def fake(tmp_path: Path) -> Path:
    """An interpreter that runs an engine of nothing, whatever it is asked to run."""
    script = tmp_path / "fake.py"
    script.write_text(FAKE)
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{script}"\n')
    python.chmod(0o755)
    return python


def test_another_engine_answers_in_a_process_of_its_own(fake: Path) -> None:
    """Findings for each text, and the CPU they took; one that is not installed is an error that says what to do."""
    peer = Peer(fake, "presidio")
    try:
        assert peer.version == "fake 1"
        assert peer.find(["4111", "none"], "all") == [[Found("CREDIT_CARD", 0, 4, 0.9)], []]
        assert peer.cpu(["4111"], "all") == 0.5
    finally:
        peer.stop()
    with pytest.raises(BenchFailed, match="masking-eval"):
        Peer(fake.parent / "missing", "presidio")


def test_every_other_engine_can_be_asked_for() -> None:
    """By the names that the evaluation uses."""
    assert set(peers.ENGINES) == {"presidio", "detect-secrets"}


def test_an_evaluation_is_text_json_and_a_page(tmp_path: Path, fake: Path) -> None:
    """From cases to a verdict, with an engine beside ours."""
    cases = [
        Case("t", frozenset({"CREDIT_CARD"}), "4111 1111 1111 1111", (Label("CREDIT_CARD", 0, 19),)),
        Case("t", frozenset({"CREDIT_CARD"}), "4111 1111 1111 1112"),
    ]
    lines = [Case("t", frozenset({"github_token"}), "ghp_" + "a1B2" * 9, count=1)]
    fillers = [Case("t", frozenset({"github_token"}), "ghp_" + "x" * 36, count=1)]
    peer = Peer(fake, "presidio")
    try:
        rows = quality.entities(cases, peer)
        alarms = quality.alarms(2_000, peer, peer, lambda text: None)
    finally:
        peer.stop()
    assert (rows[0].tallies[ours.NAME].recall, rows[0].tallies[quality.PRESIDIO].recall) == (1.0, 0.0)
    named = quality.named(cases)
    lead = len(named[0].text) - len(cases[0].text)
    assert named[0].labels == (Label("CREDIT_CARD", lead, lead + 19),)
    tables = {"presidio-research": rows, "presidio": rows, "presidio-named": rows}
    tables["detect-secrets"] = quality.plugins(lines, None)
    bare = [quality.bare(score, cases, 2_000, None, lambda text: None) for score in (None, 0.4)]
    unfilled = quality.total("", quality.plugins(quality.unfilled([*lines, *fillers]), None))
    report = QualityReport(quality.Quality(tables, alarms, ["fake 1"], bare, unfilled))
    assert "presidio-research: recall of presidio (any score) or better" in report.text()
    assert "for 1 of 1 entities, met" in report.text()
    assert "the same without rows of x: 1.000, met" in report.text()
    assert json.loads(json.dumps(report.document()))["versions"] == ["fake 1"]
    page = tmp_path / "page.md"
    page.write_text(PAGE.read_text())
    report.refresh(page)
    once = page.read_text()
    report.refresh(page)
    assert page.read_text() == once
    assert "| CREDIT_CARD | 1 | 1.000 |" in once


def test_a_speed_run_is_text_json_and_a_page(tmp_path: Path) -> None:
    """With tiny counts, and without the other engines."""
    plan = speed.Plan(length=3_000, rounds=1, sizes=(64, 1024))
    speeds = speed.measure(plan, None, None, lambda text: None)
    assert {(s.corpus, s.size) for s in speeds} == {(c, s) for c in ("ordinary", "dense") for s in (64, 1024)}
    assert all(s.rate > 0 for s in speeds)
    worst = stalls.measure(3_000, 1, lambda text: None)
    assert len(worst) == 2 * len(list(stalls.inputs(3_000)))
    report = SpeedReport(speeds, worst, {"CPU": "any"}, 0.5)
    assert "worst step on the event loop" in report.text()
    assert json.loads(json.dumps(report.document()))["load_before"] == 0.5
    page = tmp_path / "page.md"
    page.write_text(PAGE.read_text())
    report.refresh(page)
    assert "| CPU | any |" in page.read_text()


def test_the_page_of_the_documentation_has_its_marks() -> None:
    """So that `--markdown` can fill it."""
    assert set(re.findall(r"<!-- bench: ([\w-]+) -->", PAGE.read_text())) == {
        "presidio-research", "presidio", "presidio-named", "detect-secrets", "clean", "clean-entities", "clean-kinds",
        "bare", "verdicts", "machine", "speed", "stalls", "speed-verdicts",
    }  # fmt: skip
