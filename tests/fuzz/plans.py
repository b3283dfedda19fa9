"""Plans and stages that targets choose from."""

from collections.abc import Callable, Mapping
from functools import lru_cache

from extproc.domain.mask import Mask, Operator
from extproc.masking.build import build
from extproc.masking.engine.engine import Engine
from extproc.masking.engine.fingerprint import Fingerprints, fingerprints_of
from extproc.masking.plan import Knowledge, Plan
from extproc.masking.rules.reading import read
from extproc.masking.shipped import knowledge
from extproc.masking.stage import Stage
from extproc.masking.structure.csvstage import CsvStage
from extproc.masking.structure.dropping import DropStage
from extproc.masking.structure.form import FormStage
from extproc.masking.structure.jsonstage import JsonStage
from extproc.masking.structure.lenient import LenientStage
from extproc.masking.structure.llm.answers import AnswerStage
from extproc.masking.structure.llm.arguments import Arguments
from extproc.masking.structure.multipart import MultipartStage
from extproc.masking.structure.sniff import SniffStage
from extproc.masking.structure.sse.stage import SseStage
from extproc.masking.structure.xmlstage import XmlStage
from extproc.masking.text import TextStage

# One rule for each thing that a rule may have: the engine is the same for few and for many, and fast with few.
_RULES = r"""
rules:
  - {id: card, kind: card, family: financial, pattern: '[2-9](?:[ -]?\d){12,18}', check: card,
     positive: ['4111 1111 1111 1111'], negative: ['1']}
  - {id: ssn, kind: ssn, family: identity, pattern: '\d{3}-?\d{2}-?\d{4}', check: ssn, score: 0.2,
     context: [ssn, social security], keys: [id], positive: ['ssn 123456789'], negative: ['1']}
  - {id: email, kind: email, family: contact, pattern: '[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9.-]{4,128}',
     before: 'A-Za-z0-9._%+-', after: '', check: email, positive: ['jane@example.com'], negative: ['1']}
  - {id: pem, kind: private-key, family: secret, tail: pem, before: '',
     pattern: '-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----', positive: ['-----BEGIN PRIVATE KEY-----'], negative: ['1']}
  - {id: token, kind: token, family: secret, pattern: 'tk_[a-f0-9]{4,}', positive: ['tk_0000'], negative: ['1']}
  - {id: tokens, kind: token, family: secret, pattern: '(?i)t[ok]_(?:ab|a){1,3}\d?', before: '', after: '',
     positive: ['tk_a'], negative: ['1']}
  - {id: password, kind: password, family: secret, pattern: '(?i)pass\s{0,3}[:=]\s{0,3}(?P<value>[!-~]{3,12})',
     after: '', check: not_placeholder, positive: ['pass: abc1'], negative: ['1']}
  - {id: code, kind: code, family: health, pattern: '\d{2,4}', score: 0.1, context: [code, pin no], keys: [c],
     positive: ['code 1234'], negative: ['1']}
words:
  - {id: words, kind: word, family: identity, words: [tk, Jürgen, ship code 1]}
"""

SECRET = b'Zq8/fT+2"x\xc3\xa9-\\n4Kw9'
"""A credential that fingerprints know, with characters that every format escapes."""

_KEY = b"k" * 32
_KNOWN = Fingerprints(_KEY, fingerprints_of(SECRET, "", _KEY))
SMALL = Knowledge(Engine(read(_RULES, "the fuzzer's rules")), _KNOWN, _KEY)
KEYS = (frozenset[str](), frozenset({"secret"}), frozenset({"secret", "Ä", 'q"', "ssn"}))
OPERATORS = tuple(Operator)


@lru_cache(maxsize=256)
def plan(shipped: bool, operator: Operator, keys: frozenset[str], lenient: bool = False) -> Plan:
    """A plan that does one thing with everything that it finds."""
    known = Knowledge(knowledge().engine, _KNOWN, _KEY) if shipped else SMALL
    kinds = [*known.engine.kinds, "credential", *(f"key:{key.lower()}" for key in keys)]
    operators = dict.fromkeys(kinds, operator) if operator is not Operator.REDACT else {}
    return Plan(known.detector(), keys, operators, _KEY, lenient)


def json(made: Plan) -> Stage:
    """As `build` reads JSON."""
    stage: Stage = LenientStage(made) if made.lenient else JsonStage(made)
    return DropStage(stage, made.lenient) if made.drops else stage


def _multipart(made: Plan) -> Stage:
    def inner(kind: str, name: str | None) -> Stage:
        return json(made) if "json" in kind else TextStage(made.in_text(), named=made.detector.named(name or ""))

    return MultipartStage(made, "multipart/form-data; boundary=XX", inner)


TYPES = (
    "", "text/plain", "application/json", "application/x-ndjson", "text/event-stream", "text/csv", "text/xml",
    "text/html", "application/x-www-form-urlencoded", "multipart/mixed; boundary=XX", "application/octet-stream",
    "text/tab-separated-values", "application/xml", "image/svg+xml", "application/vnd.x+json",
)  # fmt: skip


def _built(content_type: str, guard: bool = False) -> Callable[[Plan], Stage]:
    """As the gateway makes it; with `guard`, where no policy asks for anything."""

    def make(made: Plan) -> Stage:
        mask = Mask("p", ("*",), tuple(made.keys), made.operator("card"), lenient=made.lenient)
        stage = build(() if guard else (mask,), "response", content_type, SMALL)
        if stage is None:
            raise AssertionError("what is known makes no stage")
        return stage

    return make


STAGES: Mapping[str, Callable[[Plan], Stage]] = {
    "text": lambda made: TextStage(made.in_text()),
    "binary": lambda made: TextStage(made.in_text(), fill=True),
    "json": json,
    "events": SseStage,
    "answers": lambda made: AnswerStage(made, lambda: json(made)),
    "arguments": Arguments,
    "form": FormStage,
    "csv": CsvStage,
    "tabs": lambda made: CsvStage(made, "text/tab-separated-values"),
    "multipart": _multipart,
    "xml": XmlStage,
    "html": lambda made: XmlStage(made, html=True),
    "sniffed": lambda made: SniffStage(lambda: json(made), lambda: TextStage(made.in_text())),
    **{f"built {content_type}": _built(content_type) for content_type in TYPES},
    **{f"guard {content_type}": _built(content_type, guard=True) for content_type in TYPES},
}
"""What makes a stage for a plan, by name."""
