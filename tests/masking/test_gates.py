"""Gates: which rules are worth a look. They may let in too much, and never too little."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.masking.engine._re2 import Pattern, PatternSet
from extproc.masking.engine.context import Context, Mentions
from extproc.masking.engine.scanner import START, scan
from extproc.masking.rules import pattern
from extproc.masking.rules.model import Rule
from extproc.masking.rules.pattern import Alt, Chars, Lit, Rep, Seq
from tests.masking.streams import KNOWLEDGE, PLAN, RULES, unmarked

rules = pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule.id))
CONTEXTS = {index: rule for index, rule in enumerate(RULES) if rule.context}
MENTIONS = Mentions(CONTEXTS)
NEAR = {index: Context(rule) for index, rule in CONTEXTS.items()}


@rules
def test_the_gate_lets_a_rule_in_wherever_it_has_a_match(rule: Rule) -> None:
    """Each case in which a rule finds something opens it, with what stands before a text and without."""
    index = RULES.index(rule)
    for case in rule.positive:
        data = unmarked(case).encode()
        if any(span.rule == rule.id for span in scan(PLAN.detector, data)):
            assert index in KNOWLEDGE.engine.gate.opens(data)
            assert index in KNOWLEDGE.engine.gate.opens(START + data)


@pytest.mark.parametrize(
    ("seq", "expected"),
    [
        ((Lit("756"),), (Chars("0-9", 3, 3),)),
        ((Lit("a1b22", True),), (Lit("a", True), Chars("0-9"), Lit("b", True), Chars("0-9", 2, 2))),
        ((Chars("1-8", 2, 4),), (Chars("0-9", 2, 4),)),
        ((Chars("0-9A-F"),), (Chars("0-9A-F"),)),
        ((Chars(r"\x2d1-9A"),), (Chars(r"0-9\x2d1-9A"),)),
        ((Chars("^5"),), (Chars(r"\x00-\xff"),)),
        ((Chars("^a"),), (Chars("^a"),)),
        ((Alt(((Lit("18"),), (Lit("19"),), (Lit("x"),))),), (Alt(((Chars("0-9", 2, 2),), (Lit("x"),))),)),
        ((Rep((Lit("0"),), 0, 3),), (Rep((Chars("0-9"),), 0, 3),)),
    ],
)  # fmt: skip
def test_to_a_shape_all_digits_are_the_same(seq: Seq, expected: Seq) -> None:
    """What is a digit may be any digit, and nothing else changes."""
    assert pattern.shape(seq) == expected


@rules
def test_a_shape_has_what_the_rule_has(rule: Rule) -> None:
    """Whatever a rule matches is of its shape, and still is when its digits are others."""
    shape, full = Pattern(pattern.full(pattern.shape(rule.pattern))), Pattern(pattern.full(rule.pattern))
    for case in rule.positive:
        data = unmarked(case).encode()
        if found := full.search(data, 0, len(data)):
            match = data[slice(*found)]
            assert shape.search(match, 0, len(match)) == (0, len(match))
            for digit in b"059":
                other = bytes(digit if 48 <= byte <= 57 else byte for byte in match)
                assert shape.search(other, 0, len(other)) == (0, len(other))


_WORDS = sorted({word for rule in CONTEXTS.values() for word in rule.context if word.isascii()})
_SPELLINGS = st.sampled_from(_WORDS).flatmap(
    lambda word: st.sampled_from([word, word.upper(), word.title(), word.replace(" ", "_"), word.replace(" ", "")])
)
_BETWEEN = st.sampled_from(["", " ", "s ", "S", "_", "x", "X", "1", ": ", "é", "\n"])


@given(st.lists(st.tuples(_BETWEEN, _SPELLINGS, _BETWEEN), max_size=4), _BETWEEN)
def test_a_rule_is_mentioned_wherever_a_word_of_it_is_near(parts: list[tuple[str, str, str]], last: str) -> None:
    """One look for all words sees what each rule's own look would, wherever in the text a value may begin."""
    data = ("".join(map("".join, parts)) + last).encode()
    framed = START + data
    mentioned = set(MENTIONS.match(framed))
    ends = range(len(START), len(framed) + 1)
    assert {index for index, context in NEAR.items() if any(context.near(framed, end) for end in ends)} <= mentioned


@pytest.mark.parametrize(
    ("text", "mentioned"),
    [
        (" tel 1", True), ("Tel: 1", True), ("homeTel=1", True), ("TEL1", True), ("tels 1", True), ("tel", True),
        ("hotel 1", False), ("telling 1", False), ("HOTEL 1", False), ("x tell", False), ("x tels", True),
    ],
)  # fmt: skip
def test_a_part_of_a_word_is_no_mention(text: str, mentioned: bool) -> None:
    """Words count where they begin and end as words do."""
    wanted = {index for index, rule in CONTEXTS.items() if "tel" in rule.context}
    assert wanted
    assert (wanted <= set(MENTIONS.match(text.encode()))) is mentioned


@pytest.mark.parametrize("patterns", [["a", "("], [f"{i:04}[a-z]{{300}}" for i in range(2000)]])
def test_patterns_that_are_too_many_are_refused_as_one_is(patterns: list[str]) -> None:
    """No automaton: nothing is ever found by one that could not be made."""
    with pytest.raises(ValueError, match="re2 can't take"):
        PatternSet(patterns)
