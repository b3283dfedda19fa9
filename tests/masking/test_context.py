"""Context: words near a value, and names of the field that it stands in."""

import json
from functools import partial
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.masking.engine.scanner import scan
from extproc.masking.plan import Plan
from extproc.masking.structure.form import FormStage
from extproc.masking.structure.jsonstage import LONG, SLICE, JsonStage
from extproc.masking.text import TextStage, mask_whole
from tests.masking.streams import every_cut, made, planned, run

WORDS = "context: [ssn, social security, code name, ИНН], keys: [pin, id no]"
CODE = f"kind: code, pattern: '\\d{{4}}-\\d{{4}}', score: 0.2, {WORDS}"
"""Found near its words, or in a field that is called `pin` or `id no`."""

PLAN = planned(CODE)
KEYED = Plan(PLAN.detector, frozenset({"key"}))
VALUE = "1234-5678"


def _masked(text: str) -> bool:
    return bool(scan(PLAN.detector, text))


@pytest.mark.parametrize(
    ("before", "found"),
    [
        ("", False),
        ("ssn ", True),
        ("SSN: ", True),
        ("the ssns are ", True),
        ("my_ssn=", True),
        ("ssn_number ", True),
        ("user.ssn.value ", True),
        ("userSsn=", True),
        ("userSSN=", True),
        ("ssnNumber ", True),
        ("SSN2 ", True),
        ("2ssn ", True),
        ("social security ", True),
        ("social-security ", True),
        ("social_security_no ", True),
        ("socialSecurity ", True),
        ("SocialSecurity.", True),
        ("social.security ", True),
        ("socialsecurity ", True),
        ("social  security ", False),
        ("social, security ", False),
        ("ИНН ", True),
        ("ИНН: ", True),
        ("classn ", False),
        ("ssnorkel ", False),
        ("ssnsx ", False),
        ("assn ", False),
        ("ssn" + " " * 61, True),
        ("ssn" + " " * 62, False),
        ("xssn" + " " * 60, False),
        (" ssn" + "\n" * 61, True),
        ("ssn" + "é" * 30 + " ", True),
        ("pin ", False),
        ("id no ", False),
    ],
)
def test_words_near(before: str, found: bool) -> None:
    """A word counts in the 64 bytes before the value, in any case, as a word or a part of a name, and its plural; no
    part of a longer word, and no name that is a key."""
    text = f"{before}{VALUE} after ssn"
    assert _masked(text) is found
    out = f"{before}[masked:code] after ssn" if found else text
    assert run(partial(TextStage, PLAN), text.encode())[0].decode() == out
    every_cut(partial(TextStage, PLAN), text.encode())


def test_a_word_behind_a_value_is_no_context() -> None:
    """Nor is one that touches it."""
    assert not _masked(f"{VALUE} is the ssn")
    assert not _masked(f"ssn{VALUE}")


def test_the_word_of_one_value_is_that_of_the_next() -> None:
    """As far as it reaches, and a masked value is still text that is counted."""
    text = f"ssn {VALUE} {VALUE} {VALUE} {VALUE} {VALUE} {VALUE} {VALUE} {VALUE}"
    assert mask_whole(PLAN, text)[1] == {"code": 7}
    every_cut(partial(TextStage, PLAN), text.encode())


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("ssn", True),
        ("SSN", True),
        ("user_ssn", True),
        ("ssnOfUser", True),
        ("Social Security", True),
        ("ssns", True),
        ("code-name", True),
        ("инн", False),
        ("ИНН", True),
        ("pin", True),
        ("P.I.N", True),
        ("idNo", True),
        ("ID_NO", True),
        ("pins", False),
        ("user_pin", False),
        ("classn", False),
        ("ssnorkel", False),
        ("", False),
        ("ssn" + "x" * 200, False),
        ("x" * 200 + " ssn", False),
        ("ſſn", False),
    ],
)
def test_names(name: str, found: bool) -> None:
    """Words count in names as they do near; keys as the whole name, whatever its case and punctuation."""
    assert bool(PLAN.detector.named(name)) is found
    for value in (VALUE, f"it is {VALUE}"):
        raw = json.dumps({name: value, "x": VALUE, "y": [VALUE]}).encode()
        expected = {name: value.replace(VALUE, "[masked:code]") if found else value, "x": VALUE, "y": [VALUE]}
        assert json.loads(run(partial(JsonStage, PLAN), raw)[0]) == expected
        every_cut(partial(JsonStage, PLAN), raw)


def test_a_selection_that_has_no_such_rule_has_no_such_name() -> None:
    """A view of an engine sees names for the kinds that it looks for only."""
    engine = made(CODE, "kind: other, pattern: 'abcd'")
    assert engine.detector().named("ssn")
    assert not engine.detector(frozenset({"other"})).named("ssn")


def test_a_name_raises_the_score() -> None:
    """What is found anyway is surer there."""
    engine = made("kind: a, pattern: 'abc-\\d', score: 0.6, context: [word], keys: [name], score_in_context: 0.9")
    detector = engine.detector()
    assert [span.score for span in scan(detector, "abc-1 word abc-2")] == [0.6, 0.9]
    assert [span.score for span in scan(detector, "abc-1", detector.named("NAME"))] == [0.9]


M = "[masked:code]"
DOCUMENTS = [
    ('{"pin":"1234-5678","a":"1234-5678"}', '{"pin":"[masked:code]","a":"1234-5678"}'),
    ('{"pin":["1234-5678",["1234-5678"],{"a":"1234-5678"}],"a":"1234-5678"}',
     '{"pin":["[masked:code]",["[masked:code]"],{"a":"1234-5678"}],"a":"1234-5678"}'),
    ('{"pin":{"a":"1234-5678","pin":"1234-5678","b":"1234-5678"}}',
     '{"pin":{"a":"1234-5678","pin":"[masked:code]","b":"1234-5678"}}'),
    ('{"pin":{},"a":"1234-5678"}', '{"pin":{},"a":"1234-5678"}'),
    ('{"pin":[],"a":"1234-5678"}', '{"pin":[],"a":"1234-5678"}'),
    ('{"pin":[[]],"a":["1234-5678"]}', '{"pin":[[]],"a":["1234-5678"]}'),
    ('{"pin":null,"a":"1234-5678"}', '{"pin":null,"a":"1234-5678"}'),
    ('{"pin":1,"a":"1234-5678"}', '{"pin":1,"a":"1234-5678"}'),
    ('[{"pin":1},"1234-5678",{"a":"1234-5678"}]', '[{"pin":1},"1234-5678",{"a":"1234-5678"}]'),
    ('{"a":{"pin":[{"x":[{"pin":"1234-5678"},"1234-5678"]},"1234-5678"]},"b":"1234-5678"}',
     '{"a":{"pin":[{"x":[{"pin":"[masked:code]"},"1234-5678"]},"[masked:code]"]},"b":"1234-5678"}'),
    ('{"pin" : "1234-5678" }\n{"a":"1234-5678"}\n"1234-5678"',
     '{"pin" : "[masked:code]" }\n{"a":"1234-5678"}\n"1234-5678"'),
    ('{"p\\u0069n":"1234\\u002d5678"}', '{"p\\u0069n":"[masked:code]"}'),
    ('{"p\\"i\\"n":"1234-5678","pin\\n":"1234-5678"}', '{"p\\"i\\"n":"[masked:code]","pin\\n":"[masked:code]"}'),
    ('{"a \\"ssn\\" b":"1234-5678"}', '{"a \\"ssn\\" b":"[masked:code]"}'),
    ('{"a":"ssn 1234-5678","b":"1234-5678"}', '{"a":"ssn [masked:code]","b":"1234-5678"}'),
    ('{"a":"ssn","b":"1234-5678"}', '{"a":"ssn","b":"1234-5678"}'),
    ('["ssn","1234-5678"]', '["ssn","1234-5678"]'),
    ('{"a":"\\u0418\\u041d\\u041d 1234-5678"}', '{"a":"\\u0418\\u041d\\u041d [masked:code]"}'),
    ('{"\\u0418\\u041d\\u041d":"1234-5678"}', '{"\\u0418\\u041d\\u041d":"[masked:code]"}'),
    ('{"pin":"key","key":"1234-5678","pin":"1234-5678"}',
     '{"pin":"key","key":"[masked:key:key]","pin":"[masked:code]"}'),
    ('{"key":{"pin":1},"a":"1234-5678"}', '{"key":"[masked:key:key]","a":"1234-5678"}'),
    ('{"pin":{"key":[1]},"a":"1234-5678"}', '{"pin":{"key":"[masked:key:key]"},"a":"1234-5678"}'),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "expected"), DOCUMENTS)
def test_names_in_json(raw: str, expected: str) -> None:
    """A name is context for its value and for the items of an array, not for the members of an object, and not for what
    comes next; at every cut."""
    assert run(partial(JsonStage, KEYED), raw.encode())[0].decode() == expected
    every_cut(partial(JsonStage, KEYED), raw.encode())


NUMBERS = planned("kind: code, pattern: '[0-9]{8}', score: 0.2, keys: [pin]")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ('{"pin":12345678,"a":12345678}', '{"pin":null,"a":12345678}'),
        ('{"pin":[1,12345678,[12345678,{"a":12345678}]],"a":12345678}',
         '{"pin":[1,null,[null,{"a":12345678}]],"a":12345678}'),
        ('{"pin":1.2345678e7,"a":1.2345678e7}', '{"pin":null,"a":1.2345678e7}'),
        ('{"pin":12345678.0}', '{"pin":null}'),
        ('{"pin":123456789}', '{"pin":123456789}'),
        ('{"pin" :\n12345678\n}', '{"pin" :\nnull\n}'),
    ],
)  # fmt: skip
def test_numbers_under_a_name(raw: str, expected: str) -> None:
    """A number that is a value there becomes null, in whatever form it is written."""
    assert run(partial(JsonStage, NUMBERS), raw.encode())[0].decode() == expected
    every_cut(partial(JsonStage, NUMBERS), raw.encode())


def test_a_name_reaches_over_slices() -> None:
    """Of an array of any length each item is under the name, and nothing after it; of a string of any length all is."""
    items = [VALUE] * (3 * SLICE // len(VALUE))
    long = ("filler " * LONG) + VALUE + " tail" * LONG
    raw = json.dumps({"pin": items, "a": items, "ssn": long, "b": long, "ssn c": {"d": long}}).encode()
    expected = {
        "pin": [M] * len(items), "a": items, "ssn": long.replace(VALUE, M), "b": long, "ssn c": {"d": long},
    }  # fmt: skip
    for cuts in (range(0), range(0, len(raw), 1000), range(0, len(raw), 37)):
        assert json.loads(run(partial(JsonStage, PLAN), raw, cuts)[0]) == expected


def test_a_long_name_is_no_name() -> None:
    """One that is longer than a string that is kept asks for nothing, and what stood before it is over."""
    raw = json.dumps({"pin": 1, "x" * (LONG + 5): VALUE, "pin ": VALUE}).encode()
    every = [json.loads(run(partial(JsonStage, PLAN), raw, cuts)[0]) for cuts in (range(0), range(0, len(raw), 7))]
    assert every == [{"pin": 1, "x" * (LONG + 5): VALUE, "pin ": M}] * 2


_names = st.sampled_from(
    ["pin", "a", "ssn", "userSSN", "p\"i'n", "pin\n", "\u017f\u017fn", "ИНН x", "ssn\\", "key", "кey", 's"sn', 'a"ssn"']
)
_values = st.recursive(
    st.sampled_from([VALUE, f"a {VALUE}", f"ssn {VALUE}", "ssn", 5, None, True, "x" * 40, '"', "\\"]),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_names, inner, max_size=3)),
    max_leaves=10,
)


def _expected(value: object, named: bool = False) -> object:
    """The oracle, written down apart from the code: what the documentation says of names."""
    if isinstance(value, str):
        return value.replace(VALUE, M) if named or "ssn " in value else value
    if isinstance(value, list):
        return [_expected(item, named) for item in value]
    if isinstance(value, dict):
        return {
            name: ("[masked:key:key]" if item is not None and not isinstance(item, bool | int) else None)
            if name == "key"
            else _expected(item, bool(PLAN.detector.named(name)))
            for name, item in value.items()
        }
    return value


@given(_values, st.booleans(), st.data())
def test_any_document(value: object, ascii_only: bool, data: st.DataObject) -> None:
    """Names that are odd, names within names, and strings that look like names, at any cut."""
    raw = json.dumps(value, ensure_ascii=ascii_only).encode()
    out, counts = run(partial(JsonStage, KEYED), raw)
    assert json.loads(out) == _expected(value)
    cuts = data.draw(st.lists(st.integers(0, len(raw)), max_size=6))
    assert run(partial(JsonStage, KEYED), raw, cuts) == (out, counts)
    assert run(partial(JsonStage, KEYED), raw, range(1, len(raw))) == (out, counts)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("pin=1234-5678&a=1234-5678", "pin=%5Bmasked%3Acode%5D&a=1234-5678"),
        ("user%5Bssn%5D=no+1234%2d5678&x=1234-5678", "user%5Bssn%5D=no+%5Bmasked%3Acode%5D&x=1234-5678"),
        ("ssn=&a=1234-5678", "ssn=&a=1234-5678"),
        ("ssn&1234-5678", "ssn&1234-5678"),
        ("a=ssn&b=1234-5678", "a=ssn&b=1234-5678"),
        ("p.i.n=1234-5678&pins=1234-5678", "p.i.n=%5Bmasked%3Acode%5D&pins=1234-5678"),
        ("%D0%98%D0%9D%D0%9D=1234-5678", "%D0%98%D0%9D%D0%9D=%5Bmasked%3Acode%5D"),
    ],
)
def test_names_in_forms(raw: str, expected: str) -> None:
    """A field's name is context for its value, and for no other."""
    assert run(partial(FormStage, PLAN), raw.encode())[0].decode() == expected
    every_cut(partial(FormStage, PLAN), raw.encode())


def test_a_word_far_away_costs_a_slice_nothing() -> None:
    """A rule that needs context opens where a word is, and nowhere else."""
    detector = PLAN.detector
    assert detector.opens(f"\n{VALUE}".encode()) == []
    assert detector.opens(f"\nssn {VALUE}".encode()) == [0]
    for a, b in pairwise(range(4)):
        assert not detector.opens(b"ssn"[a:b])
