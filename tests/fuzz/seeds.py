"""What fuzzing begins with beside the corpus: one input for each stage with material that it knows, so that a mutation
has something to start from."""

import json
from collections.abc import Iterator

from tests.fuzz.plans import SECRET, STAGES
from tests.fuzz.seeds_postgres import SEEDS
from tests.fuzz.seeds_postgres import WORDS as OF_SQL
from tests.masking.apis import APIS
from tests.masking.streams import RULES, SECRETS, unmarked

_CARD, _EMAIL = SECRETS["card"], SECRETS["email"]
_JSON = json.dumps(
    {"ssn": "219-09-9998", "secret": [1, {"a": None}], "a": [_CARD, 4111111111111111, 4.1e15], "b\n": f"x {_EMAIL} é😀"}
).encode()
_PARTS = (
    b'pre\r\n--XX\r\nContent-Disposition: form-data; name="secret"\r\n\r\nvalue\r\n'
    b'--XX\r\nContent-Type: application/json\r\n\r\n{"a":"4111 1111 1111 1111"}\r\n'
    b"--XX\r\nContent-Transfer-Encoding: base64\r\n\r\namFuZUBleGFtcGxlLmNvbQ==\r\n"
    b"--XX\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\njane=40example=\r\n.com\r\n--XX--\r\n"
)
_BODIES: dict[str, bytes] = {
    "json": _JSON,
    "application/json": _JSON,
    "arguments": _JSON[:-3],
    "form": b"secret=1&ssn=123456789&a=jane%40example.com&b=4111+1111+1111+1111&&c",
    "csv": b'name,ssn,"secret"\r\n"a ""b""",123456789,x\r\n' + f"{_CARD},{_EMAIL},\n".encode(),
    "tabs": b"name\tssn\tsecret\na\t123456789\tx\n",
    "multipart": _PARTS,
    "xml": b'<?xml version="1.0"?><r a="jane&#64;example.com"><secret>x</secret><!-- c -->'
    b"<![CDATA[4111 1111 1111 1111]]><a>4111<!-- x --> 1111<![CDATA[ 1111]]> 1111 jane@<?x?>example.com</a></r>",
    "html": b"<html><script>var a='jane@example.com'</script>"
    b"<p title=x>4111&nbsp;1111&#x20;1111 1111<br><p>jane<!-- x -->@example.com</html>",
    "guard": b'{"a": "Zq8\\/fT+2\\"x\\u00e9-\\\\n4Kw9"} & b=Zq8%2FfT%2B2%22x%C3%A9-%5Cn4Kw9&' + SECRET,
    "text": f"pass: hunter22 code 1234 {_CARD} tk_ab12 {_EMAIL}\n".encode() + SECRETS["private-key"].encode(),
}


WORDS = (
    *OF_SQL,
    *SECRETS.values(),
    SECRET.decode(),
    '"secret":', '"ssn":', '{"a":[', '"}]', "null", "\\u0034", "\\ud83d\\ude00", "é", "&#52;", "&#x31;",
    "%34", "=34", "=\r\n", "tk_ab", "pass: ", "code 12", "ship code 1", "J\u00fcrgen", "data: ", "\n\n", "\r\n\r\n",
    '""',
    "\r\n--XX\r\n", "--XX--", "Content-Transfer-Encoding: base64", "Content-Type: multipart/mixed; boundary=YY",
    "<secret>", "</secret>", "<![CDATA[", "]]>", "<!--", "<script>", "[DONE]", "event: ping", "\ufeff", "[masked:drop]",
    "(?P<value>", "(?i:", "[^a-z]", "{2,40}", "\\d", "rules:", "context: [a]", "keys: [b]", "charset=",
)  # fmt: skip
"""What a fuzzer would take long to come upon."""


def bodies(stage: str) -> list[bytes]:
    """Bodies that a stage of this name reads."""
    found = [body for name, body in _BODIES.items() if name in stage]
    if stage in ("events", "built text/event-stream"):
        found += [*_events()]
        found.append(
            b": c\r\nevent: m\r\nid: 1\r\ndata: 4111 1111\r\ndata: x\r\n\r\ndata: 1111 1111\n\n\ndata: [DONE]\n\n"
        )
    if stage == "answers" or "json" in stage:
        found += [body.replace(b"data: ", b"").replace(b"\n\n", b"\n") for body in list(_events())[::6]]
    return found or [_BODIES["text"]]


def _events() -> Iterator[bytes]:
    for api in APIS:
        pieces = (
            ['{"secret":"x","a":"4111 ', '1111 1111 1111"}'] if api.json else ["mail jane@exa", "mple.com 41", "11"]
        )
        documents = [*map(api.piece, pieces), *api.ends]
        yield b"".join(b"data: " + json.dumps(document).encode() + b"\n\n" for document in documents)


def seeds(target: str) -> Iterator[bytes]:
    """The inputs for a target."""
    if target in SEEDS:
        yield from SEEDS[target]()
        return
    if target == "readers":
        yield from _readers()
        return
    for index, stage in enumerate(STAGES):
        for body in bodies(stage):
            match target:
                case "streaming":
                    yield bytes((index, index & 3, index, index, 0, 0, index, index)) + body
                case "work":
                    yield bytes((index, index & 1, index)) + body
    if target in ("structure", "leak"):
        size = 4 if target == "structure" else 9
        for index, body in enumerate([*_BODIES.values(), *_events()]):
            for kind in range(9):
                yield bytes((kind, 0, index + kind, index, 9 * index % 256, 99, 0, kind, 1)[:size]) + body[:300]


def _readers() -> Iterator[bytes]:
    for rule in RULES:
        if rule.text:
            subject = unmarked(rule.positive[0])
            yield b"\0" + rule.text.encode() + b"\0" + subject.encode()
            members = (rule.text, "", "0-9", "", (rule.context or ("",))[0], subject)
            yield b"\5" + "\0".join(members).encode()
    yield (
        b"\1rules:\n  - {id: a, kind: b, family: secret, pattern: 'x{3}', check: luhn, keys: [a], positive: [x],"
        b" negative: [y]}"
    )
    yield b"\1words:\n  - {id: a, kind: b, family: health, words: [a b, c], fold: false}"
    yield (
        b'\2{"version":1,"key":"' + b"00" * 32 + b'","current":[[9,"6161","word","' + b"00" * 16 + b'"]],"previous":[]}'
    )
    yield b'\3multipart/form-data; boundary="XX"; charset=utf-8'
    yield b"\4Content-Disposition: form-data; name=\"a\"; filename*=utf-8''b\r\nContent-Type: text/plain\r\n"
