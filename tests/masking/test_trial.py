"""Rules tried on their own cases, and what is said of rules that could do better."""

import pytest

from extproc.masking import find
from extproc.masking.advice import advice
from extproc.masking.ordinary import TEXT
from extproc.masking.rules.reading import read
from extproc.masking.trial import Reading, readings, tried
from tests.masking.streams import RULES

DIGITS = r"pattern: '\d{4}'"


def rules(members: str) -> str:
    """A file of one rule."""
    return f"rules:\n  - {{id: r, kind: k, family: identity, {members}}}\n"


def test_the_shipped_rules_keep_their_cases() -> None:
    """All of them."""
    assert list(tried(RULES)) == []


@pytest.mark.parametrize(
    ("members", "whys"),
    [
        (f"{DIGITS}, positive: ['1234', 'x ⟦1234⟧.'], negative: ['12345']", []),
        (f"{DIGITS}, positive: ['12x'], negative: ['12']", ["nothing is found in it: nothing in it has the shape"]),
        (f"{DIGITS}, positive: ['1234x'], negative: ['12']", ["'x' stands on its right, which may not be of"]),
        (f"{DIGITS}, check: luhn, positive: ['1234'], negative: ['12']", ["it has the shape, and `luhn` refuses it"]),
        (f"{DIGITS}, positive: ['⟦1234 ⟧'], negative: ['1']", ["found '1234', and not exactly what is marked"]),
        (f"{DIGITS}, positive: ['1234'], negative: ['é 1234']", ["a negative case, and '1234' is found in it"]),
        # In context, by words: as text, and as the member that a JSON object has.
        (f"{DIGITS}, score: 0.2, context: [pin], positive: ['pin 1234'], negative: ['1234']", []),
        (f"{DIGITS}, score: 0.2, context: [pin], positive: ['1234'], negative: ['1']", ["it needs a word in the 64"]),
        (f"{DIGITS}, score: 0.2, context: [пин], positive: ['1234'], negative: ['1']", ["before it: пин"]),
        (f"{DIGITS}, score: 0.2, context: [pin], keys: [p], positive: ['{{\"p\": \"⟦1234⟧\"}}'], negative: ['1']", []),
        (f"{DIGITS}, score: 0.2, context: [pin], positive: ['pin 1234'], negative: ['{{\"pin\": 1234}}']", ["found"]),
        # By the name of a field alone.
        (f"{DIGITS}, score: 0.2, keys: [p], positive: ['⟦1234⟧', '{{\"p\": 1234}}'], negative: ['12345']", []),
        (f"{DIGITS}, score: 0.2, keys: [p], positive: ['1234'], negative: ['{{\"q\": \"1234\"}}']", []),
        (f"{DIGITS}, score: 0.2, keys: [p], positive: ['{{\"q\": \"1234\"}}'], negative: ['1']", ["the name p"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(members: str, whys: list[str]) -> None:
    """One failure for each case that is not kept, and why."""
    failures = list(tried(read(rules(members), "test")))
    assert len(failures) == len(whys), failures
    for failure, why in zip(failures, whys, strict=True):
        assert why in failure.why


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("a ⟦é1⟧ b", [Reading("a é1 b", "", (2, 5))]),
        ('{"a": "⟦1⟧"}', [Reading('{"a": "1"}', "", (7, 8)), Reading("1", "a", (0, 1))]),
        ('{"a": 17}', [Reading('{"a": 17}'), Reading("17", "a")]),
        ('{"a": true}', [Reading('{"a": true}')]),
        ('{"a": 1, "b": 2}', [Reading('{"a": 1, "b": 2}')]),
        ('{"a": [1]}', [Reading('{"a": [1]}')]),
        ("{a}", [Reading("{a}")]),
    ],
)
def test_readings(case: str, expected: list[Reading]) -> None:
    """A case is a text, and a field where it is a JSON object of one."""
    (rule,) = read(rules(f"{DIGITS}, positive: [x], negative: [x]"), "test")
    assert list(readings(rule, case)) == expected


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        (r"pattern: 'KD-\d{4}', positive: [KD-1234], negative: [KD-123]", []),
        (r"pattern: '\d{7}', positive: ['1234567'], negative: ['123456']", ["too broad"]),
        (r"pattern: '[A-Z]?-\d{9}', positive: ['-123456789'], negative: ['-12345678']", ["slow: much"]),
        (r"pattern: '\d{8}', score: 0.2, context: [id], positive: [id 12345678], negative: ['12345678']", ["(id);"]),
        (r"pattern: '\d{8}', score: 0.2, context: [acct], positive: [acct 12345678], negative: [a 12345]", ["context"]),
        (r"pattern: 'KD-\d{4}', check: luhn, positive: [KD-1230], negative: [KD-123]", ["what `luhn` refuses"]),
        (r"pattern: 'KD-\d{4}', positive: [KD-1234], negative: [something else]", ["comes near"]),
    ],
)  # fmt: skip
def test_advice(members: str, expected: list[str]) -> None:
    """On rules that keep their cases."""
    made = read(rules(members), "test")
    assert list(tried(made)) == []
    told = [note.what for note in advice(made)]
    assert len(told) == len(expected), told
    for what, part in zip(told, expected, strict=True):
        assert part in what


def test_no_shipped_rule_is_broad_or_has_common_context() -> None:
    """On the ordinary text that others are measured on."""
    assert find(TEXT) == []
    assert [note for note in advice(RULES) if note.what.startswith("too broad")] == []
    assert [note for note in advice(RULES) if "word of its context" in note.what] == []
