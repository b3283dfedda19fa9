"""Text that goes on while it waits, as in a terminal: what has gone stays context, what follows is masked."""

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.masking.operators import mask_text
from extproc.masking.plan import Plan
from extproc.masking.text import TextStage
from tests.masking.streams import KNOWLEDGE, PLAN, SECRETS, pieces, planned, run

CODE = planned("kind: code, pattern: '\\d{4}-\\d{4}', score: 0.2, context: [pin]")
FIXED = planned("kind: fixed, pattern: 'k-[0-9]{8}'", "kind: run, pattern: 'run-[0-9]{4,}'")


def _played(plan: Plan, *steps: bytes | None) -> tuple[list[bytes], dict[str, int]]:
    """What each step gives: bytes are fed, None is a flush; the last is what the end gives."""
    stage = TextStage(plan)
    given_ = [stage.flush() if step is None else stage.feed(step) for step in steps]
    return [*given_, stage.finish()], stage.counts


@pytest.mark.parametrize(
    ("plan", "steps", "given_", "counts"),
    [
        (FIXED, [b"hello", None], [b"hello", b"", b""], {}),
        (FIXED, [b"a k", None, b"ey\n"], [b"a ", b"k", b"ey\n", b""], {}),
        (FIXED, [b"k-1234", None, b"5678 x"], [b"", b"k-1234", b"[masked:fixed] x", b""], {"fixed": 1}),
        (FIXED, [b"k-1234", None, b"5678"], [b"", b"k-1234", b"", b"[masked:fixed]"], {"fixed": 1}),
        (FIXED, [b"k-12", None, b"34", None, b"5678 x"],
         [b"", b"k-12", b"", b"34", b"[masked:fixed] x", b""], {"fixed": 1}),
        (FIXED, [b"k-1234", None, None, b"x"], [b"", b"k-1234", b"", b"x", b""], {}),
        (FIXED, [b"k-12345678", None, b" x"], [b"", b"k-12345678", b" x", b""], {}),
        (FIXED, [b"k-12345678", None, b"9 x"], [b"", b"k-12345678", b"9 x", b""], {}),
        (FIXED, [b"run-1234", None, b"5678 x"], [b"", b"run-1234", b"[masked:run] x", b""], {"run": 1}),
        (FIXED, [b"run-12345", None, b"5678 x"], [b"[masked:run]", b"", b" x", b""], {"run": 1}),
        (FIXED, [b"k-12345678 k-1", None, b"2345678 "],
         [b"[masked:fixed] ", b"k-1", b"[masked:fixed] ", b""], {"fixed": 2}),
        (CODE, [b"pin", None, b" 1234-5678 "], [b"pin", b"", b" [masked:code] ", b""], {"code": 1}),
        (CODE, [b"pin: ", None, b"1234", None, b"-5678\n"],
         [b"pin: ", b"", b"", b"1234", b"[masked:code]\n", b""], {"code": 1}),
    ],
)  # fmt: skip
def test_steps(plan: Plan, steps: list[bytes | None], given_: list[bytes], counts: dict[str, int]) -> None:
    """What waits goes at a flush, once; of the value that it began the rest is masked, and counted if there is one."""
    assert _played(plan, *steps) == (given_, counts)


@pytest.mark.parametrize("kind", sorted(SECRETS))
def test_a_flush_at_every_place(kind: str) -> None:
    """Whatever stood before the flush, no byte that comes after it and belongs to a value goes on."""
    secret, mask = SECRETS[kind], mask_text(kind)
    text = f"a {secret} b"
    start, end = 2, 2 + len(secret)
    for at in range(len(text) + 1):
        outs, counts = _played(PLAN, text[:at].encode(), None, text[at:].encode())
        out = b"".join(outs).decode()
        flushed = outs[1].decode()
        if at <= start or mask in outs[0].decode():
            assert (out, counts) == (f"a {mask} b", {kind: 1}), at
        elif at >= end:
            assert (out, counts) == (text, {}), at
        else:
            assert flushed == text[start:at][-len(flushed) :]
            assert out == f"a {text[start:at]}{mask} b", at
            assert counts == {kind: 1}, at


@given(pieces, st.lists(st.tuples(st.integers(1, 30), st.booleans()), max_size=12))
def test_nothing_is_lost_or_said_twice(text: str, steps: list[tuple[int, bool]]) -> None:
    """With flushes anywhere: what goes on of the text is what a stream without them lets through, and what was flushed,
    in order; a stage that flushes nothing is as one that has no flush."""
    data, at = text.encode(), 0
    plan = Plan(KNOWLEDGE.detector(), operators={})
    stage, out = TextStage(plan, fill=True), b""
    for size, idle in steps:
        out += stage.feed(data[at : at + size])
        at += size
        if idle:
            out += stage.flush()
            assert len(out) == min(at, len(data)), "nothing waits behind a flush"
    out += stage.feed(data[at:]) + stage.finish()
    covered, _ = run(partial(TextStage, plan, fill=True), data)
    assert len(out) == len(data) == len(covered)
    assert all(a in (b, c) for a, b, c in zip(out, covered, data, strict=True))
    if not any(idle for _, idle in steps):
        assert out == covered


@given(st.lists(st.sampled_from(["k-12345678", "run-12345678", "k-", "run-", " ", "1", "\n"]), max_size=8), st.data())
def test_what_comes_after_a_flush_is_masked(parts: list[str], data: st.DataObject) -> None:
    """Of every value, each byte that was fed after the last flush is covered."""
    raw = "".join(parts).encode()
    at = data.draw(st.integers(0, len(raw)))
    stage = TextStage(FIXED, fill=True)
    out = stage.feed(raw[:at]) + stage.flush()
    for byte in raw[at:]:
        out += stage.feed(bytes((byte,)))
    out += stage.finish()
    covered, counts = run(partial(TextStage, FIXED, fill=True), raw)
    assert out[at:] == covered[at:]
    assert sum(stage.counts.values()) <= sum(counts.values())
    assert (b"*" in out) is bool(stage.counts)
