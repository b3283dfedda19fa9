"""The shipped library, and what is refused of others."""

from pathlib import Path
from typing import Any, cast

import pytest

from extproc import resources
from extproc.adapters.counters import Wanted
from extproc.adapters.opa import bundle, check, library
from extproc.adapters.opa.refused import PolicyRefused
from extproc.domain.mask import EVERY, GROUPS
from extproc.masking.engine.fingerprint import CREDENTIAL
from extproc.masking.rules.shipped import rules

HEADER = """# METADATA
# scope: package
# title: Mine
# custom:
#   id: http.mine
#   severity: low
package holdpoint.policies.http.mine

"""
RULE = 'findings contains {"code": "c", "effect": "allow", "message": "m"} if input.action.verb == "GET"\n'


def _library(folder: Path, rego: str = HEADER + RULE, **more: str) -> Path:
    mine = folder / "http" / "mine"
    mine.mkdir(parents=True)
    (mine / "mine.rego").write_text(rego)
    for name, text in more.items():
        (mine / name.replace("__", ".")).write_text(text)
    return folder


def _refusal(folder: Path, opa: Path, data: Path | None = None) -> str:
    with pytest.raises(PolicyRefused) as caught:
        check.check(library.load(folder, data), opa)
    return str(caught.value)


def test_the_shipped_library_is_good_and_formatted(opa: Path) -> None:
    """Strict checks, schemas, metadata and every Rego test pass; `opa fmt` has nothing to say."""
    loaded = library.load()
    checked = check.check(loaded, opa)
    assert check.unformatted(loaded, opa) == []
    assert {p.id.split(".")[0] for p in checked.policies} == {"http", "postgres", "tunnel", "any"}


def test_every_shipped_policy_has_tests(opa: Path) -> None:
    """A policy travels with the tests that show what it is for."""
    checked = check.check(library.load(), opa)
    tested = {t.name.removeprefix("holdpoint.policies.").split("_test.")[0] for t in checked.tests}
    assert {p.id for p in checked.policies} - tested == set()


def test_every_shipped_policy_is_in_the_guide() -> None:
    """The guide names each policy that people will meet in a decision."""
    guide = (resources.policies().parent / "docs" / "policy-guide.md").read_text()
    ids = [".".join(p.relative_to(resources.policies()).parts) for p in resources.policies().glob("*/*/") if p.is_dir()]
    assert [i for i in ids if f"`{i}`" not in guide] == []


def test_a_new_policy_needs_no_other_file(tmp_path: Path, opa: Path) -> None:
    """One folder with one file is a library; entrypoint and shared rules come with Holdpoint."""
    checked = check.check(library.load(_library(tmp_path)), opa)
    assert [p.id for p in checked.policies] == ["http.mine"]


def test_a_folder_may_add_to_the_shipped_policies(tmp_path: Path, opa: Path) -> None:
    """`include_shipped` takes all of ours or those named, beside the folder's own."""
    folder = _library(tmp_path)
    (folder / "library.yaml").write_text("include_shipped: [http.size]\n")
    checked = check.check(library.load(folder), opa)
    assert [p.id for p in checked.policies] == ["http.mine", "http.size"]
    (folder / "library.yaml").write_text("include_shipped: [http.none]\n")
    assert "include_shipped: expected true, false or a list of: any.budget" in _refusal(folder, opa)


REFUSED = {
    "no metadata": ("package holdpoint.policies.http.mine\n\n" + RULE, "no METADATA of scope package"),
    "another id": (HEADER.replace("http.mine\n#   sev", "http.other\n#   sev") + RULE, "custom.id: expected http.mine"),
    "no title": (HEADER.replace("# title: Mine\n", "") + RULE, "title: missing"),
    "no severity": (HEADER.replace("#   severity: low\n", "") + RULE, "custom.severity: expected one of info"),
    "unknown severity": (HEADER.replace("low", "grave") + RULE, "found 'grave'"),
    "unknown mode": (
        HEADER.replace("#   severity", "#   mode: loud\n#   severity") + RULE,
        "custom.mode: expected one of",
    ),
    "no findings": (HEADER + "finding := 1\n", "has no rule `findings contains"),
    "a syntax error": (HEADER + "findings contains {\n", "rego_parse_error"),
    "an unknown fact": (HEADER + RULE.replace("input.action.verb", "input.action.facts.methd"), "rego_type_error"),
    "the network": (
        HEADER + RULE + 'x := http.send({"method": "get", "url": "http://x"})\n',
        "undefined function http.send",
    ),
    "the clock": (HEADER + RULE + "x := time.now_ns()\n", "undefined function time.now_ns"),
    "printing": (HEADER + RULE + "x if print(input)\n", "print"),
    "a package elsewhere": (
        HEADER.replace("holdpoint.policies.http.mine", "mine") + RULE,
        "expected holdpoint.policies.",
    ),
    "an unused import": (HEADER + "import data.holdpoint.lib.http\n\n" + RULE, "import"),
}


@pytest.mark.parametrize(("rego", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_a_broken_policy_is_refused_with_its_place(tmp_path: Path, opa: Path, rego: str, words: str) -> None:
    """Each refusal names the file as its owner knows it, and says what is wrong."""
    refusal = _refusal(_library(tmp_path, rego), opa)
    assert words in refusal
    assert str(tmp_path / "http" / "mine" / "mine.rego") in refusal


def test_a_failing_test_is_refused_with_its_place(tmp_path: Path, opa: Path) -> None:
    """The file and line of a failing Rego test are told."""
    text = "package holdpoint.policies.http.mine_test\n\ntest_it if 1 == 2\n"
    folder = _library(tmp_path, mine_test__rego=text)
    assert f"{tmp_path}/http/mine/mine_test.rego:3: holdpoint.policies.http.mine_test.test_it: failed" in _refusal(
        folder, opa
    )


DATA = {
    "policies: {http.sise: {enabled: true}}": "policies.http.sise: unknown; there are: any.budget",
    "policies: {http.size: {limit: 1}}": "policies.http.size.limit: unknown; there are: enabled, limit_bytes, mode",
    "policies: {http.size: {limit_bytes: {'*': big}}}": "limit_bytes.*: expected a whole number, found text",
    "policies: {http.size: {limit_bytes: {crm: '5'}}}": "limit_bytes.crm: expected a whole number, found text",
    "policies: {http.size: {limit_bytes: {crm: -5}}}": "expected 0 or more",
    "policies: {http.size: {mode: shadwo}}": "policies.http.size.mode: expected one of enforce, shadow",
    "policies: {http.size: {enabled: 'false'}}": "policies.http.size.enabled: expected true or false, found text",
    "policies: {http.pii_in_responses: {operator: encrypt}}": "operator: expected one of partial, hash, length, redact",
    "targets: {crm: {groups: sales}}": "targets.crm.groups: expected a list, found text",
    "targets: {crm: {groups: [1]}}": "targets.crm.groups[0]: expected text, found a whole number",
    "targets: {crm: {group: [sales]}}": "targets.crm.group: unknown; there are: approval_group, groups",
    "environments: {nonproduction: null}": "environments.nonproduction: expected a list, found nothing",
    "record: {default: all}": "record.default: expected one of full, head, metadata",
    "[1]": "expected a mapping at the top",
    "a: &x 1": "anchor",
    "targets: {}\ntargets: {}": "written twice",
}


@pytest.mark.parametrize(("text", "words"), DATA.items())
def test_data_that_would_silence_a_rule_is_refused(tmp_path: Path, opa: Path, text: str, words: str) -> None:
    """A user's value has its default's name and type, or nothing is built."""
    data = tmp_path / "data.yaml"
    data.write_text(text)
    with pytest.raises(PolicyRefused) as caught:
        library.load(None, data)
    assert words in str(caught.value)
    assert str(data) in str(caught.value)


def test_data_goes_over_the_defaults(tmp_path: Path) -> None:
    """Mappings merge, lists are replaced, files of a folder follow one another."""
    (tmp_path / "a.yaml").write_text("policies: {http.size: {mode: shadow, limit_bytes: {crm: 5}}}\n")
    (tmp_path / "b.json").write_text('{"targets": {"crm": {"groups": ["sales"]}}}')
    config = library.load(None, tmp_path).config
    assert config["policies"]["http.size"] == {"mode": "shadow", "limit_bytes": {"*": 10485760, "crm": 5}}  # type: ignore[index,call-overload]
    assert config["targets"] == {"*": {"groups": [], "approval_group": ""}, "crm": {"groups": ["sales"]}}


def test_a_bundle_is_the_same_bytes_again_and_its_revision_follows_its_contents(
    shipped: check.Checked, opa: Path, tmp_path: Path
) -> None:
    """Two builds agree; another threshold is another revision."""
    first, again = bundle.pack(shipped), bundle.pack(shipped)
    assert first == again
    data = tmp_path / "d.yaml"
    data.write_text("policies: {http.size: {limit_bytes: {crm: 5}}}\n")
    assert bundle.build(None, data, opa=opa, tests=False).revision != first.revision


def test_a_refused_library_leaves_the_last_bundle(tmp_path: Path, opa: Path) -> None:
    """Nothing is written for a library that does not pass."""
    served = tmp_path / "bundle.tar.gz"
    served.write_bytes(b"the last good one")
    with pytest.raises(PolicyRefused):
        bundle.publish(bundle.build(_library(tmp_path / "p", HEADER + "findings contains {\n"), opa=opa), served)
    assert served.read_bytes() == b"the last good one"


READER = HEADER.replace("#   severity: low", "#   severity: low\n#   reads: [history.used]\n#   reads_if: most") + (
    'findings contains {"code": "c", "effect": "block", "message": "m"} if input.history.used.all.hour > 3\n'
)
READS = {
    "reads and does not say": (READER.replace("#   reads: [history.used]\n", ""), "expected history.used in it"),
    "reads figures and does not say": (
        HEADER + RULE.replace("input.action.verb", "input.history.target.repeated[_].verb"),
        "expected history in it",
    ),
    "reads what is not there": (READER.replace("[history.used]", "[history.usd]"), "expected a list of: history, hist"),
    "depends on no setting of its own": (READER.replace("if: most", "if: least"), "custom.reads_if: expected the name"),
    "reads a misspelt figure": (READER.replace("hour >", "huor >"), "rego_type_error"),
}


@pytest.mark.parametrize(("rego", "words"), READS.values(), ids=READS.keys())
def test_what_a_policy_reads_of_the_past_is_declared(tmp_path: Path, opa: Path, rego: str, words: str) -> None:
    """What is not declared would not be counted, or would be silent while nobody knows it."""
    assert words in _refusal(_library(tmp_path, rego, data__yaml="most: 0\n"), opa)


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("policies: {}", None),
        ("policies: {http.mine: {most: 3}}", "enforce"),
        ("policies: {http.mine: {most: 3, mode: shadow}}", "shadow"),
        ("policies: {http.mine: {most: 3, enabled: false}}", None),
    ],
)
def test_a_bundle_says_whether_counters_are_read(tmp_path: Path, opa: Path, text: str, mode: str | None) -> None:
    """Workers learn it from the file beside the bundle, and nothing is counted for a rule without a setting."""
    folder = _library(tmp_path / "p", READER, data__yaml="most: 0\n")
    (tmp_path / "d.yaml").write_text(text)
    built = bundle.build(folder, tmp_path / "d.yaml", opa=opa)
    assert built.counters == mode
    bundle.publish(built, tmp_path / "bundle.tar.gz")
    assert Wanted(tmp_path / bundle.READS)() == mode


def test_shipped_data_names_kinds_that_there_are() -> None:
    """A mask for an unknown kind stops every message, and so does an exception for one."""
    known = {rule.kind for rule in rules()} | GROUPS | {EVERY, CREDENTIAL}
    named = [
        (policy, name)
        for policy, own in cast(dict[str, dict[str, Any]], library.load().config["policies"]).items()
        for setting in ("kinds", "mask_kinds", "except_kinds", "block_kinds")
        for name in own.get(setting, [])
    ]
    assert len(named) > 10
    assert [(policy, name) for policy, name in named if name not in known] == []
