"""What of a real OPA's decisions may be remembered: never one that depends on what is not the same the next time."""

import asyncio
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc import resources
from extproc.adapters.opa import bundle, check, library, settling
from extproc.adapters.opa.client import OpaClient
from extproc.adapters.opa.management import Management
from extproc.adapters.opa.published import Published
from extproc.domain.decision import parse
from extproc.domain.ports import Settled
from extproc.server.memory import UNKNOWN, Memory, unsettled
from tests.policy.conftest import RunningOpa, policy_input, wait_for

POLICY = """# METADATA
# scope: package
# title: Mine
# custom:
#   id: http.mine
#   severity: low
#   mode: {mode}
#   reads: [{reads}]
package holdpoint.policies.http.mine

findings contains {{"code": "late", "effect": "block", "message": "m"}} if {{
	{body}
}}

late(t) if t > "2027"

hour := substring(input.context.time, 11, 2)
"""
ALLOWING = """# METADATA
# scope: package
# title: All
# custom:
#   id: http.all
#   severity: low
package holdpoint.policies.http.all

findings contains {"code": "ok", "effect": "allow", "message": "m"}
"""
DEPENDING = {
    "the time": 'input.context.time > "2027"',
    "the time, negated": 'not input.context.time < "2027"',
    "the time, of a name that is not written out": 'some k\n\tinput.context[k] == "x"',
    "the time, among what there is": 'some x in input.context\n\tx == "x"',
    "the time, in a variable": 'c := input.context\n\tc.time == "x"',
    "the time, in a list": '[t] := [input.context.time]\n\tt == "x"',
    "the time, by a path": 'object.get(input, ["context", "time"], "") == "x"',
    "the time, somewhere": 'walk(input, [_, "x"])',
    "the time, gathered": 'count([t | t := input.context.time; t == "x"]) > 0',
    "the time, of each": 'every t in [input.context.time] { t == "x" }',
    "the time, by a function": "late(input.context.time)",
    "the time, by a rule": 'hour == "03"',
    "the time, as a builtin has it": "time.clock(time.parse_rfc3339_ns(input.context.time))[0] == 3",
    "the digest": 'startswith(input.action.digest, "0")',
    "the digest, as text": 'contains(json.marshal(input.action), "zz")',
    "the session": 'input.session.id == "x"',
    "the input as a key": 'input.session.id in {"a", "b"}',
}
INDEPENDENT = {
    "nothing": "false",
    "the verb": 'input.action.verb == "DELETE"',
    "the time of other verbs": 'input.action.verb == "DELETE"\n\tlate(input.context.time)',
    "the time, and then that it is another verb": 'late(input.context.time)\n\tinput.action.verb == "DELETE"',
    "the target, of a name that is not written out": 'some k\n\tinput.target[k] == "x"',
}
CASES = [
    *((name, body, "enforce", "", False) for name, body in DEPENDING.items()),
    *((name, body, "enforce", "", True) for name, body in INDEPENDENT.items()),
    ("the time, in shadow", DEPENDING["the time"], "shadow", "", False),
    ("what was done lately", "input.history.target.failures_in_a_row > 3", "enforce", "history", False),
    ("what was done lately, in shadow", "input.history.target.failures_in_a_row > 3", "shadow", "history", False),
    ("exact counts", "input.history.used.all.hour > 3", "enforce", "history.used", False),
    ("exact counts of other verbs", 'input.action.verb == "X"\n\tinput.history.used.all.hour > 3', "shadow",
     "history.used", False),
]  # fmt: skip


def _serve(running: RunningOpa, built: bundle.Bundle) -> None:
    bundle.publish(built, running.managed.bundle)
    with Management(running.address, running.token) as management:
        wait_for(lambda: management.revision() == built.revision)


def _kept(running: RunningOpa, document: dict[str, Any]) -> bool:
    """Whether the decision on a policy input is remembered; an effect other than allow fails the test."""

    async def ask() -> bool:
        client = OpaClient(running.address, running.token, deadline_seconds=5)
        memory = Memory(Published(running.managed.directory / bundle.READS))
        try:
            decision = parse("d", await client.evaluate(document))
            assert decision.effect == "allow", decision.reasons
            key = memory.key(document)
            settled = await client.settled(unsettled(document), UNKNOWN)
            return key is not None and memory.keep(key, document, decision, settled)
        finally:
            client.close()

    return asyncio.run(ask())


def test_only_what_depends_on_nothing_else_is_remembered(running: RunningOpa, opa: Path, tmp_path: Path) -> None:
    """Rules that read the time, the past, the digest or the session in any way, and rules that would for others."""
    found = {}
    for number, (name, body, mode, reads, _) in enumerate(CASES):
        folder = tmp_path / str(number)
        for policy, text in (("all", ALLOWING), ("mine", POLICY.format(mode=mode, reads=reads, body=body))):
            (folder / "http" / policy).mkdir(parents=True)
            (folder / "http" / policy / f"{policy}.rego").write_text(text)
        _serve(running, bundle.build(folder, opa=opa, tests=False))
        document = policy_input()
        if reads == "history.used":
            sums = {"minute": 0, "hour": 0, "day": 0}
            document["history"] = {**document["history"], "used": {"all": sums, "target": sums, "verb": sums}}
        found[name] = _kept(running, document)
    assert found == {case[0]: case[-1] for case in CASES}


def test_the_shipped_library_as_it_is_and_without_what_looks_back(
    running: RunningOpa, opa: Path, tmp_path: Path
) -> None:
    """Its policies for any protocol read the past: with them nothing is remembered, and where data switches them off a
    read is."""
    assert not _kept(running, policy_input())
    data = tmp_path / "data.yaml"
    switched = [p.id for p in bundle.build(opa=opa, tests=False).policies if p.id.startswith("any.")]
    data.write_text("policies:\n" + "".join(f"  {name}: {{enabled: false}}\n" for name in switched))
    _serve(running, bundle.build(None, data, opa=opa, tests=False))
    assert _kept(running, policy_input())


def test_an_entrypoint_of_their_own_ends_it(opa: Path, tmp_path: Path) -> None:
    """That a decision is made of outcomes and data alone is known of the shipped entrypoint, and of that text only."""
    (tmp_path / "http" / "all").mkdir(parents=True)
    (tmp_path / "http" / "all" / "all.rego").write_text(ALLOWING)
    assert bundle.build(tmp_path, opa=opa, tests=False).reach is not None
    for file in (resources.policies() / "lib").glob("*.rego"):
        (tmp_path / "lib").mkdir(exist_ok=True)
        (tmp_path / "lib" / file.name).write_bytes(file.read_bytes())
    assert bundle.build(tmp_path, opa=opa, tests=False).reach is not None
    more = tmp_path / "lib" / "more.rego"
    more.write_text('package holdpoint.main\n\nrecordings contains "head" if input.context.time > "2027"\n')
    assert bundle.build(tmp_path, opa=opa, tests=False).reach is None
    more.unlink()
    main = tmp_path / "lib" / "main.rego"
    main.write_text(main.read_text() + '\nrecordings contains "head" if input.context.time > "2027"\n')
    assert bundle.build(tmp_path, opa=opa, tests=False).reach is None


def test_the_shipped_entrypoint_reads_its_input_through_outcomes_alone(opa: Path, tmp_path: Path) -> None:
    """Without what makes outcomes, a decision can depend on no member of the input: OPA's compiler finds none."""
    with check.staged(library.load(), tests=False) as place:
        main = place / "lib" / "main.rego"
        text, rules = re.subn(r"^outcomes contains .*? if \{\n.*?^\}\n", "", main.read_text(), flags=re.M | re.S)
        assert rules >= 4
        main.write_text(text + "\noutcomes contains data.holdpoint.config.x\n")
        command = [str(opa), "deps", "--bundle", ".", "--format=json", "data.holdpoint.main.decision"]
        base = orjson.loads(subprocess.run(command, cwd=place, capture_output=True, check=True).stdout)["base"]
    assert {reference[0]["value"] for reference in base} == {"data"}


def test_what_a_library_can_read_is_found(opa: Path) -> None:
    """Of the shipped one: members by name, no part of the values or the text of a statement."""
    reach = bundle.build(opa=opa, tests=False).reach
    assert reach is not None
    assert {("action", "facts", "statements"), ("context", "time"), ("action", "verb")} <= set(reach)
    assert not {("action", "facts", "values"), ("action", "facts", "text"), ("action", "facts")} & set(reach)


REFUSED = [
    {"query": "data.holdpoint.config", "input": {}, "unknowns": ["input"]},
    {"query": settling.SETTLE + "; true", "input": {}, "unknowns": ["input"]},
    {"query": settling.SETTLE, "input": {}, "unknowns": ["input"], "options": {"disableInlining": []}},
    {"query": settling.SETTLE, "input": {}},
]


@pytest.mark.parametrize("body", REFUSED, ids=str)
def test_the_engine_answers_no_other_query(running: RunningOpa, body: dict[str, Any]) -> None:
    """The token lets a worker ask what a decision depends on, and run no query of its own."""
    with Management(running.address, running.token) as management:
        session, root = management._client._session, management._client.root_url
        assert session.post(f"{root}/compile", json=body, timeout=5).status_code in (401, 403)
        good = {"query": settling.SETTLE, "input": {}, "unknowns": ["input.history"]}
        assert session.post(f"{root}/compile", json=good, timeout=5).status_code == 200


SOLUTION = [
    {"index": 0, "terms": [{"type": "ref", "value": [{"type": "var", "value": "eq"}]}, {"type": "var", "value": "o"},
                           {"type": "object", "value": [[{"type": "string", "value": "reason"},
                                                         {"type": "object", "value": []}]]}]},
    {"index": 1, "terms": [{"type": "ref", "value": [{"type": "var", "value": "eq"}]},
                           {"type": "string", "value": "r1"}, {"type": "var", "value": "r"}]},
]  # fmt: skip
OPEN: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no queries": lambda answer: answer["result"].clear(),
    "support": lambda answer: answer["result"].update(support=[]),
    "an expression more": lambda answer: answer["result"]["queries"][0].append({"index": 2, "terms": {"type": "var"}}),
    "an expression less": lambda answer: answer["result"]["queries"][0].pop(),
    "negated": lambda answer: answer["result"]["queries"][0][0].update(negated=True),
    "under with": lambda answer: answer["result"]["queries"][0][0].update({"with": []}),
    "another operator": lambda answer: answer["result"]["queries"][0][0]["terms"][0]["value"][0].update(value="neq"),
    "another variable": lambda answer: answer["result"]["queries"][0][0]["terms"][1].update(value="p"),
    "a reference": lambda answer: answer["result"]["queries"][0][0]["terms"][2]["value"][0][1].update(
        type="ref", value=[{"type": "var", "value": "input"}]
    ),
    "a call": lambda answer: answer["result"]["queries"][0][0]["terms"][2]["value"][0][1].update(type="call"),
    "a comprehension": lambda answer: answer["result"]["queries"][0][0]["terms"][2]["value"][0][1].update(
        type="setcomprehension", value={}
    ),
    "two revisions": lambda answer: answer["result"]["queries"].append(
        orjson.loads(orjson.dumps(SOLUTION).replace(b"r1", b"r2"))
    ),
    "a list": lambda answer: answer.update(result=[]),
}


@pytest.mark.parametrize("change", OPEN.values(), ids=OPEN.keys())
def test_an_answer_that_is_not_values_alone_settles_nothing(change: Callable[[dict[str, Any]], Any]) -> None:
    """What is not plainly a value for each outcome is not read as one."""
    answer = orjson.loads(orjson.dumps({"result": {"queries": [SOLUTION]}}))
    assert settling.read(answer) == Settled("r1", [{}])
    change(answer)
    assert settling.read(answer) is None


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3),
    max_leaves=8,
)
UNKNOWNS: list[dict[str, Any]] = [
    {"type": "ref", "value": [{"type": "var", "value": "input"}, {"type": "string", "value": "history"}]},
    {"type": "var", "value": "x"},
    {"type": "call", "value": []},
    {"type": "arraycomprehension", "value": {}},
    {"type": "of a later OPA", "value": 1},
]


def _term(value: Any, at: list[int], instead: dict[str, Any]) -> dict[str, Any]:
    """A value as OPA writes terms; the one that `at` counts down to is `instead`."""
    at[0] -= 1
    if at[0] == 0:
        return instead
    if isinstance(value, list):
        return {"type": "array", "value": [_term(item, at, instead) for item in value]}
    if isinstance(value, dict):
        pairs = [[_term(name, at, instead), _term(item, at, instead)] for name, item in value.items()]
        return {"type": "object", "value": pairs}
    named = {bool: "boolean", int: "number", str: "string"}
    return {"type": named[type(value)], "value": value} if value is not None else {"type": "null"}


@given(VALUES, st.integers(0, 40), st.sampled_from(UNKNOWNS))
def test_an_unknown_anywhere_settles_nothing(value: Any, place: int, unknown: dict[str, Any]) -> None:
    """Wherever in an outcome something is left that is no value, nothing is settled; otherwise the value is read."""
    left = [place]
    outcome = _term({"reason": value}, left, unknown)
    answer = orjson.loads(orjson.dumps({"result": {"queries": [SOLUTION]}}))
    answer["result"]["queries"][0][0]["terms"][2] = outcome
    assert settling.read(answer) == (None if place > 0 and left[0] <= 0 else Settled("r1", [value]))
