"""Choosing stages, forms, and redaction for records."""

import json
from functools import partial
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.domain.json import JSON
from extproc.domain.mask import Mask, Operator
from extproc.masking.build import build, found_among, found_in, warm
from extproc.masking.plan import Knowledge, Plan
from extproc.masking.redact import redact, redact_json
from extproc.masking.stage import MaskError, Stage
from extproc.masking.structure.csvstage import CsvStage
from extproc.masking.structure.form import PAIR, FormStage
from extproc.masking.structure.jsonstage import JsonStage
from extproc.masking.structure.llm.answers import AnswerStage
from extproc.masking.structure.multipart import MultipartStage
from extproc.masking.structure.sniff import TRIAL, SniffStage
from extproc.masking.structure.sse.stage import SseStage
from extproc.masking.structure.wide import NarrowStage
from extproc.masking.structure.xmlstage import XmlStage
from extproc.masking.text import TextStage, mask_whole
from tests.masking.streams import KNOWLEDGE, PLAN, SECRETS, every_cut, made, pieces, run

HIDING = ["utf-16", "utf_16le", "u16", "utf_7", "cp424", "csUnicode", "ucs-2", "hz", "utf-8x", "", "cp037"]


def _mask(by: str, what: str, *lanes: str) -> Mask:
    kinds, keys = ((what,), ()) if by == "kind" else ((), (what,))
    return Mask("p", kinds, keys, Operator.REDACT, lanes or ("request", "response"))


def _built(content_type: str, *masks: Mask) -> Stage:
    stage = build(masks or (_mask("kind", "*"),), "response", content_type, KNOWLEDGE)
    assert stage is not None
    return stage


def _inner(stage: Stage) -> Stage:
    """The stage behind the look at the encoding."""
    return stage._stage if isinstance(stage, NarrowStage) else stage


@pytest.mark.parametrize("before", ["", "番号 "])
@pytest.mark.parametrize("malformed", ["refuse", "text"])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain", "", "text/plain; charset=utf-8", "text/css", "text/csv", "text/html", "text/xml",
        "text/event-stream", "application/json", "application/x-www-form-urlencoded", "application/yaml",
        "multipart/form-data; boundary=b",
    ],
)  # fmt: skip
def test_text_that_hides_ascii_without_saying_so_is_refused(
    content_type: str, encoding: str, malformed: str, before: str
) -> None:
    """With or without a byte order mark, behind other text, at any cut, in a part of a form and where the malformed may
    be text."""
    raw = f"{before}4111 1111 1111 1111".encode(encoding)
    if "multipart" in content_type:
        raw = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + raw + b"\r\n--b--\r\n"
    mask = Mask("p", ("*",), (), Operator.REDACT, ("response",), lenient=malformed == "text")
    for size in (1, 3, len(raw)):
        with pytest.raises(MaskError):
            run(partial(_built, content_type, mask), raw, range(size, len(raw), size))


@pytest.mark.parametrize(
    ("content_type", "stage"),
    [
        ("application/json", AnswerStage),
        ("Application/JSON; charset=UTF-8", AnswerStage),
        ("application/problem+json", AnswerStage),
        ("application/x-ndjson", AnswerStage),
        ("text/json", AnswerStage),
        ("text/event-stream; charset=utf-8", SseStage),
        ("application/x-www-form-urlencoded", FormStage),
        ("text/html", XmlStage),
        ("application/xml; charset=utf-8", XmlStage),
        ("image/svg+xml", XmlStage),
        ("text/csv", CsvStage),
        ("text/css", TextStage),
        ("image/png", TextStage),
        ("", SniffStage),
        ("application/octet-stream", SniffStage),
        ("multipart/form-data; boundary=x", MultipartStage),
        ("nonsense", TextStage),
        ("text/plain; charset=latin-1", SniffStage),
    ],
)
def test_content_types(content_type: str, stage: type) -> None:
    """Each content type gets the stage that reads it."""
    assert type(_inner(_built(content_type))) is stage


def test_json_of_requests_is_no_answer_in_pieces() -> None:
    """What an agent sends is read as JSON at once: nobody streams a prompt."""
    built = build((_mask("kind", "*"),), "request", "application/json", KNOWLEDGE)
    assert built is not None
    assert type(_inner(built)) is JsonStage


def test_no_mask_for_the_lane_is_no_stage() -> None:
    """Without masks, or with masks for the other lane only, nothing is in the way."""
    assert build((), "request", "text/plain", KNOWLEDGE) is None
    assert build((_mask("kind", "card", "response"),), "request", "text/plain", KNOWLEDGE) is None
    assert build((_mask("kind", "card", "response"),), "response", "text/plain", KNOWLEDGE) is not None


def test_masks_unite() -> None:
    """Several masks by kind and by key are one stage."""
    stage = _built("application/json", _mask("kind", "card"), _mask("kind", "email"), _mask("key", "Name"))
    raw = b'{"name":"x","a":"jane@example.com","b":"4111111111111111","c":"AKIAIOSFODNN7EXAMPLE"}'
    out = json.loads(stage.feed(raw) + stage.finish())
    kept = {"c": "AKIAIOSFODNN7EXAMPLE"}
    assert out == {"name": "[masked:key:name]", "a": "[masked:email]", "b": "[masked:card]"} | kept
    assert stage.counts == {"key:name": 1, "email": 1, "card": 1}


@pytest.mark.parametrize(
    ("content_type", "why"),
    [
        *((f"text/plain; charset={name}", "can't be inspected") for name in HIDING),
        ('application/json; charset="UTF-32"', "can't be inspected"),
        ("text/csv;charset = utf-7", "can't be inspected"),
        ("text/csv; charset*=utf-8''utf-16", "can't be inspected"),
        ("application/json; charset=utf-8; charset=utf-16", "more than one"),
        ("application/json; charset=utf-8; CHARSET=utf-8", "more than one"),
        ("text/plain, text/plain; charset=utf-16", "comma"),
        (f"text/plain; charset={' ' * 50_000};x", "longer than"),
    ],
)
def test_types_that_could_be_read_in_two_ways_are_refused(content_type: str, why: str) -> None:
    """What can't be read, or not in one way only, can't be vouched for."""
    with pytest.raises(MaskError, match=why):
        _built(content_type)
    with pytest.raises(MaskError, match=why):
        found_in(b"x", content_type, KNOWLEDGE)


@pytest.mark.parametrize(
    "parameter",
    ["", "charset=UTF-8", 'charset="us-ascii"', "charset=ISO-8859-15", "charset=windows-1252", "xcharset=x"],
)
def test_character_sets_that_keep_ascii_are_read(parameter: str) -> None:
    """UTF-8 and the sets of one byte a character are what the rules can see through."""
    assert found_in(b"jane@example.com", f"text/plain; {parameter}", KNOWLEDGE) == {"email": 1}


@pytest.mark.parametrize("mask", [_mask("kind", "shoe-size"), _mask("key", "k" * 200)])
def test_masks_that_cannot_be_carried_out_are_refused(mask: Mask) -> None:
    """An unknown kind or an endless name raises; it never means no mask."""
    with pytest.raises(MaskError):
        _built("text/plain", mask)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("ssn: 1, SSN=99;x", "ssn: [masked:key:ssn], SSN=[masked:key:ssn];x"),
        ('{"ssn": "12", "mssn": 3}', '{"ssn": "[masked:key:ssn]", "mssn": 3}'),
        ('log {"ssn": "12", "mssn": 3}', 'log {"ssn": "[masked:key:ssn]", "mssn": 3}'),
        ("the ssn is absent", "the ssn is absent"),
    ],
)
def test_keys_in_plain_text(raw: str, expected: str) -> None:
    """key=value and its like are masked in text, as best can be."""
    every_cut(lambda: _built("text/plain", _mask("key", "ssn")), raw.encode())
    assert run(lambda: _built("text/plain", _mask("key", "ssn")), raw.encode())[0].decode() == expected


def test_binary_keeps_its_length() -> None:
    """In a body that is not known to be text, values are overwritten in place."""
    raw = b"\x00\x01jane@example.com\xff" + bytes(range(256))
    out, counts = run(lambda: _built("application/octet-stream"), raw)
    assert (len(out), out, counts) == (len(raw), raw.replace(b"jane@example.com", b"*" * 16), {"email": 1})


FORMS = [
    (b"a=jane%40example.com&b=%41+&c", b"a=%5Bmasked%3Aemail%5D&b=%41+&c"),
    (b"pin=1+2&PIN=&x=123456789", b"pin=%5Bmasked%3Akey%3Apin%5D&PIN=%5Bmasked%3Akey%3Apin%5D&x=123456789"),
    (b"ssn=123456789&ssn=0", b"ssn=%5Bmasked%3Assn%5D&ssn=0"),
    (b"c=4111+1111+1111+1111&&=&%zz=%", b"c=%5Bmasked%3Acard%5D&&=&%zz=%"),
    (b"jane%40example.com=1", b"%5Bmasked%3Aemail%5D=1"),
    (b"", b""),
]


@pytest.mark.parametrize(("raw", "expected"), FORMS)
def test_forms(raw: bytes, expected: bytes) -> None:
    """Names and values are masked in what they mean; others keep their bytes, at every cut."""
    make = lambda: FormStage(Plan(KNOWLEDGE.detector(), frozenset({"pin"})))  # noqa: E731 - used twice
    assert run(make, raw)[0] == expected
    every_cut(make, raw)


@given(st.lists(st.tuples(st.sampled_from(["a", "é", "b c"]), pieces), max_size=5), st.data())
def test_forms_mean_what_they_meant_masked(pairs: list[tuple[str, str]], data: st.DataObject) -> None:
    """The output decodes to the input's pairs, each masked."""
    raw = urlencode(pairs).encode()
    out, _ = run(lambda: FormStage(PLAN), raw, data.draw(st.lists(st.integers(0, len(raw)), max_size=5)))
    assert parse_qsl(out.decode(), keep_blank_values=True) == [
        (name, mask_whole(PLAN, value)[0]) for name, value in pairs
    ]


def test_a_form_field_is_bounded() -> None:
    """A field that does not end is refused."""
    stage = FormStage(PLAN)
    with pytest.raises(MaskError, match="longer than"):
        stage.feed(b"x" * (PAIR + 1))


UNSURE = ["", "text/plain; charset=utf-8", "application/octet-stream"]


@pytest.mark.parametrize("content_type", UNSURE)
@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'{"token":["abc"],"secret":{"a":"zzz"}}', b'{"token":"[masked:key:token]","secret":"[masked:key:secret]"}'),
        (b'\xef\xbb\xbf\r\n [{"a":"jane\\u0040example.com"}]', b'\xef\xbb\xbf\r\n [{"a":"[masked:email]"}]'),
        (b'{"token":1}\n{"token":"x"}\n', b'{"token":null}\n{"token":"[masked:key:token]"}\n'),
        (b"[2026-01-01T00:00:00Z] started", b"[2026-01-01T00:00:00Z] started"),
        (b"{not json", b"{not json"),
        (b"[1, 2", b"[1, 2"),
        (b" \n", b" \n"),
        (b"\xef\xbb", b"\xef\xbb"),
        (b"", b""),
    ],
)
def test_types_that_say_little(content_type: str, raw: bytes, expected: bytes) -> None:
    """JSON that is not called so is read as JSON, and what only begins like it as the text it is, at every cut."""
    make = lambda: _built(content_type, _mask("kind", "*"), _mask("key", "token"), _mask("key", "secret"))  # noqa: E731
    assert run(make, raw)[0] == expected
    every_cut(make, raw)


def test_what_looks_like_json_and_is_not_is_text() -> None:
    """Values in it are masked as those of any text."""
    raw = b"[2026-01-01] jane@example.com logged in"
    assert run(lambda: _built("text/plain"), raw)[0] == b"[2026-01-01] [masked:email] logged in"
    assert found_in(raw, "", KNOWLEDGE) == {"email": 1}


@pytest.mark.parametrize("content_type", UNSURE)
@pytest.mark.parametrize("raw", [b"[" + b"1," * TRIAL + b"x", b"[" * 200 + b"]" * 200])
def test_json_that_fails_late_is_stopped(content_type: str, raw: bytes) -> None:
    """What went on as JSON can't become text, and what is too deep for us is not too deep for others."""
    for cuts in (range(0), range(1, len(raw), 7)):
        with pytest.raises(MaskError):
            run(lambda: _built(content_type), raw, cuts)
    with pytest.raises(MaskError):
        found_in(raw, content_type, KNOWLEDGE)


def test_unsure_json_goes_on_once_it_is_sure() -> None:
    """No more than the trial is held back."""
    stage = _built("text/plain")
    assert stage.feed(b"[" + b"1," * (TRIAL // 2 - 1)) == b""
    assert stage.feed(b"1,") == b"[" + b"1," * (TRIAL // 2 - 1) + b"1,"


@pytest.mark.parametrize(
    ("data", "content_type", "expected"),
    [
        (
            b'{"memo":"gh\\u0070_' + b"a1B2" * 9 + b'-----BEGIN PRIVATE KEY-----","to":"mallory"}',
            "application/json",
            {"github-token": 1, "private-key": 1},
        ),
        (b'{"a":"jane\\u0040example.com","ssn":"123456789"}', "application/json", {"email": 1, "ssn": 1}),
        (b"a=jane%40example.com", "application/x-www-form-urlencoded", {"email": 1}),
        (b"jane@example.com jane@example.com", "", {"email": 2}),
        (b"data: jane@example.com\n\n", "text/event-stream", {"email": 1}),
        (b"", "application/json", {}),
        (b"nothing", "text/plain", {}),
    ],
)
def test_find(data: bytes, content_type: str, expected: dict[str, int]) -> None:
    """What occurs in a body, as the masker would see it."""
    assert found_in(data, content_type, KNOWLEDGE) == expected


def test_find_refuses_what_a_mask_would() -> None:
    """Malformed JSON has no facts."""
    with pytest.raises(MaskError):
        found_in(b"{", "application/json", KNOWLEDGE)


def test_warm_can_be_called_again() -> None:
    """Warming compiles what is shared and leaves nothing behind."""
    warm(KNOWLEDGE)
    warm(KNOWLEDGE)


def test_redact_text() -> None:
    """Every kind goes, and is counted."""
    text, counts = redact(" ; ".join(SECRETS.values()), KNOWLEDGE)
    assert text == " ; ".join(f"[masked:{kind}]" for kind in SECRETS)
    assert counts == dict.fromkeys(SECRETS, 1)
    assert redact("\ud800 lone", KNOWLEDGE) == ("\ud800 lone", {})


def test_redact_json() -> None:
    """Values and members named like secrets go; counts of tokens, and the given document, stay."""
    given_document: dict[str, JSON] = {
        "Authorization": "x",
        "API-Key": ["a"],
        "client_secret": 5,
        "password": None,
        "max_tokens": 7,
        "ssn": 123456789,
        "n": [4111111111111111, 4111111111111111.0, True, 1.5],
        "s": ("jane@example.com",),
        "jane@example.com": "SSN",
    }
    before = json.dumps(given_document)
    redacted, counts = redact_json(given_document, KNOWLEDGE)
    assert redacted == {
        "Authorization": "[masked:key:authorization]",
        "API-Key": "[masked:key:apikey]",
        "client_secret": None,
        "password": None,
        "max_tokens": 7,
        "ssn": None,
        "n": [None, None, True, 1.5],
        "s": ["[masked:email]"],
        "[masked:email]": "SSN",
    }
    assert counts == {"key:authorization": 1, "key:apikey": 1, "key:clientsecret": 1, "ssn": 1, "card": 2, "email": 2}
    assert json.dumps(given_document) == before


def test_facts_of_what_is_malformed_are_those_of_its_text() -> None:
    """A body that is no CSV, XML or multipart is counted as text where no mask was asked for yet; JSON must be JSON."""
    for content_type in ("text/csv", "application/xml", "multipart/form-data; boundary=x"):
        assert found_in(b'<a "x jane@example.com', content_type, KNOWLEDGE) == {"email": 1}, content_type
    with pytest.raises(MaskError):
        found_in(b'{"a" jane@example.com', "application/json", KNOWLEDGE)


def test_a_part_without_a_type_may_be_json() -> None:
    """Also where the part's name is context: what is in it is read as what it is."""
    body = b'--x\r\nContent-Disposition: form-data; name="ssn"\r\n\r\n{"pin": "1234", "n": "219-09-9998"}\r\n--x--\r\n'
    stage = build((_mask("key", "pin"),), "request", "multipart/form-data; boundary=x", KNOWLEDGE)
    assert stage is not None
    assert b'{"pin": "[masked:key:pin]", "n": "219-09-9998"}' in stage.feed(body) + stage.finish()


def test_texts_that_have_nothing_to_do_with_each_other_are_no_value_together() -> None:
    """Nor does one hide what is in another, where a rule takes the end of a line for a part of a value."""
    known = Knowledge(made("kind: number, pattern: '[0-9][0-9\\n]{6,30}[0-9]', check: luhn"))
    card = "4111111111111111"
    assert found_among([card, "7"], known) == found_among([card], known) == {"number": 1}
    assert found_among(["411111111111", "1111"], known) == {}
    assert redact_json({"a": card, "b": "7"}, known) == ({"a": "[masked:number]", "b": "7"}, {"number": 1})
    assert redact_json([card, "7"], known)[1] == {"number": 1}
    assert redact_json(["411111111111", "1111"], known)[1] == {}
