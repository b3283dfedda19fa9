"""What a record says, in the words of OpenTelemetry's semantic conventions and, under `holdpoint.`, our own. Pure.

Jaeger finds a span by the exact value of one tag, so what people look for by membership (policies, groups, kinds of
masks) is also a tag of its own: every action that a policy touched has `holdpoint.policy.<id>` = `true`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

SCHEMA_URL = "https://opentelemetry.io/schemas/1.43.0"
LONGEST = 2048
MOST = 64
"""Characters of one value, and how many members of a list or of one family of tags are kept."""

Value = str | int | float | bool | tuple[str, ...]
Attributes = dict[str, Value]

_RANK = {"allow": 0, "hold": 1, "block": 2}
_USAGE = {
    "input_tokens": "gen_ai.usage.input_tokens",
    "prompt_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "completion_tokens": "gen_ai.usage.output_tokens",
}


def part(body: Mapping[str, Any], *path: str) -> dict[str, Any]:
    """The object at this path, or an empty one."""
    value: Any = body
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, dict) else {}


def rows(value: object) -> list[dict[str, Any]]:
    """The objects in a list, or none."""
    return [row for row in value if isinstance(row, dict)][:MOST] if isinstance(value, list) else []


def words(value: object) -> tuple[str, ...]:
    """The texts in a list, or none."""
    return tuple(clip(item) for item in value if isinstance(item, str))[:MOST] if isinstance(value, list) else ()


def clip(text: str) -> str:
    """Text of a length that a trace store takes, and that UTF-8 can carry."""
    text = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    return text.encode("utf-8", "replace").decode()


def keep(pairs: Mapping[str, object]) -> Attributes:
    """The pairs that have a value: text (not empty, clipped), numbers, booleans, and lists of text (not empty)."""
    kept: Attributes = {}
    for name, value in pairs.items():
        if isinstance(value, str) and value:
            kept[name] = clip(value)
        elif isinstance(value, bool | float) or (isinstance(value, int) and -(2**63) <= value < 2**63):
            kept[name] = value
        elif isinstance(value, tuple):
            kept |= {name: value} if value else {}
    return kept


def who_and_where(body: Mapping[str, Any]) -> Attributes:
    """Principal, target, client and session, which records of every kind may have."""
    principal, target, source = part(body, "principal"), part(body, "target"), part(body, "source")
    groups = words(principal.get("groups"))
    return keep(
        {
            "user.id": principal.get("subject"),
            "holdpoint.principal.issuer": principal.get("issuer"),
            "holdpoint.principal.subject": principal.get("subject"),
            "holdpoint.principal.kind": principal.get("kind"),
            "holdpoint.principal.groups": groups,
            **{f"holdpoint.principal.group.{group}": "true" for group in groups},
            "holdpoint.principal.acts_for": principal.get("acts_for"),
            "holdpoint.target": target.get("name") or body.get("target"),
            "holdpoint.environment": target.get("environment"),
            "holdpoint.session": body.get("session"),
            "holdpoint.request.id": body.get("request") or body.get("request_id"),
            "client.address": source.get("address") or (body.get("source") or None),
            "client.port": source.get("port"),
        }
    )


def action(body: Mapping[str, Any]) -> Attributes:
    """What was asked for: HTTP, and GenAI where it was a chat; or a statement."""
    asked, summary, target = part(body, "action"), part(body, "action", "summary"), part(body, "target")
    host, path = summary.get("host"), asked.get("resource")
    protocol = target.get("protocol", asked.get("protocol"))
    llm = part(summary, "llm")
    pairs: dict[str, object] = {
        "server.address": host or target.get("name"),
        "holdpoint.action.digest": asked.get("digest"),
        "holdpoint.action.protocol": asked.get("protocol"),
    }
    if protocol == "http":
        pairs |= {"http.request.method": asked.get("verb"), "url.path": path, "url.query": summary.get("query")}
        if isinstance(host, str) and isinstance(path, str):
            query = summary.get("query")
            pairs["url.full"] = f"http://{host}{path}" + (f"?{query}" if isinstance(query, str) and query else "")
        if isinstance(summary.get("size"), int):
            pairs["http.request.body.size"] = summary["size"]
    elif protocol == "postgres":
        pairs |= {
            "db.system.name": "postgresql",
            "db.namespace": summary.get("database"),
            "db.operation.name": asked.get("verb"),
            "db.collection.name": path if summary.get("statement") else None,
            "db.query.text": summary.get("statement"),
            **{f"db.query.parameter.{n}": _parameter(v) for n, v in enumerate(_listed(summary.get("values")))},
            "holdpoint.db.user": summary.get("user"),
            "holdpoint.db.application": summary.get("application"),
            "holdpoint.db.phase": summary.get("phase"),
            "holdpoint.db.role": summary.get("role"),
            "holdpoint.db.search_path": summary.get("search_path"),
            "holdpoint.db.transaction": summary.get("transaction"),
            "holdpoint.db.tables": words(summary.get("tables")),
        }
    else:
        pairs |= {"holdpoint.action.verb": asked.get("verb"), "holdpoint.action.resource": path}
    if llm:
        pairs |= {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": llm.get("model"),
            "holdpoint.llm.stream": llm.get("stream"),
            "holdpoint.llm.messages": llm.get("messages"),
            "holdpoint.llm.tool_results": llm.get("tool_results"),
            "holdpoint.llm.tools": words(llm.get("tools")),
            "holdpoint.llm.prompt": llm.get("prompt"),
        }
    return keep(pairs)


def decision(body: Mapping[str, Any], masked: Mapping[str, Any]) -> Attributes:
    """What policy said, and whether a shadow policy would have said more. `masked` counts values by kind."""
    said, reasons = part(body, "decision"), rows(part(body, "decision").get("reasons"))
    effect = said.get("effect")
    counts = {kind: n for kind, n in masked.items() if isinstance(n, int) and not isinstance(n, bool) and n > 0}
    shadow = [str(r.get("effect")) for r in reasons if r.get("mode") == "shadow"]
    gravest = max(shadow, key=lambda e: _RANK.get(e, -1), default="")
    graver = _RANK.get(gravest, -1) > _RANK.get(str(effect), -1)
    policies = tuple(dict.fromkeys(_policies(said)))
    ruling = next((r for r in reasons if r.get("mode") == "enforce" and r.get("effect") == effect), {})
    return keep(
        {
            "holdpoint.decision.id": said.get("id"),
            "holdpoint.decision.effect": "mask" if effect == "allow" and counts else effect,
            "holdpoint.decision.enforced": "false" if graver else "true",
            "holdpoint.decision.shadow": gravest if graver else None,
            "holdpoint.decision.reasons": tuple(
                clip(f"{r.get('policy')}: {r.get('code')}: {r.get('message')}") for r in reasons
            ),
            "security_rule.name": ruling.get("policy"),
            "security_rule.ruleset.name": "holdpoint",
            "security_rule.version": said.get("revision"),
            "holdpoint.policy.ids": policies,
            "holdpoint.policy.revision": said.get("revision"),
            **{f"holdpoint.policy.{policy}": "true" for policy in policies[:MOST]},
            **{f"holdpoint.code.{r.get('code')}": "true" for r in reasons},
            "holdpoint.mask.count": sum(counts.values()),
            **{f"holdpoint.mask.{kind}": n for kind, n in sorted(counts.items())[:MOST]},
        }
    )


def delivery(body: Mapping[str, Any]) -> Attributes:
    """What became of an allowed action."""
    llm = part(body, "llm")
    usage = {**part(llm, "usage"), **llm}
    pairs: dict[str, object] = {
        **(_answered(body) if "tags" in body else _responded(body)),
        "holdpoint.outcome": body.get("outcome"),
        "gen_ai.response.model": llm.get("response_model") or llm.get("model"),
        "gen_ai.response.id": llm.get("response_id") or llm.get("id"),
        "gen_ai.response.finish_reasons": words(llm.get("finish_reasons")),
    }
    for name, attribute in _USAGE.items():
        if isinstance(usage.get(name), int):
            pairs[attribute] = usage[name]
    for lane in ("request", "response"):
        pairs[f"holdpoint.body.{lane}"] = part(body, "bodies", lane).get("address")
    return keep(pairs)


def _responded(body: Mapping[str, Any]) -> dict[str, object]:
    """How an HTTP exchange ended."""
    size = part(body, "bytes")
    return {
        "http.response.status_code": body.get("status"),
        "http.request.body.size": size.get("request"),
        "http.response.body.size": size.get("response"),
    }


def _answered(body: Mapping[str, Any]) -> dict[str, object]:
    """What a database answered: rows, and the SQLSTATE that a statement ended with."""
    size = part(body, "bytes")
    return {
        "db.response.returned_rows": body.get("rows"),
        "db.response.status_code": body.get("sqlstate"),
        "holdpoint.db.tags": words(body.get("tags")),
        "holdpoint.db.bytes_in": size.get("request"),
        "holdpoint.db.bytes_out": size.get("response"),
    }


def _listed(value: object) -> list[object]:
    return value[:MOST] if isinstance(value, list) else []


def _parameter(value: object) -> object:
    """A bind value as its record has it: text, masked; or how much of what could not be read."""
    if isinstance(value, Mapping):
        return f"({value.get('bytes')} bytes, {value.get('why')})"
    return "NULL" if value is None else value


def checkpoint(body: Mapping[str, Any]) -> Attributes:
    """A checkpoint as a witness needs it: its number, and each stream's head as SEQ:HASH, which `audit verify --head`
    takes after the stream's name."""
    heads = list(part(body, "streams").items())[:MOST]
    return keep(
        {
            "holdpoint.checkpoint.number": body.get("number"),
            "holdpoint.checkpoint.previous": body.get("previous"),
            "holdpoint.checkpoint.key": body.get("key"),
            "holdpoint.checkpoint.signature": body.get("signature"),
            **{
                f"holdpoint.checkpoint.head.{clip(name)}": f"{head.get('seq')}:{head.get('hash')}"
                for name, head in heads
                if isinstance(head, Mapping)
            },
        }
    )


def flat(prefix: str, body: Mapping[str, Any]) -> Attributes:
    """Any record's own members as tags: for the kinds that have no words in the conventions."""
    pairs: dict[str, object] = {}
    for name, value in list(body.items())[:MOST]:
        if isinstance(value, list):
            value = words(value)
        if isinstance(value, Mapping):
            pairs |= {f"{prefix}.{name}.{inner}": v for inner, v in list(value.items())[:MOST]}
        else:
            pairs[f"{prefix}.{name}"] = value
    return keep(pairs)


def _policies(said: Mapping[str, Any]) -> Iterator[str]:
    duties = part(said, "obligations")
    for row in (*rows(said.get("reasons")), *rows(duties.get("mask")), *rows(duties.get("approval"))):
        if isinstance(row.get("policy"), str) and row["policy"]:
            yield clip(row["policy"])
