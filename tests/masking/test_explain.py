"""What rules saw in a text, and what of it a person is told."""

from itertools import pairwise

import pytest

from extproc.masking.engine.engine import Detector
from extproc.masking.explain import Verdict, beginning, explain, needs, spans
from extproc.masking.nearly import places
from tests.masking.streams import CASES, KNOWLEDGE, made

TEXT = b"card 4111 1111 1111 1112 and ssn 219099998 jane@example.com"
ALL = KNOWLEDGE.detector()

Told = list[tuple[int, int, Verdict, str]]


def told(detector: Detector, text: str, name: str = "") -> Told:
    """The candidates, without their words."""
    return [(c.start, c.end, c.verdict, c.detail) for c in explain(detector, text.encode(), name)]


@pytest.mark.parametrize(
    ("rule", "text", "expected"),
    [
        (r"kind: a, pattern: 'KD-\d{3}'", "a KD-123", [(2, 8, Verdict.FOUND, "")]),
        (r"kind: a, pattern: 'KD-\d{3}'", "XKD-123", [(1, 7, Verdict.TOUCHED, "'X' on its left")]),
        (r"kind: a, pattern: 'KD-\d{3}'", "KD-1234", [(0, 6, Verdict.TOUCHED, "'4' on its right")]),
        (r"kind: a, pattern: 'KD-\d{2,3}'", "KD-123", [(0, 6, Verdict.FOUND, "")]),
        (r"kind: a, pattern: 'KD-\d{3}', check: [digit, luhn]", "KD-123", [(0, 6, Verdict.REFUSED, "luhn")]),
        (r"kind: a, pattern: '\d{3}', score: 0.1, context: [нет]", "123", [(0, 3, Verdict.NO_CONTEXT, "")]),
        (r"kind: a, pattern: '\d{3}', score: 0.1, context: [x], check: luhn", "123", [(0, 3, Verdict.NEITHER, "luhn")]),
        (r"kind: a, pattern: '\d{3}', score: 0.1, context: [x, нет]", "нет 123", [(7, 10, Verdict.FOUND, "нет")]),
        (r"kind: a, pattern: 'pw=(?P<value>[a-z]{3})', check: digit", "pw=abc", [(3, 6, Verdict.REFUSED, "digit")]),
        (r"kind: a, pattern: 'ab[0-9]+'", "ab1234 ab5", [(0, 6, Verdict.FOUND, ""), (7, 10, Verdict.FOUND, "")]),
        (r"kind: a, pattern: 'KD-\d{3}'", "nothing", []),
    ],
)  # fmt: skip
def test_candidates(rule: str, text: str, expected: Told) -> None:
    """Where the shape is, what became of it, and what it turned on."""
    assert told(made(rule).detector(), text) == expected


def test_the_name_of_a_field_is_context() -> None:
    """As a stream has it."""
    detector = made(r"kind: a, pattern: '\d{3}', score: 0.1, keys: [pin]").detector()
    assert told(detector, "123", "PIN") == [(0, 3, Verdict.FOUND, "")]
    assert told(detector, "123", "pen") == [(0, 3, Verdict.NO_CONTEXT, "")]


def test_context_words_are_shown_as_they_were_written() -> None:
    """In any script."""
    (rule,) = made(r"kind: a, pattern: '\d{3}', score: 0.1, context: [нет, nein], keys: [pin]").rules
    assert needs(rule) == "it needs a word in the 64 bytes before it: нет, nein, or a field of the name pin"


def test_every_value_has_a_candidate() -> None:
    """What is masked is explained: by the rule that names it, at its place."""
    for case in CASES[::23]:
        data = case.encode()
        found = {(c.rule.id, c.start) for c in explain(ALL, data) if c.verdict is Verdict.FOUND}
        assert {(span.rule, span.start) for span in spans(ALL, data)} - found == set(), case


def test_a_place_has_what_is_likely() -> None:
    """What is found is no place; of each rule the longest candidate counts; what only touches digits does not."""
    candidates = explain(ALL, TEXT)
    found = spans(ALL, TEXT)
    assert [TEXT[s.start : s.end] for s in found] == [b"219099998", b"jane@example.com"]
    (place,) = places(candidates, found, len(TEXT))
    assert TEXT[place.start : place.end] == b"4111 1111 1111 1112"
    rules = [c.rule.id for c in place.candidates]
    assert len(rules) == len(set(rules)) < 12
    refused = {c.rule.id: c.detail for c in place.candidates if c.verdict is Verdict.REFUSED}
    assert refused["card"] == "card"
    assert not any(c.verdict in (Verdict.TOUCHED, Verdict.NEITHER) for c in place.candidates)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("XKD-123", [Verdict.TOUCHED]),
        ("KD-1234", [Verdict.TOUCHED]),
        ("12345", []),
        ("1234", [Verdict.NO_CONTEXT]),
        ("a 1234", []),
    ],
)
def test_what_only_touches_and_what_only_a_field_can_be(text: str, expected: list[Verdict]) -> None:
    """A format with a beginning of its own is told of where it touches; a field's value where it is the whole text."""
    rules = (r"kind: a, pattern: 'KD-\d{3}'", r"kind: b, pattern: '\d{4}', score: 0.1, keys: [pin], after: '0-9'")
    candidates = explain(made(*rules).detector(), text.encode())
    assert [c.verdict for place in places(candidates, [], len(text)) for c in place.candidates] == expected


def test_places_do_not_overlap() -> None:
    """Whatever the text."""
    for case in CASES[::23]:
        data = case.encode()
        found = [(s.start, s.end) for s in spans(ALL, data)]
        near = [(p.start, p.end) for p in places(explain(ALL, data), spans(ALL, data), len(data))]
        ordered = sorted(found + near)
        assert all(left[1] <= right[0] for left, right in pairwise(ordered)), case


def test_the_longest_beginning_of_a_shape() -> None:
    """What a text has of a rule's shape, where it has no whole one."""
    (rule,) = made(r"kind: a, pattern: 'KD-\d{4}-\d'").rules
    assert beginning(rule, b"K or KD-47 or KD-4711 it is") == (14, 21)
    assert beginning(rule, b"") == (0, 0)
    assert beginning(rule, b"xyz") == (0, 0)
