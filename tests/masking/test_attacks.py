"""Attacks on masking: what an upstream or an agent may send so that a value passes, or so that the gateway gets slow or
big."""

import base64
import json
import sys

import pytest

from extproc.domain.mask import Mask, Operator
from extproc.masking.build import build
from extproc.masking.plan import Plan
from extproc.masking.stage import MaskError
from extproc.masking.structure.dropping import HELD
from extproc.masking.structure.jsonstage import JsonStage
from extproc.masking.structure.llm.deltas import Deltas
from extproc.masking.text import TextStage
from tests.masking.streams import KNOWLEDGE, every_cut, made

NAME, EMAIL, CARD = b"Jane Doe", b"jane@example.com", b"4111 1111 1111 1111"
KEYED = Mask("p", (), ("ssn",), Operator.REDACT)
EVERYTHING = Mask("p", ("*",), (), Operator.REDACT)

EVENTS, CSV, XML, HTML = "text/event-stream", "text/csv", "application/xml", "text/html"
PARTS = "multipart/form-data; boundary=b"
QUOTED, JSON = b"quoted-printable", b"application/json"
IN_BASE64 = base64.b64encode(EMAIL)
NESTED = b"Content-Type: multipart/mixed; boundary="
MRZ = b"L898902C36UTO7408122F1204159ZE184226B&lt;&lt;&lt;&lt;&lt;10"


def _masked(content_type: str, data: bytes, *masks: Mask, step: int = 0) -> bytes:
    """What goes on; nothing where the message is stopped."""
    try:
        stage = build(masks, "response", content_type, KNOWLEDGE)
        assert stage is not None
        pieces = [data] if not step else [data[at : at + step] for at in range(0, len(data), step)]
        return b"".join(map(stage.feed, pieces)) + stage.finish()
    except MaskError:
        return b""


def _part(head: bytes, body: bytes) -> bytes:
    return b"--b\r\n" + head + b"\r\n\r\n" + body + b"\r\n--b--\r\n"


def _coded(how: bytes, body: bytes, kind: bytes = b"text/plain") -> bytes:
    return _part(b"Content-Type: " + kind + b"\r\nContent-Transfer-Encoding: " + how, body)


def _chunk(arguments: str) -> bytes:
    call = {"index": 0, "function": {"arguments": arguments}}
    document = {"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}
    return b"data: " + json.dumps(document).encode() + b"\n\ndata: [DONE]\n\n"


@pytest.mark.parametrize("step", [0, 1, 7])
@pytest.mark.parametrize(
    ("content_type", "data"),
    [
        # JSON in an event that some reader takes all the same.
        (EVENTS, b'data: {"ssn":"Jane Doe",}\n\n'),
        (EVENTS, b'data: {"ssn":"Jane Doe"} x\n\n'),
        (EVENTS, b'event: error\ndata: {"ssn":"Jane Doe",}\n\n'),
        (EVENTS, b'data: \xef\xbb\xbf{"ssn":"Jane Doe"}\n\n'),
        (EVENTS, b'data: {"ssn":"Jane Doe","x":' + b"[" * 200 + b"]" * 200 + b"}\n\n"),
        # First lines that readers find where we did not look.
        (CSV, b'\xef\xbb\xbf"ssn",name\nJane Doe,x\n'),
        (CSV, b'\xef\xbb\xbf"a,b",ssn\n"a,b",Jane Doe\n'),
        (CSV, b"\nssn,name\nJane Doe,x\n"),
        (CSV, b"sep=,\nssn,name\nJane Doe,x\n"),
        (CSV, b"Customers of May\nname,ssn\nx,Jane Doe\n"),
        (CSV, b'name, "ssn"\nx, "Jane Doe"\n'),
        (CSV, b'5" tv,ssn\n6",Jane Doe\n7",x\n'),
        (CSV, b'5" tv,ssn\n6,Jane Doe\n'),
        (CSV, b"ssn;name,a,b,c\nJane Doe;x,1,1,1\n"),
        (CSV, b",".join(b"column%05d" % i for i in range(2000)) + b",ssn\n" + b"1," * 2000 + b"Jane Doe\n"),
        ("text/csv; header=absent", b"ssn,name\nJane Doe,x\n"),
        # All that is in an element.
        (XML, b"<ssn><a>Jane Doe</a></ssn>"),
        (XML, b'<ssn is="Jane Doe"><b is="Jane Doe"/><!-- Jane Doe --></ssn>'),
        (XML, b"<ssn>" * 70 + b"</ssn>" * 65 + b"Jane Doe" + b"</ssn>" * 5),
        (HTML, b"<ssn><textarea></ssn></textarea>Jane Doe</ssn>"),
        (HTML, b"<!--><ssn>Jane Doe</ssn>"),
        (HTML, b"<!-- --!><ssn>Jane Doe</ssn>"),
        (HTML, b"<![CDATA[><ssn>Jane Doe</ssn>]]>"),
        (HTML, b'<!x a="><ssn>Jane Doe</ssn>">'),
        (HTML, b"<p><ssn/>Jane Doe</p>"),
        (HTML, b'</ a="><ssn>Jane Doe</ssn>">'),
        (HTML, b'<_ a="><ssn>Jane Doe</ssn>">'),
        (HTML, b"<ssn><![CDATA[></ssn>Jane Doe]]></ssn>"),
        (HTML, b"<!---><ssn>Jane Doe</ssn>-->"),
        # Parts that are coded, or named in a roundabout way.
        (PARTS, _coded(QUOTED, b'{"ssn":"Jane Doe"}', JSON)),
        (PARTS, _coded(QUOTED, b'{"s=73n":"Jane =\r\nDoe"}')),
        (PARTS, _part(b'Content-Disposition: form-data; name*0="ss"; name*1="n"', NAME)),
        # JSON that ends where a lenient reader goes on.
        ("application/json", b'{"a":01,"ssn":"Jane Doe"}'),
        (EVENTS, _chunk('{"a":1,,"ssn":"Jane Doe"}')),
    ],
)  # fmt: skip
def test_what_a_name_selects_does_not_pass(content_type: str, data: bytes, step: int) -> None:
    masks = [Mask("p", (), ("ssn",), Operator.REDACT, lenient="01" in data.decode("latin-1"))]
    assert b"Doe" not in _masked(content_type, data, *masks, step=step)


@pytest.mark.parametrize("step", [0, 1, 7])
@pytest.mark.parametrize(
    ("content_type", "data", "secret"),
    [
        (EVENTS, b'data: "jane\\u0040example.com"\n\n', b"example.com"),
        (PARTS, _coded(QUOTED, b'{"x":"jane\\u0040example.com"}', JSON), b"example.com"),
        (PARTS, _coded(b"base64", IN_BASE64, b"application/octet-stream"), IN_BASE64),
        (PARTS, _coded(b"x-base64", IN_BASE64), IN_BASE64),
        (PARTS, _coded(b"base64;x=1", IN_BASE64), IN_BASE64),
        (PARTS, _part(NESTED + b'"4111 1111 1111 1111"', b"--" + CARD + b"--\r\n"), CARD),
        (PARTS, _part(NESTED + b"c; x=jane@example.com", b"--c--\r\n"), EMAIL),
        (PARTS, _part(NESTED + b"c\r\nX-Boundary: jane@example.com", b"--c--\r\n"), EMAIL),
        ('multipart/mixed; boundary="4111 1111 1111 1111"', b"--" + CARD + b"--\r\n", CARD),
        (XML, b"<a>" + MRZ + b"</a>", b"L898902C36"),
        (XML, b"<a>4111 1111<!-- x --> 1111 1111</a>", b"4111"),
        (XML, b"<a>jane@<![CDATA[example.com]]></a>", b"jane"),
        (XML, b'<a b="<!--">jane@<!-- x -->example.com</a>', b"jane"),
        (HTML, b"<p>jane@<!DOCTYPE x>example.com", b"jane"),
        (HTML, b"<p>jane@</ x>example<![CDATA[>.com", b"jane"),
        (XML, b"<a>jane&#" + b"0" * 24 + b"64;example.com</a>", b"jane"),
        (HTML, b"<!-->jane&#64;example.com", b"jane"),
        (HTML, b"4111&nbsp1111&nbsp1111&nbsp1111", b"4111"),
        ("application/json", b'{"a":4111111111111111' + b"0" * 30 + b"e-30}", b"4111"),
    ],
)  # fmt: skip
def test_a_value_does_not_pass(content_type: str, data: bytes, secret: bytes, step: int) -> None:
    assert secret not in _masked(content_type, data, EVERYTHING, step=step)


def test_parts_are_coded_again() -> None:
    """What is not masked means the same in quoted-printable of ours."""
    body = _part(
        b"Content-Type: application/json\r\nContent-Transfer-Encoding: quoted-printable",
        b'{"ssn": "Jane =\r\nDoe", "caf=C3=A9": "' + b"x" * 60 + b'"}',
    )

    expected = _masked(PARTS, body, KEYED)
    assert b'{"ssn":=20"[masked:key:ssn]=\r\n",=20"caf=C3=A9":=20"x' in expected
    for step in range(1, 30):
        assert _masked(PARTS, body, KEYED, step=step) == expected


@pytest.mark.parametrize("text", [b"x %b y", b"%b", b"%b %b"])
def test_a_partial_mask_shows_nothing_of_a_value_inside(text: bytes) -> None:
    """Two values that overlap get one mask; the milder operator of the one that begins it is not for the other."""
    text = text.replace(b"%b", b"A1234712345678901")
    engine = made(
        "kind: a, family: contact, pattern: 'A[0-9]{8}', before: '', after: ''",
        "kind: b, family: contact, pattern: '7[0-9]{11}', before: '', after: ''",
    )
    plan = Plan(engine.detector(), operators={"a": Operator.PARTIAL})
    stage = TextStage(plan)
    assert b"8901" not in stage.feed(text) + stage.finish()
    every_cut(lambda: TextStage(plan), text)
    both = Plan(engine.detector(), operators={"a": Operator.PARTIAL, "b": Operator.PARTIAL})
    stage = TextStage(both)
    assert b"8901" in stage.feed(text) + stage.finish()


@pytest.mark.parametrize("data", [b'{"a":', b'{"a":1,', b'{"a"', b"[1"])
def test_blanks_before_a_value_do_not_pile_up(data: bytes) -> None:
    stage = build([Mask("p", (), ("ssn",), Operator.DROP)], "response", "application/json", KNOWLEDGE)
    assert stage is not None
    stage.feed(data)
    for _ in range(0, HELD - 4096, 4096):
        stage.feed(b" " * 4096)
    with pytest.raises(MaskError, match="blanks"):
        stage.feed(b" " * 8192)


def test_blanks_between_documents_go_on_at_once() -> None:
    """A stream's heartbeat."""
    stage = build([Mask("p", (), ("ssn",), Operator.DROP)], "response", "application/x-ndjson", KNOWLEDGE)
    assert stage is not None
    assert stage.feed(b'{"ssn":1}\n') == b"{}\n"
    assert stage.feed(b"\n") == b"\n"


def test_a_document_of_a_stream_does_not_have_a_stream_remember_it() -> None:
    """What carries the rest of a text is small, whatever the names of a document's members are."""
    deltas = Deltas(Plan(KNOWLEDGE.detector()))
    long = {"n" * 60_000 + str(i): 1 for i in range(4)}
    document = json.dumps({"choices": [{"index": 0, "delta": {"content": "jane@"}}], **long}).encode()
    (look,) = deltas.look([document])
    deltas.take(look)
    (rest,) = deltas.end()
    assert len(rest.payload) < 1000


@pytest.mark.parametrize(
    "choices",
    [
        [{"index": 0, "text": "a"}] * 2_000,
        [{"index": i, "finish_reason": "stop", "text": ""} for i in range(2_000)],
    ],
)
def test_work_grows_with_a_document_and_no_faster(choices: list[object]) -> None:
    def calls(some: list[object]) -> int:
        stage = build([EVERYTHING], "response", EVENTS, KNOWLEDGE)
        assert stage is not None
        data, seen = b"data: " + json.dumps({"choices": some}).encode() + b"\n\n", [0]

        def count(*_: object) -> None:
            seen[0] += 1

        sys.setprofile(count)
        try:
            stage.feed(data)
        finally:
            sys.setprofile(None)
        return seen[0]

    assert calls(choices) < 15 * calls(choices[: len(choices) // 10])


@pytest.mark.parametrize("depth", [120, 300, 1000, 1020, 100_000])
def test_deep_documents_in_a_stream(depth: int) -> None:
    """They are masked, are text, or stop the stream, and do nothing else."""
    deep = "[" * depth + "]" * depth
    delta = '{"index":0,"delta":{"content":"a"}},{"index":1,"delta":{"content":"b"}}'
    for name in ("x", "jane@example.com"):
        payload = f'{{"choices":[{delta}],"{name}":{deep}}}'
        assert EMAIL not in _masked(EVENTS, f"data: {payload}\n\n".encode(), EVERYTHING)


def test_a_name_that_policy_gives_is_no_pattern() -> None:
    for key in ('a"b', "a\nb", "a\\", "K", "straße", ".*", "(", "é" * 128):
        plan = Plan(KNOWLEDGE.detector(frozenset()), frozenset({key}))
        stage = JsonStage(plan)
        out = stage.feed(json.dumps({key: "Jane Doe", key.upper(): "Jane Doe", "z": "z"}).encode()) + stage.finish()
        assert b"Doe" not in out
        assert json.loads(out)["z"] == "z"
