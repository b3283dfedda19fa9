"""What the document for authors of masking rules shows is so."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from extproc.app.rule_files import compiled, failing, load
from extproc.config import load as load_config
from extproc.domain.mask import PERSONAL
from extproc.masking.rules.model import Family
from extproc.masking.rules.reading import _RULE

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "masking-rules.md").read_text("utf-8")
YAML = re.findall(r"^```yaml\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
CONSOLE = re.findall(r"^```console\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
RULES = [block for block in YAML if not block.startswith("masking:")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files that the document speaks of, and the command on the path."""
    (tmp_path / "our-rules.yaml").write_text(YAML[0])
    (tmp_path / "people.txt").write_text("Ada Example\n\nJosé Muster\n")
    shim = tmp_path / "holdpoint"
    shim.write_text(f'#!/bin/sh\nexec {sys.executable} -m extproc.cli "$@"\n')
    shim.chmod(0o755)
    return tmp_path


def commands() -> list[tuple[str, str]]:
    """Each command of the console blocks, with what it is said to print."""
    found = []
    for block in CONSOLE:
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            found.append((command, output))
    return found


@pytest.mark.parametrize(("command", "output"), commands(), ids=lambda text: text[:60])
def test_commands_print_what_is_shown(command: str, output: str, folder: Path) -> None:
    """Both streams, as on a terminal."""
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    environment.pop("HOLDPOINT_CONFIG", None)
    ran = subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert ran.stdout.decode() == output


@pytest.mark.parametrize("block", RULES, ids=lambda block: block.split("id: ")[1].split()[0])
def test_rules_are_taken_and_keep_their_cases(block: str, folder: Path) -> None:
    """Each by itself, beside those that come with Holdpoint."""
    (folder / "rules.yaml").write_text(block)
    loaded = load([folder / "rules.yaml"])
    assert loaded.problems == ()
    compiled(loaded.files, (), "test")
    assert list(failing(loaded.files)) == []


def test_the_setting_is_one(folder: Path) -> None:
    """`masking:` as it is shown goes into a configuration."""
    (block,) = (block for block in YAML if block.startswith("masking:"))
    (folder / "keys.json").write_text("{}")
    (folder / "holdpoint.yaml").write_text(
        "version: 1\nidentity: {agents: [{issuer: x, audience: a, jwks: keys.json}]}\n"
        f'targets: {{crm: {{upstream: "http://x"}}}}\n{block}'
    )
    assert load_config(folder / "holdpoint.yaml", files=False).masking.rules == (folder / "our-rules.yaml",)


def test_every_member_and_family_is_told() -> None:
    """The table of members has what a rule may have, and the families are all of them."""
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", TEXT.partition("## Members of a rule")[2], re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} >= set(_RULE)
    assert {f"`{family}`" for family in (*Family, PERSONAL)} - set(re.findall(r"`\w+`", TEXT)) == set()
