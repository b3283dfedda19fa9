"""Rules from YAML: what is read, and what is said of what can't be."""

import pytest

from extproc.masking.engine.engine import Engine
from extproc.masking.engine.scanner import scan
from extproc.masking.rules.model import WORD, Family, Rule, Tail
from extproc.masking.rules.pattern import Alt, Chars, Lit
from extproc.masking.rules.reading import PEM, RulesInvalid, expand, read, unique

FULL = r"""
rules:
  - id: acme-no
    kind: acme
    family: identity
    about: Number of a customer
    source: https://acme.example/numbers
    pattern: 'AC-\d{6}(?P<value>[a-z]{3})'
    before: '0-9A-Z'
    after: '_\d'
    check: [entropy:1.0, mixed]
    context: [Customer No, ключ]
    keys: [Cust-No, "No. 2"]
    score: 0.6
    score_in_context: 0.9
    positive: ['AC-123456{{ab*2}}']
    negative: ['x']
words:
  - {id: names, kind: project, family: contact, words: [Falcon, müller, 'a b'], score: 0.7}
"""


def _rule(more: str = "", without: str = "") -> str:
    members = {
        "id": "a", "kind": "a", "family": "secret", "pattern": "abc", "positive": "[abc]", "negative": "[x]",
    }  # fmt: skip
    members.pop(without, None)
    given_ = dict(line.split(": ", 1) for line in more.split(" ;; ") if line)
    return "rules:\n  - " + "\n    ".join(f"{name}: {value}" for name, value in (members | given_).items())


def _read(more: str = "") -> Rule:
    (rule,) = read(_rule(more), "mine.yaml")
    return rule


def test_everything() -> None:
    """Each member, as the engine has it."""
    rule, words = read(FULL, "mine.yaml")
    assert (rule.id, rule.kind, rule.family) == ("acme-no", "acme", Family.IDENTITY)
    assert (rule.about, rule.source) == ("Number of a customer", "https://acme.example/numbers")
    assert rule.lead == (Lit("AC-"), Chars("0-9", 6, 6))
    assert rule.value == (Chars("a-z", 3, 3),)
    assert (rule.before, rule.after, rule.tail) == ("0-9A-Z", r"0-9\x5f", None)
    assert rule.check is not None
    assert rule.context == ("Customer No", "ключ".encode().decode("latin-1"))
    assert rule.keys == {"custno", "no2"}
    assert (rule.score, rule.context_score) == (0.6, 0.9)
    assert (rule.positive, rule.negative) == (("AC-123456abab",), ("x",))
    assert (words.id, words.kind, words.family, words.score) == ("names", "project", Family.CONTACT, 0.7)
    (atom,) = words.value
    assert isinstance(atom, Alt)
    assert set(atom.choices) == {
        (Lit("Falcon", True),),
        (Lit("m", True), Lit("ü".encode().decode("latin-1")), Lit("ller", True)),
        (Lit("a b", True),),
    }


def test_what_is_not_said() -> None:
    """Words may not be touched by letters and digits; a rule is sure, in context no less."""
    rule = _read()
    assert (rule.before, rule.after, rule.score, rule.context_score) == (WORD, WORD, 1.0, 1.0)
    assert (_read("score: 0.3 ;; keys: [x]").score, _read("score: 0.3 ;; keys: [x]").context_score) == (0.3, 0.85)
    assert _read("score: 0.9 ;; context: [x]").context_score == 0.9
    assert _read("before: ''").before == _read("after: ''").after == ""
    assert _read("pattern: 'abc[a-z]*'").tail == Tail("a-z")
    assert _read("pattern: 'abc[a-z]*'").after == ""
    assert _read("tail: pem").tail == PEM


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("abc", "abc"),
        ("{{a*3}}", "aaa"),
        ("x{{ab*2}}-{{0*1}}y", "xabab-0y"),
        ("{{a*0}}", ""),
        ("{{a\n*2}}", "a\na\n"),
        ("{{a}*2}}", "a}a}"),
        ("{{a*b*2}}", "a*ba*b"),
        ("{a*3}", "{a*3}"),
        ("{{a*x}}", "{{a*x}}"),
        ("{{*3}}", "{{*3}}"),
    ],
)
def test_repetitions_in_cases(case: str, expected: str) -> None:
    """`{{text*n}}` is n times the text, so that no case of ours is a secret to other scanners."""
    assert expand(case) == expected


ERRORS = [
    ("rules: [", r"^mine\.yaml: not YAML: "),
    ("{", r"^mine\.yaml: not YAML: "),
    (_rule("negative: [2024-02-31]"), "not YAML: `2024-02-31` is no timestamp; text stands in quotes, line"),
    (_rule("score: !!int x"), "not YAML: `x` is no int; text stands in quotes"),
    (_rule("score: !!bool x"), "not YAML: `x` is no bool"),
    (_rule("score: !!set [a]"), "not YAML: expected a mapping node"),
    (f"rules: {'{<<: ' * 3000}{{}}{'}' * 3000}", "not YAML: nested too deep"),
    ("", "top level: expected `rules:` and `words:`"),
    ("- a", "top level: expected `rules:` and `words:`"),
    ("rule: []", "top level: expected `rules:` and `words:`"),
    ("rules: {a: b}", "top level: rules: expected a list"),
    ("rules: [a]", r"rules\[0\]: expected members as in `id: …`, found str"),
    ("rules: [{}]", r"rules\[0\]: missing: id, kind, family, pattern, positive, negative"),
    (_rule("patern: x"), r"mine\.yaml: rule a: unknown: patern; known are about, after, before"),
    (_rule(without="pattern"), "rule a: missing: pattern"),
    (_rule(without="positive"), "rule a: missing: positive"),
    (_rule("negative: []"), "rule a: missing: negative"),
    (_rule("id: A b"), r"rule A b: id: lower case letters, digits and single dashes"),
    (_rule("id: 5"), "id: expected text; put it in single quotes"),
    (_rule("kind: a--b"), "kind: lower case letters"),
    (_rule(f"kind: {'a' * 61}"), "kind: .*60 at most"),
    (_rule("kind: secret"), "kind: `secret` has a meaning of its own in masks"),
    (_rule("kind: pii"), "kind: `pii` has a meaning"),
    (_rule("kind: credential"), "kind: `credential` has a meaning"),
    (_rule("family: token"), "family: one of secret, financial, identity, health, contact, network"),
    (_rule("family: [a]"), "family: one of"),
    (_rule("pattern: 5"), "pattern: expected text"),
    (_rule("pattern: a.c"), r"pattern: `\.` itself is .* \(at character 2 of 'a\.c'\)"),
    (_rule("pattern: a?"), "pattern: it matches nothing at all, too"),
    (_rule("pattern: '[a-z]{150}[0-9]{51}'"), r"pattern: it can match 201 bytes; 200 at most, then a run: \[a-z\]"),
    (_rule("tail: block"), "tail: there is `pem`; other tails are a run"),
    (_rule("pattern: ab* ;; after: x"), "after: not with a pattern that ends in a run"),
    (_rule("tail: pem ;; after: x"), "after: not with a pattern that ends in a run"),
    (_rule("before: 5"), "before: the inside of a class of characters, as in '0-9A-Za-z'"),
    (_rule("before: 'a]b'"), "before: the inside of a class"),
    (_rule("after: 'z-a'"), "after: a range ascends"),
    (_rule("after: é"), r"after: patterns are ASCII"),
    (_rule("check: luhm"), "check: .*luhm.*did you mean .luhn"),
    (_rule("check: [luhn, 5]"), "check: expected a name, or a list of names"),
    (_rule("check: {luhn: card}"), "check: expected a name"),
    (_rule("check: 5"), "check: expected a name"),
    (_rule("check: stdnum:no.such"), "check: .*no.such"),
    (_rule("context: word"), "context: expected a list"),
    (_rule("context: [5]"), "context: 5 is not text; put it in single quotes"),
    (_rule("keys: ['']"), "keys: '' is not text"),
    (_rule("positive: abc"), "positive: expected a list"),
    (_rule("score: high"), "score: expected a number from 0 to 1"),
    (_rule("score: 2"), "score: expected a number"),
    (_rule("score: true"), "score: expected a number"),
    (_rule("score: 0.3"), "score: below 0.5 it is found in context only, and has neither `context` nor `keys`"),
    (_rule("score: 0.9 ;; context: [x] ;; score_in_context: 0.8"), "score_in_context: not below `score`, nor below"),
    (_rule("score: 0.1 ;; context: [x] ;; score_in_context: 0.4"), "score_in_context: not below"),
    (_rule() + _rule()[6:], "rule a: this id is taken by another rule; choose one of your own"),
    (_rule() + _rule("id: b ;; family: contact")[6:], "rule b: the kind a is of the family secret in another rule"),
    ("words: [{id: a, kind: a, family: secret}]", "rule a: missing: words"),
    ("words: [{id: a, kind: a, family: secret, words: b}]", "words: expected a list"),
    ("words: [{id: a, kind: a, family: secret, words: [' ']}]", "words: ' ' is empty, or longer than 100 bytes"),
    (f"words: [{{id: a, kind: a, family: secret, words: [{'é' * 51}]}}]", "longer than 100 bytes"),
    (f"words: [{{id: a, kind: a, family: secret, words: [{'a, ' * 2001}]}}]", "words: expected between 1 and 2000"),
    ("words: [{id: a, kind: a, family: secret, words: [b], fold: maybe}]", "fold: expected true"),
    ("words: [{id: a, kind: a, family: secret, words: [b], pattern: c}]", "unknown: pattern; known are about"),
    ("words: [{id: a, kind: a, family: secret, words: [b], score: 0.2}]", "score: not below 0.5"),
]


@pytest.mark.parametrize(("text", "message"), ERRORS)
def test_errors_say_where_and_what_would_be_right(text: str, message: str) -> None:
    """The file, the rule, what is wrong; never a trace of anything else."""
    with pytest.raises(RulesInvalid, match=message) as caught:
        read(text, "mine.yaml")
    assert str(caught.value).startswith("mine.yaml: ")
    assert "\n" not in str(caught.value)


def test_rules_of_several_files_are_told_apart() -> None:
    """Ids are unique over all files, as kinds are in families."""
    rules = read(_rule(), "a") + read(_rule("id: b"), "b")
    assert [rule.id for rule in unique(rules, "all")] == ["a", "b"]
    with pytest.raises(RulesInvalid, match=r"^all: rule a: this id is taken"):
        unique(rules + rules, "all")


def test_too_many_rules() -> None:
    """A file has its limit."""
    text = "rules:\n" + "".join(_rule(f"id: r{i}")[7:] + "\n" for i in range(2001))
    with pytest.raises(RulesInvalid, match="2001 rules; 2000 at most"):
        read(text, "mine.yaml")


@pytest.mark.parametrize(
    ("words", "text", "found"),
    [
        ("[Falcon]", "project FALCON is on", ["FALCON"]),
        ("[Falcon]", "falcons, xfalcon, falcon_1", []),
        ("[Falcon], fold: false", "falcon Falcon FALCON", ["Falcon"]),
        ("[müller]", "Herr Müller, MÜLLER, Müllerin", ["Müller"]),
        ("[Ä]", "Ä ä ÄB éÄ Äé", ["Ä"]),
        ("[a b, a]", "a b a", ["a b", "a"]),
        ("[ab, abc]", "abc ab abcd", ["abc", "ab"]),
        ("['x.y', 'C++', '(z)']", "x.y xay C++ C (Z)", ["x.y", "C++", "(Z)"]),
        ("['0049-1']", "0049-1 0049-12", ["0049-1"]),
        ("[日本, 東京]", "日本 x東京 日本国 東京", ["日本", "東京"]),
    ],
)
def test_word_lists(words: str, text: str, found: list[str]) -> None:
    """Words in either case unless it says so, and never inside of longer ones; what is not ASCII is as written."""
    detector = Engine(read(f"words: [{{id: a, kind: a, family: secret, words: {words}}}]", "mine.yaml")).detector()
    data = text.encode()
    assert [data[span.start : span.end].decode() for span in scan(detector, data)] == found


def test_several_checks_must_all_accept() -> None:
    """Each looks at what the one before left."""
    detector = Engine(read(_rule("pattern: '[a-z0-9]{4,8}' ;; check: [mixed, 'entropy:1.5']"), "a")).detector()
    assert [(s.start, s.end) for s in scan(detector, "abcd a1a1 a1b2c3 1111")] == [(10, 16)]
