"""Decisions on statements that are remembered, through a whole gateway, and forgotten when policies change."""

from typing import Any

from tests.postgres.gateway.talking import Client, error, rows
from tests.support.databases import ALLOWING, database_gateway
from tests.support.flows import until
from tests.support.postgres import Server

ASKED = "SELECT name FROM customers WHERE id = 1"


def _decisions(gateway: Any, verb: str) -> list[dict[str, Any]]:
    return [body for body in gateway.gateway.records("decision") if body["action"]["verb"] == verb]


def test_what_is_remembered_is_recorded_and_ends_with_its_policies(postgres: Server) -> None:
    """Each statement has its record, whoever decided it; as soon as other policies are in force, they decide."""
    with database_gateway(postgres, allowing=True) as gateway, Client(gateway.dsn()) as client:
        # OPA is asked behind the statements' backs what the decision depends on.
        until(lambda: bool(client.query(ASKED)) and bool(_decisions(gateway, "SELECT")[-1].get("remembered")), "memory")
        before = len(_decisions(gateway, "SELECT"))
        found = [rows(client.query(ASKED)) for _ in range(20)]
        assert found == [found[0]] * 20
        now = _decisions(gateway, "SELECT")
        assert len(now) == before + 20
        assert all(body["remembered"] and body["outcome"] == "granted" for body in now[before:])
        assert len({body["decision"]["id"] for body in now}) == len(now)
        delivered = {body["decision"] for body in gateway.gateway.records("delivery")}
        assert {body["decision"]["id"] for body in now} <= delivered

        policy = gateway.gateway.folder / "policies" / "postgres" / "everything" / "everything.rego"
        policy.write_text(ALLOWING.replace('"effect": "allow"', '"effect": "block"'))
        until(lambda: not rows(client.query(ASKED)), "the new policies")
        assert [error(client.query(ASKED))["C"] for _ in range(5)] == ["42501"] * 5
        decided = _decisions(gateway, "SELECT")
        first = next(i for i, body in enumerate(decided) if body["outcome"] != "granted")
        assert not [body for body in decided[first:] if body["outcome"] == "granted" or "remembered" in body]
        assert len({body["decision"]["revision"] for body in decided[:first]}) == 1
