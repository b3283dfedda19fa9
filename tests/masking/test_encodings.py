"""Credentials in other encodings: none comes through in one that a reader can take back, however the stream is cut."""

import base64
import html
import json
import re
from collections.abc import Callable
from functools import partial
from urllib.parse import quote, unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.masking.build import build, mask_value
from extproc.masking.engine.credentials import CredentialSearch
from extproc.masking.engine.fingerprint import Fingerprints, fingerprints_of
from extproc.masking.engine.needles import Needles
from extproc.masking.plan import Knowledge
from extproc.masking.stage import Stage
from tests.masking.streams import KNOWLEDGE, run

KEY = b"k" * 32
MASK = "[masked:credential]"
SECRETS = ["tk-live-4eC39HqLyjWDarjtT1zdp7dc", 'pa"ss\\wo/d<&>%41', "hunter2!xyz"]
KNOWN = Knowledge(
    KNOWLEDGE.engine, Fingerprints(KEY, tuple(i for s in SECRETS for i in fingerprints_of(s.encode(), "", KEY)))
)
Encoding = Callable[[str], str]


def _each(form: str) -> Encoding:
    """Every byte, written so."""
    return lambda text: "".join(form % byte for byte in text.encode())


def _apart(form: str, between: str) -> Encoding:
    return lambda text: between.join(form % byte for byte in text.encode())


def _lines(coded: Callable[[bytes], bytes], width: int, between: str, before: bytes = b"") -> Encoding:
    def encode(text: str) -> str:
        code = coded(before + text.encode()).decode()
        return between.join(code[at : at + width] for at in range(0, len(code), width))

    return encode


ESCAPES: dict[str, Encoding] = {
    "percent, some": partial(quote, safe=""),
    "percent, all": _each("%%%02X"),
    "percent, lower": _each("%%%02x"),
    "percent, wide": _each("%%u%04x"),
    "x": _each("\\x%02x"),
    "u": _each("\\u%04x"),
    "U": _each("\\U%08X"),
    "braces": _each("\\u{%x}"),
    "octal": _each("\\%03o"),
    "json": lambda text: json.dumps(text)[1:-1],
    "decimal entities": _each("&#%d;"),
    "entities": _each("&#x%x;"),
    "entities with zeros": _each("&#0%d;"),
    "json, all, twice": lambda text: _each("\\u%04x")(text).replace("\\", "\\\\"),
    "entities in json": lambda text: _each("&#x%x;")(text).replace("&", "\\u0026"),
    "html": html.escape,
}
CODES: dict[str, Encoding] = {
    "hex": _each("%02x"),
    "HEX": _each("%02X"),
    **{f"hex with {gap!r}": _apart("%02x", gap) for gap in (":", " ", "-", "\n", "\\n", ", ", "&#32;", "%20")},
    "0x": _apart("0x%02X", ", "),
    "hex in lines": _lines(lambda data: data.hex(" ").encode(), 48, "\n"),
    **{
        f"{name} at {len(before)} in lines of {width}, {between!r}": _lines(coded, width, between, before)
        for name, coded, before in [
            ("base64", base64.b64encode, b""),
            ("base64", base64.b64encode, b"x"),
            ("base64", base64.urlsafe_b64encode, b"u:"),
            ("base32", base64.b32encode, b""),
            ("base32", base64.b32encode, b"abc"),
        ]
        for width, between in [
            (76, "\n"),
            (4, "\r\n"),
            (7, "\\n"),
            (16, "\\r\\n"),
            (10, "&#10;"),
            (1, "\n"),
            (10**6, ""),
        ]
    },
    "base32, lower, unpadded": lambda text: base64.b32encode(text.encode()).decode().lower().rstrip("="),
    "base64, unpadded": lambda text: base64.b64encode(text.encode()).decode().rstrip("="),
    "lower": str.lower,
}


def _left(text: str, secret: str) -> bool:
    """Whether something of a credential that is not its first or last characters can be had from a text: of the
    letters and digits a run as long as half of its base64."""
    plain = re.sub(r"[^0-9A-Za-z]", "", text.replace(MASK, " ").replace("masked", ""))
    return len(plain) > max(12, len(secret) // 2)


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("encoding", [*ESCAPES, *CODES])
def test_each_encoding(encoding: str, secret: str) -> None:
    """Found once, whole but for characters at its ends that a neighbour has a part in, and nothing beside it goes."""
    coded = {**ESCAPES, **CODES}[encoding](secret)
    for before, after in (("", ""), ("<", ">"), ("see ", ", or not")):
        out, counts = mask_value((), "response", before + coded + after, KNOWN)
        assert counts == {"credential": 1}, out
        assert (out.startswith(before), out.endswith(after)) == (True, True)
        assert not _left(out[len(before) : len(out) - len(after)], secret), out


@pytest.mark.parametrize("encoding", [*ESCAPES, *CODES])
@pytest.mark.parametrize("content_type", ["text/plain", "application/json"])
def test_each_encoding_in_json_and_text_at_every_cut(encoding: str, content_type: str) -> None:
    """In a string of a document too, and wherever the stream is cut."""
    coded = {**ESCAPES, **CODES}[encoding](SECRETS[0])
    body = (json.dumps({"a": coded}) if content_type == "application/json" else f"a {coded} b").encode()
    make = partial(_stage, content_type)
    whole = run(make, body)
    assert whole[1]["credential"] >= 1
    assert not _left(whole[0].decode(), SECRETS[0]), whole
    for cut in range(0, min(len(body), 120), 5):
        assert run(make, body, [cut, cut + 7, cut + 40]) == whole
    assert run(make, body, range(1, len(body))) == whole


def _stage(content_type: str) -> Stage:
    stage = build((), "response", content_type, KNOWN)
    assert stage is not None
    return stage


_TWO = {"json, all, twice", "entities in json"}
"""Two escapes already."""

_CODE = st.sampled_from([str, *(code for name, code in CODES.items() if not re.search(r"\\\\|&#|%", name))])
_OUTER = st.lists(st.sampled_from([value for name, value in ESCAPES.items() if name not in _TWO]), max_size=2)
_FILLER = st.text(alphabet='ab4 \\%&;#:=-\n"tkxu0', max_size=12)


def _decoders() -> list[Callable[[bytes], bytes]]:
    """What a reader might do to a text, each written on its own."""

    def literal(text: bytes) -> bytes:
        def meaning(found: re.Match[bytes]) -> bytes:
            digits = next((g for g in found.groups() if g), None)
            if digits is not None:
                code = int(digits, 8 if found[0][1:2].isdigit() else 16)
                return chr(code).encode("utf-8", "replace") if code < 0x110000 else found[0]
            return {b"n": b"\n", b"r": b"\r", b"t": b"\t"}.get(found[0][1:], found[0][1:])

        return re.sub(
            rb"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|u\{([0-9a-fA-F]+)\}|([0-3][0-7]{2})|[nrt]|\W)",
            meaning,
            text,
        )

    def percent(text: bytes) -> bytes:
        return unquote_to_bytes(re.sub(rb"%u00([0-9a-fA-F]{2})", rb"%\1", text))

    def entities(text: bytes) -> bytes:
        return html.unescape(text.decode("utf-8", "replace")).encode("utf-8", "surrogatepass")

    return [literal, percent, entities]


def _says(text: bytes, secret: bytes, depth: int) -> bool:
    """Whether a reader who knows what to look for finds the secret, by taking encodings back."""
    secret = secret.lower()
    if secret in text.lower() or secret in text.replace(b"\0", b"").lower():
        return True
    pairs = re.sub(rb"0x|[^0-9a-fA-F]", b"", text).lower()
    numbers = bytes(int(n) for n in re.findall(rb"\d+", text) if int(n) < 256).lower()
    if secret.hex().encode() in pairs or secret in numbers:
        return True
    code = re.sub(rb"\s", b"", text).replace(b"-", b"+").replace(b"_", b"/")
    inner = [base64.b64encode(bytes(n) + secret_of)[4:-4] for n in range(3) for secret_of in (b"xxx" + secret,)]
    if any(part in code for part in inner):
        return True
    return depth > 0 and any(
        read != text and _says(read, secret, depth - 1) for read in (decode(text) for decode in _decoders())
    )


@given(st.sampled_from([SECRETS[0], SECRETS[2]]), _CODE, _OUTER, _FILLER, _FILLER, st.data())
def test_any_composition_at_any_cut(
    secret: str, code: Encoding, outer: list[Encoding], before: str, after: str, draw: st.DataObject
) -> None:
    """A code of a credential, or itself, in up to two escapes: an independent reader finds nothing in what is given,
    and cuts do not matter."""
    text = code(secret)
    for escape in outer:
        if len(escape(text)) < 30 * len(secret):  # what is longer is not waited for
            text = escape(text)
    data = f"{before} {text} {after}".encode()
    make = partial(_stage, "text/plain")
    whole = run(make, data)
    cuts = draw.draw(st.lists(st.integers(0, len(data)), max_size=6))
    assert run(make, data, cuts) == whole
    assert whole[1].get("credential", 0) >= 1
    assert not _says(whole[0], secret.encode(), 2)


@given(st.text(alphabet='tk-live4eC39 \\%&;#x:=\n"u0256b746b,', max_size=120), st.data())
def test_near_misses_come_out_alike_at_any_cut(text: str, draw: st.DataObject) -> None:
    """Beginnings of anchors, escapes and codes that lead nowhere pass as they are."""
    make = partial(_stage, "text/plain")
    data = text.encode()
    assert run(make, data) == (data, {})
    assert run(make, data, draw.draw(st.lists(st.integers(0, len(data)), max_size=6)))[0] == data
    assert run(make, data, range(1, len(data)))[0] == data


def test_little_waits() -> None:
    """Even what goes on as a credential for ever waits no longer than the longest spelling of one."""
    stage = _stage("text/plain")
    held = 0
    for piece in [b"tk-", *[b"\\" * 64] * 200, *[b"&#0000" * 10] * 200, b"74" + b":" * 4000]:
        out = stage.feed(piece)
        held += len(piece) - len(out)
        assert held <= 4096 + len(piece)


HOSTILE = {
    "percent": b"%41%42", "percent of percent": b"%25", "backslashes": b"\\", "entities": b"&amp;",
    "numbers": b"&#0000000065;",
    "hexadecimal": b"74:6b:", "lines": b"dGst\n", "anchors": b"tk-l", "unfinished": b"&#000", "zeros": b"0x0 ",
}  # fmt: skip


@pytest.mark.parametrize("unit", HOSTILE.values(), ids=HOSTILE)
def test_work_is_linear_in_escapes(unit: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes that are decoded or searched: for twice the text twice as many"""
    seen = [0]
    for owner, name in [(Needles, "opens"), (Needles, "hold"), (Needles, "find"), (CredentialSearch, "texts")]:
        _count(monkeypatch, owner, name, seen)

    def cost(size: int, piece: int) -> int:
        seen[0] = 0
        stage, data = _stage("text/plain"), unit * (size // len(unit))
        for at in range(0, len(data), piece):
            stage.feed(data[at : at + piece])
        stage.finish()
        return seen[0]

    for piece in (512, 16 << 10):
        early, late = cost(32 << 10, piece), cost(64 << 10, piece)
        assert late <= 2.2 * early
        assert late <= 64 * (64 << 10)


def _count(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, seen: list[int]) -> None:
    """Add the size of what a method is given to what was seen."""
    original = getattr(owner, name)

    def counting(self: object, data: bytes, *more: object) -> object:
        seen[0] += len(data)
        return original(self, data, *more)

    monkeypatch.setattr(owner, name, counting)
