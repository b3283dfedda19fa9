"""Compares what reached upstreams with what policy saw and the journal says. Every fault is a sentence."""

import gzip
import json
import zlib
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes

from extproc.audit.reader import records, streams
from tests.attacks.tap import Arrived, Unclean, Unfinished, strictly

UNFINISHED = "unfinished"
SECRET = ("authorization", "cookie", "x-api-key", "api-key", "proxy-authorization")
_OURS = frozenset({"host", "x-request-id", "authorization", "transfer-encoding", "content-length"})
# Shown to policy and not passed on: Envoy's own words, and those that differ from one sending to the next.
_NOT_PASSED = frozenset(
    {"x-request-id", "x-forwarded-proto", "x-envoy-external-address", "content-length", "transfer-encoding", "expect"}
    | {"b3", "baggage", "traceparent", "tracestate", "x-b3-traceid", "x-stainless-os"}
)
_LETTERS = str.maketrans("ghijklmnop", "0123456789")


@dataclass(slots=True)
class Journal:
    """Follows a gateway's journals: all decisions by request id, all refusals."""

    folder: Path
    decisions: dict[str, dict[str, Any]] = field(default_factory=dict)
    refusals: list[dict[str, Any]] = field(default_factory=list)
    alarms: list[dict[str, Any]] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    _read: dict[Path, int] = field(default_factory=dict)

    def follow(self) -> None:
        """Take in what was written since."""
        for stream in streams(self.folder.parent):
            for record in records(stream, self._read.get(stream, 0)):
                self._read[stream] = record.end
                if record.kind == "decision":
                    request = record.body["request"]
                    if request in self.decisions:
                        self.twice.append(request)
                    self.decisions[request] = dict(record.body)
                elif record.kind == "refusal":
                    self.refusals.append(dict(record.body))
                elif record.kind == "alarm":
                    self.alarms.append(dict(record.body))

    def of(self, subject: str) -> list[dict[str, Any]]:
        """The decisions on one subject's requests."""
        return [d for d in self.decisions.values() if (d["principal"] or {}).get("subject") == subject]


def short(text: str) -> str:
    """A text as told.rego tells it."""
    return text if len(text) <= 500 else "sha256:" + sha256(text.encode()).hexdigest()


def told(decision: dict[str, Any]) -> dict[str, Any]:
    """The action that policy saw, from the record of a decision by `told.rego`."""
    reasons = sorted(decision["decision"]["reasons"], key=lambda r: str(r["code"]))
    spelled = "".join(r["message"] for r in reasons if r["code"].startswith("told-"))
    return dict(json.loads(bytes.fromhex(spelled.translate(_LETTERS))))


def faults(data: bytes, decisions: dict[str, dict[str, Any]], *, token: str, credential: str, target: str) -> list[str]:
    """What is wrong with one connection's bytes at the upstream of `target`; empty where they are one request, decided
    on as it is. `token` is the agent's own, `credential` the real one."""
    try:
        arrived = strictly(data)
    except Unfinished as error:
        return [f"{UNFINISHED}: {error}"]
    except Unclean as error:
        return [str(error)]
    found = []
    if token and token.encode() in data:
        found.append("the agent's own token went on")
    if arrived.values("authorization") != [f"Bearer {credential}"]:
        found.append(f"authorization is {len(arrived.values('authorization'))} values, or not the real credential")
    ids = arrived.values("x-request-id")
    decision = decisions.get(ids[0]) if len(ids) == 1 else None
    if decision is None:
        return [*found, f"no decision for request {ids}"]
    if decision["outcome"] != "granted" or decision["decision"]["effect"] != "allow":
        return [*found, f"it was decided: {decision['outcome']}"]
    saw = told(decision)
    if saw["target"] != target or decision["target"]["name"] != target:
        found.append(f"decided for target {saw['target']}, arrived at {target}")
    facts = saw["action"]["facts"]
    return [*found, *_head(arrived, facts), *_body(arrived, facts["body"]), *_record(arrived, decision)]


def _head(arrived: Arrived, facts: dict[str, Any]) -> list[str]:
    found = []
    path, _, query = arrived.path.partition("?")
    if arrived.method != facts["method"]:
        found.append(f"method {arrived.method}, policy saw {facts['method']}")
    if short(path) != facts["path"]:
        found.append(f"path {path}, policy saw {facts['path']}")
    fields: dict[str, list[str]] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        fields.setdefault(name, []).append(short(value))
    if fields != facts["query"]:
        found.append(f"query {query}, policy saw {facts['query']}")
    hidden = {*_OURS, *SECRET}
    came: dict[str, list[str]] = {}
    for name, value in arrived.headers:
        if name not in hidden:
            came.setdefault(name, []).append(short(value))
    if came.get("accept-encoding") == ["identity"]:
        # The gateway's own word: what is coded can't be searched for the real credential.
        del came["accept-encoding"]
    for name, values in came.items():
        if name in SECRET or values != facts["headers"].get(name):
            found.append(f"header {name}: {values}, policy saw {facts['headers'].get(name)}")
    gone = set(facts["headers"]) - set(came) - _NOT_PASSED - {"accept-encoding", "if-range", "range"}
    if gone:
        found.append(f"policy saw headers that did not go on: {sorted(gone)}")
    if "forbidden" in lax(path):
        found.append(f"a lax server reads {path} as /forbidden")
    return found


def _body(arrived: Arrived, shown: dict[str, Any]) -> list[str]:
    if not shown["inspected"]:
        return []
    found = []
    says_json = "json" in ",".join(arrived.values("content-type")).lower()
    if arrived.body and says_json and not {"json", "text", "form"} & set(shown):
        found.append("a body that says it is JSON was shown to policy in no form")
    try:
        body = _meant(arrived)
    except (OSError, EOFError, zlib.error):
        return ["a body that is not in the coding that it says"]
    if shown["size"] != len(body):
        found.append(f"a body of {len(body)} bytes, policy saw {shown['size']}")
    if "text" in shown and shown["text"] != short(body.decode("utf-8", "replace")):
        found.append("another text than policy saw")
    if "form" in shown:
        fields: dict[str, list[str]] = {}
        for name, value in parse_qsl(body.decode(), keep_blank_values=True):
            fields.setdefault(name, []).append(value)
        if fields != shown["form"]:
            found.append("another form than policy saw")
    if "json" in shown and _brief(json.loads(body, object_pairs_hook=_pairs)) != _ordered(shown["json"]):
        found.append("another JSON document than policy saw")
    return found


def _record(arrived: Arrived, decision: dict[str, Any]) -> list[str]:
    action = decision["action"]
    found = []
    # Of a long path a record has the start.
    path, resource = arrived.path.partition("?")[0], action["resource"]
    same = path.startswith(resource[:-1]) if len(path) > 2048 and resource[-1:] == "…" else path == resource
    if action["verb"] != arrived.method or not same:
        found.append(f"the record says {action['verb']} {action['resource']}, {arrived.line} arrived")
    meant = len(_meant(arrived)) if action["summary"].get("size") is not None else None
    if action["summary"].get("size") != meant:
        found.append(f"the record says {action['summary']['size']} bytes, {meant} arrived")
    return found


def _meant(arrived: Arrived) -> bytes:
    """The body as an upstream reads it that knows gzip. Raises OSError and zlib.error for what is none."""
    codings = [one.strip().lower() for value in arrived.values("content-encoding") for one in value.split(",")]
    body = arrived.body
    for coding in reversed([coding for coding in codings if coding != "identity"]):
        body = gzip.decompress(body) if coding in ("gzip", "x-gzip") else body
    return body


def _pairs(pairs: list[tuple[str, Any]]) -> Any:
    # As sorted pairs, so that a member that is there twice equals no document.
    return ("object", sorted(((k, _brief(v)) for k, v in pairs), key=lambda p: p[0]))


def _brief(value: Any) -> Any:
    if isinstance(value, list):
        return [_brief(v) for v in value]
    return short(value) if isinstance(value, str) else value


def _ordered(value: Any) -> Any:
    if isinstance(value, dict):
        return ("object", sorted(((k, _ordered(v)) for k, v in value.items()), key=lambda p: p[0]))
    return [_ordered(v) for v in value] if isinstance(value, list) else value


def lax(path: str) -> list[str]:
    """The first words of a path as the most careless server reads it: decoded until nothing changes, overlong
    sequences too, with backslashes as slashes, without parameters, dots resolved, in lower case."""
    data = path.encode("latin-1")
    for _ in range(4):
        data = unquote_to_bytes(data)
        data = data.replace(b"\xc0\xaf", b"/").replace(b"\xc0\xae", b".").replace(b"\\", b"/")
    words: list[str] = []
    for part in data.decode("latin-1").lower().split("/"):
        word = (
            part.partition(";")[0].partition("#")[0].partition("\0")[0].strip(" .\t\r\n") if part.strip(".") else part
        )
        bare = part.partition(";")[0].strip()
        if bare == "..":
            words = words[:-1]
        elif word and bare != ".":
            words.append(word)
    return words[:1]
