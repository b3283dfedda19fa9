"""The whole decision over JSON bodies of every shape: none of them makes a rule fail, which would be no decision."""

import asyncio
from typing import Any

import jsonschema
import orjson
import pytest

from extproc.adapters.opa.client import OpaClient
from extproc.domain.decision import parse
from tests.policy.conftest import RunningOpa, policy_input
from tests.policy.test_decisions import _schema

METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "post"]
BODIES = [
    "null", "true", "false", "0", "-1.5e-7", "1e400", "123456789012345678901234567890", '""', '"_method"', "[]", "{}",
    "[null]", '["_method"]', '[{"_method": "DELETE"}]', "[[[]]]", "[1, 2, 3]", "[true, null, 1, \"x\", {}, []]",
    '{"": null}', '{"a": null}', '{"a": [null, {"b": [1]}]}', '{"_method": null}', '{"_method": 7}', '{"_method": []}',
    '{"_method": {"_method": []}}', '{"_method": [1, null, "x"]}', '{"ids": null}', '{"query": false}', '{"where": 0}',
    '{"messages": 1}', '{"messages": [1, null, {"content": []}]}', '{"\\u0000": "\\ud800"}', '{"İ": "ß"}',
    "[" * 500 + "]" * 500, '{"a":' * 500 + "1" + "}" * 500,
]  # fmt: skip
BLOCKED = {
    '{"_method": "DELETE"}': "method-override",
    '{"_method": ["get"]}': "method-override",
    '{"X-HTTP-Method": "patch "}': "method-override",
}


def _asked(method: str, path: str, environment: str, body: str) -> dict[str, Any]:
    shown = {"inspected": True, "size": len(body), "json": orjson.Fragment(body.encode())}
    asked = policy_input(method, path, content_type="application/json", body=shown)
    return {**asked, "target": {**asked["target"], "environment": environment}}


def _decisions(running: RunningOpa, inputs: list[dict[str, Any]]) -> list[Any]:
    async def ask() -> list[Any]:
        client = OpaClient(running.address, running.token, deadline_seconds=5)
        try:
            return [await client.evaluate(asked) for asked in inputs]
        finally:
            client.close()

    return asyncio.run(ask())


@pytest.mark.parametrize("environment", ["production", "dev"])
def test_no_shape_of_a_body_leaves_an_action_undecided(running: RunningOpa, environment: str) -> None:
    """Every method gets a decision of its schema for every body, on an ordinary path and on one of a model."""
    paths = ["/customers/7", "/v1/chat/completions"]
    inputs = [_asked(m, p, environment, b) for m in METHODS for p in paths for b in BODIES]
    for raw in _decisions(running, inputs):
        jsonschema.validate(raw, _schema("decision.json"))
        assert "method-override" not in {r.code for r in parse("d", raw).reasons}


def test_methods_in_a_body_are_found_whatever_the_method(running: RunningOpa) -> None:
    """The rules that look into bodies still see what they are there for."""
    for body, code in BLOCKED.items():
        for raw in _decisions(running, [_asked(method, "/customers/7", "dev", body) for method in METHODS]):
            decision = parse("d", raw)
            assert decision.effect == "block"
            assert code in {r.code for r in decision.reasons}
