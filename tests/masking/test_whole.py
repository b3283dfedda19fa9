"""Whole texts and documents: the quick ways give what the streaming ones would."""

from itertools import pairwise
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.app.redaction import redact_record
from extproc.domain.json import JSON
from extproc.domain.mask import Mask, Operator
from extproc.masking.bounded import open_kinds
from extproc.masking.build import build, found_in, mask_value
from extproc.masking.engine.scanner import SLICE, START
from extproc.masking.plan import Plan
from extproc.masking.redact import redact, redact_json
from extproc.masking.rules.model import Family
from extproc.masking.stage import MaskError
from extproc.masking.text import TextStage
from tests.masking.streams import KNOWLEDGE, PLAN, SECRETS, pieces, planted, run

_FAMILIES = KNOWLEDGE.engine.families.items()
RECORDED = Plan(KNOWLEDGE.detector(frozenset(kind for kind, family in _FAMILIES if family is not Family.NETWORK)))

texts = st.one_of(pieces, planted, st.text(max_size=20))
names = st.one_of(
    texts, st.sampled_from(["a", "ssn", "Token", "to\u212aen", "P-I-N", "max_tokens", "Social Security No"])
)
documents = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), texts,
        st.sampled_from([4111111111111111, 4111111111111111.0, 4222222222222, 219099998, "219099998", 10**19]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(names, inner, max_size=4)),
    max_leaves=15,
)  # fmt: skip


def _mask(by: str, what: str, *lanes: str) -> Mask:
    kinds, keys = ((what,), ()) if by == "kind" else ((), (what,))
    return Mask("p", kinds, keys, Operator.REDACT, lanes or ("request", "response"))


@given(documents)
def test_a_look_at_all_texts_at_once_finds_what_a_look_at_each_does(document: Any) -> None:
    """Redaction is the same by the quick look as by the walk, which a tuple makes it take."""
    walked, counts = redact_json((document,), KNOWLEDGE)
    (walked,) = cast(list[Any], walked)
    assert redact_json(document, KNOWLEDGE) == (walked, counts)
    assert redact_json(document, KNOWLEDGE) == (walked, counts), "names that were seen before are judged alike"


@given(
    st.lists(st.sampled_from(["4111 1111", "1111 1111", "AKIA", "IOSFODNN7EXAMPLE", "jane@", "example.com", "Bearer"]))
)
def test_texts_side_by_side_are_not_one(parts: list[str]) -> None:
    """Halves of values in neighbouring strings, or in a name and its value, make none."""
    halves: dict[str, Any] = {"all": parts, **dict(pairwise(parts))}
    assert redact_json(halves, KNOWLEDGE) == (halves, {})


def test_a_clean_document_comes_back_itself() -> None:
    """Nothing is copied where nothing is masked."""
    document: JSON = {"a": ["b", 1, None, {"c": "d"}]}
    assert redact_json(document, KNOWLEDGE)[0] is document


def test_more_names_than_are_kept() -> None:
    """Names without end are judged as the first ones were."""
    for number in range(9000):
        assert redact_json({f"name-{number}": 1}, KNOWLEDGE) == ({f"name-{number}": 1}, {})
    assert redact_json({"token": "x", "n" * 300: "jane@example.com"}, KNOWLEDGE) == (
        {"token": "[masked:key:token]", "n" * 300: "[masked:email]"},
        {"key:token": 1, "email": 1},
    )


def test_more_texts_than_are_kept() -> None:
    """Texts without end are judged as the first ones were, also under a name that is context for them."""
    for number in range(9000):
        document: JSON = {"a": f"text {number}", "address": f"street {number}", "ssn": [number % 7, f"n{number}"]}
        assert redact_json(document, KNOWLEDGE) == (document, {})
    for document in ({"a": "jane@example.com"}, {"ssn": ["219-09-9998"]}, {"ssn": 219099998}):
        (masked, counts) = redact_json(cast(JSON, document), KNOWLEDGE)
        assert masked != document
        assert sum(counts.values()) == 1


@given(documents, st.dictionaries(st.sampled_from(["token", "summary", "principal", "approvers"]), documents))
def test_a_record_names_who_acted_and_nothing_else(party: Any, body: dict[str, Any]) -> None:
    """Members of a record are redacted each for itself; parties are kept."""
    record = {**body, "principal": party}
    expected: dict[str, Any] = {}
    for name, value in record.items():
        redacted = cast(dict[str, Any], redact_json({name: value}, KNOWLEDGE)[0])
        expected[name] = value if name in ("principal", "approvers") else redacted[name]
    assert redact_record(record, KNOWLEDGE) == expected


@given(texts)
def test_a_whole_text_is_masked_as_a_stream_of_it(text: str) -> None:
    """`redact`, `mask_value` and `found_in` agree with the stage for text; a record keeps network addresses, and what
    could be code in a value that may be anything."""
    raw = text.encode("utf-8", "surrogatepass")
    out, counts = run(lambda: TextStage(RECORDED), raw)
    if open_kinds(KNOWLEDGE.engine).isdisjoint(counts):
        assert redact(text, KNOWLEDGE)[0] == out.decode("utf-8", "surrogatepass")
    out, counts = run(lambda: TextStage(PLAN), raw)
    expected = (out.decode("utf-8", "surrogatepass"), counts)
    assert mask_value([_mask("kind", "*")], "request", text, KNOWLEDGE) == expected
    assert found_in(raw, "text/plain", KNOWLEDGE) == found_in(raw, "application/octet-stream", KNOWLEDGE) == counts


@pytest.mark.parametrize("kind", sorted(SECRETS))
@pytest.mark.parametrize("shift", [0, 1, 9, 30])
def test_a_long_text_is_masked_as_a_stream_of_it(kind: str, shift: int) -> None:
    """Where a slice of a long text ends makes no difference, and a value over several slices is one."""
    filler = "word " * (SLICE // 5 - 3)
    text = " " * shift + filler + SECRETS[kind] + " " + filler + SECRETS[kind] + ("a" * SLICE) * 2
    out, counts = run(lambda: TextStage(PLAN), text.encode())
    assert (redact(text, KNOWLEDGE), found_in(text.encode(), "", KNOWLEDGE)) == ((out.decode(), counts), counts)


@given(texts)
def test_what_has_a_match_opens_its_rule(text: str) -> None:
    """Neither gate ever hides a candidate of its rule."""
    data = text.encode("utf-8", "surrogatepass")
    framed, size = START + data + b"\n\n", len(data)
    opened, framed_opened = PLAN.detector.opens(data), PLAN.detector.opens(framed)
    for index, finder in enumerate(PLAN.detector.finders):
        if finder.next(framed, len(START), size + len(START), size + len(START) + 1):
            assert index in opened
            assert index in framed_opened


def test_mask_value_follows_the_masks() -> None:
    """Lanes, kinds and keys choose as they do for a body; nothing that is masked loses its other characters."""
    text = "jane@example.com pin=12 4111111111111111 → é"
    masks = [_mask("kind", "card", "response"), _mask("key", "PIN")]
    assert mask_value((), "request", text, KNOWLEDGE) == (text, {})
    assert mask_value(masks, "request", text, KNOWLEDGE) == (
        "jane@example.com pin=[masked:key:pin] 4111111111111111 → é",
        {"key:pin": 1},
    )
    assert mask_value(masks, "response", text, KNOWLEDGE)[1] == {"key:pin": 1, "card": 1}
    assert mask_value([_mask("kind", "ssn")], "request", text, KNOWLEDGE)[0] is text
    with pytest.raises(MaskError):
        mask_value([_mask("kind", "shoe-size")], "request", text, KNOWLEDGE)


def test_what_is_shared_keeps_apart_what_differs() -> None:
    """A selection that was made before is not taken for another one; a bad content type is refused each time."""
    for _ in range(2):
        for masks, expected in (((_mask("kind", "card"),), {"card": 1}), ((_mask("kind", "email"),), {"email": 1})):
            stage = build(masks, "request", "text/plain", KNOWLEDGE)
            assert stage is not None
            stage.feed(b"4111111111111111 jane@example.com ")
            assert stage.counts == expected
        with pytest.raises(MaskError):
            build((_mask("kind", "card"),), "request", "text/plain; charset=utf-16", KNOWLEDGE)
        with pytest.raises(MaskError):
            build((_mask("kind", "card"),), "request", f"text/plain; x={'y' * 300}; charset=utf-16", KNOWLEDGE)
