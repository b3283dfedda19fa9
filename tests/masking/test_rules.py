"""The rules, each against its own cases, and the patterns that are derived from them."""

import re

import pytest

from extproc.masking.checks import values as checks
from extproc.masking.engine._re2 import Pattern
from extproc.masking.engine.detect import ALL, detector
from extproc.masking.rules import pattern
from extproc.masking.rules.builtin import RULES, Kind, Rule, in_text
from extproc.masking.text import TextStage, mask_whole
from tests.masking.streams import SECRETS, every_cut


def _ids(rule: Rule) -> str:
    return str(rule.kind)


@pytest.mark.parametrize("rule", RULES, ids=_ids)
def test_positive_cases_are_found(rule: Rule) -> None:
    """Each positive case has a value of the rule's kind, alone and among all rules' other findings."""
    assert rule.positive
    for case in rule.positive:
        assert detector(frozenset({str(rule.kind)})).counts(case) == {rule.kind: 1}, case
        assert detector(ALL).scan(case), case


@pytest.mark.parametrize("rule", RULES, ids=_ids)
def test_negative_cases_are_not(rule: Rule) -> None:
    """No negative case has a value of the rule's kind."""
    assert rule.negative
    for case in rule.negative:
        assert detector(frozenset({str(rule.kind)})).counts(case) == {}, case


def test_every_kind_has_one_rule() -> None:
    """Kinds and rules are the same list."""
    assert [str(rule.kind) for rule in RULES] == [kind.value for kind in Kind]


@pytest.mark.parametrize("rule", [*RULES, in_text("ssn")], ids=_ids)
def test_every_prefix_of_a_match_is_in_the_closure(rule: Rule) -> None:
    """Whatever a rule can match, cut anywhere in its head, may still be unfinished; and its gate occurs in it."""
    closure = Pattern(rf"\A(?:{pattern.prefixes(rule.pattern)})\z")
    head = Pattern(pattern.full(rule.pattern))
    gate = Pattern(pattern.gate(rule.pattern))
    for case in rule.positive or ("ssn: x",):
        data = case.encode()
        found = head.search(data, 0, len(data))
        assert found is not None, case
        start, end = found
        assert gate.search(data, 0, len(data)), case
        assert end - start <= pattern.longest(rule.pattern)
        for cut in range(start, end + 1):
            piece = data[start:cut]
            assert closure.search(piece, 0, len(piece)) == (0, len(piece)), (case, piece)


def test_no_head_is_long() -> None:
    """What a stream may have to hold back is bounded by the longest head."""
    assert max(pattern.longest(rule.pattern) for rule in RULES) <= 200


@pytest.mark.parametrize(
    ("digits", "valid"),
    [
        (b"79927398713", True),
        (b"79927398710", False),
        (b"4111111111111111", True),
        (b"4111111111111112", False),
        (b"0", True),
    ],
)
def test_luhn(digits: bytes, valid: bool) -> None:
    """Known check digits."""
    assert checks.luhn(digits) is valid


def test_iban_lengths_are_what_the_registry_allows() -> None:
    """Country codes are two letters and lengths 15 to 34."""
    assert all(re.fullmatch(rb"[A-Z]{2}", code) and 15 <= n <= 34 for code, n in checks.IBAN_LENGTHS.items())


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
    ],
)
def test_spans(text: str, expected: list[tuple[str, int, int]]) -> None:
    """Where values begin and end, in bytes: leftmost, longest that is valid, not overlapping."""
    assert [(span.kind, span.start, span.end) for span in detector(ALL).scan(text)] == expected


def test_selected_kinds_only() -> None:
    """A detector finds what it was asked for and nothing else."""
    text = " ".join(SECRETS.values())
    for kind in ALL:
        assert set(detector(frozenset({kind})).counts(text)) == {kind}
    assert detector(frozenset()).counts(text) == {}


def test_an_unknown_kind_is_refused() -> None:
    """A kind that no rule has raises, and says which are known."""
    with pytest.raises(ValueError, match=r"unknown kinds.*'shoe-size'.*card"):
        detector(frozenset({"shoe-size"}))


TOKENS = {kind: SECRETS[kind] for kind in ("aws-key", "github-token", "openai-key", "slack-token")}


@pytest.mark.parametrize("kind", TOKENS)
@pytest.mark.parametrize("form", ["https://{}@github.com/org/repo.git", "{}@evil.com", "x.{}@evil.com"])
def test_a_secret_that_looks_like_an_address_is_a_secret(kind: str, form: str) -> None:
    """Both are counted; whichever are selected, nothing of the token stays, and the mask names the secret."""
    token = TOKENS[kind]
    text = form.format(token)
    assert detector(ALL).counts(text) == {kind: 1, "email": 1}
    for kinds in (ALL, frozenset({kind, "email"}), frozenset({kind})):
        out, counts = mask_whole(detector(kinds), text)
        assert f"[masked:{kind}]" in out
        assert token not in out
        assert counts[kind] == 1
    assert "evil" not in mask_whole(detector(ALL), text)[0]


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
    assert detector(ALL).counts(text)["private-key"] == 1
    out, _ = mask_whole(detector(ALL), text)
    assert "MII" not in out
    assert out.endswith("] after")
    every_cut(lambda: TextStage(detector(ALL)), text.encode())


def test_kinds_are_found_independently() -> None:
    """What one kind has does not depend on which others are looked for."""
    text = " ".join(SECRETS.values()) + "".join(SECRETS.values()) + "@example.com Bearer " + SECRETS["jwt"]
    alone = {kind: n for one in sorted(ALL) for kind, n in detector(frozenset({one})).counts(text).items()}
    assert detector(ALL).counts(text) == alone
