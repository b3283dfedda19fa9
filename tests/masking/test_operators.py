"""What stands in a value's place: each operator, in each structure, at every cut."""

import json
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.domain.json import JSON
from extproc.domain.mask import Mask, Operator
from extproc.masking.build import build, mask_value
from extproc.masking.operators import cover
from extproc.masking.plan import Knowledge, Plan
from extproc.masking.stage import MaskError, Stage
from extproc.masking.structure.dropping import DropStage
from extproc.masking.structure.form import FormStage
from extproc.masking.structure.jsonstage import LONG, JsonStage
from extproc.masking.text import TextStage
from tests.masking.streams import every_cut, made, run

KEY = b"k" * 32
ENGINE = made(
    "kind: code, pattern: '\\d{4}[ -]?\\d{4}'",
    "kind: note, pattern: 'note-[a-z]+'",
)
KNOWLEDGE = Knowledge(ENGINE, hash_key=KEY)


def _plan(operator: Operator) -> Plan:
    operators = dict.fromkeys(("code", "note", "key:key"), operator)
    return Plan(ENGINE.detector(), frozenset({"key"}), operators, KEY)


def _hashed(kind: str, value: str) -> str:
    made_ = cover(Operator.HASH, kind, KEY)
    return (made_.feed(value.encode()) + made_.end()).decode()


COVERS = [
    (Operator.REDACT, "1234-5678", "[masked:code]"),
    (Operator.NULL, "1234-5678", "[masked:code]"),
    (Operator.DROP, "1234-5678", "[masked:code]"),
    (Operator.LENGTH, "1234-5678", "*********"),
    (Operator.LENGTH, "é", "**"),
    (Operator.LENGTH, "", ""),
    (Operator.PARTIAL, "1234-5678", "****-5678"),
    (Operator.PARTIAL, "1234 5678.", "**** 5678."),
    (Operator.PARTIAL, "1234567", "*******"),
    (Operator.PARTIAL, "12-34-56-7", "**-**-**-*"),
    (Operator.PARTIAL, "12345678", "****5678"),
    (Operator.PARTIAL, "jane@example.com", "************.***"[:11] + "e.com"),
    (Operator.PARTIAL, 'abcd"e\\f<g>h,', "*****e*f*g*h*"),
    (Operator.PARTIAL, "-" * 300 + "12345678", "-" * 300 + "****5678"),
    (Operator.PARTIAL, "12345678" + "." * 600, "*" * 8 + "." * 600),
    (Operator.PARTIAL, "", ""),
]  # fmt: skip


@pytest.mark.parametrize(("operator", "value", "expected"), COVERS)
def test_covers(operator: Operator, value: str, expected: str) -> None:
    """What stands for a value, however its bytes come."""
    data = value.encode()
    for cut in range(len(data) + 1):
        one = cover(operator, "code", KEY)
        assert (one.feed(data[:cut]) + one.feed(data[cut:]) + one.end()).decode() == expected
    one = cover(operator, "code", KEY)
    assert (b"".join(one.feed(bytes((byte,))) for byte in data) + one.end()).decode() == expected


@pytest.mark.parametrize("operator", list(Operator))
@given(st.lists(st.binary(max_size=40), max_size=6))
def test_a_cover_is_one_whatever_the_pieces(operator: Operator, pieces: list[bytes]) -> None:
    """Pieces make no difference; what comes out fits wherever a value stood."""
    one, other = cover(operator, "code", KEY), cover(operator, "code", KEY)
    out = b"".join(map(one.feed, pieces)) + one.end()
    assert other.feed(b"".join(pieces)) + other.end() == out
    assert not set(out) & set(b'"\\,<>&=\n\r')
    assert out.isascii()


def test_a_cover_of_any_length_keeps_little() -> None:
    """Of a value of a megabyte the last few bytes are kept, also where they are dashes."""
    for piece in (b"a" * 1000, b"-" * 1000, b"\xff" * 1000):
        one = cover(Operator.PARTIAL, "code", KEY)
        one.feed(b"12345678")
        given_ = sum(len(one.feed(piece)) for _ in range(1000))
        assert 1_000_000 - given_ <= 300


def test_a_hash_is_that_of_the_value() -> None:
    """The same for the same value whatever its blanks and dashes; another for another value or key."""
    assert _hashed("code", "1234-5678") == _hashed("code", "1234 5678") == _hashed("code", "12345678")
    assert len({_hashed("code", "12345678"), _hashed("code", "12345679")}) == 2
    other = cover(Operator.HASH, "code", b"x" * 32)
    other.feed(b"12345678")
    assert other.end().decode() != _hashed("code", "12345678")
    assert _hashed("code", "1").startswith("[masked:code:")
    assert len(_hashed("code", "1")) == len("[masked:code:]") + 16


LONG_NOTE = "note-" + "ab" * LONG
C = "1234-5678"


def _text(operator: Operator, value: str = C) -> str:
    kind = "note" if value.startswith("note") else "code"
    out = cover(operator, kind, KEY)
    return (out.feed(value.encode()) + out.end()).decode()


@pytest.mark.parametrize("operator", list(Operator))
def test_in_text(operator: Operator) -> None:
    """In text a value is always covered by something; values side by side are covered each."""
    raw = f"a {C}, {C};x {LONG_NOTE[:300]} key: a b"
    expected = f"a {_text(operator)}, {_text(operator)};x {_text(operator, LONG_NOTE[:300])} key: "
    covered = cover(operator, "key:key", KEY)
    expected += (covered.feed(b"a") + covered.end()).decode() + " b"
    make = partial(TextStage, _plan(operator).in_text())
    assert run(make, raw.encode()) == (expected.encode(), {"code": 2, "note": 1, "key:key": 1})
    every_cut(make, raw.encode())


def _whole(operator: Operator, text: str) -> JSON:
    return None if operator is Operator.NULL else text


@pytest.mark.parametrize("operator", [operator for operator in Operator if operator is not Operator.DROP])
def test_in_json(operator: Operator) -> None:
    """Whole values may become null; of a part, the part is covered; numbers, words and containers have no text."""
    document = {
        "whole": C, "part": f"a {C}", "two": f"{C} {C}", "number": 12345678, "items": [C, 1],
        "key": C, "Key": {"a": [1]}, "KEY": 5, "kEy": True, C: 1, "long": LONG_NOTE, "last": f"x {LONG_NOTE}",
        "keY": "xyz\u00e9\U0001f600 " * LONG, "z": None, "keys": 1,
    }  # fmt: skip
    covered = cover(operator, "key:key", KEY)
    long_key = (covered.feed(str(document["keY"]).encode()) + covered.end()).decode()
    covered = cover(operator, "key:key", KEY)
    short_key = (covered.feed(C.encode()) + covered.end()).decode()
    expected = {
        "whole": _whole(operator, _text(operator)), "part": f"a {_text(operator)}",
        "two": f"{_text(operator)} {_text(operator)}", "number": None, "items": [_whole(operator, _text(operator)), 1],
        "key": _whole(operator, short_key), "Key": _whole(operator, "[masked:key:key]"), "KEY": None, "kEy": None,
        _text(operator): 1, "long": _text(operator, LONG_NOTE), "last": f"x {_text(operator, LONG_NOTE)}",
        "keY": _whole(operator, long_key), "z": None, "keys": 1,
    }  # fmt: skip
    make = partial(JsonStage, _plan(operator))
    for ascii_only in (True, False):
        raw = json.dumps(document, ensure_ascii=ascii_only).encode()
        out, counts = run(make, raw)
        assert json.loads(out) == expected
        assert counts == {"code": 7, "note": 2, "key:key": 5}
        for step in (1, 7, 1000):
            assert run(make, raw, range(step, len(raw), step)) == (out, counts)
    short = json.dumps({name: value for name, value in document.items() if len(str(value)) < 100}).encode()
    every_cut(make, short)


def test_dropping_in_json() -> None:
    """Whole values go with their names, numbers and containers too; of a part, the part is covered."""
    document = {
        "whole": C, "part": f"a {C}", "number": 12345678, "items": [C, 1, C, 12345678], "key": {"a": [1]},
        C: 1, "KEY": "x" * 5000, "in": {"key": 1, "a": {"key": True, "b": [C]}}, "none": [C],
    }  # fmt: skip
    expected = {"part": "a [masked:code]", "items": [1], "[masked:code]": 1, "in": {"a": {"b": []}}, "none": []}

    def make() -> Stage:
        return DropStage(JsonStage(_plan(Operator.DROP)))

    raw = json.dumps(document).encode()
    out, counts = run(make, raw)
    assert (json.loads(out), counts) == (expected, {"code": 9, "key:key": 4})
    for step in (1, 7, 1000):
        assert run(make, raw, range(step, len(raw), step)) == (out, counts)


@pytest.mark.parametrize("operator", list(Operator))
def test_in_forms(operator: Operator) -> None:
    """A field is left empty, left out, or what stands for the value is encoded."""
    whole = {Operator.NULL: "a=", Operator.DROP: None}.get(operator, f"a={_spelt(_text(operator))}")
    covered = cover(operator, "key:key", KEY)
    key = _spelt((covered.feed(b"x 1") + covered.end()).decode())
    keyed = {Operator.NULL: "key=", Operator.DROP: None}.get(operator, f"key={key}")
    part = f"b=no+{_spelt(_text(operator))}"
    raw = f"a={C}&{part.partition('+')[0]}+{C}&key=x+1&c=1&x".encode()
    expected = "&".join(pair for pair in (whole, part, keyed, "c=1", "x") if pair is not None)
    make = partial(FormStage, _plan(operator))
    assert run(make, raw) == (expected.encode(), {"code": 2, "key:key": 1})
    every_cut(make, raw)


def _spelt(text: str) -> str:
    return (
        text.replace("[", "%5B").replace("]", "%5D").replace(":", "%3A").replace("*", "%2A").replace(" ", "+")
    )  # fmt: skip


def _mask(operator: Operator, *kinds: str, keys: tuple[str, ...] = (), excepted: tuple[str, ...] = ()) -> Mask:
    return Mask("p", kinds, keys, operator, excepted=excepted)


@pytest.mark.parametrize(
    ("masks", "expected"),
    [
        ([_mask(Operator.PARTIAL, "code")], "****-5678 note-a"),
        ([_mask(Operator.PARTIAL, "code"), _mask(Operator.HASH, "code")], f"{_hashed('code', C)} note-a"),
        ([_mask(Operator.HASH, "code"), _mask(Operator.LENGTH, "*")], "********* ******"),
        ([_mask(Operator.LENGTH, "*"), _mask(Operator.REDACT, "code")], "[masked:code] ******"),
        ([_mask(Operator.PARTIAL, "secret", excepted=("note",))], "****-5678 note-a"),
        ([_mask(Operator.PARTIAL, "pii")], f"{C} note-a"),
        ([_mask(Operator.PARTIAL, keys=("x",))], f"{C} note-a"),
    ],
)
def test_the_strictest_wins(masks: list[Mask], expected: str) -> None:
    """Where several masks want a kind: drop, null, redact, length, hash, partial. What one excepts is for others."""
    assert mask_value(masks, "request", f"{C} note-a", KNOWLEDGE)[0] == expected
    assert mask_value(list(reversed(masks)), "request", f"{C} note-a", KNOWLEDGE)[0] == expected


def test_a_hash_without_a_key_is_refused() -> None:
    """It would be no secret."""
    with pytest.raises(MaskError, match="no key"):
        build((_mask(Operator.HASH, "code"),), "request", "text/plain", Knowledge(ENGINE))


@pytest.mark.parametrize(
    ("operator", "content_type", "raw", "expected"),
    [
        (Operator.DROP, "application/json", '{"a":"1234-5678","b":1}', '{"b":1}'),
        (Operator.DROP, "", '{"a":"1234-5678","b":1}', '{"b":1}'),
        (Operator.DROP, "text/html", "1234-5678", "[masked:code]"),
        (Operator.NULL, "application/json", '["1234-5678"]', "[null]"),
        (Operator.PARTIAL, "application/json", '["1234-5678"]', '["****-5678"]'),
        (Operator.PARTIAL, "image/png", "1234-5678", "*********"),
        (Operator.HASH, "application/octet-stream", "x 1234-5678", "x *********"),
    ],
)
def test_built(operator: Operator, content_type: str, raw: str, expected: str) -> None:
    """Each operator comes to the stage that a content type has; binary formats keep their length."""
    stage = build((_mask(operator, "*"),), "response", content_type, KNOWLEDGE)
    assert stage is not None
    assert (stage.feed(raw.encode()) + stage.finish()).decode() == expected
