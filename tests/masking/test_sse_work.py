"""What events cost: the work that a stream of text events asks for grows with its bytes, whatever they are."""

import pytest

from extproc.masking.engine.engine import Detector
from extproc.masking.engine.fingerprint import Fingerprints, fingerprints_of
from extproc.masking.engine.needles import Needles
from extproc.masking.engine.scanner import Scanner
from extproc.masking.plan import Plan
from extproc.masking.structure.sse.stage import SseStage
from extproc.masking.structure.sse.textrun import TextRun
from tests.masking.streams import KNOWLEDGE

KEY = b"k" * 32
SECRETS = ["tk-live-4eC39HqLyjWDarjtT1zdp7dc", "the-" + "aB3$é" * 160, "zz-" + "\x01q9 Z" * 190, "hunter2!"]
KNOWN = Fingerprints(KEY, tuple(item for secret in SECRETS for item in fingerprints_of(secret.encode(), "", KEY)))
PLAN = Plan(KNOWLEDGE.engine.detector(known=KNOWN))


def _events(*texts: str) -> bytes:
    return b"".join(b"data: " + text.encode() + b"\n\n" for text in texts)


HOSTILE = {
    "a letter": (b"", _events("x")),
    "openai": (b"", _events("sk-")),
    "openai, spelt": (b"", _events(*"sk-")),
    "jwt": (b"", _events("ey")),
    "jwt's tail": (_events("eyJhbGciOiJIUzI1NiJ9."), _events("a")),
    "slack": (b"", _events("xoxb-")),
    "github": (b"", _events("ghp_")),
    "aws": (b"", _events("AKIA")),
    "bearer": (b"", _events("bearer ")),
    "pem": (b"", _events("-----BEGIN ")),
    "pem's tail": (_events("-----BEGIN PRIVATE KEY-----"), _events("M")),
    "digits": (b"", _events(*"41111111111111112")),
    "digits and gaps": (b"", _events("4 ", "1-")),
    "ssn": (b"", _events("ssn: 000")),
    "iban": (b"", _events(*"DE11")),
    "email": (b"", _events(*"a" * 64, "@", *"a." * 64)),
    "at signs": (b"", _events("a@a.a")),
    "alternating": (b"", _events("sk-", "4111 ", "a@", "ey", "-----BEGIN ")),
    "values": (b"", _events("a@bc.de ")),
    "anchors": (b"", _events("the-")),
    "an anchor, then values": (b"", _events("zz-", *["a@bc.de "] * 80)),
    "an anchor, then others": (b"", _events("zz-", *"the-" * 280)),
    "empty events": (_events("4"), b"data\n\n"),
    "line ends": (_events("4"), b"\n"),
    "a long event, then empty ones": (_events("x y " * 9000 + "4"), b"data\n\n"),
    "a long event, then letters": (_events("x y " * 9000 + "zz-"), _events("q")),
}


MOST = 700
"""Bytes looked at for each that came, in all readings together."""


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The bytes that every look at them was given, summed up."""
    seen = [0]

    def counted(owner: type, name: str, size: int) -> None:
        original = getattr(owner, name)

        def wrapper(self: object, *args: object, **kwargs: object) -> object:
            seen[0] += 64 + (len(args[size]) if size >= 0 else 0)  # type: ignore[arg-type]
            return original(self, *args, **kwargs)

        monkeypatch.setattr(owner, name, wrapper)

    for owner, name in [
        (Detector, "opens"),
        (Detector, "hold"),
        (Scanner, "feed"),
        (Needles, "find"),
        (Needles, "hold"),
    ]:
        counted(owner, name, 0)
    counted(TextRun, "_masked", -1)
    return seen


def _cost(seen: list[int], raw: bytes) -> int:
    seen[0] = 0
    stage = SseStage(PLAN)
    for at in range(0, len(raw), 16 << 10):
        stage.feed(raw[at : at + (16 << 10)])
    stage.finish()
    return seen[0]


@pytest.mark.parametrize("name", HOSTILE)
def test_work_is_linear_in_the_events(work: list[int], name: str) -> None:
    """What one more byte costs does not grow (were it quadratic, it would double), and is bounded."""
    first, unit = HOSTILE[name]
    streams = [first + unit * (size // len(unit)) for size in (12_000, 24_000, 48_000)]
    costs = [_cost(work, raw) for raw in streams]
    early, late = ((costs[i + 1] - costs[i]) / (len(streams[i + 1]) - len(streams[i])) for i in range(2))
    assert late <= 1.5 * early
    assert late <= MOST
