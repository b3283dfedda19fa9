"""The pattern language: what is in it, what is not and why, and that its patterns mean what Python's would."""

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.masking.engine._re2 import Pattern
from extproc.masking.rules import pattern
from extproc.masking.rules.pattern import Alt, Chars, Lit, Rep
from extproc.masking.rules.regex import LONGEST, Parsed, PatternInvalid, parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("abc", Parsed((), (Lit("abc"),), "")),
        (r"a\.\x22\-\[", Parsed((), (Lit('a."-['),), "")),
        (r"\d\w", Parsed((), (Chars("0-9"), Chars(r"0-9A-Z\x5fa-z")), "")),
        (r"[\s\d]", Parsed((), (Chars(r"\x09-\x0d\x200-9"),), "")),
        (r"\t", Parsed((), (Lit("\t"),), "")),
        ("[]a-]", Parsed((), (Chars(r"\x2d\x5da"),), "")),
        ("[^]-]", Parsed((), (Chars(r"^\x2d\x5d"),), "")),
        ("a{3}b{1,4}", Parsed((), (Chars("a", 3, 3), Chars("b", 1, 4)), "")),
        ("ab?", Parsed((), (Lit("a"), Chars("b", 0, 1)), "")),
        ("a|bc", Parsed((), (Alt(((Lit("a"),), (Lit("bc"),))),), "")),
        ("x(?:a|)y", Parsed((), (Lit("x"), Alt(((Lit("a"),), ())), Lit("y")), "")),
        ("(ab){2}", Parsed((), (Rep((Alt(((Lit("ab"),),)),), 2, 2),), "")),
        ("(?i)a-1[b-d]", Parsed((), (Lit("a", True), Lit("-1"), Chars("B-Db-d")), "")),
        ("(?i:a)b", Parsed((), (Alt(((Lit("a", True),),)), Lit("b")), "")),
        ("(?i:a){2}", Parsed((), (Rep((Alt(((Lit("a", True),),)),), 2, 2),), "")),
        (r"(?i)[\xe9_]\xe9", Parsed((), (Chars(r"\x5f\xe9"), Lit("\xe9")), "")),
        ("a[bc]*", Parsed((), (Lit("a"),), "bc")),
        ("a[bc]+", Parsed((), (Lit("a"), Chars("bc")), "bc")),
        ("[a-z]{4,}", Parsed((), (Chars("a-z", 4, 4),), "a-z")),
        (r"\d+", Parsed((), (Chars("0-9"),), "0-9")),
        (r"k[=:](?P<value>\w{3}|x)", Parsed((Lit("k"), Chars(r"\x3a\x3d")), (
            Alt(((Chars(r"0-9A-Z\x5fa-z", 3, 3),), (Lit("x"),))),), "")),
        ("(a|b)(?P<value>c+)", Parsed((Alt(((Lit("a"),), (Lit("b"),))),), (Chars("c"),), "c")),
    ],
)  # fmt: skip
def test_what_is_read(text: str, expected: Parsed) -> None:
    """Lead, value and run, as data."""
    assert parse(text) == expected


REFUSED = [
    ("", "nothing to look for"),
    ("(?i)", "nothing to look for"),
    ("é", r"patterns are ASCII; write other bytes as \\xNN"),
    ("a?", "matches nothing at all, too"),
    ("(a|)", "matches nothing at all, too"),
    ("x(?P<value>a{0,3})", "matches nothing at all, too"),
    ("(?P<value>)", "nothing to look for"),
    ("[a-z]*", r"needs a beginning: at least one character, as in \[a-z\]\{4,\}"),
    ("x(?P<value>[a-z]*)", "needs a beginning"),
    ("a+b", r"nothing may follow a run.*\{1,40\}.*at character 3 of 'a\+b'"),
    ("(a+)", "a run without an end inside a group"),
    ("a|b+", "a run without an end in one of several choices"),
    ("(ab)+", "only a class of characters can repeat without an end"),
    ("(?i)a*", "only a class of characters can repeat without an end"),
    ("a{201}", "bounds ascend, the last is 1 to 200"),
    ("a{201,}", "bounds ascend"),
    ("a{3,2}", "repeated 3 to 2 times"),
    ("a{0}", "repeated 0 to 0 times"),
    ("a{", r"expected \{n\}, \{n,m\} or \{n,\}; a brace itself is"),
    ("a{,3}", r"expected \{n\}"),
    ("a{x}", r"expected \{n\}"),
    ("a**", "two repetitions in a row"),
    ("a{2}?", "two repetitions in a row"),
    ("*a", "nothing to repeat here"),
    ("a|{2}", "nothing to repeat here"),
    (".", r"for boundaries there are `before` and `after`, for any character \[\^\\n\]"),
    ("^a", "for boundaries"),
    ("a$", "for boundaries"),
    (r"\ba", r"of escapes there are \\d"),
    (r"(a)\1", r"of escapes there are \\d"),
    ("a\\", r"of escapes there are \\d"),
    (r"\x4", r"expected \\x and two hexadecimal digits"),
    (r"\x+1", r"expected \\x and two hexadecimal digits"),
    ("(?=a)", r"of groups there are \(…\)"),
    ("(?P<other>a)", "of groups there are"),
    ("(?ix)a", "of groups there are"),
    ("a(?i)", "of groups there are"),
    ("(a", "a group that is not closed"),
    ("(?P<value>a", "a group that is not closed"),
    ("a)", r"a `\)` too many"),
    ("(?:" * 9 + "a" + ")" * 9, "more than eight deep"),
    ("[a", "a class that is not closed"),
    ("[a-", "a class that is not closed"),
    ("[]", "a class that is not closed"),
    ("[[:alpha:]]", r"a `\[` inside a class is"),
    ("[z-a]", "a range ascends"),
    (r"[\w-.]", r"a range ascends, .*; a `-` itself is \\-"),
    (r"[^\x00-\xff]", "a class without a character"),
    ("(?P<value>a)b", r"nothing may follow \(\?P<value>"),
    ("(?P<value>a)|b", r"nothing may follow \(\?P<value>"),
    ("a|(?P<value>b)", "stands once, and in no other group"),
    ("(a(?P<value>b))", "stands once, and in no other group"),
    ("(?P<value>(?P<value>b))", "stands once, and in no other group"),
]


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_what_is_refused(text: str, message: str) -> None:
    """What is not in the language, or has no bound, is refused; the message says where and what would be right."""
    with pytest.raises(PatternInvalid, match=message):
        parse(text)


_ALPHABET = "abAB01-_ .\xe9\n"
_singles = st.sampled_from([*"abAB01-_", " ", r"\.", r"\x61", r"\xe9", r"\n", r"\-"])
_classes = st.one_of(
    st.sampled_from([r"\d", r"\w", r"\s", "[^a]", r"[^\d\n]", "[]a]", "[b-]", r"[\w.]", "[0-9A-F]", "[ -_]"]),
    st.lists(st.sampled_from(["a", "0-1", "a-b", "_", r"\.", r"\xe9"]), min_size=1).map(lambda x: f"[{''.join(x)}]"),
)
_times = st.sampled_from(["", "", "?", "{2}", "{0,2}", "{1,3}"])


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    several = st.lists(inner, min_size=1, max_size=3)
    group = st.tuples(st.sampled_from(["(?:", "(?i:", "("]), several.map("|".join), _times)
    return st.one_of(several.map("".join), group.map(lambda found: f"{found[0]}{found[1]}){found[2]}"))


_atoms = st.tuples(st.one_of(_singles, _classes), _times).map("".join)
bounded = st.recursive(_atoms, _grown, max_leaves=8)
runs = st.tuples(st.one_of(_singles, _classes), st.sampled_from(["+", "*", "{2,}"])).map("".join)
patterns = st.tuples(
    st.sampled_from(["", "", "(?i)"]), bounded, st.one_of(st.just(""), runs)
).map("".join)  # fmt: skip
texts = st.one_of(
    st.text(st.sampled_from(_ALPHABET), max_size=8), st.text(st.sampled_from(string.printable), max_size=3)
)


def _parsed(text: str) -> Parsed | None:
    """The pattern, or None where it is refused for what the generator can't know."""
    try:
        return parse(text)
    except PatternInvalid as error:
        if not re.search("nothing at all|choices|two repetitions|only a class|a beginning", str(error)):
            raise
        return None


def _python(text: str) -> re.Pattern[bytes]:
    return re.compile(text.encode("latin-1"))


def _matching(text: str) -> st.SearchStrategy[bytes]:
    """Bytes that a pattern matches from end to end."""
    latin = st.characters(max_codepoint=255)
    return st.from_regex(re.compile(text, re.ASCII), fullmatch=True, alphabet=latin).map(lambda s: s.encode("latin-1"))


@given(patterns, texts, st.data())
def test_a_pattern_means_what_it_means_to_python(text: str, other: str, data: st.DataObject) -> None:
    """What the parsed pattern matches from end to end is what `re` does, over bytes."""
    parsed = _parsed(text)
    if parsed is None:
        return
    run = f"[{parsed.run}]*" if parsed.run else ""
    ours = Pattern(rf"\A(?:{pattern.full(parsed.lead + parsed.value)}{run})\z")
    theirs = _python(text)
    drawn = data.draw(_matching(text))
    for sample in (drawn, drawn.swapcase(), other.encode("latin-1")):
        found = ours.search(sample, 0, len(sample)) is not None
        assert found == (theirs.fullmatch(sample) is not None), (text, sample)


@given(bounded, st.data())
def test_every_prefix_is_in_the_closure(text: str, data: st.DataObject) -> None:
    """Whatever a pattern matches, cut anywhere, may still be unfinished; it has the gate and the beginning in it,
    however much of them is asked for; the lengths are true."""
    parsed = _parsed(text)
    if parsed is None:
        return
    closure = Pattern(rf"\A(?:{pattern.prefixes(parsed.value)})\z")
    drawn = data.draw(_matching(text))
    assert pattern.shortest(parsed.value) <= len(drawn) <= pattern.longest(parsed.value)
    for cut in range(len(drawn) + 1):
        assert closure.search(drawn[:cut], 0, cut) == (0, cut), (text, drawn, cut)
    for size in (1, 2, 4, 12):
        gate = Pattern(pattern.gate(parsed.value, "0-9A-Za-z", size))
        anywhere = Pattern(pattern.gate(parsed.value, "", size))
        start = Pattern(rf"\A{pattern.full(pattern.beginning(parsed.value, size))}")
        assert gate.search(b"\n" + drawn, 0, len(drawn) + 1) is not None, (text, drawn, size)
        assert gate.search(drawn, 0, len(drawn)) is not None
        assert anywhere.search(b"a" + drawn, 0, len(drawn) + 1) is not None
        assert start.search(drawn, 0, len(drawn)) is not None
    assert 0 <= pattern.chance(parsed.value) <= pattern.chance(pattern.beginning(parsed.value, 4)) <= 1


@given(bounded, texts)
def test_the_closure_has_nothing_but_prefixes(text: str, other: str) -> None:
    """Of a text that is in the closure, some continuation matches: what is held back is held for a reason. Tried with
    every text of the alphabet up to a length, so only for short patterns."""
    parsed = _parsed(text)
    if parsed is None or pattern.longest(parsed.value) > 3:
        return
    closure = Pattern(rf"\A(?:{pattern.prefixes(parsed.value)})\z")
    theirs = _python(text)
    data = other.encode("latin-1")[:3]
    if closure.search(data, 0, len(data)) is None:
        return
    left: list[bytes] = [data]
    for _ in range(pattern.longest(parsed.value) - len(data) + 1):
        if any(theirs.fullmatch(sample) for sample in left):
            return
        left = [sample + bytes((code,)) for sample in left for code in _ALPHABET.encode("latin-1")]
    raise AssertionError((text, data))


def test_the_longest_pattern_is_bounded() -> None:
    """Bounds multiply, so the length is what a rule is judged by; computing it is quick whatever they are."""
    parsed = parse("(?:(?:a{200}){200}){200}")
    assert pattern.longest(parsed.value) == LONGEST**3
