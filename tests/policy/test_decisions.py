"""What the shipped library decides, asked of the managed OPA as the gateway asks it."""

import asyncio
import json
from typing import Any

import jsonschema
import pytest

from extproc import resources
from extproc.adapters.opa import bundle, server
from extproc.adapters.opa.check import Checked
from extproc.adapters.opa.client import OpaClient
from extproc.adapters.opa.files import write_private
from extproc.adapters.opa.management import Management, ManagementUnavailable
from extproc.domain.decision import parse
from extproc.domain.ports import PolicyUnavailable
from tests.policy.conftest import RunningOpa, policy_input, wait_for

CHAT = {
    "body": {"inspected": True, "size": 80, "json": {"messages": []}},
    "llm": {"model": "m", "stream": False, "tools": [], "messages": 0, "tool_results": 0},
}
DECISIONS: list[tuple[str, str, dict[str, Any], str, list[str]]] = [
    ("GET", "/customers/7", {}, "allow", ["read"]),
    ("DELETE", "/customers/7", {}, "hold", ["delete-item"]),
    ("DELETE", "/customers", {}, "block", ["delete-collection"]),
    ("POST", "/customers", {}, "hold", ["write"]),
    ("POST", "/refunds", {}, "hold", ["money"]),
    ("POST", "/customers", {"headers": {"x-http-method-override": ["DELETE"]}}, "block", ["method-override", "write"]),
    ("POST", "/v1/chat/completions", CHAT, "allow", ["model-call"]),
    ("GET", "/admin", {}, "block", ["sensitive-path", "read"]),
    ("TRACE", "/", {}, "block", ["no-rule"]),
    ("PROPFIND", "/", {}, "block", ["no-rule"]),
    (
        "POST",
        "/notes",
        {
            "sensitive": {
                "address": {}, "headers": {}, "body": {"private-key": 1}, "families": {"private-key": "secret"},
            },
            "body": {"inspected": True, "size": 9},
        },
        "block",
        ["private-key", "write"],
    ),
    (
        "PUT",
        "/f/1",
        {"body": {"inspected": False, "size": 99999999}},
        "block",
        ["too-large", "write", "unread-body-masked"],
    ),
]  # fmt: skip


def _ask(running: RunningOpa, token: str | None) -> object:
    """One question over a connection of its own."""

    async def ask() -> object:
        client = OpaClient(running.address, token, deadline_seconds=5)
        try:
            return await client.evaluate(policy_input())
        finally:
            client.close()

    return asyncio.run(ask())


def _schema(name: str) -> Any:
    return json.loads((resources.policies() / "schemas" / name).read_text())


def test_the_library_decides_as_its_guide_says(running: RunningOpa) -> None:
    """Effects and codes for a table of requests; every input and decision has the shape of its schema."""

    async def ask() -> list[Any]:
        client = OpaClient(running.address, running.token, deadline_seconds=5)
        try:
            return [await client.evaluate(policy_input(m, p, **f)) for m, p, f, _, _ in DECISIONS]
        finally:
            client.close()

    found = []
    for (method, path, facts, _, _), raw in zip(DECISIONS, asyncio.run(ask()), strict=True):
        jsonschema.validate(policy_input(method, path, **facts), _schema("input.json"))
        jsonschema.validate(raw, _schema("decision.json"))
        decision = parse("d", raw)
        assert decision.revision == running.revision
        codes = [r.code for r in decision.reasons if r.code != "response-masked"]
        found.append((method, path, facts, decision.effect.value, codes))
    assert found == DECISIONS


def test_without_the_token_nothing_is_answered(running: RunningOpa) -> None:
    """Neither a decision nor a management question is answered for no token or a wrong one."""
    for token in (None, "wrong"):
        with pytest.raises(PolicyUnavailable) as caught:
            _ask(running, token)
        assert caught.value.code == "policy-unreachable"
        with Management(running.address, token) as management:
            assert not management.healthy()
            with pytest.raises(ManagementUnavailable):
                management.revision()


def test_the_token_reads_and_decides_but_changes_nothing(running: RunningOpa) -> None:
    """The management client reads health, revision and policies; writing is refused even with the token."""
    with Management(running.address, running.token) as management:
        assert management.healthy()
        assert management.revision() == running.revision
        assert management.policies()["http.size"]["severity"] == "medium"
        assert any("main.rego" in m for m in management.modules())
        session, root = management._client._session, management._client.root_url
        assert session.put(f"{root}/policies/x", data="package x", timeout=5).status_code in (401, 403)
        assert session.put(f"{root}/data/holdpoint/config", json={}, timeout=5).status_code in (401, 403)
        assert session.post(f"{root}/query", json={"query": "data"}, timeout=5).status_code in (401, 403)
        assert session.get(f"{root}/data/holdpoint/config", timeout=5).status_code in (401, 403)


def test_the_token_itself_is_in_no_file_but_its_own(running: RunningOpa) -> None:
    """OPA gets the token's digest; files are the owner's alone."""
    files = [f for f in running.managed.directory.rglob("*") if f.is_file()] + [running.managed.token_file]
    assert [f for f in files if running.token.encode() in f.read_bytes()] == [running.managed.token_file]
    assert {f.stat().st_mode & 0o777 for f in files} == {0o600}
    assert server.prepare(running.managed) == running.token


def test_a_replaced_bundle_is_served_and_a_bad_one_is_not(running: RunningOpa, shipped: Checked) -> None:
    """Decisions go on through every reload, each wholly under one revision; garbage keeps the last good bundle."""
    first = bundle.pack(shipped)
    changed = Checked(shipped.library, shipped.policies[:-1], ())
    second = bundle.pack(changed)
    good = {first.revision, second.revision}

    async def scene() -> tuple[set[str], set[str]]:
        client = OpaClient(running.address, running.token, deadline_seconds=5)
        seen: set[str] = set()

        async def served() -> str:
            decision = parse("d", await client.evaluate(policy_input()))
            seen.add(decision.revision)
            return decision.revision

        async def until(revision: str) -> None:
            async with asyncio.timeout(10):
                while await served() != revision:
                    pass

        try:
            for archive in (second, first, second):
                bundle.publish(archive, running.managed.bundle)
                await until(archive.revision)
            for bad in (b"garbage", first.archive[:100], b""):
                write_private(running.managed.bundle, bad)
                assert {await served() for _ in range(50)} == {second.revision}
            bundle.publish(first, running.managed.bundle)
            await until(first.revision)
        finally:
            client.close()
        return seen, good

    seen, expected = asyncio.run(scene())
    assert seen == expected


def test_a_failing_builtin_is_no_decision(opa: Any, tmp_path: Any, running: RunningOpa, shipped: Checked) -> None:
    """A rule that fails must not be silent: strict builtins make its failure the decision's."""
    policy = tmp_path / "p" / "http" / "mine"
    policy.mkdir(parents=True)
    (policy / "mine.rego").write_text(
        "# METADATA\n# scope: package\n# title: Mine\n# custom:\n#   id: http.mine\n#   severity: low\n"
        'package holdpoint.policies.http.mine\n\nfindings contains {"code": "c", "effect": "block", "message": "m"} '
        "if to_number(input.action.facts.method) > 1\n"
    )
    (tmp_path / "p" / "library.yaml").write_text("include_shipped: true\n")
    packed = bundle.build(tmp_path / "p", opa=opa)
    bundle.publish(packed, running.managed.bundle)
    with Management(running.address, running.token) as management:
        wait_for(lambda: management.revision() == packed.revision)
    with pytest.raises(PolicyUnavailable) as caught:
        _ask(running, running.token)
    assert caught.value.code == "policy-malformed"
