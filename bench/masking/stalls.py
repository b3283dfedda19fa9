"""The longest that a single step takes, whatever the input: nothing else happens on a worker's loop meanwhile.

A worker feeds bodies as they come: up to 4 KiB, with what their stage holds, on its event loop, more in a thread; of
events 384 bytes at a time. Steps count with their CPU, and the same input is fed several times, of which each position
counts with its fastest: what else the machine did is no stall.
"""

import gc
import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bench.masking import corpora, dense, ours
from extproc.masking.shipped import knowledge
from extproc.protocols.http.lanes import Masked
from extproc.server.driver import INLINE_BYTES

AIM_MS = 5.0
LARGE = 16 << 10
_TEXT, _JSON, _EVENTS = "text/x-log", "application/json", "text/event-stream"

_TINY = ("4", "x", "ghp_", "a@", "a@bc.de", "eyJ", "password=", "password=hunter2!", "DE11", "4111 ", "ssn 1", "1.")
"""What each event has, or a letter of it: what begins a value, and some that are one."""


@dataclass(frozen=True, slots=True)
class Stall:
    """The longest step of an input that comes in pieces of `size` bytes, in ms, and the mean; and the longest of those
    that the event loop does itself."""

    input: str
    content_type: str
    size: int
    worst_ms: float
    mean_ms: float
    loop_ms: float


def measure(length: int, rounds: int, say: Callable[[str], None]) -> list[Stall]:
    """All inputs, of about `length` bytes each."""
    found = []
    for name, content_type, data in inputs(length):
        say(f"stalls: {name}")
        found += [_stall(name, content_type, data, size, rounds) for size in (INLINE_BYTES, LARGE)]
    return found


def _stall(name: str, content_type: str, data: bytes, size: int, rounds: int) -> Stall:
    fastest: list[float] = []
    loop: set[int] = set()
    for number in range(rounds):
        lane = Masked(ours.stage(content_type), knowledge(), content_type)
        step = min(size, lane.bite)
        gc.collect()
        for index, at in enumerate(range(0, len(data), step)):
            if lane.held + step <= INLINE_BYTES:
                loop.add(index)
            began = time.thread_time()
            lane.push(data[at : at + step], at + step >= len(data))
            took = time.thread_time() - began
            if number:
                fastest[index] = min(fastest[index], took)
            else:
                fastest.append(took)
    longest = max((fastest[index] for index in loop), default=0.0)
    return Stall(name, content_type, size, max(fastest) * 1000, sum(fastest) / len(fastest) * 1000, longest * 1000)


def inputs(length: int) -> Iterator[tuple[str, str, bytes]]:
    """(name, content type, bytes) of what is tried: two usual texts, and what somebody may think of who means ill."""
    ordinary, decoys = corpora.ordinary(length), dense.decoys(length)
    yield "ordinary", _TEXT, ordinary.encode()
    yield "ordinary, JSON", _JSON, ours.as_json(ordinary)
    yield "dense with decoys", _TEXT, decoys.encode()
    yield "dense with decoys, JSON", _JSON, ours.as_json(decoys)
    rng = random.Random(3)
    base64url = "".join(rng.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", k=length))
    for name, text in (
        ("only the digit 4", "4" * length),
        ("4111 4111 …", _repeated("4111 ", length)),
        ("random digits", "".join(rng.choices("0123456789", k=length))),
        ("digits and dashes", "".join(rng.choices("0123456789- ", k=length))),
        ("a PEM block without end", "-----BEGIN PRIVATE KEY-----\n" + base64url),
        ("BEGIN lines", _repeated("-----BEGIN RSA PRIVATE KEY", length)),
        ("a JWT as long as that", "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9." + base64url),
        ("eyJ-eyJ-…", _repeated("eyJ-", length)),
        ("eyJhbGciOi…", _repeated("eyJhbGciOi.", length)),
        ("DE11 DE11 …", _repeated("DE11 ", length)),
        ("a@a@…", _repeated("a@", length)),
        ("a.a.a.…@", "a." * (length // 2) + "@"),
        ("10,000 near-cards", _repeated("4111 1111 1111 1112 ", min(length, 200_000))),
        ("10,000 near-tokens", _repeated("ghp_aaaaaaaaaa ", min(length, 150_000))),
        ("10,000 tokens", _repeated("ghp_" + "a1B2" * 9 + " ", min(length, 400_000))),
        ("password=password=…", _repeated("password=", length)),
        ("context words", _repeated("ssn passport token phone born account ", length)),
        ("https://a:b@a:b@…", _repeated("https://a:b@", length)),
        ("1.1.1.1.1.…", _repeated("1.", length)),
        ("a:b:c:…", _repeated("fe80:", length)),
        ("blanks", " " * length),
    ):  # fmt: skip
        yield name, _TEXT, text.encode()
    yield "zero bytes", "application/octet-stream", bytes(length)
    yield "one JSON string of 4", _JSON, json.dumps({"a": "4" * length}).encode()
    yield "escapes", _JSON, b'{"a":"' + b"\\u0034" * (length // 6) + b'"}'
    yield "deep JSON", _JSON, (b'{"a":' * 100 + b"1" + b"}" * 100 + b"\n") * (length // 700)
    yield "one-character strings", _JSON, json.dumps(["4"] * (length // 5)).encode()
    yield "names of members", _JSON, json.dumps({f"ssn{n}": n for n in range(length // 20)}).encode()
    yield from _events(length, rng)


def _events(length: int, rng: random.Random) -> Iterator[tuple[str, str, bytes]]:
    """Events of a few bytes each, of all the kinds that are read in their own way."""
    for text in _TINY:
        yield f"text events: {text}", _EVENTS, _stream([text], length)
    mixed = rng.choices(_TINY, k=1000)
    yield "text events: mixed", _EVENTS, _stream(mixed, length)
    yield "text events and JSON in turn", _EVENTS, _stream(["ghp_", "{}"], length)
    yield "text events: broken JSON", _EVENTS, _stream(["[4"], length)
    yield "events of nothing but JSON", _EVENTS, _stream(["{}"], length)
    yield "comments", _EVENTS, "".join(f":{n:x}\n\n" for n in range(length // 6)).encode()
    for name, document in (
        ("chat deltas", {"choices": [{"index": 0, "delta": {"content": "%s"}}]}),
        ("chat arguments", {"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": "%s"}}]}}]}),
        ("message deltas", {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "%s"}}),
        ("response deltas", {"type": "response.output_text.delta", "delta": "%s"}),
        ("response arguments", {"type": "x.arguments.delta", "delta": "%s"}),
        ("whole arguments", {"type": "x.done", "arguments": "%s"}),
        ("token deltas", {"token": {"text": "%s"}}),
        ("short deltas", {"stop": 0, "content": "%s"}),
        ("deltas that end", {"stop": 1, "content": "%s"}),
    ):
        picture = json.dumps(document, separators=(",", ":"))
        yield f"{name}: mixed", _EVENTS, _stream([picture % text for text in mixed], length)
        yield f"{name}: 4", _EVENTS, _stream([picture % "4"], length)
    lines = ['{"stop":0,"content":"x"}', *([f'{{"stop":0,"content":"{text}"}}' for text in mixed])]
    yield "lines of deltas: mixed", _JSON, _repeated("\n".join(lines) + "\n", length).rpartition("\n")[0].encode()
    yield "a line of a delta, then numbers", _JSON, ('{"stop":0,"content":"x"}' + "\n4" * (length // 2)).encode()


def _stream(payloads: list[str], length: int) -> bytes:
    return _repeated("".join(f"data:{payload}\n\n" for payload in payloads), length).encode()


def _repeated(text: str, length: int) -> str:
    return (text * (length // len(text) + 1))[:length]
