"""Where labelled cases come from: other projects' files, checked and parsed, never run."""

import ast
import hashlib
import json
from pathlib import Path

import pytest

from bench.masking import extract, literal
from bench.masking.cases import Case, Label
from bench.masking.sources import VARIABLE, Source, SourceMissing, given_folder, parse, sources

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
