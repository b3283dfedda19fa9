"""The policies that the guide shows do what it says of them."""

import json
import re
import textwrap
from pathlib import Path
from typing import Any

import pytest

from extproc import resources
from extproc.adapters.opa import bundle, check, library
from extproc.domain.decision import Decision, parse
from tests.policy.conftest import policy_input

GUIDE = (resources.policies().parent / "docs" / "policy-guide.md").read_text("utf-8")
_POLICY = re.compile(r"^    # METADATA\n(?:(?:    .*)?\n)*?    #   id: http\.(\w+)\n(?:(?:    .*)?\n)+", re.MULTILINE)
PARTIAL = {
    "policy": "http.customers",
    "select": {"kinds": ["pii"], "keys": ["customer_no"], "except": ["network"]},
    "operator": "partial",
    "lanes": ["response"],
}
HASHED = {
    "policy": "http.customers",
    "select": {"kinds": ["pii"], "keys": ["customer_no"]},
    "operator": "hash",
    "lanes": ["response"],
}
AS_TEXT = {
    "policy": "http.customers",
    "select": {"kinds": ["pii"], "keys": []},
    "operator": "redact",
    "lanes": ["response"],
    "malformed": "text",
}


@pytest.fixture(scope="module")
def shown(opa: Path, tmp_path_factory: pytest.TempPathFactory) -> check.Checked:
    """A library of all policies in the guide, checked like any other."""
    folder = tmp_path_factory.mktemp("guide")
    for found in _POLICY.finditer(GUIDE):
        place = folder / "http" / found[1]
        place.mkdir(parents=True)
        (place / f"{found[1]}.rego").write_text(textwrap.dedent(found[0]).rstrip() + "\n")
    (folder / "http" / "business_hours" / "data.yaml").write_text("hours: [9, 10]\n")
    return check.check(library.load(folder), opa)


def _decided(shown: check.Checked, opa: Path, given: dict[str, Any]) -> Decision:
    return parse("d", check.evaluate(shown, opa, json.dumps(given).encode(), bundle.revision(shown)))


def test_they_are_policies(shown: check.Checked, opa: Path) -> None:
    """Metadata, types and format are as for any other."""
    assert [p.id for p in shown.policies] == ["http.business_hours", "http.customers"]
    assert check.unformatted(shown.library, opa) == []


@pytest.mark.parametrize(
    ("target", "groups", "masks"),
    [
        ("crm", ["support"], [PARTIAL]),
        ("crm", ["auditors"], [HASHED]),
        ("logs", ["support"], [AS_TEXT]),
        ("shop", [], []),
    ],
)
def test_masks_by_target_and_group(
    shown: check.Checked, opa: Path, target: str, groups: list[str], masks: list[dict[str, Any]]
) -> None:
    """Each with its direction, names, operator, and what becomes of malformed bodies."""
    given = policy_input()
    given["target"]["name"], given["principal"]["groups"] = target, groups
    assert [mask.document() for mask in _decided(shown, opa, given).masks] == masks


@pytest.mark.parametrize(("ssn", "held"), [(5, False), (6, True)])
def test_families_are_counted_together(shown: check.Checked, opa: Path, ssn: int, held: bool) -> None:
    """Of two families, and of no other."""
    sensitive = {
        "address": {},
        "headers": {},
        "body": {"ssn": ssn, "diagnosis": 5, "card": 20},
        "families": {"ssn": "identity", "diagnosis": "health", "card": "financial"},
    }
    given = policy_input("POST", "/people", sensitive=sensitive)
    assert ("many-people" in [r.code for r in _decided(shown, opa, given).reasons]) is held
