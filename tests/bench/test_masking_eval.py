"""The masking evaluation and its speed bench: what they read, how they count; our engine on a few cases of its own."""

import ast
import hashlib
import json
import re
import sys
from pathlib import Path

import pytest

from bench.children import BenchFailed
from bench.masking import corpora, dense, extract, kinds, literal, ours, peers, quality, speed, stalls
from bench.masking.__main__ import PAGE
from bench.masking.cases import Case, Label
from bench.masking.children import Peer
from bench.masking.quality_report import QualityReport
from bench.masking.score import Found, Tally, judge, judge_line, overlap
from bench.masking.sources import VARIABLE, Source, SourceMissing, given_folder, parse, sources
from bench.masking.speed_report import SpeedReport
from tests.bench.masking_cases import CASES, CLEAN

# -- values in Python source -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("'a' 'b'", "ab"),
        ("('x', [1, -2, True, None])", ("x", (1, -2, True, None))),
        ("A + 'c' * 3", "abccc"),
        ("A[0] + A[1:]", "ab"),
        ("'{}-{n}'.format(A, n=7)", "ab-7"),
        ("f'{A}!'", "ab!"),
        ("'k=%s' % A", "k=ab"),
        ("'-'.join(['x', 'y'])", "x-y"),
    ],
)
def test_a_literal_is_read(source: str, expected: object) -> None:
    """Constants and a little arithmetic on strings."""
    assert literal.value(ast.parse(source, mode="eval").body, {"A": "ab"}) == expected


@pytest.mark.parametrize(
    "source",
    [
        "open('x')", "__import__('os')", "A.upper()", "unknown", "'{0.__class__}'.format(A) + B", "lambda: 1",
        "'a' * 10**9", "'a' * 1000000", "A[9]", "f'{A!r}'", "'%d' % 1", "[x for x in A]", "A if A else A",
    ],
)  # fmt: skip
def test_code_is_not_run(source: str) -> None:
    """Whatever is more than a literal is refused."""
    with pytest.raises(literal.NotLiteral):
        literal.value(ast.parse(source, mode="eval").body, {"A": "ab"})


def test_a_list_keeps_the_items_that_can_be_read() -> None:
    """A name is the literals of its list; a name bound to something else is not there."""
    tree = ast.parse("A = 'x'\nB = [A + 'y', random(), ('z', 1)]\nC = random()\n")
    assert literal.names(tree) == {"A": "x", "B": ("xy", ("z", 1))}


# -- cases out of tests ----------------------------------------------------------------------------------------------

RECOGNIZER = """
KNOWN = "12-34"

@pytest.fixture
def entities():
    return ["PARROT_ID"]

@pytest.mark.parametrize(
    "text, expected_len, expected_positions, expected_score_ranges",
    [
        ("no 12-34 and 56-78", 2, ((3, 8), (13, 18)), ((0.5, max()),)),
        (KNOWN, 1, (0, 5), 1),
        ("nothing", 0, (0, 3), 0),
        pytest.param("x 12-34", 1, (), ()),
        (make(), 1, (), ()),
    ],
)
def test_found(text, expected_len, expected_positions, expected_score_ranges): ...

@pytest.mark.parametrize("text", ["99-99"])
def test_none(text):
    assert len(find(text)) == 0

@pytest.mark.parametrize("number, expected", [("1", True)])
def test_checksum(number, expected): ...
"""


def test_a_recognizers_tables_are_cases() -> None:
    """Positions where they are given, the number where they are not, and texts with nothing; the rest is counted."""
    found = extract.recognizer(RECOGNIZER, "test")
    only = frozenset({"PARROT_ID"})
    assert found.skipped == 1
    assert found.cases == [
        Case("test", only, "no 12-34 and 56-78", (Label("PARROT_ID", 3, 8), Label("PARROT_ID", 13, 18))),
        Case("test", only, "12-34", (Label("PARROT_ID", 0, 5),)),
        Case("test", only, "nothing"),
        Case("test", only, "x 12-34", count=1),
        Case("test", only, "99-99"),
    ]


PLUGIN = """
TOKEN = "tok_" + "a1" * 4
FIRST_TEST_CASES = [("k = " + TOKEN, TOKEN), ("k = none", None), ("k: " + TOKEN, None), (build(), None)]
OTHER_TEST_CASES = [("k = " + TOKEN, None)]

class TestIt:
    @pytest.mark.parametrize("payload, should_flag", [("{t}".format(t=TOKEN), True), ("tok_", False)])
    def test_line(self, payload, should_flag): ...

    @pytest.mark.parametrize("line", ["x " + TOKEN])
    def test_all(self, line):
        assert len(find(line)) == 1

    @pytest.mark.parametrize("secret", ["one"])
    @pytest.mark.parametrize("line", ["two"])
    def test_product(self, line, secret): ...
"""


def test_a_plugins_tables_are_cases() -> None:
    """Flagged or not; what is a secret in one table is one, and a line with it is none without."""
    found = extract.plugin(PLUGIN, "test", "parrot")
    only = frozenset({"parrot"})
    assert found.cases == [
        Case("test", only, "tok_a1a1a1a1", count=1),
        Case("test", only, "tok_", count=0),
        Case("test", only, "x tok_a1a1a1a1", count=1),
        Case("test", only, "k = tok_a1a1a1a1", (Label("parrot", 4, 16),)),
        Case("test", only, "k = none", count=0),
    ]


def test_spans_of_a_document_are_cases() -> None:
    """Texts with labels; every entity of the document was looked for in every text."""
    document = [
        {"full_text": "a bc", "spans": [{"entity_type": "B", "start_position": 2, "end_position": 4}]},
        {"full_text": "d", "spans": [{"entity_type": "D", "start_position": 0, "end_position": 1}]},
    ]
    both = frozenset({"B", "D"})
    assert extract.spans(json.dumps(document), "test").cases == [
        Case("test", both, "a bc", (Label("B", 2, 4),)),
        Case("test", both, "d", (Label("D", 0, 1),)),
    ]


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


# -- sources ---------------------------------------------------------------------------------------------------------


def _source(text: str) -> Source:
    return Source("them/thing", "0" * 40, {"tests/a.py": hashlib.sha256(text.encode()).hexdigest()})


@pytest.mark.parametrize("place", ["them+thing", "them/thing", "thing", "them+thing/repo"])
def test_a_checkout_is_read(tmp_path: Path, place: str) -> None:
    """Under any of its usual names."""
    file = tmp_path / place / "tests" / "a.py"
    file.parent.mkdir(parents=True)
    file.write_text("A = 1\n")
    assert _source("A = 1\n").read(tmp_path, print) == {"tests/a.py": "A = 1\n"}


def test_another_version_is_refused(tmp_path: Path) -> None:
    """Figures of other files would be figures of something else."""
    file = tmp_path / "thing" / "tests" / "a.py"
    file.parent.mkdir(parents=True)
    file.write_text("A = 2\n")
    with pytest.raises(SourceMissing, match="manifest"):
        _source("A = 1\n").read(tmp_path, print)


def test_a_folder_without_copies_says_what_it_should_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By argument or environment."""
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert given_folder(None) == tmp_path
    with pytest.raises(SourceMissing, match=r"them\+thing/repo"):
        _source("A = 1\n").read(given_folder(None), print)
    with pytest.raises(SourceMissing, match="not a folder"):
        given_folder(tmp_path / "none")


@pytest.mark.parametrize(
    "manifest",
    ["", "# repository a/b\n# commit 1\n" + "0" * 64 + "  x", "# repository a/b\n# commit " + "0" * 40 + "\nabc  x"],
)
def test_a_manifest_that_pins_nothing_is_refused(manifest: str) -> None:
    """A commit, and a hash for each file."""
    with pytest.raises(ValueError, match="expected"):
        parse(manifest)


def test_the_manifests_pin_every_file() -> None:
    """All three of them, well-formed."""
    assert {name: source.repository for name, source in sources().items()} == {
        "detect-secrets": "Yelp/detect-secrets",
        "presidio": "microsoft/presidio",
        "presidio-research": "microsoft/presidio-research",
    }


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
    report = QualityReport(quality.Quality(tables, alarms, ["fake 1"]))
    assert "presidio-research: recall of presidio (any score) or better" in report.text()
    assert "for 1 of 1 entities, met" in report.text()
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
    assert "worst step of 4 KiB" in report.text()
    assert json.loads(json.dumps(report.document()))["load_before"] == 0.5
    page = tmp_path / "page.md"
    page.write_text(PAGE.read_text())
    report.refresh(page)
    assert "| CPU | any |" in page.read_text()


def test_the_page_of_the_documentation_has_its_marks() -> None:
    """So that `--markdown` can fill it."""
    assert set(re.findall(r"<!-- bench: ([\w-]+) -->", PAGE.read_text())) == {
        "presidio-research", "presidio", "presidio-named", "detect-secrets", "clean", "clean-entities", "clean-kinds",
        "verdicts", "machine", "speed", "stalls", "speed-verdicts",
    }  # fmt: skip
