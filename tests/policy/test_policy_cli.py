"""`holdpoint policy`, as people type it."""

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from extproc.adapters.opa import bundle, check
from extproc.adapters.opa.binary import OPA_VARIABLE, OpaMissing, find_opa
from extproc.audit.journal import FileJournal
from extproc.cli import policy
from extproc.cli._common import CommandError
from tests.policy.conftest import policy_input


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opa: Path) -> None:
    """No configuration lies about, and OPA is found."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOLDPOINT_CONFIG", raising=False)
    monkeypatch.setenv(OPA_VARIABLE, str(opa))


def _run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    policy.register(parser.add_subparsers())
    arguments = parser.parse_args(["policy", *words])
    code: int = arguments.run(arguments)
    return code


def _reason(policy_id: str, code: str, mode: str, effect: str) -> dict[str, str]:
    return {"policy": policy_id, "code": code, "message": "m", "severity": "high", "mode": mode, "effect": effect}


RECORD: dict[str, Any] = {
    "at": "2026-01-01T00:00:00.000000Z",
    "principal": policy_input()["principal"],
    "target": policy_input()["target"],
    "session": "s1",
    "source": {"address": "127.0.0.1", "port": 4},
    "action": {
        "protocol": "http",
        "verb": "DELETE",
        "resource": "/customers/7\u202e",
        "digest": "d",
        "summary": {"host": "crm", "content_type": "", "size": 0},
    },
    "decision": {
        "schema": 1,
        "id": "d1",
        "effect": "hold",
        "revision": "older",
        "reasons": [
            _reason("http.destructive_methods", "delete-item", "enforce", "hold"),
            _reason("http.gone", "x", "shadow", "block"),
        ],
        "obligations": {
            "mask": [
                {"policy": "http.pii_in_responses", "select": {"kinds": ["card"], "keys": []}, "operator": "redact"}
            ],
            "approval": [
                {"policy": "http.destructive_methods", "group": "operators", "quorum": 1, "expires_in_seconds": 900}
            ],
            "record": "full",
        },
    },
}


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder with the record."""
    journal = FileJournal(tmp_path / "state" / "journal" / "worker-0", "worker-0")
    journal.append("decision", RECORD)
    journal.close()
    return tmp_path / "state"


def test_list_names_every_policy(capsys: pytest.CaptureFixture[str], shipped: check.Checked) -> None:
    """One line for each, with its mode."""
    assert _run("list") == 0
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines()] == [p.id for p in shipped.policies]


def test_list_shows_modes_of_the_users_data(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Data overrules a policy's own mode, or turns it off."""
    data = tmp_path / "data.yaml"
    data.write_text("policies: {http.size: {mode: shadow}, http.llm_chat: {enabled: false}}\n")
    assert _run("list", "--json", "--data", str(data)) == 0
    modes = {row["id"]: row["mode"] for row in json.loads(capsys.readouterr().out)}
    assert (modes["http.size"], modes["http.llm_chat"], modes["http.allow_reads"]) == ("shadow", "off", "enforce")


def test_test_says_what_is_good(capsys: pytest.CaptureFixture[str], shipped: check.Checked) -> None:
    """The shipped library passes, and its revision is told."""
    assert _run("test") == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{len(shipped.policies)} policies, ")
    assert out.rstrip().endswith(bundle.revision(shipped))


def test_test_says_what_is_wrong(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Problems are lines of file, line and words; the exit code says that there are some."""
    broken = tmp_path / "p" / "http" / "x"
    broken.mkdir(parents=True)
    (broken / "x.rego").write_text("package holdpoint.policies.http.x\n\nfindings contains 1 if true\n")
    assert _run("test", str(tmp_path / "p")) == 1
    assert f"{broken}/x.rego:1: no METADATA of scope package" in capsys.readouterr().out


@pytest.mark.parametrize("wrap", [False, True])
def test_try_reads_an_input_from_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path, wrap: bool) -> None:
    """The input alone, or as the member `input` that OPA's own tools want."""
    given = policy_input("DELETE", "/customers/7")
    (tmp_path / "in.json").write_text(json.dumps({"input": given} if wrap else given))
    assert _run("try", "in.json") == 0
    out = capsys.readouterr().out
    assert out.startswith("effect: hold\n")
    assert "approval: 1 of operators within 15 min (http.destructive_methods)" in out
    assert "masked in the response: family secret, family financial, family identity, key ssn" in out
    assert "; but for jwt, bearer, birth-date, bic, " in out


def test_try_shows_how_values_are_masked(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Kinds and families apart; an operator, and what becomes of malformed bodies, where they are not the usual."""
    (tmp_path / "in.json").write_text(json.dumps(policy_input()))
    (tmp_path / "data.yaml").write_text(
        "policies: {http.pii_in_responses: {kinds: [pii, acme-id], except_kinds: [], keys: [pin], operator: hash}}\n"
    )
    assert _run("try", "in.json", "--data", "data.yaml") == 0
    assert "masked in the response: family pii, kind acme-id, key pin; operator hash\n" in capsys.readouterr().out


def test_try_takes_a_decision_of_the_journal(capsys: pytest.CaptureFixture[str], state: Path) -> None:
    """The input is rebuilt from the record, and that is said."""
    assert _run("try", "d1", "--state", str(state)) == 0
    assert "rebuilt from the record" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "words"), [("{", "is not JSON"), ("[]", "expected a policy input"), ("{}", "expected a policy input")]
)
def test_try_refuses_what_is_no_input(tmp_path: Path, text: str, words: str) -> None:
    """The message says what was expected."""
    (tmp_path / "in.json").write_text(text)
    with pytest.raises(CommandError, match=words):
        _run("try", "in.json")


def test_explain_says_each_reason_and_what_would_change_it(capsys: pytest.CaptureFixture[str], state: Path) -> None:
    """Title, place and remedy for each reason; what an agent wrote can't move the cursor."""
    assert _run("explain", "d1", "--state", str(state)) == 0
    out = capsys.readouterr().out
    assert "hold: DELETE /customers/7<U+202E> on crm" in out
    assert "Deleting in production (" in out
    assert "destructive_methods.rego:" in out
    assert "It goes on when 1 of operators approve" in out
    assert "Only watched." in out
    assert "decided under revision older" in out


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("pinned", "`read_only` or the login's `role`"),
        ("unknown-target", "`holdpoint targets list`"),
        ("target-out-of-scope", "good for other targets only"),
        ("database-out-of-scope", "its `databases`"),
        ("unparsable", "mend the statement"),
        ("too-long", "use COPY"),
        ("too-many", "send it in parts"),
        ("fast-path", "in a SELECT"),
        ("policy-timeout", "for want of a decision: `holdpoint check`"),
    ],
)
def test_explain_tells_the_gateways_own_rules(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, code: str, words: str
) -> None:
    """Each in words of its own: nothing was wanting, and no policy is to be changed."""
    reason = _reason("holdpoint", code, "enforce", "block")
    nothing = {"mask": [], "approval": [], "record": "full"}
    decided = {**RECORD["decision"], "effect": "block", "reasons": [reason], "obligations": nothing}
    journal = FileJournal(tmp_path / "state" / "journal" / "worker-0", "worker-0")
    journal.append("decision", {**RECORD, "decision": decided})
    journal.close()
    assert _run("explain", "d1", "--state", str(tmp_path / "state")) == 0
    out = capsys.readouterr().out
    assert words in out
    assert ("A rule of the gateway itself" in out) is ("for want of" not in out)


def test_an_unknown_decision_is_said(state: Path) -> None:
    """What is neither a decision nor a file is a mistake to tell."""
    with pytest.raises(CommandError, match="no decision in the index starts with 'd2'"):
        _run("explain", "d2", "--state", str(state))
    with pytest.raises(CommandError, match="there is no file d2, and as a decision: no decision"):
        _run("try", "d2", "--state", str(state))


def test_opa_is_found_where_it_is_named_then_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opa: Path
) -> None:
    """$HOLDPOINT_OPA first; without one on PATH the newest of the cache; else a message that says what to do."""
    assert find_opa() == opa
    monkeypatch.setenv(OPA_VARIABLE, str(tmp_path / "none"))
    with pytest.raises(OpaMissing, match="is not a program"):
        find_opa()
    monkeypatch.delenv(OPA_VARIABLE)

    def nowhere(name: str) -> Path:
        raise FileNotFoundError(name)

    monkeypatch.setattr("extproc.resources.executable", nowhere)
    monkeypatch.setenv("HOLDPOINT_CACHE", str(tmp_path / "cache"))
    with pytest.raises(OpaMissing, match="deploy/tools/fetch opa"):
        find_opa()
    for version in ("1.9.0", "1.22.0"):
        program = tmp_path / "cache" / "opa" / version / "opa"
        program.parent.mkdir(parents=True)
        program.touch(0o755)
    assert find_opa().parent.name == "1.22.0"
