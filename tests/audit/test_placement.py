"""Which trace a record belongs to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.audit.placement import Context, Placed, nanoseconds, parse_traceparent, place, span_id, trace_address
from tests.audit.conftest import TRACEPARENT, decision

A, B = "a" * 32, "b" * 16


@pytest.mark.parametrize(
    ("text", "context"),
    [
        (f"00-{A}-{B}-01", Context(A, B)),
        (f"00-{A}-{B}-00", Context(A, B)),
        (f"00-{A}-{B}-03", Context(A, B)),
        (f"01-{A}-{B}-00-more", Context(A, B)),
        (f"00-{A}-{B}-00-more", None),
        (f"ff-{A}-{B}-00", None),
        (f"00-{'0' * 32}-{B}-01", None),
        (f"00-{A}-{'0' * 16}-01", None),
        (f"00-{A.upper()}-{B}-01", None),
        (f"00-{A}-{B}-1", None),
        (f"00-{A}-{B}-01\n", None),
        (f" 00-{A}-{B}-01", None),
        (f"00-{A[:-1]}-{B}-01", None),
        ("", None),
        (None, None),
        (7, None),
    ],
)
def test_traceparent(text: object, context: Context | None) -> None:
    """The forms of the W3C's document, and what only looks like them."""
    assert parse_traceparent(text) == context


@given(st.text(max_size=80))
def test_no_text_is_more_than_a_claim(text: str) -> None:
    """Whatever a client sends, a span has a valid trace id, always the same for the same record."""
    body = decision(trace={"traceparent": text})
    where = place(body, "0" * 64, lambda trace: None)
    assert len(where.trace_id) == 32
    assert int(where.trace_id, 16)
    assert where == place(body, "0" * 64, lambda trace: None)


def test_an_owned_trace_of_somebody_else_becomes_a_link() -> None:
    """The claim is kept, and joins nothing."""
    body = decision(trace={"traceparent": TRACEPARENT})
    claim = parse_traceparent(TRACEPARENT)
    assert claim is not None
    theirs = place(body, "0" * 64, lambda trace: "https://id.example agent-8")
    assert (theirs.method, theirs.parent, theirs.link) == (Placed.SESSION, None, claim)
    own = place(body, "0" * 64, lambda trace: "https://id.example agent-7")
    assert (own.method, own.trace_id, own.parent) == (Placed.TRACEPARENT, claim.trace_id, claim)


def test_sessions_of_two_principals_are_two_traces() -> None:
    """A session id is only as unique as its maker; the principal is part of the trace's name."""
    other = {**decision()["principal"], "subject": "agent-8"}
    first, second = (place(body, "0" * 64, lambda trace: None) for body in (decision(), decision(principal=other)))
    assert first.trace_id != second.trace_id


def test_without_principal_and_session_the_record_has_a_trace_of_its_own() -> None:
    """Two such records are never in one."""
    body = decision(principal=None, trace={"traceparent": TRACEPARENT})
    one, two = (place(body, digest * 64, lambda trace: None) for digest in "01")
    assert (one.method, one.parent) == (Placed.RECORD, None)
    assert one.trace_id != two.trace_id


def test_small_things() -> None:
    """Addresses, ids of parts, and record time."""
    assert trace_address("http://127.0.0.1:16686/", A) == f"http://127.0.0.1:16686/trace/{A}"
    assert len({span_id("0" * 64), span_id("0" * 64, "hold"), span_id("1" * 64)}) == 3
    assert nanoseconds("1970-01-01T00:00:01.000002Z") == 1_000_002_000
    with pytest.raises(ValueError, match="offset"):
        nanoseconds("1970-01-01T00:00:01")
