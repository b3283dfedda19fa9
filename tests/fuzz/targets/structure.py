"""Structure survives: what is not masked keeps its bytes, and what is masked can be read as what it was."""

import csv
import io
import json
import re
from itertools import chain
from urllib.parse import unquote_to_bytes

from extproc.domain.mask import Operator
from extproc.masking.engine.scanner import scan
from extproc.masking.plan import Plan
from extproc.masking.structure.coding import Decoded, decoded
from extproc.masking.structure.form import FormStage
from extproc.masking.structure.jsonstage import LONG
from extproc.masking.structure.names import names
from extproc.masking.text import TextStage, mask_whole
from tests.fuzz.plans import KEYS, OPERATORS, STAGES, plan
from tests.fuzz.reference import OUT, masked, parsed
from tests.fuzz.runs import Ran, ran
from tests.fuzz.source import Source
from tests.fuzz.targets.streaming import CODED

CHOICES = 4
_KEPT = ("json", "form", "csv", "tabs", "multipart", "text", "sniffed", "xml", "html")
_MARK = b"[masked:"


def structure(data: bytes) -> None:
    """The first bytes choose what is looked at, the rules, what is done and the names."""
    source = Source(data, CHOICES)
    look = source.one((_json, _json, _form, _csv, _parts, _coded, _text))
    shipped = source.byte()
    made = plan(shipped & 1 > 0, source.one(OPERATORS), source.one(KEYS), shipped & 2 > 0)
    body = source.rest
    for name in _KEPT:
        _keeps(name, ran(STAGES[name](made), body), body)
    look(made, body)


def _keeps(name: str, result: Ran, body: bytes) -> None:
    """Where nothing is masked, nothing changes; but for parts in a transfer encoding, which are encoded anew."""
    if result.counts == {} and _MARK not in body and b"transfer" not in body.lower():
        assert result.out == body, name


def _json(made: Plan, body: bytes) -> None:
    result = ran(STAGES["json"](made), body)
    text = body.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
    try:
        document = parsed(text)
    except ValueError:
        document, one = None, False
    else:
        one = True
    if result.counts is None:
        # Refused are the bounds, and characters that are none.
        assert not one or body.count(b"[") + body.count(b"{") > 128 or len(body) > 1024 or "�" in text or made.lenient
        return
    if made.lenient:
        return
    if not one:
        # Several documents, or none.
        _documents(text)
        _documents(result.out.removeprefix(b"\xef\xbb\xbf").decode())
        return
    after = parsed(result.out.removeprefix(b"\xef\xbb\xbf").decode())
    # Long strings are masked in pieces.
    if len(body) < LONG and _MARK not in body:
        expected = masked(made, document)
        assert after == (None if expected is OUT else expected)


def _documents(text: str) -> None:
    text = text.lstrip(" \t\r\n")
    while text:
        end = json.JSONDecoder().raw_decode(text)[1]
        text = text[end:].lstrip(" \t\r\n")


def _form(made: Plan, body: bytes) -> None:
    result = ran(FormStage(made), body)
    if result.counts is None or made.drops:
        return
    before, after = body.split(b"&"), result.out.split(b"&")
    assert len(before) == len(after)
    for was, now in zip(before, after, strict=True):
        if was != now:
            name, _, value = (unquote_to_bytes(part.replace(b"+", b" ")) for part in was.partition(b"="))
            text = name.decode("utf-8", "replace")
            assert (
                names(made).selected(text) is not None
                or scan(made.detector, name)
                or scan(made.detector, value, made.detector.named(text))
            )


def _csv(made: Plan, body: bytes) -> None:
    """Tabs, for of CSV the first line says what separates cells."""
    result = ran(STAGES["tabs"](made), body)
    if result.counts is None or made.lenient or b"\0" in body:
        return
    before, after = _rows(body), _rows(result.out)
    assert [len(row) or 1 for row in before] == [len(row) or 1 for row in after]  # an empty line is one empty cell
    if made.operator("card") is Operator.REDACT:
        pairs = zip(chain.from_iterable(before), chain.from_iterable(after), strict=True)
        assert all(was == now or "[masked:" in now for was, now in pairs)


def _rows(body: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(body.decode("latin-1"), newline=""), "excel-tab"))


def _parts(made: Plan, body: bytes) -> None:
    result = ran(STAGES["multipart"](made), body)
    if result.counts is None or made.lenient or made.drops or b"transfer" in body.lower():
        return
    before, after = re.split(rb"(?:\A|\r?\n)--XX", body), re.split(rb"(?:\A|\r?\n)--XX", result.out)
    assert len(before) == len(after)
    if made.operator("card") is Operator.REDACT:
        assert all(was == now or _MARK in now or b"null" in now for was, now in zip(before, after, strict=True))


def _text(made: Plan, body: bytes) -> None:
    """Whole texts are masked without a stage, and as with one."""
    text = body.decode("utf-8", "replace")
    out, counts = mask_whole(made, text)
    assert ran(TextStage(made), text.encode()) == Ran(out.encode(), counts)


def _coded(made: Plan, body: bytes) -> None:
    """A coding in between changes nothing of what a stage makes of a body."""
    bare = ran(STAGES["json"](made), body)
    for name, code in CODED.items():
        result = ran(Decoded(STAGES["json"](made), (name,)), code(body))
        assert result.counts == bare.counts
        if result.counts is not None:
            assert decoded(result.out, (name,), 1 << 20) == bare.out
