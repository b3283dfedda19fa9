"""JSON as it streams by: what is masked, and that nothing else changes."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.masking.engine.scanner import scan
from extproc.masking.plan import Plan
from extproc.masking.stage import MaskError
from extproc.masking.structure.jsonstage import LONG, JsonStage
from extproc.masking.structure.jsontokens import DEPTH, SCALAR
from extproc.masking.text import mask_whole
from tests.masking.streams import KNOWLEDGE, PLAN, SECRETS, every_cut, pieces, planted, run

PINS = Plan(KNOWLEDGE.detector(), frozenset({"pin"}))


def _stage() -> JsonStage:
    return JsonStage(PINS)


CASES = [
    (b'{"a":"jane\\u0040example.com"}', b'{"a":"[masked:email]"}'),
    (b'{"a":"\\n4111 1111 1111 1111\\n\\u00e9"}', b'{"a":"\\n[masked:card]\\n\\u00e9"}'),
    (b'["\\\\u0040","\\\\","\\"",1.10,1e5,-0,12345678901234567890123]', None),
    (b'{"n":4111111111111111,"n":1.10,"n":4111111111111111.0}', b'{"n":null,"n":1.10,"n":null}'),
    (
        b'{"x":0.4111111111111111,"y":4.111111111111111E15,"z":-4111111111111111}',
        b'{"x":0.4111111111111111,"y":null,"z":null}',
    ),
    (
        b'{"PIN":"12","p\\u0069n" : 12,"pin":{"a":["b"]},"pin":true,"pin":null}',
        b'{"PIN":"[masked:key:pin]","p\\u0069n" : null,"pin":"[masked:key:pin]","pin":null,"pin":null}',
    ),
    (b'{"pin":[],"x":1}', b'{"pin":"[masked:key:pin]","x":1}'),
    (
        b'{"ssn":"123456789","Social-Security Number":123456789,"id":"123456789"}',
        b'{"ssn":"[masked:ssn]","Social-Security Number":null,"id":"123456789"}',
    ),
    (b'{"jane@example.com":{"pins":1}}', b'{"[masked:email]":{"pins":1}}'),
    (
        b'\xef\xbb\xbf{"a":1}\r\n{"a":"AKIAIOSFODNN7EXAMPLE"}\n[]\n',
        b'\xef\xbb\xbf{"a":1}\r\n{"a":"[masked:aws-key]"}\n[]\n',
    ),
    (b' "jane@example.com" 4111111111111111', b' "[masked:email]" null'),
    (b'{"a":"4111111111111111","a":"x","b":NaN}', b'{"a":"[masked:card]","a":"x","b":NaN}'),
    (b'["\\ud83d\\ude00 jane@example.com \\ud83d"]', b'["\\ud83d\\ude00 [masked:email] \\ud83d"]'),
    (b'{"k":"-----BEGIN PRIVATE KEY-----\\nMII\\n-----END PRIVATE KEY-----\\n"}', b'{"k":"[masked:private-key]\\n"}'),
    (b'[1,2,30,4]\n{"a":1,"b,:":20,"c":true}\n-5 6.25 7e-3 null', None),
    (
        b'[4.111111111111111E15,41111111111111110e-1,9e99999999999999999999,"4e15"]',
        b'[null,null,9e99999999999999999999,"4e15"]',
    ),
    (b'"\\u0041"4.111111111111111E15{}4111111111111111e0[]', b'"\\u0041"null{}null[]'),
    (b'[[ {"a" : [\n[{"b\\"[": {"c":[[]]} }] ]} ,[{}]]]{"a":{"b":{"c":{"d":{"e":{}}}}}}', None),
    (b'[[[[{"a":{"b":[["jane@example.com"]]}}]]]]', b'[[[[{"a":{"b":[["[masked:email]"]]}}]]]]'),
    (b"", None),
    (b" \n", None),
    (b"[]", None),
    (b"0", None),
]


@pytest.mark.parametrize(("raw", "expected"), CASES)
def test_cases_at_every_cut(raw: bytes, expected: bytes | None) -> None:
    """What is masked, byte for byte, however the document is cut (None: nothing is)."""
    assert run(_stage, raw)[0] == (raw if expected is None else expected)
    every_cut(_stage, raw)


MALFORMED = [
    b"{",
    b'{"a"}',
    b'{"a":}',
    b"[1,]",
    b'{"a":1,}',
    b'"abc',
    b"tru",
    b"[1 2]",
    b'{"a":"\x01"}',
    b'"\\x"',
    b'"\\u12"',
    b"01",
    b"+1",
    b"[}",
    b"]",
    b",",
    b'"\xff"',
    b'"\xc0\xb4111"',
    b"[" * (DEPTH + 1),
    b"[" * (DEPTH + 1) + b"]" * (DEPTH + 1),
    b'{"a":' * (DEPTH + 1) + b"1" + b"}" * (DEPTH + 1),
    b"[[[[[1]]]}]",
    b"[[[[[1]]]]]]",
    b'{"a":[{"b":[1]}}]',
    b"1" * (SCALAR + 2),
    b"1" * (SCALAR + 1) + b" ",
    b'[1, {"a": "b"}, ' + b"1" * 2000 + b", 2]",
    b'{"a": 1, "b": -0.' + b"1" * (SCALAR - 2) + b"}",
    b'["' + b"1" * 3000 + b'", [' + b"1" * (SCALAR + 1) + b"]]",
    b"{'a':1}",
    b'{"a" 1}',
    b"{1:2}",
    b"\xef\xbb",
    b"[1e]",
    b"[1,2x]",
    b'{"a":1,"b":2.}',
    b"[1,-]",
    b"[truefalse]",
    b"12-3",
    b"jane@example.com",
    b'["' + b"x" * 5000,
    b'["' + b"x" * 5000 + b'\n"]',
]


@pytest.mark.parametrize("raw", MALFORMED)
def test_malformed_documents_are_refused_at_any_cut(raw: bytes) -> None:
    """What is not JSON raises, and no message quotes it."""
    for cuts in (range(0), range(1, len(raw))):
        with pytest.raises(MaskError) as caught:
            run(_stage, raw, cuts)
        assert "jane" not in str(caught.value)


texts = st.one_of(pieces, st.text(max_size=20), planted)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    texts,
    st.sampled_from([4111111111111111, 219099998]),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5), st.dictionaries(st.one_of(texts, st.sampled_from(["ssn", "a"])), inner, max_size=5)
    ),
    max_leaves=20,
)


def _expected(value: Any, named: frozenset[int] = frozenset()) -> Any:
    """The oracle: the same by recursion over what the standard library reads. `named`: for which rules the name above
    is context; an array hands it on, an object has names of its own."""
    if isinstance(value, str):
        return mask_whole(PLAN, value, named)[0]
    if isinstance(value, dict):
        detector = PLAN.detector
        return [[mask_whole(PLAN, name)[0], _expected(item, detector.named(name))] for name, item in value.items()]
    if isinstance(value, list):
        return [_expected(item, named) for item in value]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and any(scan(PLAN.detector, form, named) for form in (repr(value), _whole(value))):
        return None
    return value


def _whole(value: float) -> str:
    exact = Decimal(repr(value))
    return str(int(exact)) if exact.is_finite() and exact == exact.to_integral_value() and abs(exact) < 10**40 else ""


def _ordered(raw: bytes) -> Any:
    return json.loads(raw, object_pairs_hook=lambda pairs: [list(pair) for pair in pairs])


@given(values, st.booleans(), st.data())
def test_the_output_is_the_input_masked(value: Any, ascii_only: bool, data: st.DataObject) -> None:
    """The output parses to the input with every value masked, and does not depend on cuts or on spelling."""
    indent = data.draw(st.sampled_from([None, 1]))
    raw = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode("utf-8", "replace")
    make = lambda: JsonStage(PLAN)  # noqa: E731 - short, and used three times
    out, counts = run(make, raw)
    expected = _expected(json.loads(raw))
    assert _ordered(out) == expected
    if not counts:
        assert out == raw
    cuts = data.draw(st.lists(st.integers(0, len(raw)), max_size=6))
    assert run(make, raw, cuts) == (out, counts)
    assert run(make, raw, range(1, len(raw))) == (out, counts)


@given(
    st.lists(st.sampled_from([*SECRETS.values(), "word ", "\n", '"', "\\", "é", "😀", "x" * 300]), max_size=40),
    st.data(),
)
def test_long_strings_are_masked_as_short_ones_are(parts: list[str], data: st.DataObject) -> None:
    """A string that is too long to keep comes out as if it had been kept."""
    text = ("filler " * (LONG // 7 + 1)) + " ".join(parts) + " tail " * 300
    raw = json.dumps({"a": text, "pin": text, text: 1, "z": "jane@example.com"}).encode()
    out, counts = run(_stage, raw, data.draw(st.lists(st.integers(0, len(raw)), max_size=8)))
    masked = mask_whole(PLAN, text)[0]
    assert json.loads(out) == {"a": masked, "pin": "[masked:key:pin]", masked: 1, "z": "[masked:email]"}
    assert run(_stage, raw, range(0, len(raw), 7)) == (out, counts)


def test_a_muted_container_of_any_size_is_one_mask() -> None:
    """Below a selected key nothing gets out, long strings included."""
    raw = json.dumps({"pin": {"a": ["x" * 9000, {"b": "jane@example.com"}] * 9}, "b": 1}).encode()
    assert run(_stage, raw, range(0, len(raw), 1000)) == (b'{"pin": "[masked:key:pin]", "b": 1}', {"key:pin": 1})


def test_clean_documents_keep_their_bytes() -> None:
    """Odd spacing, key order, duplicates and number forms are kept over many slices."""
    raw = b'{ "b" :\t[1.0, 1E2 ,{}, [ ], "\\/"] ,"b":"\\u00e9","a":{"c":{"d":[[[{"e":null}]]]}}}\n' * 400
    assert run(_stage, raw) == (raw, {})
    assert run(_stage, raw, range(0, len(raw), 11)) == (raw, {})


def test_keys_without_kinds() -> None:
    """A mask by key alone touches nothing else."""
    stage = JsonStage(Plan(KNOWLEDGE.detector(frozenset()), frozenset({"Straße"})))
    raw = b'{"STRASSE":"x","mail":"jane@example.com","ssn":"123456789"}'
    expected = '{"STRASSE":"[masked:key:straße]","mail":"jane@example.com","ssn":"123456789"}'
    assert (stage.feed(raw) + stage.finish()).decode() == expected


_NAMES = st.sampled_from(["ssn", "ssn 1", "phone", "password", "date of birth", "account", "token", "iban", "a", "é"])
_VALUES = st.sampled_from(
    ["219099998", "219-09-9998", "+49 30 1234567", "hunter2!x", "1990-01-02", "x", "", 219099998, 301234567, 7, True]
)
_MEMBERS = st.recursive(
    _VALUES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_NAMES, inner, max_size=4), max_leaves=40
)


@given(st.lists(st.dictionaries(_NAMES, _MEMBERS, max_size=6), max_size=6), st.integers(1, 300))
def test_names_are_context_wherever_they_stand(documents: list[dict[str, Any]], step: int) -> None:
    """For their value, for each item of a list, and for nothing else; whatever comes with them in a slice."""

    def masked(value: Any, name: str = "") -> Any:
        if isinstance(value, dict):
            return {mask_whole(PLAN, name)[0]: masked(item, name) for name, item in value.items()}
        if isinstance(value, list):
            return [masked(item, name) for item in value]
        named = PLAN.detector.named(name)
        if isinstance(value, str):
            return mask_whole(PLAN, value, named)[0]
        return None if scan(PLAN.detector, json.dumps(value), named) else value

    expected = [masked(document) for document in documents]
    for separators in ((",", ":"), (" , ", " :\n")):
        raw = json.dumps(documents, separators=separators).encode()
        out, counts = run(lambda: JsonStage(PLAN), raw)
        assert json.loads(out) == expected
        assert run(lambda: JsonStage(PLAN), raw, range(step, len(raw), step)) == (out, counts)
