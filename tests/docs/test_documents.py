"""What the documents name exists: links, make targets, commands, metrics, codes, tests, examples."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from extproc.adapters.signals_metrics import SignalMetrics
from extproc.audit.codes import Code
from extproc.cli import COMMANDS, main
from extproc.config import load
from extproc.domain.identity import Why
from extproc.server.metrics import ArchivistMetrics, Metrics, ShipperMetrics
from extproc.server.route import DeadEnd
from tests.attacks import table_bodies, table_framing, table_h2, table_heads, table_paths
from tests.support.jwt import TokenIssuer

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
OPERATIONS = DOCS / "operations.md"
SECURITY = DOCS / "security.md"
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_MAKE = re.compile(r"(?:^ {4}|`)(?:sudo )?make ([a-z]+(?:[ -][a-z]+)*)", re.MULTILINE)
_COMMAND = re.compile(r"(?:^ {4}(?:\$ )?|`)holdpoint ([a-z]+)(?: ([a-z]+))?", re.MULTILINE)
_METRIC = re.compile(r"`(holdpoint_[a-z_]+)`")
# Names of spans that look like commands; `policy` is both.
SPANS = ("holdpoint hold", "holdpoint upstream", "holdpoint late delivery", "holdpoint seal 1")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
# Folders that belong to somebody's machine, or that only its programs may write to.
_MACHINE = re.compile(r"(?<![\w.~-])/(?:home|root|work|Users)/[\w.-]+|(?<![\w.~/-])/tmp/[\w.-]+")


def documents() -> list[Path]:
    """Every Markdown file of the project, as git knows it or would."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    named = [ROOT / line for line in listed.stdout.splitlines()]
    return [path for path in named if path.exists()] or sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


each = pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(ROOT)))


def anchors(text: str) -> set[str]:
    """The fragments that headings of a document give, as forges make them."""
    return {re.sub(r"[^\w\- ]", "", h).strip().lower().replace(" ", "-") for h in _HEADING.findall(text)}


@each
def test_links_lead_somewhere(path: Path) -> None:
    """Every relative link names a file of the project, and its fragment a heading."""
    broken = []
    for link in _LINK.findall(_FENCE.sub("", path.read_text("utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, fragment = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        inside = target.is_relative_to(ROOT) and target.exists()
        if not inside or (fragment and fragment not in anchors(target.read_text("utf-8"))):
            broken.append(link)
    assert broken == []


@each
def test_make_targets_exist(path: Path) -> None:
    """Every `make X` is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = {word for words in _MAKE.findall(path.read_text("utf-8")) for word in words.split()}
    assert named - targets == set()


def verbs(noun: str, capsys: pytest.CaptureFixture[str]) -> set[str]:
    """The verbs that the help of a command lists; none for a command without."""
    main([noun, "--help"])
    listed = re.search(r"^verbs:\n(.*?)(?:\n\n|\Z)", capsys.readouterr().out, re.MULTILINE | re.DOTALL)
    return set(re.findall(r"^ {4}([a-z]+)", listed[1], re.MULTILINE)) if listed else set()


@each
def test_commands_exist(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every `holdpoint noun verb` is a command, but for names of spans, which look the same."""
    text = path.read_text("utf-8")
    for span in SPANS:
        text = text.replace(f"`{span}`", "")
    nouns = {command.name for command in COMMANDS if command.help}
    unknown = []
    for noun, verb in _COMMAND.findall(text):
        known = verbs(noun, capsys) if noun in nouns else set()
        if noun not in nouns or (known and verb and verb not in known):
            unknown.append(f"holdpoint {noun} {verb}".rstrip())
    assert unknown == []


def test_every_metric_is_in_operations_and_none_else() -> None:
    """The table of metrics is complete, and names nothing that was taken out."""
    registry = CollectorRegistry()
    Metrics(registry)
    ShipperMetrics(registry)
    ArchivistMetrics(registry)
    SignalMetrics(registry)
    exported = {family.name for family in registry.collect()}
    assert set(_METRIC.findall(OPERATIONS.read_text("utf-8"))) == exported


@pytest.fixture(scope="module")
def tests_there() -> set[str]:
    """The names of all tests."""
    trees = [ast.parse(file.read_text("utf-8")) for file in (ROOT / "tests").rglob("test_*.py")]
    nodes = (node for tree in trees for node in ast.walk(tree))
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@each
def test_what_shows_it_exists(path: Path, tests_there: set[str]) -> None:
    """Each test, and each file of tests or policies, that a document names is there."""
    text = path.read_text("utf-8")
    assert set(re.findall(r"`(test_\w+)`", text)) - tests_there == set()
    assert [name for name in re.findall(r"`((?:tests|policies)/[\w/.]+)`", text) if not (ROOT / name).exists()] == []


def test_what_the_attack_table_finds_open_is_said() -> None:
    """Rows that do not hold are in the security model, by their words, and nothing else is there as open."""
    tables = (table_bodies, table_framing, table_h2, table_heads, table_paths)
    found = {row.finding for table in tables for row in table.ROWS} - {""}
    _, _, open_ones = SECURITY.read_text("utf-8").partition("\n### Known, and not closed yet\n")
    assert set(re.findall(r"^- (.+)$", open_ones, re.MULTILINE)) == found


@pytest.mark.parametrize(
    ("document", "codes"),
    [
        ("identity.md", list(Why)),
        ("audit.md", [*Code, *DeadEnd]),
        ("envoy.md", list(DeadEnd)),
    ],
)
def test_every_code_is_named(document: str, codes: list[str]) -> None:
    """Whoever meets a code finds it, and no code is named that was taken out."""
    named = re.findall(r"`([a-z]+(?:-[a-z]+)*)`", (DOCS / document).read_text("utf-8"))
    assert {str(code) for code in codes} - set(named) == set()
    assert [n for n in named if n.startswith("identity-") and n not in set(Why)] == []


@pytest.mark.parametrize("folder", [DOCS, DOCS / "adr"], ids=lambda folder: folder.name)
def test_the_index_is_complete(folder: Path) -> None:
    """Every document is listed beside the others."""
    listed = set(_LINK.findall((folder / "README.md").read_text("utf-8")))
    assert {f.name for f in folder.glob("*.md")} - listed - {"README.md"} == set()


@each
def test_no_path_of_somebodys_machine(path: Path) -> None:
    """Documents are true on every machine."""
    assert _MACHINE.findall(path.read_text("utf-8")) == []


@pytest.mark.parametrize("path", sorted((ROOT / "examples").rglob("holdpoint*.yaml")), ids=lambda path: path.name)
def test_examples_are_configurations(path: Path, tmp_path: Path) -> None:
    """Each example is accepted once the files that it names are there."""
    named = re.findall(r"(?:jwks|credential|file|token): ((?:keys|secrets)/[\w./-]+)", path.read_text("utf-8"))
    issuer = TokenIssuer("https://login.example.com", "holdpoint")
    for name in named:
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        if name.startswith("keys/"):
            issuer.write(file)
        else:
            file.touch(0o600)
            file.write_text("secret")
    copy = tmp_path / "holdpoint.yaml"
    copy.write_bytes(path.read_bytes())
    assert load(copy).targets


def test_the_first_configuration_of_the_readme_is_one(tmp_path: Path) -> None:
    """Who follows the README gets past `holdpoint check`."""
    (block,) = re.findall(r"^```yaml\n(.*?)^```$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
    TokenIssuer("https://try.example", "holdpoint").write(tmp_path / "keys.json")
    (tmp_path / "holdpoint.yaml").write_text(block)
    assert [target.name for target in load(tmp_path / "holdpoint.yaml").targets] == ["shop"]


def test_the_identities_of_the_readme_are_taken(tmp_path: Path) -> None:
    """Its script writes a key set and two tokens, for the gateway's user alone."""
    (script,) = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
    (tmp_path / "identity.py").write_text(script)
    subprocess.run([sys.executable, "identity.py"], cwd=tmp_path, check=True)
    assert {f.name: f.stat().st_mode & 0o777 for f in tmp_path.iterdir() if f.suffix != ".py"} == {
        "keys.json": 0o600,
        "agent.token": 0o600,
        "approver.token": 0o600,
    }
