"""JSON that is broken somewhere, where policy has the rest of it masked as text: wherever that is."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.domain.mask import Mask, Operator
from extproc.masking.build import build
from extproc.masking.plan import Knowledge, Plan
from extproc.masking.stage import MaskError
from extproc.masking.structure.jsonstage import LONG, SLICE, JsonStage
from extproc.masking.structure.lenient import LenientStage
from extproc.masking.text import TextStage
from tests.masking.streams import Result, every_cut, made, run

ENGINE = made(
    "kind: code, pattern: 'c-\\d{4}'",
    "kind: key-block, pattern: '-----BEGIN PRIVATE KEY-----', tail: pem, before: ''",
)
PLAN = Plan(ENGINE.detector(), frozenset({"pin"}), lenient=True)
JSON = '{"a": "c-1234", "n": [1, true, {"b\\u00e9": "x c-1234 \\u0063-1234"}], "pin": "s-s", "c-1234": null, "z": "é"}'


def _lenient() -> LenientStage:
    return LenientStage(PLAN)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("", ""),
        ("not JSON c-1234", "not JSON [masked:code]"),
        ('{"a": c-1234}', '{"a": [masked:code]}'),
        ('{"a": "c-1234"', '{"a": "[masked:code]"'),
        ('{"a": "c-1234', '{"a": "[masked:code]'),
        ('{"a" "c-1234"}', '{"a" "[masked:code]"}'),
        ("[1,]c-1234", "[1,][masked:code]"),
        ("{'pin': 'xyz'}", "{'pin': '[masked:key:pin]'}"),
        ('{"pin": "xyz"} pin=xyz', '{"pin": "[masked:key:pin]"} pin=[masked:key:pin]'),
        ('{"pin": ["xyz"]} trailing c-1234', '{"pin": "[masked:key:pin]"} trailing [masked:code]'),
        ('["\\u0063-1234", oops', '["[masked:code]", oops'),
        ('["\\x c-1234"]', '["\\x [masked:code]"]'),
        ("[01]c-1234", "[01][masked:code]"),
        ("\ufeff[c-1234]", "\ufeff[[masked:code]]"),
    ],
)
def test_from_where_it_is_malformed_it_is_text(raw: str, expected: str) -> None:
    """What stands before is masked as JSON, what stands from there on as text; at every cut."""
    assert run(_lenient, raw.encode())[0].decode() == expected
    every_cut(_lenient, raw.encode())


def _outcome(data: bytes, cuts: range = range(0)) -> Result | str:
    """What comes out, or why nothing more does."""
    try:
        return run(_lenient, data, cuts)
    except MaskError as error:
        return str(error)


@pytest.mark.parametrize("broken", ['"', "\\", "}", "]", "x", ",", "\x01", ":", "\xff", "-----BEGIN PRIVATE KEY-----"])
def test_broken_at_every_place(broken: str) -> None:
    """However a document is broken, no value of it gets out, cuts make no difference, and only near a value that is
    masked whole does the stream stop."""
    for at in range(len(JSON)):
        data = JSON[:at].encode() + broken.encode("latin-1") + JSON[at:].encode()
        whole = _outcome(data)
        assert _outcome(data, range(1, len(data))) == whole, (at, data)
        assert _outcome(data, range(3, len(data), 5)) == whole, (at, data)
        if isinstance(whole, str):
            assert b'"pin"' in data[: at + 8] or broken.startswith("---"), (at, data, whole)
            continue
        left = whole[0].replace(b"\\u0063-1234", b"")  # which text spells in another way
        assert b"c-1234" not in left or "c-" in JSON[max(0, at - 6) : at + 6], (at, data, whole)
        assert b"s-s" not in left or 0 < at - JSON.index('"pin"') < 12, (at, data, whole)


def test_broken_off_at_every_place() -> None:
    """A document that ends early is masked as far as it goes; where the value of a masked name is due, it stops."""
    name = JSON.index('"pin"')
    for end in range(len(JSON)):
        data = JSON[:end].encode()
        whole = _outcome(data)
        assert _outcome(data, range(1, len(data))) == whole, data
        if isinstance(whole, str):
            assert name < end < name + len('"pin": "s-s"'), data
        else:
            assert b"s-s" not in whole[0], data
            assert b"c-1234" not in whole[0].replace(b"\\u0063-1234", b""), data


def test_documents_that_are_sound_are_as_without() -> None:
    """Leniency changes nothing where nothing is malformed."""
    raw = json.dumps({"a": ["c-1234", "long " * LONG + "c-1234"], "pin": {"x": "y" * SLICE}, "é": 1e5}).encode() * 3
    for cuts in (range(0), range(0, len(raw), 1000)):
        assert run(_lenient, raw, cuts) == run(lambda: JsonStage(PLAN), raw)


LONG_STRING = b'["' + b"word c-1234 " * 200
LONG_MASKED = b'["' + b"word [masked:code] " * 200


@pytest.mark.parametrize(
    ("behind", "expected"),
    [
        (b"\n c-1234", b"\n [masked:code]"),
        (b"\\x c-1234", b"\\x [masked:code]"),
        (b"c-12", b"c-12"),
        (b"c-1234", b"[masked:code]"),
        (b"\\u00", b"\\u00"),
        (b"\\ud83d", b"\\ud83d"),
        (b"\xff c-1234", b"\xff [masked:code]"),
    ],
)
def test_inside_a_long_string(behind: bytes, expected: bytes) -> None:
    """What was held of it is looked at again as text."""
    raw = LONG_STRING + behind
    assert run(_lenient, raw)[0] == LONG_MASKED + expected
    for step in (1, 7, 501):
        assert run(_lenient, raw, range(0, len(raw), step)) == run(_lenient, raw)


@pytest.mark.parametrize(
    "raw", [b'[1 "' + b"c-1234 " * LONG, b'{"a" "' + b"c-1234 " * LONG, b'["a""' + b"c-1234 " * LONG]
)
def test_a_long_string_where_none_may_stand(raw: bytes) -> None:
    """It is text from its quote on, whole as in pieces."""
    assert b"1234" not in run(_lenient, raw)[0]
    for step in (1, 7, 501):
        assert run(_lenient, raw, range(0, len(raw), step)) == run(_lenient, raw)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"pin": {"a": "secret" oops secret',
        b'{"pin": ["secret", "sec\nret"]}',
        b'{"pin": "' + b"secret" * 400 + b"\n secret",
        b'{"pin": secret}',
        b'["' + b"x" * 2 * LONG + b"-----BEGIN PRIVATE KEY-----MIIB\n secret",
    ],
)
def test_inside_a_value_that_is_masked_it_stops(raw: bytes) -> None:
    """Nobody could say where that value ends; nothing of it gets out, wherever the body was cut."""
    for cuts in (range(0), range(1, len(raw)), range(9, len(raw), 10)):
        out: list[bytes] = []
        with pytest.raises(MaskError):
            _feed(raw, cuts, out)
        assert b"secret" not in b"".join(out)
        assert b"MIIB" not in b"".join(out)


def _feed(raw: bytes, cuts: range, out: list[bytes]) -> None:
    stage, at = _lenient(), 0
    for cut in [*cuts, len(raw)]:
        out.append(stage.feed(raw[at:cut]))
        at = cut
    out.append(stage.finish())


@given(st.text(max_size=30), st.data())
def test_text_that_is_no_json_is_masked_as_text(text: str, data: st.DataObject) -> None:
    """What never was JSON comes out as a stage for text would give it."""
    raw = ("%" + text + " c-1234 " + text).encode()
    cuts = data.draw(st.lists(st.integers(0, len(raw)), max_size=5))
    assert run(_lenient, raw, cuts) == run(lambda: TextStage(PLAN.in_text()), raw)


def test_policy_chooses() -> None:
    """Lenient only where every mask that applies says so."""
    known = Knowledge(ENGINE)
    strict = Mask("p", ("code",), (), Operator.REDACT)
    lenient = Mask("q", ("key-block",), (), Operator.REDACT, lenient=True)
    for masks, passes in (([lenient], True), ([strict], False), ([strict, lenient], False)):
        stage = build(masks, "response", "application/json", known)
        assert stage is not None
        if passes:
            assert stage.feed(b"oops") + stage.finish() == b"oops"
        else:
            with pytest.raises(MaskError):
                stage.feed(b"oops ")
