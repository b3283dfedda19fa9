"""The engine over streams: what is found does not depend on how a text was cut, and little waits."""

import json
import tracemalloc
from dataclasses import replace
from functools import partial
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.masking.engine.engine import Engine
from extproc.masking.engine.scanner import SLICE, START, Scanner, scan, whole
from extproc.masking.engine.span import Span, counted
from extproc.masking.rules.model import Rule
from extproc.masking.rules.regex import LONGEST
from extproc.masking.structure.jsonstage import JsonStage
from extproc.masking.text import TextStage
from tests.masking.streams import (
    CASES,
    KNOWLEDGE,
    PLAN,
    RULES,
    SECRETS,
    every_cut,
    made,
    pieces,
    planned,
    run,
    unmarked,
)


def _named(rule: Rule) -> frozenset[int]:
    """What is given for a field of the rule's own name; for a rule that knows no names, nothing."""
    return PLAN.detector.named(min(rule.keys)) if rule.keys else frozenset()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule.id))
def test_every_single_cut_of_every_case(rule: Rule) -> None:
    """All rules on, each case of each, cut at each offset and byte by byte, comes out the same: as text, and in a field
    of the rule's name."""
    for case in rule.positive:
        data = b"a, " + unmarked(case).encode() + b" .\n"
        for named in {frozenset[int](), _named(rule)}:
            every_cut(partial(TextStage, PLAN, named=named), data)
        text = unmarked(case).encode()
        assert run(lambda: TextStage(PLAN), text, range(1, len(text))) == run(lambda: TextStage(PLAN), text)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule.id))
def test_every_case_in_json(rule: Rule) -> None:
    """In a JSON string each case is masked as it is as a text, however it is spelt there, whole and byte by byte."""
    for case in map(unmarked, rule.positive[:2]):
        expected = run(lambda: TextStage(PLAN), case.encode())
        for ascii_only in (True, False):
            raw = json.dumps([case], ensure_ascii=ascii_only).encode()
            out, counts = run(lambda: JsonStage(PLAN), raw)
            assert (json.loads(out), counts) == ([expected[0].decode()], expected[1])
            assert run(lambda: JsonStage(PLAN), raw, range(1, len(raw))) == (out, counts)


@given(st.lists(st.sampled_from(CASES), max_size=6), st.sampled_from(["", " ", "\n", "x", "-", "."]), st.data())
def test_cases_side_by_side(cases: list[str], between: str, data: st.DataObject) -> None:
    """Cases of several rules that touch, near each other's context words, come out the same however they are cut."""
    raw = between.join(cases).encode()
    cuts = data.draw(st.lists(st.integers(0, len(raw)), max_size=8))
    expected = run(lambda: TextStage(PLAN), raw)
    assert run(lambda: TextStage(PLAN), raw, cuts) == expected
    assert run(lambda: TextStage(PLAN), raw, range(1, len(raw))) == expected


@given(pieces, st.sampled_from([*RULES]), st.data())
def test_a_rule_finds_the_same_among_others(text: str, rule: Rule, data: st.DataObject) -> None:
    """What is found of a kind does not depend on what else is looked for."""
    case = data.draw(st.sampled_from([*rule.positive, *rule.negative]))
    text += unmarked(case)
    alone = counted(scan(KNOWLEDGE.detector(frozenset({rule.kind})), text)).get(rule.kind, 0)
    assert counted(scan(PLAN.detector, text)).get(rule.kind, 0) == alone


@given(pieces, st.integers(1, 40))
def test_spans_of_a_stream_are_those_of_the_whole(text: str, size: int) -> None:
    """Offsets are the stream's; the rest of a value that goes on is no new one."""
    data = text.encode()
    scanner, found = Scanner(PLAN.detector), list[Span]()
    for at in range(0, len(data), size):
        for span in scanner.feed(data[at : at + size]):
            assert span.end <= scanner.settled
            found.append(span)
    found += scanner.feed(b"", final=True)
    assert scanner.settled == len(data)
    assert [(s.kind, s.start, s.end) for s in whole(found)] == [
        (s.kind, s.start, s.end) for s in whole(scan(PLAN.detector, data))
    ]
    assert all(a.end <= b.start for a, b in pairwise(found))
    assert counted(found) == counted(scan(PLAN.detector, data))


HOSTILE = [
    b"4", b"4 ", b"2-2 ", b"4111111111111112 ", b"DE11 ", b"a@b.", b"a.", b"eyJ-", b"-----BEGIN ", b"sk-",
    b"-----BEGIN PRIVATE KEY-----", b"-----END ", b"eyJhbGciOiJIUzI1NiJ9", b"bearer ", b"\x00", b"\xff", b"password=",
    b"https://a:b@", b"ssn ", b"token: ", b"AKIA", b"::1 ", b"+1 555", b"\n", b'"', b"a:", b"=", b"Ab1",
]  # fmt: skip


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_is_held_within_a_bound(hostile: bytes) -> None:
    """However long a text without an end is, what waits is the longest head at most, and nothing piles up."""
    chunk = (hostile * 8192)[:8192]
    scanner = Scanner(PLAN.detector)
    scanner.feed(chunk)
    tracemalloc.start()
    try:
        scanner.feed(chunk)
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(8):
            scanner.feed(chunk)
            assert len(scanner._held) <= LONGEST
        assert tracemalloc.get_traced_memory()[0] - before < 16 << 10
    finally:
        tracemalloc.stop()


def test_fours_without_end_go_through() -> None:
    """They are no card, and they don't wait to become one."""
    stage, fours, out = TextStage(PLAN), b"4" * SLICE, 0
    for fed in range(1, 65):
        out += len(stage.feed(fours))
        assert fed * SLICE - out <= LONGEST
    assert (out + len(stage.finish()), stage.counts) == (64 * SLICE, {})


def test_a_key_that_never_ends_is_masked_for_as_long() -> None:
    """A PEM block without its END line is one value; nothing of it waits, and nothing comes out."""
    stage = TextStage(PLAN)
    out = stage.feed(b"x -----BEGIN PRIVATE KEY-----\n")
    for _ in range(64):
        out += stage.feed(b"MIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n" * 100)
        assert len(stage._held) == 0
    assert out + stage.finish() == b"x [masked:private-key]"
    assert stage.counts["private-key"] == 1


@pytest.mark.parametrize(
    ("rules", "text", "expected"),
    [
        # Of values that begin together the graver family gives the name, then the surer rule, then the longer head.
        (["kind: a, family: contact, pattern: 'abc'", "kind: b, pattern: 'abc'"], "abc", [("b", 0, 3)]),
        (["kind: a, pattern: 'abc', score: 0.6", "kind: b, pattern: 'abc', score: 0.9"], "abc", [("b", 0, 3)]),
        (["kind: a, pattern: 'abc-', after: ''", "kind: b, pattern: 'abc-de'"], "abc-de", [("b", 0, 6)]),
        # What overlaps is covered whole, under the name of the first.
        (["kind: a, family: contact, pattern: 'ab-c', after: ''",
          "kind: b, family: contact, pattern: 'c-d', before: ''"],
         "ab-c-d", [("a", 0, 6)]),
        # A secret that begins in other data begins a span of its own.
        (["kind: a, family: contact, pattern: 'ab-c', after: ''", "kind: b, pattern: 'c-d', before: ''"],
         "ab-c-d", [("a", 0, 3), ("b", 3, 6)]),
        # Two rules of one kind count a value once.
        (["kind: a, pattern: '[0-9]{4}-[0-9]{4}'", "kind: a, pattern: '[0-9]{4}-[0-9]{4}-x'"],
         "1234-5678-x", [("a", 0, 11)]),
        # The lead is no part of the value.
        (["kind: a, pattern: 'pin[ =]{1,3}(?P<value>[0-9]{4})'"], "pin = 1234", [("a", 6, 10)]),
        (["kind: a, pattern: 'pin=(?P<value>[0-9]+)'"], "pin=1234567890x", [("a", 4, 14)]),
        # The longest shape counts; what then touches its neighbour is tried again from the next byte.
        (["kind: a, pattern: '[0-9]{2,4}'"], "12345 123", [("a", 6, 9)]),
        (["kind: a, pattern: 'a-[0-9]{3}', before: '', after: ''"], "aa-a-123", [("a", 3, 8)]),
    ],
)  # fmt: skip
def test_how_values_are_told_apart(rules: list[str], text: str, expected: list[tuple[str, int, int]]) -> None:
    """Names, extents and counts where several rules see something, at every cut."""
    plan = planned(*rules)
    assert [(span.kind, span.start, span.end) for span in scan(plan.detector, text)] == expected
    every_cut(lambda: TextStage(plan), text.encode())


def test_a_check_sees_two_bytes_before_and_one_after() -> None:
    """Never less than it is promised, however the stream is cut, and at both ends of a text."""
    seen: list[bytes] = []

    def check(data: bytes, start: int, end: int) -> int:
        assert start >= 2
        assert end < len(data)
        seen.append(data[start - 2 : end + 1])
        return end

    (rule,) = made("kind: a, pattern: '[0-9]{2}'").rules
    detector = Engine([replace(rule, check=check)]).detector()
    text = b"12 34 56"
    for cut in range(len(text) + 1):
        scanner = Scanner(detector)
        spans = [*scanner.feed(text[:cut]), *scanner.feed(text[cut:]), *scanner.feed(b"", final=True)]
        assert [(span.start, span.end) for span in spans] == [(0, 2), (3, 5), (6, 8)]
    assert set(seen) == {b"\n\n12 ", b"2 34 ", b"4 56\n"}


def test_a_check_may_shorten_a_value() -> None:
    """What it cuts off is looked at again, and a tail after it is none of the value."""

    def half(data: bytes, start: int, end: int) -> int:
        return start + (end - start) // 2

    (rule,) = made("kind: a, pattern: '[0-9]{4}[0-9]*', before: ''").rules
    detector = Engine([replace(rule, check=half)]).detector()
    assert [(span.start, span.end) for span in scan(detector, "12345678")] == [(0, 2), (2, 4), (4, 6)]


def test_the_start_of_a_text_is_a_boundary_and_no_context() -> None:
    """Nothing stands before the first byte that any rule could mistake for text."""
    assert set(START) == {ord("\n")}


def test_empty_feeds_change_nothing() -> None:
    """A stream may be idle: nothing comes of nothing."""
    stage = TextStage(PLAN)
    text = SECRETS["email"].encode()
    assert [stage.feed(b""), stage.feed(text), stage.feed(b""), stage.feed(b" "), stage.feed(b"")] == [
        b"", b"", b"", b"[masked:email] ", b""
    ]  # fmt: skip
