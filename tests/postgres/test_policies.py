"""What the shipped policies decide about SQL, read as the gateway reads it and asked of a real OPA."""

import asyncio
import json
import re
import subprocess
import textwrap
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from extproc import resources
from extproc.adapters.opa import bundle, check, library, server
from extproc.adapters.opa.binary import OpaMissing, find_opa
from extproc.adapters.opa.client import OpaClient, UnixAddress
from extproc.adapters.opa.management import Management
from extproc.domain.decision import Decision, Mode, parse
from extproc.domain.mask import Operator
from extproc.protocols.postgres.sql import Script, Setting, Statement, read
from extproc.protocols.postgres.sql.builtin import COMPUTES
from tests.policy.conftest import QUIET, wait_for
from tests.postgres import policy_cases as cases
from tests.support.postgres import Server
from tests.support.postgres_binaries import program

THURSDAY = "2026-01-01T09:00:00Z"
FRIDAY = "2026-01-02T09:00:00Z"
VALIDATOR = jsonschema.Draft7Validator(json.loads((resources.policies() / "schemas" / "input.json").read_text()))
Text = str | tuple[str, ...]
Ask = Callable[..., Decision]


def understood(text: Text) -> Script:
    """A text as the session reads it, with what the texts before it left behind."""
    *before, last = (text,) if isinstance(text, str) else text
    prepared: dict[str, Script] = {}
    cursors: dict[str, Script] = {}
    for sql in before:
        script = read(sql, prepared, cursors)
        prepared.update(script.prepared)
        cursors.update(script.cursors)
    return read(last, prepared, cursors)


def policy_input(text: Text, environment: str, time: str, phase: str, search_path: str | None) -> dict[str, Any]:
    """What the gateway asks policy about a text."""
    script = understood(text)
    return {
        "schema": 1,
        "principal": {
            "issuer": "https://idp.test", "subject": "bot", "kind": "agent", "groups": [], "acts_for": None,
            "credential": "jwt:1",
        },
        "target": {"name": "crm", "protocol": "postgres", "environment": environment},
        "session": {"id": "s1"},
        "action": {
            "protocol": "postgres",
            "verb": "SCRIPT",
            "resource": "crm",
            "digest": "d1",
            "facts": {
                "phase": phase,
                "database": "crm",
                "user": "reader",
                "role": "reader",
                "search_path": search_path,
                "transaction": "idle",
                "application": "psql",
                "text": text if isinstance(text, str) else text[-1],
                "values": [],
                "sensitive": {"text": {}, "values": {}, "families": {}},
                "statements": script.document,
                "complete": script.complete and search_path is not None,
            },
        },
        "context": {"time": time, "source": {"address": "127.0.0.1"}},
        "approvals": [],
        "history": QUIET,
    }  # fmt: skip


@pytest.fixture(scope="module")
def decide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[dict[str, Any]], Decision]]:
    """Asks one OPA, which serves the shipped policies with DATA. Every input has its schema's shape."""
    try:
        opa = find_opa()
    except OpaMissing as error:
        pytest.skip(str(error))
    place = tmp_path_factory.mktemp("opa")
    (place / "data.yaml").write_text(cases.DATA)
    checked = check.check(library.load(None, place / "data.yaml"), opa, tests=False)
    managed = server.ManagedOpa(opa, place / "policy", place / "run" / "opa.sock", place / "keys" / "opa.token")
    token = server.prepare(managed)
    bundle.publish(bundle.pack(checked), managed.bundle)
    address = UnixAddress(managed.socket)

    def decided(document: dict[str, Any]) -> Decision:
        VALIDATOR.validate(document)

        async def evaluate() -> Decision:
            client = OpaClient(address, token, deadline_seconds=5)
            try:
                return parse("d", await client.evaluate(document))
            finally:
                client.close()

        return asyncio.run(evaluate())

    process = subprocess.Popen(managed.argv(), cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with Management(address, token) as management:
            wait_for(management.healthy)
        yield decided
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="module")
def ask(decide: Callable[[dict[str, Any]], Decision]) -> Ask:
    """Asks about a text."""

    @cache
    def asked(
        text: Text,
        environment: str = "production",
        time: str = THURSDAY,
        phase: str = "execute",
        search_path: str | None = '"$user", public',
    ) -> Decision:
        return decide(policy_input(text, environment, time, phase, search_path))

    return asked


def said(decision: Decision) -> tuple[str, str]:
    """The effect, and the codes of the findings that have it, but for masks."""
    codes = {
        r.code
        for r in decision.reasons
        if r.effect is decision.effect and r.mode is Mode.ENFORCE and not r.code.endswith("-masked")
    }
    return decision.effect.value, " ".join(sorted(codes))


def _ids(rows: list[cases.Case]) -> list[str]:
    return [row[0] if isinstance(row[0], str) else row[0][-1] for row in rows]


IN_PRODUCTION = [
    *cases.READS,
    *cases.WRITES,
    *cases.DEFINITIONS,
    *cases.PRIVILEGES,
    *cases.SETTINGS,
    *cases.REACHING,
    *cases.CATALOGUES,
    *cases.GOVERNED,
]


@pytest.mark.parametrize(("text", "effect", "codes"), IN_PRODUCTION, ids=_ids(IN_PRODUCTION))
def test_in_production(ask: Ask, text: Text, effect: str, codes: str) -> None:
    """Effect and codes of the gravest findings."""
    assert said(ask(text)) == (effect, codes)


@pytest.mark.parametrize(("text", "effect", "codes"), cases.OUTSIDE_WINDOW, ids=_ids(cases.OUTSIDE_WINDOW))
def test_outside_of_the_change_window(ask: Ask, text: Text, effect: str, codes: str) -> None:
    """On a Friday."""
    assert said(ask(text, time=FRIDAY)) == (effect, codes)


@pytest.mark.parametrize(("text", "effect", "codes"), cases.OUTSIDE_PRODUCTION, ids=_ids(cases.OUTSIDE_PRODUCTION))
def test_outside_production(ask: Ask, text: Text, effect: str, codes: str) -> None:
    """What data does not call production."""
    assert said(ask(text, "staging")) == (effect, codes)


@pytest.mark.parametrize(("text", "effect", "codes"), cases.PREPARED, ids=_ids(cases.PREPARED))
def test_to_be_prepared_only(ask: Ask, text: Text, effect: str, codes: str) -> None:
    """Nothing runs, so what would wait for people passes; what is refused is refused at once."""
    assert said(ask(text, phase="prepare")) == (effect, codes)


@pytest.mark.parametrize("text", cases.DRIVERS.values(), ids=cases.DRIVERS.keys())
def test_what_drivers_ask_of_themselves(ask: Ask, text: str) -> None:
    """It is allowed, and no column of it is masked by its name."""
    decision = ask(text)
    assert (said(decision), [m.keys for m in decision.masks if m.keys]) == (("allow", "read"), [])


def test_what_psql_asks_of_itself(ask: Ask, postgres: Server) -> None:
    """Every query behind a backslash command, as psql itself sends it."""
    commands = [part for command in cases.PSQL for part in ("-c", command)]
    argv = [program("psql"), "-XE", postgres.dsn("reader", "crm"), *commands]
    shown = subprocess.run([str(word) for word in argv], capture_output=True, text=True, check=False).stdout
    queries = re.findall(r"^\*{9} QUERY \*{10}\n(.*?)^\*{26}$", shown, re.MULTILINE | re.DOTALL)
    assert len(queries) > len(cases.PSQL)
    assert [(q, said(ask(q))) for q in queries if said(ask(q)) != ("allow", "read")] == []


MASKED = [
    "SELECT email AS e FROM customers WHERE id = 7",
    "SELECT id FROM customers",
    "SELECT contact FROM contacts WHERE id = 7",
    "SELECT c.to_json, (c).row_to_json FROM customers c",
    "SELECT * FROM buyers",
    "SELECT email_of(1)",
    "SELECT b FROM buyers b",
    "UPDATE orders SET note = 'x' WHERE id = 7",
    "COMMIT",
    "SELECT relname FROM public.pg_class",
]
UNMASKED = [
    "SELECT 1, lower('A')",
    "SELECT email FROM newsletters",
    "SELECT * FROM newsletters",
    "SELECT relname FROM pg_class",
    "SELECT column_name FROM information_schema.columns",
    "BEGIN; SET jit = off; LISTEN x",
]


@pytest.mark.parametrize("text", UNMASKED)
def test_columns_that_are_surely_not_governed(ask: Ask, text: str) -> None:
    """No mask goes by names, so that the database's catalogue is not asked."""
    assert [mask.keys for mask in ask(text, "staging").masks if mask.keys] == []


@pytest.mark.parametrize("text", MASKED)
def test_columns_that_may_be_anything(ask: Ask, text: str) -> None:
    """All that is governed on the target, and what data of the target says besides: a view may rename any of them."""
    (mask,) = [m for m in ask(text, "staging").masks if m.keys]
    assert ({"email", "card", "pay", "ssn", "password"} - set(mask.keys), mask.operator) == (set(), Operator.REDACT)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT id FROM orders", ("block", "unknown-search-path")),
        ("SELECT lower('A')", ("block", "unknown-search-path")),
        ("SET search_path = public", ("allow", "read")),
        ("ROLLBACK", ("allow", "read")),
    ],
)
def test_without_a_search_path(ask: Ask, text: str, expected: tuple[str, str]) -> None:
    """Names have no meaning then; it may be set anew."""
    assert said(ask(text, search_path=None)) == expected


def test_a_search_path_that_hides_what_is_postgresqls_own(ask: Ask) -> None:
    """Another schema before pg_catalog may have a function of any name."""
    assert said(ask("SELECT lower('A')", search_path="evil, pg_catalog")) == ("hold", "unknown-function")
    assert said(ask("SELECT pg_catalog.lower('A')", search_path="evil, pg_catalog")) == ("allow", "read")


@pytest.mark.parametrize(("settings", "effect", "codes"), cases.OPENING, ids=[str(row[0]) for row in cases.OPENING])
def test_connecting(
    decide: Callable[[dict[str, Any]], Decision], settings: dict[str, str], effect: str, codes: str
) -> None:
    """It is allowed without a statement, with what may be SET, too; what belongs to no statement is masked."""
    document = policy_input("SELECT 1", "production", FRIDAY, "connect", "public")
    document["action"] |= {"verb": "CONNECT"}
    wanted = tuple(Setting(name.lower(), value, local=False) for name, value in settings.items())
    document["action"]["facts"] |= {"statements": [Statement("set", settings=wanted).document()] if wanted else []}
    for name in ("text", "values", "sensitive"):
        del document["action"]["facts"][name]
    decision = decide(document)
    assert (said(decision), [bool(mask.keys) for mask in decision.masks]) == ((effect, codes), [False, True])


def test_secrets_end_a_statement(decide: Callable[[dict[str, Any]], Decision]) -> None:
    """Whatever it does."""
    document = policy_input("SELECT $1", "staging", FRIDAY, "execute", "public")
    document["action"]["facts"]["sensitive"] = {
        "text": {}, "values": {"credential": 1}, "families": {"credential": "secret"},
    }  # fmt: skip
    assert said(decide(document)) == ("block", "credential")


def test_both_lists_of_functions_that_compute() -> None:
    """Policy knows none that the gateway's reading does not, but for those whose effect it judges itself."""
    text = (resources.policies() / "lib" / "postgres_functions.rego").read_text()
    assert set(re.findall(r'"(\w+)"', text)) - COMPUTES <= {"set_config", "setseed"}


def test_every_policy_has_its_say_in_these_tables(ask: Ask) -> None:
    """But for the two whose facts the tables do not vary."""
    asked = [ask(text) for text, _, _ in IN_PRODUCTION]
    asked += [ask(text, time=FRIDAY) for text, _, _ in cases.OUTSIDE_WINDOW]
    asked += [ask(text, "staging") for text, _, _ in cases.OUTSIDE_PRODUCTION]
    shipped = {f"postgres.{place.name}" for place in (resources.policies() / "postgres").iterdir()}
    heard = {reason.policy for decision in asked for reason in decision.reasons}
    assert shipped - heard == {"postgres.allow_connect", "postgres.secrets_in_statements"}


def test_the_guides_policy_is_one(tmp_path: Path) -> None:
    """With its tests, as they stand there."""
    guide = (resources.policies().parent / "docs" / "policy-guide.md").read_text("utf-8")
    blocks = [textwrap.dedent(block).strip() + "\n" for block in re.findall(r"(?:^    .*\n|^\n)+", guide, re.MULTILINE)]
    place = tmp_path / "postgres" / "ledger"
    place.mkdir(parents=True)
    for package in ("ledger", "ledger_test"):
        (text,) = [block for block in blocks if f"package holdpoint.policies.postgres.{package}\n" in block]
        (place / f"{package}.rego").write_text(text)
    checked = check.check(library.load(tmp_path), find_opa())
    tests = {test.name.rpartition(".")[2] for test in checked.tests if "ledger" in test.name}
    assert tests == {"test_the_ledger_is_only_added_to", "test_salaries_are_held"}
    assert check.unformatted(checked.library, find_opa()) == []
