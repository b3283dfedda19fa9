"""Spans as Jaeger gives them back, cut anywhere."""

import json
from typing import Any

import pytest

from extproc.audit.otlp import BadAnswer, Happened, Stored, read


def attribute(name: str, value: dict[str, Any]) -> dict[str, Any]:
    """One attribute as OTLP/JSON has it."""
    return {"key": name, "value": value}


TRICKY = 'a "spans":[ {"traceId": ü 😀 \\'
SPAN = {
    "traceId": "a" * 32, "spanId": "b" * 16, "parentSpanId": "c" * 16, "name": TRICKY, "kind": 2,
    "startTimeUnixNano": "1800000000000001000", "endTimeUnixNano": "1800000000000002000",
    "attributes": [
        attribute("text", {"stringValue": TRICKY}), attribute("number", {"intValue": "7"}),
        attribute("share", {"doubleValue": 1.5}), attribute("yes", {"boolValue": True}),
        attribute("list", {"arrayValue": {"values": [{"stringValue": "p"}, {"intValue": "1"}]}}), attribute("none", {}),
    ],
    "events": [{"timeUnixNano": "5", "name": "vote", "attributes": [attribute("by", {"stringValue": "ann"})]}],
    "links": [{"traceId": "d" * 32, "spanId": "e" * 16}],
    "status": {"message": "blocked", "code": 2},
}  # fmt: skip
BARE = {"traceId": "a" * 32, "spanId": "f" * 16, "startTimeUnixNano": "1", "endTimeUnixNano": "2"}
DOCUMENT = json.dumps(
    {
        "result": {
            "resourceSpans": [
                {
                    "resource": {"attributes": [attribute("service.name", {"stringValue": "holdpoint"})]},
                    "scopeSpans": [{"scope": {"name": "holdpoint.audit"}, "spans": [SPAN, BARE]}, {"scope": {}}],
                },
                {
                    "resource": {"attributes": [attribute("service.name", {"stringValue": "other"})]},
                    "scopeSpans": [{"spans": []}, {"scope": {"name": "x"}, "spans": [BARE]}],
                },
            ]
        }
    },
    ensure_ascii=False,
).encode()
SPANS = [
    Stored(
        "holdpoint", "holdpoint.audit", "a" * 32, "b" * 16, "c" * 16, TRICKY, 2, 1800000000000001000,
        1800000000000002000,
        {"text": TRICKY, "number": 7, "share": 1.5, "yes": True, "list": ["p", 1], "none": ""},
        2, "blocked", (("d" * 32, "e" * 16),), (Happened("vote", 5, {"by": "ann"}),),
    ),
    Stored("holdpoint", "holdpoint.audit", "a" * 32, "f" * 16, "", "", 0, 1, 2, {}, 0, "", (), ()),
    Stored("other", "x", "a" * 32, "f" * 16, "", "", 0, 1, 2, {}, 0, "", (), ()),
]  # fmt: skip


def test_the_spans_of_an_answer() -> None:
    """All of them, with their service and scope, in pieces of any size."""
    for size in range(1, len(DOCUMENT) + 1):
        pieces = [DOCUMENT[at : at + size] for at in range(0, len(DOCUMENT), size)]
        assert list(read(pieces)) == SPANS
    assert list(read([])) == []


def test_an_answer_that_is_cut_gives_no_other_span() -> None:
    """Wherever it is cut, what is given before the error is right; a list of spans without its end is an error."""
    lists = [
        at for at in range(len(DOCUMENT)) if DOCUMENT.startswith((b'"spans": [{"trace', b'}]}, {"scope": {}}]}'), at)
    ]
    for cut in range(1, len(DOCUMENT)):
        given: list[Stored] = []
        try:
            for span in read([DOCUMENT[:cut]]):
                given.append(span)
        except BadAnswer:
            pass
        else:
            assert not lists[0] + 10 <= cut <= lists[1] + 1
        assert given == SPANS[: len(given)]


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>who are you?</html>",
        b"{}",
        b" " * 5000,
        b'{"result": {"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "a"}]}]}]}}',
        b'{"result": {"resourceSpans": [{"scopeSpans": [{"spans": ["a"]}]}]}}',
    ],
)
def test_what_is_no_answer_of_jaegers(answer: bytes) -> None:
    """The page of a proxy that wants a login is not a Jaeger without spans."""
    with pytest.raises(BadAnswer):
        list(read([answer]))
