"""HAR documents against the rules of HAR 1.2, and JSON Lines against the journal."""

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from extproc.audit.export.har import MOST_BYTES, har
from extproc.audit.export.lines import lines
from extproc.audit.frame import chain
from extproc.domain.decision import Recording
from tests.export import making


def _object(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    """An object of these members; any may have a comment, and names that begin with an underscore are free."""
    known = {**required, **(optional or {}), "comment": {"type": "string"}}
    return {
        "type": "object", "required": list(required), "properties": known,
        "patternProperties": {"^_": {}}, "additionalProperties": False,
    }  # fmt: skip


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


TEXT, WHOLE = {"type": "string"}, {"type": "integer", "minimum": -1}
TIME = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$"}
TOOK = {"type": "number", "minimum": 0}
MAYBE = {"anyOf": [TOOK, {"const": -1}]}
PAIRS = _list(_object({"name": TEXT, "value": TEXT}))
COOKIES = _list(
    _object(
        {"name": TEXT, "value": TEXT},
        {"path": TEXT, "domain": TEXT, "expires": TIME, "httpOnly": {"type": "boolean"}, "secure": {"type": "boolean"}},
    )
)
PARAMS = _list(_object({"name": TEXT}, {"value": TEXT, "fileName": TEXT, "contentType": TEXT}))
COMMON = {"httpVersion": TEXT, "cookies": COOKIES, "headers": PAIRS, "headersSize": WHOLE, "bodySize": WHOLE}
REQUEST = _object(
    {"method": TEXT, "url": {"type": "string", "format": "uri"}, "queryString": PAIRS, **COMMON},
    {"postData": _object({"mimeType": TEXT, "params": PARAMS, "text": TEXT})},
)
CONTENT = _object({"size": WHOLE, "mimeType": TEXT}, {"compression": WHOLE, "text": TEXT, "encoding": TEXT})
RESPONSE = _object(
    {"status": {"type": "integer"}, "statusText": TEXT, "content": CONTENT, "redirectURL": TEXT, **COMMON}
)
TIMINGS = _object(
    {"send": TOOK, "wait": TOOK, "receive": TOOK}, {"blocked": MAYBE, "dns": MAYBE, "connect": MAYBE, "ssl": MAYBE}
)
ENTRY = _object(
    {
        "startedDateTime": TIME, "time": TOOK, "request": REQUEST, "response": RESPONSE, "cache": _object({}),
        "timings": TIMINGS,
    },
    {"pageref": TEXT, "serverIPAddress": TEXT, "connection": TEXT},
)  # fmt: skip
CREATOR = _object({"name": TEXT, "version": TEXT})
HAR = _object({"log": _object({"version": {"const": "1.2"}, "creator": CREATOR, "entries": _list(ENTRY)})})


def made(world: making.World) -> dict[str, Any]:
    """The HAR of its session, checked."""
    document: dict[str, Any] = json.loads(
        b"".join(har(making.session(world.state), making.source(world).bodies))
    )  # fmt: skip
    jsonschema.validate(document, HAR, cls=jsonschema.Draft202012Validator)
    for entry in document["log"]["entries"]:
        timings = {name: took for name, took in entry["timings"].items() if name != "comment"}
        assert entry["time"] == pytest.approx(sum(took for took in timings.values() if took >= 0))
    return document


def test_story(world: making.World) -> None:
    """Each exchange is an entry: what was asked, what was answered, how it was decided, and who let it."""
    entries = made(world)["log"]["entries"]
    said = [(e["request"]["method"], e["response"]["status"], e["_holdpoint"]["effect"]) for e in entries]
    assert said == [("GET", 200, "mask"), ("POST", 201, "mask"), ("DELETE", 204, "hold"), ("GET", 403, "block")]
    first, note, deleted, _ = entries
    assert first["request"]["url"] == "http://crm.internal/customers?open=1"
    assert json.loads(first["response"]["content"]["text"])["customers"][0]["name"] == "Ada Ruiz"
    assert note["request"]["postData"]["mimeType"] == "application/json"
    assert deleted["_holdpoint"]["approvers"] == ["j.okafor@example.com"]
    assert deleted["timings"]["blocked"] == 192_401.48
    assert deleted["startedDateTime"] == "2026-03-02T09:14:19.538520Z"
    assert "masked in the response: card 2, email 2" in first["comment"]


BODIES: tuple[tuple[str, Recording, bytes, str, dict[str, Any], str | None], ...] = (
    ("bytes", Recording.FULL, b"\xff\x00\xfe", "image/png", {"encoding": "base64"}, None),
    ("cut", Recording.HEAD, b"x" * 100, "text/plain", {"text": "x" * 64}, "the first 64 of 100 bytes"),
    ("not kept", Recording.METADATA, b"x" * 100, "text/plain", {"size": 100}, "not kept: recorded as metadata"),
    ("nothing", Recording.FULL, b"", "text/plain", {"size": 0}, None),
    ("too long", Recording.FULL, b"y" * (MOST_BYTES + 5), "text/plain", {}, f"the first {MOST_BYTES} of"),
)


@pytest.mark.parametrize(("what", "mode", "data", "kind", "expected", "comment"), BODIES, ids=[b[0] for b in BODIES])
def test_bodies(
    tmp_path: Path, what: str, mode: Recording, data: bytes, kind: str, expected: dict[str, Any], comment: str | None
) -> None:
    """A body is text where it is, else base64; what is not there in full says so."""
    world = making.World(tmp_path / "state")
    fine = [making.reason("http.reads", "read", "Reads are allowed", "allow")]
    world.act("POST", "/x", reasons=fine, request=data[:1000], response=data, kind=kind, mode=mode)
    world.close()
    (entry,) = made(world)["log"]["entries"]
    content = entry["response"]["content"]
    assert expected.items() <= content.items()
    assert content.get("comment", "").startswith(comment or "")
    assert ("comment" in content) == (comment is not None)
    if content.get("encoding") == "base64":
        assert b64decode(content["text"]) == data


def test_odd_records(tmp_path: Path) -> None:
    """Records of any shape make a valid HAR: an end that never came, members of other types."""
    world = making.World(tmp_path / "state")
    journal = world.journal("worker-0")
    for body in (
        {"decision": {"id": "a" * 24, "effect": "allow", "reasons": "none"}, "session": making.SESSION},
        {"decision": {"id": "b" * 24}, "session": making.SESSION, "action": {"verb": 7, "summary": [1]}, "hold": 3},
        {"decision": {"id": "c" * 24}, "session": making.SESSION, "timings_us": {"policy": "long", "hold": -1}},
    ):
        journal.append("decision", body)  # type: ignore[arg-type]  # what no gateway writes
    odd = {"heads": {"request": [["a"], 3]}, "bodies": {"request": "x"}, "status": "200", "masked": {"request": 3}}
    journal.append("delivery", {"decision": "a" * 24, **odd})  # type: ignore[dict-item]  # nor this
    world.close()
    assert [e["response"]["status"] for e in made(world)["log"]["entries"]] == [0, 0, 0]


def test_lines(world: making.World) -> None:
    """A line for every record of the session, once, whose hash follows from what it says."""
    session = making.session(world.state)
    found = [json.loads(line) for line in lines(session)]
    expected = {(record.stream, record.seq): record for record in session.records()}
    assert len(found) == len(expected)
    for line in found:
        record = expected[line["stream"], line["seq"]]
        assert (line["kind"], line["at"], line["body"]) == (record.kind, record.at, record.body)
        assert chain(line["prev"], bytes.fromhex(line["digest"])) == line["hash"] == record.hash
