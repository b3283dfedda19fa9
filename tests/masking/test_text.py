"""Text as it streams by."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.masking.operators import mask_text
from extproc.masking.text import TextStage
from tests.masking.streams import PLAN, SECRETS, pieces, planted, run


def _stage() -> TextStage:
    return TextStage(PLAN)


@given(pieces, st.data())
def test_cuts_do_not_matter(text: str, data: st.DataObject) -> None:
    """Any text, cut anywhere, comes out as the whole does."""
    raw = text.encode()
    cuts = data.draw(st.lists(st.integers(0, len(raw)), max_size=6))
    assert run(_stage, raw, cuts) == run(_stage, raw)
    assert run(_stage, raw, range(1, len(raw))) == run(_stage, raw)


@given(planted, st.data())
def test_no_planted_value_survives(text: str, data: st.DataObject) -> None:
    """What is planted goes, and everything else stays where it was."""
    raw = text.encode()
    cuts = data.draw(st.lists(st.integers(0, len(raw)), max_size=6))
    expected = text
    for kind, secret in SECRETS.items():
        expected = expected.replace(secret, mask_text(kind))
    assert run(_stage, raw, cuts)[0].decode() == expected


@given(st.binary(max_size=400))
def test_any_bytes_are_taken(raw: bytes) -> None:
    """Bytes that are no text at all pass, whole or bytewise alike."""
    assert run(_stage, raw, range(1, len(raw))) == run(_stage, raw)


@pytest.mark.parametrize("kind", sorted(SECRETS))
def test_what_is_final_goes_at_once(kind: str) -> None:
    """Text after which no value can be unfinished is not held back."""
    stage = _stage()
    assert stage.feed(f"see {SECRETS[kind]} \n".encode()) == f"see {mask_text(kind)} \n".encode()
    assert stage.counts == {kind: 1}


def test_a_clean_word_is_held_and_nothing_more() -> None:
    """At the end of a buffer only what a value may begin with waits."""
    stage = _stage()
    assert stage.feed(b"hello world") == b"hello "
    assert stage.feed(b" ") == b"world "


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-----BEGIN PRIVATE KEY-----\n" + "A" * 30000 + ". after", "[masked:private-key]. after"),
        ("-----BEGIN PRIVATE KEY-----\n<é>" + "A" * 10 + "\n-----END PRIVATE KEY-----é", "[masked:private-key]é"),
        ("-----BEGIN PRIVATE KEY-----" + "<é" * 8192, "[masked:private-key]é<é<é"),
        ("-----BEGIN PRIVATE KEY-----" + "é<" * 8192, "[masked:private-key]<é<é"),
        ("-----BEGIN PRIVATE KEY-----" + "A" * 16384 + " and on. after", "[masked:private-key]. after"),
    ],
)
def test_where_a_block_ends(text: str, expected: str) -> None:
    """At its END line, or after 16 KiB where it stops looking like base64; never inside a character."""
    out, counts = run(_stage, text.encode())
    assert out.decode().startswith(expected)
    assert counts == {"private-key": 1}
    assert run(_stage, text.encode(), range(100, len(text), 997)) == (out, counts)


def test_one_long_token_is_one_value() -> None:
    """A token of a megabyte is swallowed as it comes."""
    token = b"eyJhbGciOiJIUzI1NiJ9." + b"A" * (1 << 20)
    assert run(_stage, b"x " + token + b" y", range(0, len(token), 5000)) == (b"x [masked:jwt] y", {"jwt": 1})


def test_decoys_do_not_hide_a_value() -> None:
    """Ten thousand numbers that fail their check, and the one that does not."""
    decoys = b"4111111111111112 " * 10_000
    out, counts = run(_stage, decoys + b"4111111111111111 " + decoys, range(0, 300_000, 16_384))
    assert out == decoys + b"[masked:card] " + decoys
    assert counts == {"card": 1}


def test_fill_keeps_every_offset() -> None:
    """In binary formats a value is overwritten, byte for byte."""
    raw = b"\x89PNG\x00jane@example.com\x00" + SECRETS["private-key"].encode() + b"\xff\xfe"
    out, _ = run(lambda: TextStage(PLAN, fill=True), raw, range(1, len(raw)))
    assert out == b"\x89PNG\x00" + b"*" * 16 + b"\x00" + b"*" * len(SECRETS["private-key"]) + b"\xff\xfe"
