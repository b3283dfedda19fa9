"""Credentials that come back: found by their fingerprints, in every usual spelling, however the stream is cut."""

import base64
import html
import json
from collections.abc import Callable
from functools import partial
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.domain.mask import Mask, Operator
from extproc.masking.build import build, found_in, mask_value
from extproc.masking.engine.fingerprint import (
    NONE,
    SHORTEST,
    WINDOW,
    Fingerprints,
    FingerprintsUnreadable,
    dump,
    fingerprints_of,
    load,
    load_current,
)
from extproc.masking.plan import Knowledge, Plan
from extproc.masking.redact import redact, redact_json
from extproc.masking.stage import MaskError, Stage
from extproc.masking.text import TextStage
from tests.masking.streams import KNOWLEDGE, PLAN, every_cut, pieces, run

KEY = b"k" * 32
MASK = "[masked:credential]"
BASIC = base64.b64encode(b"service:S3cret+pass/word").decode()
SECRETS = {
    "tk-live-4eC39HqLyjWDarjtT1zdp7dc": "Bearer ",
    BASIC: "Basic ",
    'pä"ss\\wör/d<&>+': "",
    "hunter2!": "Token ",
    "ababababab": "",
    "abababababcdefgh": "",
}


def _known(secrets: dict[str, str]) -> Knowledge:
    found = (fingerprints_of(secret.encode(), prefix, KEY) for secret, prefix in secrets.items())
    items = tuple(dict.fromkeys(item for items in found for item in items))
    return Knowledge(KNOWLEDGE.engine, Fingerprints(KEY, items) or NONE)


KNOWN = _known(SECRETS)
TOKEN, PASSWORD = next(iter(SECRETS)), "S3cret+pass/word"
ONE = _known({TOKEN: "Bearer "})
"""Cases of rules have a few of the others in them."""


def _mask(*kinds: str) -> Mask:
    return Mask("p", kinds, (), Operator.REDACT, ("request", "response"))


def _stage(content_type: str, masks: tuple[Mask, ...] = (), lane: str = "response") -> Stage:
    stage = build(masks, lane, content_type, KNOWN)
    assert stage is not None
    return stage


@pytest.mark.parametrize("secret", [*SECRETS, PASSWORD, f"service:{PASSWORD}"])
@pytest.mark.parametrize(
    "spelling",
    [
        str,
        lambda s: quote(s, safe=""),
        lambda s: quote(s),
        quote_plus,
        lambda s: s.encode().hex(),
        lambda s: s.encode().hex().upper(),
        lambda s: json.dumps(s)[1:-1],
        lambda s: json.dumps(s, ensure_ascii=False)[1:-1],
        html.escape,
    ],
)
def test_each_spelling_in_each_kind_of_body(secret: str, spelling: Callable[[str], str]) -> None:
    """No spelling of any secret is left in any kind of body, nor anything but it taken."""
    text = spelling(secret)
    for content_type, body, expected in [
        ("text/html", f"<p>x{text}y</p>", f"<p>x{MASK}y</p>"),
        ("application/octet-stream", f"\x01x{text}y", "\x01x" + "*" * len(text.encode()) + "y"),
        ("application/json", json.dumps({f"k{text}": [f"a{text}"]}), json.dumps({f"k{MASK}": [f"a{MASK}"]})),
        ("", json.dumps({"k": text}, ensure_ascii=False), json.dumps({"k": MASK})),
        ("application/x-www-form-urlencoded", f"a=b&c={quote_plus(text)}", f"a=b&c={quote_plus(MASK)}"),
        ("text/event-stream", f'data: {{"k":{json.dumps(text)}}}\n\n', f'data: {{"k":"{MASK}"}}\n\n'),
        ("application/json; charset=utf-16", f"x{text}y", "x" + "*" * len(text.encode()) + "y"),
    ]:
        for masks in [(), (_mask("card"),)] if "utf-16" not in content_type else [()]:
            out, counts = run(partial(_stage, content_type, masks), body.encode())
            assert (out.decode(), counts.get("credential", 0) > 0) == (expected, True), (content_type, masks)
    assert mask_value((), "response", f"x {text}", KNOWN) == (f"x {MASK}", {"credential": 1})


@pytest.mark.parametrize("skipped", range(3))
@pytest.mark.parametrize("alphabet", [base64.b64encode, base64.urlsafe_b64encode])
def test_inside_longer_base64(skipped: int, alphabet: Callable[[bytes], bytes]) -> None:
    """At each alignment all but the characters that a neighbour has a part in goes."""
    coded = alphabet(b"\xff" * (3 + skipped) + TOKEN.encode() + b"\xff\xff").decode()
    out, counts = mask_value((), "response", coded, KNOWN)
    assert counts == {"credential": 1}
    assert len(out) - len(MASK) <= 4 + 2 + 2 + 3


def _oracle(data: bytes, spelt: list[bytes]) -> bytes:
    """What must come out, by brute force over the spellings themselves."""
    out, covered, last = bytearray(), 0, 0
    for start in range(len(data)):
        stop = max((start + len(s) for s in spelt if data.startswith(s, start)), default=0)
        if stop > covered:
            if start >= covered:
                out += data[last:start] + MASK.encode()
            covered = last = stop
    return bytes(out + data[max(last, covered) :])


_RAW = [b"ababababab", b"abababababcdefgh", b"tk-live-4eC39HqLyjWDarjtT1zdp7dc"]
_PARTS = st.sampled_from([b"ab", b"abababab", b"cdefgh", b"tk-live-4eC39HqLyj", b"WDarjtT1zdp7dc", b" ", b"x", *_RAW])


@given(st.lists(_PARTS, max_size=12).map(b"".join), st.data())
def test_overlaps_and_cuts_against_brute_force(data: bytes, draw: st.DataObject) -> None:
    """Secrets that begin alike, repeat themselves and overlap: all their bytes go and no other, wherever it is cut."""
    cuts = draw.draw(st.lists(st.integers(0, len(data)), max_size=6))
    expected = _oracle(data, _RAW)
    only = Plan(KNOWN.detector(frozenset()))
    assert run(lambda: TextStage(only), data, cuts)[0] == expected
    assert run(lambda: TextStage(only), data, range(1, len(data)))[0] == expected


_TYPES = ["text/csv", "text/plain", "application/json", "application/x-www-form-urlencoded", "text/event-stream"]


@pytest.mark.parametrize("content_type", _TYPES)
@pytest.mark.parametrize("masks", [(), (_mask("*"),)])
def test_every_single_cut(content_type: str, masks: tuple[Mask, ...]) -> None:
    """Each body, cut at each offset and byte by byte, comes out the same."""
    text = f"a {TOKEN} b {TOKEN[:20]} \\ é {PASSWORD}"
    body = {
        "application/json": json.dumps([text, {TOKEN: 1}]) + json.dumps(text, ensure_ascii=False),
        "application/x-www-form-urlencoded": f"a={quote_plus(text)}&{TOKEN}=b",
        "text/event-stream": f"data: {text}\n\ndata: {TOKEN[:9]}\n\ndata: {TOKEN[9:]}\n\n: {TOKEN}\n\n",
    }.get(content_type, text)
    every_cut(lambda: _stage(content_type, masks), body.encode())


_CODED = ["Zm9vYmFy+c2VjcmV0/a2V5LXdpdGg=", "pa%41ss&word=with;stuff", "a=b&c=d+e%20f&&", "the-real-credential-of-crm"]
_KNOWN_CODED = _known(dict.fromkeys([*_CODED, TOKEN], "Bearer "))


def _coded(content_type: str, masks: tuple[Mask, ...], known: Knowledge = _KNOWN_CODED) -> Stage:
    stage = build(masks, "response", content_type, known)
    assert stage is not None
    return stage


@pytest.mark.parametrize("secret", _CODED)
@pytest.mark.parametrize("masks", [(), (_mask("*"),)])
@pytest.mark.parametrize("before", ["", "a=", "Authorization: Bearer ", "x&y=1&", "%"])
def test_what_calls_itself_a_form_need_not_be_one(secret: str, masks: tuple[Mask, ...], before: str) -> None:
    """A plain credential goes, also where decoding would change it, at every cut; what is left is a form if it was."""
    make = partial(_coded, "application/x-www-form-urlencoded", masks, _known({secret: "Bearer "}))
    out, counts = run(make, f"{before}{secret}&z=%41".encode())
    assert (out.decode(), counts) == (f"{before}{quote_plus(MASK)}&z=%41", {"credential": 1})
    every_cut(make, f"{before}{secret}".encode())


@pytest.mark.parametrize("masks", [(), (_mask("*"),)])
@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", '["\\{}"]'),
        ("application/json", '{{"\\{}": 1}}'),
        ("text/plain", '{{"a":"\\{}"}}'),
        ("application/x-json-like", '["\\{}"]'),
        ("text/event-stream", 'data: {{"a":"\\{}"}}\n\n'),
    ],
)
def test_an_escape_hides_no_credential(content_type: str, body: str, masks: tuple[Mask, ...]) -> None:
    """Behind a backslash the first letter of one is read as a tab; its bytes are there all the same."""
    make = partial(_stage, content_type, masks)
    out, counts = run(make, body.format(TOKEN).encode())
    assert (out.decode(), counts) == (body.format(MASK), {"credential": 1})
    every_cut(make, body.format(TOKEN).encode())


_TWICE_READ = st.sampled_from(
    [*_CODED, TOKEN, "\\" + TOKEN, "\\n", "\\", "+", "&", "=", "%2B", "%", '"', "[", "Bearer ", "jane@example.com"]
)


@given(st.lists(_TWICE_READ, max_size=8).map("".join), st.sampled_from(_TYPES), st.booleans(), st.data())
def test_no_plain_credential_in_any_reading(text: str, content_type: str, guard: bool, draw: st.DataObject) -> None:
    """Whatever a body calls itself, no credential is left in its bytes, and cuts do not matter."""
    make = partial(_coded, content_type, () if guard else (_mask("credential"),))
    cuts = draw.draw(st.lists(st.integers(0, len(text)), max_size=6))
    try:
        whole = run(make, text.encode())
    except MaskError:
        with pytest.raises(MaskError):
            run(make, text.encode(), cuts)
        return
    assert run(make, text.encode(), cuts) == whole
    assert not any(secret.encode() in whole[0] for secret in (*_CODED, TOKEN))


@given(pieces, st.data())
def test_other_kinds_are_found_as_without(text: str, draw: st.DataObject) -> None:
    """Among all kinds, cuts do not matter either, and where no credential is nothing changes."""
    both = Plan(ONE.detector())
    raw = (text + TOKEN[: draw.draw(st.integers(0, 12))] + text).encode()
    assert run(lambda: TextStage(both), raw) == run(lambda: TextStage(PLAN), raw)
    raw = (text + TOKEN + text).encode()
    cuts = draw.draw(st.lists(st.integers(0, len(raw)), max_size=6))
    whole = run(lambda: TextStage(both), raw)
    assert run(lambda: TextStage(both), raw, cuts) == whole
    assert TOKEN.encode() not in whole[0]
    assert whole[1]["credential"] == 1


def test_across_deltas_and_text_events() -> None:
    """A credential spelt out over chunks of a chat completion or over events is found, and the rest goes on."""
    deltas = [f"your key is {TOKEN[:5]}", TOKEN[5:30], TOKEN[30:] + ", bye"]
    chunks = [{"choices": [{"index": 0, "delta": {"content": text}}]} for text in deltas]
    body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
    out, counts = run(lambda: _stage("text/event-stream"), body.encode())
    said = "".join(
        choice["delta"].get("content", "")
        for line in out.decode().splitlines()
        if line.startswith("data: {")
        for choice in json.loads(line[6:])["choices"]
    )
    assert (said, counts) == (f"your key is {MASK}, bye", {"credential": 1})
    out, counts = run(lambda: _stage("text/event-stream"), f"data: {TOKEN[:9]}\n\ndata: {TOKEN[9:]}\n\n".encode())
    assert TOKEN[9:].encode() not in out
    assert counts == {"credential": 1}


def test_only_what_may_be_one_waits() -> None:
    """After an anchor at most the length less one is held; text that can't go on as one goes at once."""
    stage = _stage("text/html")
    assert stage.feed(b"<b>tk-live-4eC39 ") == b"<b>tk-live-4eC39 "
    assert stage.feed(b"<b>tk-live-4eC39") == b"<b>"
    assert stage.feed(b"<") == b"tk-live-4eC39<"
    assert stage.feed(b"x tk-") == b"x "
    assert stage.finish() == b"tk-"


def test_malformed_bodies_pass_unless_a_mask_reads_them() -> None:
    """Nobody chose that an answer without masks has to be well-formed; what it echoes goes all the same."""
    for body in (f'{{"a": "{TOKEN}', f"[[{TOKEN}]", '{"a": "\\u00' + TOKEN, "[" * 500 + f'"{TOKEN}"'):
        out, _ = run(lambda: _stage("application/json"), body.encode())
        assert TOKEN.encode() not in out
        assert len(out) >= len(body) - len(TOKEN)
        with pytest.raises(MaskError):
            run(lambda: _stage("application/json", (_mask("card"),)), body.encode())


def test_requests_are_the_policys_choice() -> None:
    """A credential in a request is found as a kind of its own, and masked where a policy says so."""
    body = json.dumps({"note": TOKEN}).encode()
    assert found_in(body, "application/json", KNOWN) == {"credential": 1}
    assert found_in(TOKEN.encode(), "text/plain", KNOWN) == {"credential": 1}
    assert build((), "request", "application/json", KNOWN) is None
    assert mask_value((), "request", TOKEN, KNOWN) == (TOKEN, {})
    assert mask_value((_mask("card"),), "request", TOKEN, KNOWN) == (TOKEN, {})
    for kind in ("credential", "*"):
        assert mask_value((_mask(kind),), "request", TOKEN, KNOWN) == (MASK, {"credential": 1})
        assert run(partial(_stage, "application/json", (_mask(kind),), "request"), body)[1] == {"credential": 1}
    assert build((_mask("credential"),), "request", "text/csv", KNOWLEDGE) is None


def test_numbers_can_be_credentials() -> None:
    """A secret of digits that comes back as a JSON number becomes null, in bodies and in records."""
    known = _known({"90210448817": ""})
    for masks in ((), (_mask("ssn"),)):
        stage = build(masks, "response", "application/json", known)
        assert stage is not None
        assert stage.feed(b'{"pin": 90210448817, "n": 1}') + stage.finish() == b'{"pin": null, "n": 1}'
        assert stage.counts == {"credential": 1}
    assert redact_json({"number": 90210448817}, known) == ({"number": None}, {"credential": 1})
    assert redact_json({"number": 90210448817}, KNOWLEDGE) == ({"number": 90210448817}, {})


def test_records_know_them() -> None:
    """Redaction takes them from texts and from names, also where a name was innocent before."""
    plain = "hunter2!"
    assert redact_json({plain: "x"}, KNOWLEDGE) == ({plain: "x"}, {})
    assert redact_json({plain: ["a " + TOKEN]}, KNOWN) == ({MASK: [f"a {MASK}"]}, {"credential": 2})
    assert redact(f"see {PASSWORD}", KNOWN) == (f"see {MASK}", {"credential": 1})


def test_long_secrets_go_whole_and_little_waits() -> None:
    """A secret of several windows: each byte of it goes, and never more than one window is held."""
    secret = "".join(f"{n:05d}-" for n in range(1000))
    known = _known({secret: ""})
    stage = build((), "response", "text/html", known)
    assert stage is not None
    out, held = b"", 0
    for byte in f"<{secret}>".encode():
        piece = stage.feed(bytes((byte,)))
        out += piece
        held = 0 if piece else held + 1
        assert held < WINDOW + 8
    assert (out + stage.finish()).replace(MASK.encode(), b"") == b"<>"


def test_a_document_holds_no_secret() -> None:
    """What workers read: no eight bytes of any secret, and the same fingerprints again."""
    items = KNOWN.credentials.items
    document = dump(items[:9], items[9:], KEY)
    assert set(load(document).items) == set(items)
    assert load(document).key == KEY
    assert load_current(document).items == items[:9]
    raw = b"".join(bytes.fromhex(part) for row in json.loads(document)["current"] for part in (row[1], row[3]))
    for secret in (*SECRETS, PASSWORD):
        for at in range(len(secret) - SHORTEST):
            part = secret[at : at + SHORTEST].encode()
            assert part not in document
            assert part not in raw
    assert all(len(item.anchor) * 2 <= item.length for item in items)


@pytest.mark.parametrize(
    "document",
    [b"", b"{}", b"[]", b'{"version": 2}', b'{"version":1,"key":"00","current":[],"previous":[]}',
     dump((), (), KEY).replace(b'"current": []', b'"current": [[9, "", "any", ""]]')],
)  # fmt: skip
def test_a_damaged_document_is_refused(document: bytes) -> None:
    """Workers that can't know what to look for say so."""
    with pytest.raises(FingerprintsUnreadable):
        load(document)


@pytest.mark.parametrize(
    ("secret", "prefix", "found", "kept"),
    [
        ("1234567", "", "", "1234567"),
        (base64.b64encode(b"me:pass").decode(), "Basic ", base64.b64encode(b"me:pass").decode(), "pass"),
        ("Basic " + base64.b64encode(b"me:longenough").decode(), "", "longenough", "Basic"),
        ("Bearer abcdefgh12", "", "abcdefgh12", "Bearer"),
        ('Digest id="x", key="0123456789abcdef"', "", "0123456789abcdef", "Digest"),
        ("abc%%%not-base64", "Basic ", "abc%%%not-base64", "Basic"),
    ],
)
def test_what_is_secret_in_a_value(secret: str, prefix: str, found: str, kept: str) -> None:
    """Short secrets have no fingerprint; of a whole header value its token has one, and its scheme none."""
    known = _known({secret: prefix})
    assert bool(known.credentials) is bool(found)
    if found:
        assert mask_value((), "response", f"<{found}>", known)[0] == f"<{MASK}>"
    assert mask_value((), "response", kept, known)[0] == kept


def test_without_fingerprints_nothing_is_looked_for() -> None:
    """No stage where no mask asks for one, and no difference in the ones there are."""
    assert build((), "response", "application/json", KNOWLEDGE) is build((), "response", "", KNOWLEDGE) is None
    assert mask_value((), "response", TOKEN, KNOWLEDGE) == (TOKEN, {})
    assert KNOWLEDGE.without_credentials() is KNOWLEDGE
    assert KNOWN.without_credentials() is KNOWN.without_credentials()
    assert mask_value((_mask("*"),), "response", TOKEN, KNOWN.without_credentials()) == (TOKEN, {})
