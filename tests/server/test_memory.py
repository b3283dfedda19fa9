"""What is remembered of decisions: only what was provably asked before."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.domain.decision import Approval, Decision, Effect, Mode, Reason, Severity
from extproc.domain.ports import Reach, Settled
from extproc.server.memory import UNKNOWN, VOLATILE, Memory, unsettled

REASON = Reason("test.allow", "ok", "Allowed", Severity.LOW, Mode.ENFORCE, Effect.ALLOW)
ALLOWED = Decision("d1", Effect.ALLOW, "r1", (REASON,))
REASONS: Any = ALLOWED.document()["reasons"]
PATHS = (("action", "facts", "body", "size"), ("action", "verb"), ("approvals",), ("history", "known"), ("schema",))
REACH = Reach("r1", PATHS)


def question(**changed: Any) -> dict[str, Any]:
    """A policy input; `changed` replaces members by their path, with `__` between names."""
    document: dict[str, Any] = {
        "schema": 1,
        "principal": {"subject": "bot"},
        "session": {"id": "s1"},
        "action": {"verb": "GET", "digest": "d1", "facts": {"body": {"size": 1, "text": "x"}}},
        "context": {"time": "2026-01-01T00:00:00Z", "source": {"address": "127.0.0.1"}},
        "approvals": [],
        "history": {"known": True},
    }
    for path, value in changed.items():
        *above, last = path.split("__")
        inner = document
        for name in above:
            inner = inner[name]
        inner[last] = value
    return document


def remembering(reach: Reach | None = REACH) -> Memory:
    """A memory that was told that question() depends on nothing else."""
    memory = Memory(lambda: reach)
    key = memory.key(question())
    if key is not None:
        memory.keep(key, question(), ALLOWED, Settled("r1", REASONS))
    return memory


def recalled(memory: Memory, **changed: Any) -> Decision | None:
    """What is remembered of a question."""
    key = memory.key(question(**changed))
    return None if key is None else memory.recall(key)


SAME: list[dict[str, Any]] = [
    {},
    {"session__id": "s2"},
    {"action__digest": "d2"},
    {"context__time": "2027-01-01T00:00:00Z"},
    {"history__known": False},
    {"principal__subject": "another, whom no rule asks for"},
    {"action__facts__body__text": "y"},
]
OTHER: list[dict[str, Any]] = [
    {"action__verb": "POST"},
    {"action__facts__body__size": 2},
    {"action__facts__body__size": "1"},
    {"action__facts__body__size": True},
    {"action__facts__body__size": None},
    {"action__facts__body": {}},
    {"action__facts__body": None},
    {"action__facts__body": []},
    {"action__facts": {}},
    {"approvals": [{"by": "ann"}]},
    {"schema": 2},
]


@pytest.mark.parametrize("changed", SAME, ids=str)
def test_the_same_question_is_answered_from_memory(changed: dict[str, Any]) -> None:
    """What no rule can read makes no other question, and what is never the same twice does not either."""
    assert recalled(remembering(), **changed) == ALLOWED


@pytest.mark.parametrize("changed", OTHER, ids=str)
def test_another_question_is_asked(changed: dict[str, Any]) -> None:
    """Whatever a rule can read makes another question, of another type as well, and where it is not there."""
    assert recalled(remembering(), **changed) is None


WHOLE = [(), ("action",), ("context",), ("session",)]


@pytest.mark.parametrize("path", WHOLE, ids=str)
def test_a_rule_that_takes_something_whole_ends_it(path: tuple[str, ...]) -> None:
    """Where a rule takes what has the time in it, nobody can tell whether it reads the time."""
    assert Memory(lambda: Reach("r1", (*PATHS, path))).key(question()) is None


UNKEPT: list[tuple[str, Decision, Settled | None]] = [
    ("not settled", ALLOWED, None),
    ("settled under other policies", ALLOWED, Settled("r2", REASONS)),
    ("settled to something else", ALLOWED, Settled("r1", [{**REASONS[0], "code": "other"}])),
    ("settled to more", ALLOWED, Settled("r1", [*REASONS, {**REASONS[0], "code": "other"}])),
    ("settled to nothing", ALLOWED, Settled("r1", [])),
    ("decided under other policies", replace(ALLOWED, revision="r2"), Settled("r1", REASONS)),
    ("blocked", replace(ALLOWED, effect=Effect.BLOCK), Settled("r1", REASONS)),
    ("held", replace(ALLOWED, effect=Effect.HOLD), Settled("r1", REASONS)),
    ("approved", replace(ALLOWED, approvals=(Approval("p", "g", 1, 60),)), Settled("r1", REASONS)),
]


@pytest.mark.parametrize(("decision", "settled"), [u[1:] for u in UNKEPT], ids=[u[0] for u in UNKEPT])
def test_what_is_in_doubt_is_not_kept(decision: Decision, settled: Settled | None) -> None:
    """Only an answer that lets an action on, by the policies in force, and that the engine gives a second time."""
    memory = Memory(lambda: REACH)
    key = memory.key(question())
    assert key is not None
    assert not memory.keep(key, question(), decision, settled)
    assert memory.recall(key) is None


def test_other_policies_make_all_forgotten() -> None:
    """As soon as a bundle is published, also one with the same rules, and also while nobody knows what is in force."""
    reach: list[Reach | None] = [REACH]
    for following in (Reach("r2", PATHS), None, Reach("r1", PATHS)):
        reach[0] = REACH
        memory = Memory(lambda: reach[0])
        key = memory.key(question())
        assert key is not None
        assert memory.keep(key, question(), ALLOWED, Settled("r1", REASONS))
        reach[0] = following
        assert recalled(memory) is None
        assert not memory.keep(key, question(), ALLOWED, Settled("r1", REASONS)) or following == REACH


def test_the_engine_is_asked_the_second_time_and_once() -> None:
    """A question that comes once costs the engine nothing more; one whose answer depends on the time, once more."""
    memory = Memory(lambda: REACH)
    key = memory.key(question())
    assert key is not None
    assert [memory.worth_settling(key, ALLOWED) for _ in range(5)] == [False, True, False, False, False]
    memory.again(key)
    assert [memory.worth_settling(key, ALLOWED) for _ in range(2)] == [True, False]
    assert not memory.worth_settling(key, replace(ALLOWED, effect=Effect.HOLD))


def test_the_room_is_bounded() -> None:
    """The least recently used goes first; a question too long is not remembered; what is no JSON has no key."""
    memory = remembering()
    for size in range(2, 1100):
        other = question(action__facts__body__size=size)
        key = memory.key(other)
        assert key is not None
        assert memory.keep(key, other, ALLOWED, Settled("r1", REASONS))
        assert recalled(memory) == ALLOWED
    assert recalled(memory, action__facts__body__size=2) is None
    assert memory.key(question(action__verb="x" * 20000)) is None
    assert memory.key(question(action__verb=object())) is None
    assert memory.key(question(action__verb="\ud800")) is None


def test_the_engine_is_not_told_what_is_unknown() -> None:
    """None of the unknown members is in what it is asked, and all else is; the question itself stays as it was."""
    before = question()
    asked = unsettled(before)
    assert before == question()
    assert asked == {
        "schema": 1,
        "principal": {"subject": "bot"},
        "session": {},
        "action": {"verb": "GET", "facts": {"body": {"size": 1, "text": "x"}}},
        "context": {"source": {"address": "127.0.0.1"}},
        "approvals": [],
    }
    assert UNKNOWN == ("history", "context.time", "action.digest", "session.id")


names = st.sampled_from(["history", "context", "time", "action", "digest", "session", "id", "facts", "a", "b"])
paths = st.lists(names, max_size=3).map(tuple)


def _get(document: Any, path: Sequence[str]) -> Any:
    """What is at a path, in a list; an empty one where nothing is. Where the way ends early, what it ends in."""
    for name in path:
        if not isinstance(document, dict):
            break
        if name not in document:
            return []
        document = document[name]
    return [document]


values = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | st.text("ab", max_size=2),
    lambda inner: st.dictionaries(names, inner, max_size=4) | st.lists(inner, max_size=2),
    max_leaves=12,
)
documents = st.dictionaries(names, values, max_size=5)


@given(st.lists(paths, max_size=5), documents, documents)
def test_equal_keys_mean_that_no_rule_sees_a_difference(
    reached: list[tuple[str, ...]], one: dict[str, Any], other: dict[str, Any]
) -> None:
    """For any reach: where two questions have one key, whatever a rule can read is the same in both, but for VOLATILE;
    and where a rule takes something whole that has one of those in it there is no key."""
    memory = Memory(lambda: reach)
    reach = Reach("r1", tuple(reached))
    if any(path != v and v[: len(path)] == path for path in reached for v in VOLATILE):
        assert memory.key(one) is None
        return
    seen = [path for path in reached if not any(path[: len(v)] == v for v in VOLATILE)]
    same = all(repr(_get(one, path)) == repr(_get(other, path)) for path in seen)
    if memory.key(one) == memory.key(other):
        assert same
    assert memory.key(one) == memory.key(dict(one))
