"""Members that are left out: the rest is the document as it was."""

import json
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.domain.mask import Operator
from extproc.masking.plan import Plan
from extproc.masking.stage import MaskError
from extproc.masking.structure.dropping import HELD, DropStage
from extproc.masking.structure.jsonstage import DROPPED, LONG, JsonStage
from extproc.masking.structure.lenient import LenientStage
from tests.masking.streams import every_cut, made, run

ENGINE = made("kind: code, pattern: 'c-\\d{4}'")
KEYS = frozenset({"d", "drop me", "ü"})
PLAN = Plan(ENGINE.detector(), KEYS, dict.fromkeys(["code", *(f"key:{key}" for key in KEYS)], Operator.DROP))


def _stage() -> DropStage:
    return DropStage(JsonStage(PLAN))


CASES = [
    ('{"d":1}', "{}"),
    ('{"d":1,"a":2}', '{"a":2}'),
    ('{"a":2,"d":1}', '{"a":2}'),
    ('{"a":1,"d":1,"b":2}', '{"a":1,"b":2}'),
    ('{"d":1,"d":2,"D":3}', "{}"),
    ('{"d":1,"d":2,"a":3,"d":4,"d":5}', '{"a":3}'),
    ('{ "d" : 1 , "a" : 2 }', '{  "a" : 2 }'),
    ('{ "a" : 2 , "d" : 1 }', '{ "a" : 2 }'),
    ('{\n  "a": 1,\n  "d": [\n    1\n  ],\n  "b": 2\n}\n', '{\n  "a": 1,\n  "b": 2\n}\n'),
    ('{"d":{"a":[1,{"b":2}]},"a":{"d":1}}', '{"a":{}}'),
    ('{"d":null,"a":1}', '{"d":null,"a":1}'),
    ('{"d":true,"d":false,"d":"x","d":[],"d":{}}', "{}"),
    ('["c-1234"]', "[]"),
    ('["c-1234","c-1234"]', "[]"),
    ('["c-1234",1,"c-1234",2,"c-1234"]', "[1,2]"),
    ('[1,"c-1234"]', "[1]"),
    ('[ "c-1234" , 1 , "a c-1234" ]', '[  1 , "a [masked:code]" ]'),
    ('[[["c-1234"],"c-1234"],"c-1234",[]]', "[[[]],[]]"),
    ('"c-1234"', "null"),
    ('"c-1234"\n{"d":1}\n[2]\n"c-1234" 5', "null\n{}\n[2]\nnull 5"),
    ('{"c-1234":1}', '{"[masked:code]":1}'),
    ('{"c-1234":1,"d":1}', '{"[masked:code]":1}'),
    ('\ufeff{"d":1,"a":"\\u00e9"}', '\ufeff{"a":"\\u00e9"}'),
    ('{"\\u0064":1,"Drop Me":{"x":1},"\\u00dc":1,"a":",","b":"}"}', '{"a":",","b":"}"}'),
    ('{"d":1,"a,b":2}', '{"a,b":2}'),
    ('{"a":{"d":1,",":{",":3}}}', '{"a":{",":{",":3}}}'),
    (f'{{"a":{DROPPED.decode()},"b":1}}', '{"b":1}'),
    (f'{{{DROPPED.decode()}:2}}', f'{{{DROPPED.decode()}:2}}'),
    ("", ""),
    (" \n", " \n"),
    ("{}", "{}"),
    ("[ ]\n[\t]", "[ ]\n[\t]"),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "expected"), CASES)
def test_commas_and_blanks(raw: str, expected: str) -> None:
    """What goes takes its name, the blanks before that and one comma along; at every cut."""
    assert run(_stage, raw.encode())[0].decode() == expected
    every_cut(_stage, raw.encode())


_names = st.sampled_from(["a", "b", "d", "D", "drop me", "é", 'x"y', "a,b", ",", "\\", "c-1234", "ü", ""])
_values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(),
        st.sampled_from(["x", ",", "c-1234", "a c-1234", "[masked", "{", '\\"', "long " * 300]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.lists(st.tuples(_names, inner), max_size=4).map(tuple)),
    max_leaves=12,
)  # fmt: skip
"""Documents; objects are tuples of pairs, so that names may occur twice."""


def _dumped(value: Any, ascii_only: bool, blank: str) -> str:
    if isinstance(value, tuple):
        pairs = (
            f"{blank}{json.dumps(name, ensure_ascii=ascii_only)}:{blank}{_dumped(item, ascii_only, blank)}"
            for name, item in value
        )
        return "{" + ",".join(pairs) + blank + "}"
    if isinstance(value, list):
        return "[" + ",".join(blank + _dumped(item, ascii_only, blank) for item in value) + blank + "]"
    return json.dumps(value, ensure_ascii=ascii_only)


_GONE = object()


def _kept(value: Any, top: bool = False) -> Any:
    if isinstance(value, tuple):
        pairs = (
            (name.replace("c-1234", "[masked:code]"), _kept(item))
            for name, item in value
            if item is None or name.lower() not in KEYS
        )
        return [list(pair) for pair in pairs if pair[1] is not _GONE]
    if isinstance(value, list):
        return [item for item in map(_kept, value) if item is not _GONE]
    if value == "c-1234":
        return None if top else _GONE
    return value.replace("c-1234", "[masked:code]") if isinstance(value, str) else value


@given(st.lists(_values, min_size=1, max_size=3), st.booleans(), st.sampled_from(["", " ", "\n  "]), st.data())
def test_any_document(values: list[Any], ascii_only: bool, blank: str, data: st.DataObject) -> None:
    """The output parses, and is the input without its dropped members; where none is, it is the input to the byte."""
    raw = "\n".join(_dumped(value, ascii_only, blank) for value in values).encode()
    out, counts = run(_stage, raw)
    decoder = json.JSONDecoder(object_pairs_hook=lambda pairs: [list(pair) for pair in pairs])
    text, at, found = out.decode(), 0, []
    for _ in values:
        value, at = decoder.raw_decode(text, at + len(text[at:]) - len(text[at:].lstrip()))
        found.append(value)
    assert not text[at:].strip()
    assert found == [_kept(value, top=True) for value in values]
    if not counts:
        assert out == raw
    cuts = data.draw(st.lists(st.integers(0, len(raw)), max_size=6))
    assert run(_stage, raw, cuts) == (out, counts)
    assert run(_stage, raw, range(0, len(raw), 3)) == (out, counts)


def test_what_is_dropped_may_be_of_any_size() -> None:
    """Long strings, long names and large containers, of which little is kept."""
    document = {"a": "x" * 9000, "d": "x" * 9000, "n" * 3 * LONG: 1, "D": {"x": ["y" * 9000] * 9}, "b": ["z" * 5000]}
    raw = json.dumps(document).encode()
    for step in (1000, 77):
        out, counts = run(_stage, raw, range(0, len(raw), step))
        assert json.loads(out) == {name: value for name, value in document.items() if name not in ("d", "D")}
        assert counts == {"key:d": 2}


def test_a_name_that_waits_is_bounded() -> None:
    """It goes on with its value only; one without an end is refused."""
    stage = _stage()
    assert stage.feed(b'{"a":1,"' + b"x" * (HELD - 9)) == b'{"a":1'
    with pytest.raises(MaskError, match="name of more than"):
        stage.feed(b"x" * 99)


@pytest.mark.parametrize("raw", [b"{", b'{"d":1', b'{"d":1,}', b'{"d" 1}', b"[1,]", b'["c-1234",]', b"]", b'"\\x"'])
def test_malformed_documents_are_refused(raw: bytes) -> None:
    """As without dropping."""
    for cuts in (range(0), range(1, len(raw))):
        with pytest.raises(MaskError):
            run(_stage, raw, cuts)


@pytest.mark.parametrize("raw", ['{"a":2,"d":1', '{"d":', '{"d":[1', '{"d":"x'])
def test_a_dropped_value_that_breaks_off_stops(raw: str) -> None:
    """Nobody could say where it ends."""
    with pytest.raises(MaskError):
        run(partial(lambda: DropStage(LenientStage(PLAN), lenient=True)), raw.encode())


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ('{"d":1,"a":2', '{"a":2'),
        ('{"a":2,"b"', '{"a":2,"b"'),
        ('{"a":2,"b" :', '{"a":2,"b" :'),
        ('{"a":2,', '{"a":2,'),
        ('{"d":1 oops c-1234', "{ oops [masked:code]"),
        ('{"a":1,oops', '{"a":1,oops'),
        ('["c-1234" c-1234]', "[ [masked:code]]"),
        ("oops c-1234", "oops [masked:code]"),
        ('{"a":"c-1234","b":"x', '{,"b":"x'),
        ('{"a":"c-1234"}x', "{}x"),
    ],
)
def test_where_malformed_is_masked_as_text(raw: str, expected: str) -> None:
    """What was dropped before stays so; nothing that is no JSON is lost; at every cut."""
    make = partial(lambda: DropStage(LenientStage(PLAN), lenient=True))
    assert run(make, raw.encode())[0].decode() == expected
    every_cut(make, raw.encode())
