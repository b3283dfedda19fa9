"""The shipped rules, each against its own cases, and the patterns that are derived from them."""

import re
from collections import Counter
from dataclasses import replace
from functools import cache

import pytest

from extproc.masking import find
from extproc.masking.engine._re2 import Pattern
from extproc.masking.engine.engine import Detector, Engine
from extproc.masking.engine.finder import Finder
from extproc.masking.engine.scanner import START, scan, whole
from extproc.masking.engine.span import Span
from extproc.masking.rules import pattern
from extproc.masking.rules.model import CERTAIN, Rule
from extproc.masking.rules.regex import LONGEST
from extproc.masking.rules.text import in_text
from extproc.masking.text import TextStage, mask_whole
from tests.masking.streams import KNOWLEDGE, PLAN, RULES, SECRETS, every_cut, plan_of, unmarked

DETECTOR = PLAN.detector
rules = pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule.id))


@cache
def _alone(rule: Rule) -> Engine:
    return Engine([rule])


def _found(rule: Rule, case: str, detector: Detector) -> list[Span]:
    """What there is in a case: in it as a text; if it is a JSON object of one member, in that member; if the rule knows
    names only, in a field of such a name."""
    text = unmarked(case)
    member = re.fullmatch(r'(\{ ?"([^"]*)" ?: ?"?)([^"]*)"?\}', text)
    before, named = "", frozenset[int]()
    if member and rule.keys:
        before, text, named = member[1], member[3], detector.named(member[2])
    elif rule.contextual and not rule.context and not any(case.startswith("{") for case in rule.positive):
        named = detector.named(min(rule.keys))
    shift = len(before.encode())
    return [
        replace(span, start=span.start + shift, end=span.end + shift) for span in whole(scan(detector, text, named))
    ]


@rules
def test_positive_cases_are_found(rule: Rule) -> None:
    """Each positive case has a value of the rule's own, exactly where it is marked; and among all rules nothing of it
    is left uncovered."""
    assert rule.positive
    for case in rule.positive:
        found = _found(rule, case, _alone(rule).detector())
        assert found, case
        if "⟦" in case:
            before, _, rest = case.partition("⟦")
            start = len(before.encode())
            end = start + len(rest.partition("⟧")[0].encode())
            assert (start, end) in [(span.start, span.end) for span in found], (case, found)
        covered = _found(rule, case, DETECTOR)
        for span in found:
            inside = [other for other in covered if other.start < span.end and other.end > span.start]
            assert inside, case
            assert inside[0].start <= span.start, (case, covered)
            assert inside[-1].end >= span.end, (case, covered)


@rules
def test_negative_cases_are_not(rule: Rule) -> None:
    """No negative case has a value of the rule's own."""
    assert rule.negative
    for case in rule.negative:
        assert _found(rule, case, _alone(rule).detector()) == [], case


@rules
def test_what_may_not_touch_a_value_hides_it(rule: Rule) -> None:
    """A letter that `before` refuses, put before the match, or one that `after` refuses, put behind it, hides it
    there."""
    finder = Finder(rule)
    data = unmarked(rule.positive[0]).encode()
    framed = START + data + b"\n\n"
    named = rule.contextual
    hit = finder.next(framed, len(START), len(framed) - 2, len(framed) - 1, named)
    assert hit is not None
    for code in b"a", b"Z", b"0":
        if rule.before and re.match(f"[{rule.before}]", code.decode()):
            touched = framed[: hit.begin] + code + framed[hit.begin :]
            other = finder.next(touched, len(START), len(touched) - 2, len(touched) - 1, named)
            assert other is None or other.begin != hit.begin + 1, code
        if rule.after and not hit.cut and re.match(f"[{rule.after}]", code.decode()):
            touched = framed[: hit.head] + code + framed[hit.head :]
            other = finder.next(touched, len(START), len(touched) - 2, len(touched) - 1, named)
            assert other is None or other.cut or other.head != hit.head, code


@pytest.mark.parametrize("rule", [*RULES, in_text("ssn")], ids=lambda rule: str(rule.id))
def test_every_prefix_of_a_match_is_in_the_closure(rule: Rule) -> None:
    """Whatever a rule can match, cut anywhere in its head, may still be unfinished; its gate and its beginning
    occur in it, and its length is within the bound."""
    sequence = rule.pattern
    closure = Pattern(rf"\A(?:{pattern.prefixes(sequence)})\z")
    head = Pattern(pattern.full(sequence))
    gates = [Pattern(pattern.gate(sequence, rule.before, size)) for size in (1, 4, 12, 200)]
    begins = [Pattern(rf"\A{pattern.full(pattern.beginning(sequence, size))}") for size in (1, 4, 6, 12)]
    for case in rule.positive or ("ssn: x",):
        data = unmarked(case).encode()
        found = head.search(data, 0, len(data))
        assert found is not None, case
        match = data[slice(*found)]
        assert all(gate.search(b"\n" + match, 0, len(match) + 1) for gate in gates), case
        assert all(gate.search(match, 0, len(match)) for gate in gates), case
        assert all(begin.search(match, 0, len(match)) for begin in begins), case
        assert pattern.shortest(sequence) <= len(match) <= pattern.longest(sequence) <= LONGEST
        for cut in range(len(match) + 1):
            assert closure.search(match[:cut], 0, cut) == (0, cut), (case, match[:cut])


def test_rules_are_told_apart() -> None:
    """Ids are unique, and each says what it finds and who says so."""
    assert max(Counter(rule.id for rule in RULES).values()) == 1
    silent = [rule.id for rule in RULES if not rule.about or not rule.source]
    assert silent == []


def test_no_head_is_long() -> None:
    """What a stream may have to hold back is bounded by the longest head."""
    assert max(rule.reach for rule in RULES) <= LONGEST == 200


def test_a_string_of_json_bounds_as_a_text_does() -> None:
    """Where the ends of a text are a boundary, the ends of a line are: JSON strings, and records, are looked at in one
    go, each on a line of its own."""
    for rule in RULES:
        for refused in (rule.before, rule.after):
            assert not refused or not re.match(f"[{refused}]", "\n"), rule.id


def test_scores_are_what_they_decide() -> None:
    """Below CERTAIN a rule has context to raise it; context never lowers."""
    for rule in RULES:
        assert rule.score <= rule.context_score, rule.id
        assert rule.context_score >= CERTAIN, rule.id
        assert not rule.contextual or rule.context or rule.keys, rule.id


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mail jane@example.com.", [("email", 5, 21)]),
        ("4111 1111 1111 1111 123", [("card", 0, 19)]),
        ("1234 4111111111111111", [("card", 5, 21)]),
        ("DE89 3704 0044 0532 0130 00 is it", [("iban", 0, 27)]),
        ("é jane@example.com", [("email", 3, 19)]),
        ("jane@example.com,joe@example.org", [("email", 0, 16), ("email", 17, 32)]),
        ("Bearer eyJhbGciOiJIUzI1NiJ9.e30.x ok", [("bearer", 0, 33)]),
        ("a" * 70 + "@example.com", []),
        ("ssn 219-09-9998", [("ssn", 4, 15)]),
        ("ssn 219099998", [("ssn", 4, 13)]),
        ("number 219099998", []),
    ],
)
def test_spans(text: str, expected: list[tuple[str, int, int]]) -> None:
    """Where values begin and end, in bytes: leftmost, longest that is valid, not overlapping."""
    assert [(span.kind, span.start, span.end) for span in scan(DETECTOR, text)] == expected
    characters = [(span.kind, span.start, span.end) for span in find(text)]
    assert [(kind, text.encode()[start:end]) for kind, start, end in expected] == [
        (kind, text[start:end].encode()) for kind, start, end in characters
    ]


def test_selected_kinds_only() -> None:
    """A detector finds what it was asked for and nothing else."""
    text = " ; ".join(SECRETS.values())
    for kind in SECRETS:
        assert set(mask_whole(plan_of(kind), text)[1]) == {kind}
    assert mask_whole(plan_of(), text) == (text, {})


def test_an_unknown_kind_is_refused() -> None:
    """A kind that no rule has raises, and says which are known."""
    with pytest.raises(ValueError, match=r"unknown kinds.*'shoe-size'.*card"):
        KNOWLEDGE.detector(frozenset({"shoe-size"}))


TOKENS = {kind: SECRETS[kind] for kind in ("aws-key", "github-token", "openai-key", "slack-token")}


@pytest.mark.parametrize("kind", TOKENS)
@pytest.mark.parametrize("form", ["https://{}@github.com/org/repo.git", "{}@evil.com", "x.{}@evil.com"])
def test_a_secret_that_looks_like_an_address_is_a_secret(kind: str, form: str) -> None:
    """Both are counted; whichever are selected, nothing of the token stays, and the mask names a secret: the token, or
    the credentials of the URL that it is all of."""
    token = TOKENS[kind]
    text = form.format(token)
    found = mask_whole(PLAN, text)[1]
    assert (found[kind], found["email"]) == (1, 1)
    for plan in (PLAN, plan_of(kind, "email"), plan_of(kind)):
        out, counts = mask_whole(plan, text)
        assert f"[masked:{kind}]" in out or "[masked:url-credential]" in out
        assert token not in out
        assert counts[kind] == 1
    assert "evil" not in mask_whole(PLAN, text)[0]


@pytest.mark.parametrize(
    "token",
    [
        SECRETS["github-token"],
        SECRETS["openai-key"],
        SECRETS["slack-token"],
        SECRETS["jwt"],
        SECRETS["bearer"],
        "sk-aB3dE-",
    ],
)
@pytest.mark.parametrize("between", ["", "x", "-", "----"])
def test_no_token_hides_a_private_key(token: str, between: str) -> None:
    """A block that begins in what could go on as a token is found, and masked to its end."""
    text = f"{token}{between}{SECRETS['private-key']} after"
    out, counts = mask_whole(PLAN, text)
    assert counts["private-key"] == 1
    assert "MII" not in out
    assert out.endswith("] after")
    every_cut(lambda: TextStage(PLAN), text.encode())


def test_kinds_are_found_independently() -> None:
    """What one kind has does not depend on which others are looked for."""
    text = " ".join(SECRETS.values()) + "".join(SECRETS.values()) + "@example.com Bearer " + SECRETS["jwt"]
    together = mask_whole(PLAN, text)[1]
    assert together == {
        kind: n for one in sorted(DETECTOR.kinds) for kind, n in mask_whole(plan_of(one), text)[1].items()
    }
