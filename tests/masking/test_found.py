"""What fuzzing found that nobody had thought of, each as the rule that it broke."""

import pytest

from extproc.domain.mask import Operator
from extproc.masking.engine.scanner import scan, whole
from extproc.masking.plan import Knowledge, Plan
from extproc.masking.rules.reading import RulesInvalid, read
from extproc.masking.rules.regex import PatternInvalid, parse
from extproc.masking.stage import MaskError, Stage
from extproc.masking.structure.dropping import DropStage
from extproc.masking.structure.jsonstage import LONG, JsonStage
from extproc.masking.structure.jsontokens import DEPTH
from extproc.masking.structure.transfer import QuotedStage
from extproc.masking.structure.xmlstage import XmlStage
from extproc.masking.text import TextStage
from tests.masking.streams import PLAN, every_cut, made, planned, run


@pytest.mark.parametrize("operator", [Operator.NULL, Operator.DROP])
@pytest.mark.parametrize("size", range(LONG - 3, LONG + 2))
def test_a_value_as_long_as_a_string_may_be(operator: Operator, size: int) -> None:
    """Whether a string that is one value is taken as a whole depends on its length, not on whether it came at once."""
    knowledge = Knowledge(made("kind: token, pattern: 'tk_[a-f]{4,}'"))
    plan = Plan(knowledge.detector(), operators={"token": operator})
    raw = b'["tk_' + b"a" * (size - 5) + b'"]'

    def stage() -> Stage:
        return DropStage(JsonStage(plan))

    gone = b"[null]" if operator is Operator.NULL else b"[]"
    expected = gone if size <= LONG else b'["[masked:token]"]'
    assert run(stage, raw) == (expected, {"token": 1})
    assert run(stage, raw, range(1, len(raw))) == (expected, {"token": 1})


@pytest.mark.parametrize("inner", ["[[[1]]]", '{"a":{"a":{"a":1}}}', "[[1]]", "[1]", "1"])
def test_the_deepest_that_may_be(inner: str) -> None:
    """Stepping over whole values does not step over the bound."""
    for outer in range(DEPTH - 4, DEPTH + 2):
        raw = b"[" * outer + b"1," + inner.encode() + b"]" * outer
        deep = outer + inner.count("[") + inner.count("{") > DEPTH
        for cuts in (range(0), range(1, len(raw))):
            if deep:
                with pytest.raises(MaskError, match="deeper"):
                    run(lambda: JsonStage(PLAN), raw, cuts)
            else:
                assert run(lambda: JsonStage(PLAN), raw, cuts)[0] == raw


def test_the_shortest_values_in_json() -> None:
    """A card's code has three digits, a word of a company's list may have two letters."""
    plan = planned(r"kind: code, pattern: '\d{3}', score: 0.1, keys: [cvv]", "kind: word, pattern: 'XY'")
    raw = b'{"cvv": "123", "a": "XY", "b": "123", "cvv": 123}'
    masked = b'{"cvv": "[masked:code]", "a": "[masked:word]", "b": "123", "cvv": null}'
    assert run(lambda: JsonStage(plan), raw) == (masked, {"code": 2, "word": 1})


def test_what_stands_behind_the_end_is_no_part_of_a_value() -> None:
    """A pattern that takes line ends does not take the one that stands for the end of the text."""
    detector = planned(r"kind: a, pattern: '[^\r]{8}', after: ''", r"kind: b, pattern: 'z[^\r]{7,9}[^\s]*'").detector
    assert scan(detector, b"1234567") == []
    assert [(span.start, span.end) for span in whole(scan(detector, b"\r12345678"))] == [(1, 9)]
    every_cut(lambda: TextStage(Plan(detector)), b"\r1234567\rz12345\r12345678")


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ("before: 'a]|[b', pattern: 'x'", "the inside of a class"),
        ("pattern: '1', context: [' ']", "is no word"),
        (r'pattern: "1", context: ["\n"]', "is no word"),
        ("pattern: '1', keys: ['_']", "by which names are compared"),
    ],
)
def test_rules_that_are_refused(members: str, message: str) -> None:
    """With a message, where they were taken for something or made the reader fail."""
    rule = f"rules: [{{id: r, kind: k, family: secret, positive: [x], negative: [y], {members}}}]"
    with pytest.raises(RulesInvalid, match=message):
        read(rule, "here")


def test_a_count_with_a_zero_in_front() -> None:
    """RE2 takes it for text; people mean a count."""
    with pytest.raises(PatternInvalid, match=r"expected \{n\}"):
        parse(r"\d{06}")


@pytest.mark.parametrize(
    ("stage", "raw", "masked"),
    [
        (lambda plan: XmlStage(plan), "<a>x J&#252;r&#x67;en y</a>", "<a>x [masked:name] y</a>"),
        (lambda plan: XmlStage(plan, html=True), "<a title='J&uuml;rgen'>", "<a title='[masked:name]'>"),
        (lambda plan: QuotedStage(plan, frozenset()), "x J=C3=BCrgen y", "x [masked:name] y"),
        (JsonStage, '"x J\\u00fcrgen y"', '"x [masked:name] y"'),
    ],
)
def test_letters_that_are_not_ascii_are_spelt_in_many_ways(stage: object, raw: str, masked: str) -> None:
    """A word of a company's list is found however a format spells it."""
    plan = planned(r"kind: name, pattern: 'J\xc3\xbcrgen'")
    assert callable(stage)
    assert run(lambda: stage(plan), raw.encode()) == (masked.encode(), {"name": 1})
    every_cut(lambda: stage(plan), raw.encode())
