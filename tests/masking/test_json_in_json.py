"""Names are masked in JSON inside strings of JSON as well, and nothing else in it is touched."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.domain.json import JSON
from extproc.masking.plan import Plan
from extproc.masking.stage import MaskError
from extproc.masking.structure.jsonstage import INNER, STRINGS, JsonStage
from tests.masking.streams import KNOWLEDGE, run

PLAN = Plan(KNOWLEDGE.detector(frozenset()), frozenset({"card_number"}))
SECRET = "s3cr3t"
MASK = "[masked:key:card_number]"


def _make() -> JsonStage:
    return JsonStage(PLAN)


def _masked(text: str) -> str:
    return run(_make, text.encode())[0].decode()


_PLAIN = st.one_of(st.none(), st.integers(-9, 9), st.text(alphabet='aé"\\/{[\n', max_size=6))
_NESTED: st.SearchStrategy[JSON] = st.recursive(
    _PLAIN,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["a", "b", 'q"']), inner, max_size=3),
        st.builds(lambda value, ascii_only: json.dumps(value, ensure_ascii=ascii_only), inner, st.booleans()),
        st.builds(lambda value: {"card_number": SECRET, "a": value}, inner),
    ),
    max_leaves=6,
)


def _without(value: JSON) -> JSON:
    """What must come out, by parsing all of it."""
    if isinstance(value, dict):
        return {name: MASK if name == "card_number" else _without(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_without(item) for item in value]
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return json.dumps(_without(json.loads(value)))
        except ValueError:
            return value
    return value


def _parsed(value: JSON) -> JSON:
    """Documents in strings, as what they say."""
    if isinstance(value, dict):
        return {name: _parsed(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_parsed(item) for item in value]
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return ["a document", _parsed(json.loads(value))]
        except ValueError:
            return value
    return value


@given(_NESTED, st.data())
def test_no_masked_name_in_any_string(value: JSON, draw: st.DataObject) -> None:
    """Whatever is in whatever string, at every cut."""
    text = json.dumps(["x", value]).encode()
    try:
        out, _ = run(_make, text)
    except MaskError:
        return  # in too many strings: see below
    assert SECRET not in out.decode()
    assert _parsed(json.loads(out)) == _parsed(_without(json.loads(text)))
    cuts = draw.draw(st.lists(st.integers(0, len(text)), max_size=5))
    assert run(_make, text, cuts)[0] == out
    if SECRET.encode() not in text:
        assert out == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r'{"d": "{\"card_number\": \"s3cr3t\"}"}', r'{"d": "{\"card_number\": \"[masked:key:card_number]\"}"}'),
        (r'["\n[{\"a\":\"\u00e9\/\",\"card_number\":1}]"]', r'["\n[{\"a\":\"\u00e9\/\",\"card_number\":null}]"]'),
        (r'{"d": "{\"card_number\": no document}"}', r'{"d": "{\"card_number\": no document}"}'),
    ],
)  # fmt: skip
def test_what_is_not_masked_keeps_its_bytes(text: str, expected: str) -> None:
    """Escapes of the string as they were; what only begins like a document is text."""
    assert _masked(text) == expected


def test_long_ones_too_and_none_beyond_a_bound() -> None:
    """A document of several KiB in a string; one that is too long, or in too many strings, stops the message."""
    inner = json.dumps({"a": "x" * 9000, "card_number": SECRET})
    assert SECRET not in _masked(json.dumps({"d": inner, "e": 1}))
    with pytest.raises(MaskError):
        _masked(json.dumps({"d": "[" + "1," * INNER + "1]"}))
    text = json.dumps({"card_number": SECRET})
    for _ in range(STRINGS):
        text = json.dumps([text])
    assert SECRET not in _masked(text)
    with pytest.raises(MaskError):
        _masked(json.dumps([text]))
