"""What a span says of a record."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.audit import attributes as say
from extproc.audit.frame import Record
from extproc.audit.placement import Place, Placed
from extproc.audit.spans import action_spans, event_span, is_final, is_told
from tests.audit.conftest import decision, delivery

AT = "2026-01-31T12:00:00.000000Z"
HERE = Place("a" * 32, Placed.SESSION)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def record(kind: str, body: dict[str, Any]) -> Record:
    """A record of that body."""
    return Record("worker-0", 1, kind, AT, "0" * 64, body, "2" * 64, "1" * 64, 0, 10)


def reason(policy: str, effect: str, mode: str = "enforce") -> dict[str, str]:
    """A decision's reason."""
    return {"policy": policy, "code": "c", "message": "m", "severity": "low", "mode": mode, "effect": effect}


def test_a_shadow_finding_that_would_have_done_more_is_seen() -> None:
    """`enforced` is false when a shadow policy is graver than what was done, and which effect that is is told."""
    body = decision()
    body["decision"]["reasons"] = [reason("a", "allow"), reason("b", "block", "shadow")]
    told = say.decision(body, {})
    assert (told["holdpoint.decision.enforced"], told["holdpoint.decision.shadow"]) == ("false", "block")
    assert told["security_rule.name"] == "a"
    assert {"holdpoint.policy.a", "holdpoint.policy.b"} <= set(told)


def test_policies_of_obligations_are_found_too() -> None:
    """A policy that only masks or only asks for approval touched the action as well."""
    body = decision()
    body["decision"]["obligations"] = {"mask": [{"policy": "m"}], "approval": [{"policy": "p"}], "record": "full"}
    assert say.decision(body, {"card": 0})["holdpoint.policy.ids"] == ("http.writes", "m", "p")
    assert say.decision(body, {"card": 0})["holdpoint.decision.effect"] == "allow"
    assert say.decision(body, {"card": 1})["holdpoint.decision.effect"] == "mask"


def test_a_statement_is_told_in_the_words_of_databases() -> None:
    """What was run with which values, and what came of it; an error of the server's makes the span one in error."""
    body = decision()
    body["target"]["protocol"] = "postgres"
    body["action"] |= {"protocol": "postgres", "verb": "UPDATE", "resource": "customers"}
    values = ["7", None, {"bytes": 3, "why": "binary"}]
    where = {"database": "crm", "user": "app", "role": "clerk", "phase": "execute", "tables": ["customers", "s.t"]}
    body["action"]["summary"] = {**where, "statement": "U", "values": values}
    done = delivery(status=None, sqlstate="23505", tags=["UPDATE 0"], rows=0)
    told = action_spans(record("decision", body), record("delivery", done), [], HERE)[0]
    expected = {
        "db.system.name": "postgresql",
        "db.namespace": "crm",
        "db.operation.name": "UPDATE",
        "db.collection.name": "customers",
        "db.query.text": "U",
        "db.query.parameter.0": "7",
        "db.query.parameter.1": "NULL",
        "db.query.parameter.2": "(3 bytes, binary)",
        "db.response.returned_rows": 0,
        "db.response.status_code": "23505",
        "holdpoint.db.user": "app",
        "holdpoint.db.role": "clerk",
        "holdpoint.db.tables": ("customers", "s.t"),
        "holdpoint.db.tags": ("UPDATE 0",),
    }
    assert {name: told.attributes.get(name) for name in expected} == expected
    assert told.error == "23505"
    assert not any(name.startswith(("http.", "url.")) for name in told.attributes)


def test_a_chat_is_told_in_the_words_of_genai() -> None:
    """Model and use, from the summary and the delivery."""
    body = decision()
    body["action"]["summary"]["llm"] = {"model": "gpt-4o", "stream": True, "tools": ["sh"], "messages": 2}
    asked = say.action(body)
    done = say.delivery(
        delivery(llm={"model": "gpt-4o-2024", "usage": {"prompt_tokens": 5, "completion_tokens": 7}, "id": "x"})
    )
    assert (asked["gen_ai.operation.name"], asked["gen_ai.request.model"]) == ("chat", "gpt-4o")
    assert (done["gen_ai.usage.input_tokens"], done["gen_ai.usage.output_tokens"]) == (5, 7)


@pytest.mark.parametrize(
    ("effect", "done", "error"),
    [
        ("block", None, "blocked: needs-ticket"),
        ("hold", None, None),
        ("allow", {"status": 200}, None),
        ("allow", {"status": 404}, None),
        ("allow", {"status": 503}, "503"),
        ("allow", {"outcome": "aborted"}, "aborted"),
        ("allow", {"outcome": "refused:mask-error"}, "refused:mask-error"),
    ],
)
def test_what_is_red_in_jaeger(effect: str, done: dict[str, Any] | None, error: str | None) -> None:
    """Refused, broken off, or failed upstream."""
    ended = None if done is None else record("delivery", delivery(**done))
    assert action_spans(record("decision", decision("d1", effect)), ended, [], HERE)[0].error == error


@pytest.mark.parametrize(
    ("effect", "outcome", "final", "state", "error"),
    [
        ("allow", "granted", False, "approved", None),
        ("hold", "pending", True, "pending", None),
        ("hold", "denied", True, "denied", "denied: needs-ticket"),
        ("hold", "expired", True, "expired", "expired: needs-ticket"),
        ("block", "blocked", True, "refused", "blocked: needs-ticket"),
        ("block", "unavailable", True, "refused", "unavailable: needs-ticket"),
    ],
)
def test_what_came_of_a_held_action(effect: str, outcome: str, final: bool, state: str, error: str | None) -> None:
    """The record's outcome tells a denial from a wait, though both have the effect hold."""
    told = record("decision", decision("d1", effect, outcome=outcome, hold="h1"))
    span = action_spans(told, None, [], HERE)[0]
    assert is_final(told) is final
    assert (span.attributes["holdpoint.approval.state"], span.error) == (state, error)
    assert span.attributes["holdpoint.outcome"] == outcome


@given(st.dictionaries(st.sampled_from([*decision(), *delivery(), "llm", "code"]), JSON))
def test_no_body_breaks_the_shipper(body: dict[str, Any]) -> None:
    """Whatever a record holds, it becomes spans whose attributes are of the types that OTLP has."""
    spans = [
        event_span(record(kind, body), HERE) for kind in ("refusal", "vote", "hold", "config", "checkpoint", "session")
    ]
    spans += action_spans(record("decision", body), record("delivery", body), [record("vote", body)], HERE)
    for span in spans:
        assert span.start <= span.end
        assert all(isinstance(value, str | int | float | bool | tuple) for value in span.attributes.values())
        assert all(len(value) <= say.LONGEST for value in span.attributes.values() if isinstance(value, str))


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        (
            "checkpoint",
            {
                "number": 7, "previous": "0" * 64, "key": "k1", "signature": "c2ln", "at": AT, "every": 60.0,
                "streams": {"worker-0": {"id": "a" * 32, "seq": 41, "hash": "b" * 64, "offset": 999}},
            },
            {
                "holdpoint.checkpoint.number": 7, "holdpoint.checkpoint.previous": "0" * 64,
                "holdpoint.checkpoint.key": "k1", "holdpoint.checkpoint.signature": "c2ln",
                "holdpoint.checkpoint.head.worker-0": "41:" + "b" * 64,
            },
        ),
        (
            "reading",
            {"what": "body", "by": {"subject": "ann"}, "decision": "d1", "address": "ab" * 32},
            {"holdpoint.reading.what": "body", "holdpoint.reading.by.subject": "ann",
             "holdpoint.reading.decision": "d1", "holdpoint.reading.address": "ab" * 32},
        ),
        (
            "recording",
            {"decision": "d1", "lane": "request", "address": "ab" * 32, "kept": 9, "salvaged": True},
            {"holdpoint.recording.decision": "d1", "holdpoint.recording.salvaged": True},
        ),
        ("legal-hold", {"what": "set", "name": "case-7"}, {"holdpoint.legal-hold.name": "case-7"}),
        ("body-deleted", {"address": "ab" * 32}, {"holdpoint.body-deleted.address": "ab" * 32}),
    ],
)  # fmt: skip
def test_what_other_records_say(kind: str, body: dict[str, Any], expected: dict[str, object]) -> None:
    """Acts on the trail are spans with what they say, and so are checkpoints: witnesses to the heads they name."""
    span = event_span(record(kind, body), HERE)
    assert (span.name, span.error, span.parent) == (f"holdpoint {kind}", None, None)
    assert expected.items() <= span.attributes.items()
    assert span.end > span.start


def test_a_sessions_span_is_as_long_as_it_was() -> None:
    """Its end says when it was opened; that it was opened is no span by itself, nor is what only frames the journal."""
    closed = {"what": "closed", "session": "c1", "opened": "2026-01-31T11:59:00.000000Z", "exchanges": 3}
    span = event_span(record("session", closed), HERE)
    assert span.end - span.start >= 60 * 10**9 - 10**6
    kinds = {"session": False, "segment": False, "seal": False, "genesis": True, "export": True}
    assert {kind: is_told(record(kind, {"what": "opened"})) for kind in kinds} == kinds


def test_a_decisions_span_names_its_bodies() -> None:
    """By the address under which each is kept, where anything of it is."""
    bodies = {"request": {"mode": "full", "address": "ab" * 32}, "response": {"mode": "metadata", "bytes": 9}}
    (top, *_) = action_spans(record("decision", decision()), record("delivery", delivery(bodies=bodies)), [], HERE)
    assert top.attributes["holdpoint.body.request"] == "ab" * 32
    assert "holdpoint.body.response" not in top.attributes
