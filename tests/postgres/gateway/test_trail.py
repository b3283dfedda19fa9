"""What is left of database sessions: records with the same members whatever became of a statement, recordings that can
be read again, traces, and nowhere a value that should not be there."""

import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from extproc.audit.attributes import action
from extproc.protocols.postgres.wire.common import CopyData, CopyDone
from extproc.protocols.postgres.wire.frontend import Bind, Describe, Execute, Of, Parse, Query, Sync
from extproc.protocols.postgres.wire.startup import CancelRequest, SSLRequest
from tests.postgres.gateway.talking import Client, error, notice, noticed, ready, rows, tags
from tests.support.databases import DatabaseGateway
from tests.support.envoy import until
from tests.support.gateway import CREDENTIAL
from tests.support.masked import CARD, PLAIN
from tests.support.postgres import WRITER, Server
from tests.support.trail import checkpoint, indexed

POLICY = """# METADATA
# scope: package
# title: What a test wants
# description: Dropping is refused, truncating waits for a person, cards and the column email are masked.
# custom:
#   id: postgres.wanted
#   severity: low
#   mode: enforce
package holdpoint.policies.postgres.wanted

findings contains {"code": "ok", "effect": "allow", "message": "Allowed."}

findings contains {"code": "no-drop", "effect": "block", "message": "Never."} if input.action.verb == "DROP"

findings contains {"code": "ask", "effect": "hold", "message": "Ask.", "approval": {"group": "operators"}} if {
	input.action.verb == "TRUNCATE"
}

findings contains {
	"code": "masked",
	"effect": "mask",
	"message": "Masked.",
	"mask": {"kinds": ["card"], "keys": ["email"], "operator": "redact", "lanes": ["response"]},
}
"""
TESTED = """package holdpoint.policies.postgres.wanted_test

import data.holdpoint.policies.postgres.wanted

test_it_allows if count(wanted.findings) > 0 with input as {"action": {"verb": "SELECT"}}
"""
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACED = """SELECT id, name FROM customers WHERE id < 3 ORDER BY id
/*traceparent='00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'*/"""
Worked = dict[str, dict[str, Any]]
GOVERNED = "Zaphod-B"
"""A value of the governed column that no rule would find."""

BLIND = "INSERT INTO trail VALUES (9, 'Zaphod-B', 'hunter2', 'n')"
"""Only the server knows which value is for which column."""

SECRETS = (CARD, PLAIN, CREDENTIAL, "hunter2", "eve@example.org", GOVERNED)


@pytest.fixture(scope="module")
def gateway(postgres: Server) -> Iterator[DatabaseGateway]:
    """Before this machine's PostgreSQL, recording and indexing all."""
    made = DatabaseGateway(postgres, role=WRITER, policy="deadline: 5s, path: policies")
    written = made.gateway.config.read_text()
    audit = "audit: {otlp: null, checkpoint: 1s, record: {bodies: full, index: true}}"
    made.gateway.config.write_text(written.replace("audit: {otlp: null}", audit))
    folder = made.gateway.folder / "policies" / "postgres" / "wanted"
    folder.mkdir(parents=True)
    (folder / "wanted.rego").write_text(POLICY)
    (folder / "wanted_test.rego").write_text(TESTED)
    (folder.parents[1] / "library.yaml").write_text("include_shipped: []\n")
    postgres.sql("CREATE TABLE trail (id int, email text, password text, note text)", "crm")
    postgres.sql("GRANT ALL ON trail TO writer", "crm")
    try:
        made.gateway.start()
        yield made
    finally:
        made.gateway.stop()
        postgres.sql("DROP TABLE trail", "crm")


@pytest.fixture(scope="module")
def worked(gateway: DatabaseGateway) -> Worked:
    """Decisions by their statement, or verb and principal, with their deliveries as `delivery`, of a session that did
    some of everything: values of SECRETS are literals, bound as text and in binary, in an error and in a COPY."""
    with Client(gateway.dsn("agent-1"), application_name="trail") as client:
        client.query(TRACED)
        client.query("SELECT email AS mail FROM customers WHERE id = 1")
        client.query("SELECT 1/0")
        client.query("SELEC " + f"'{CARD}'")
        assert "no-drop" in error(client.query("DROP TABLE trail"))["D"]
        client.query(f"SELECT '{CARD}', '{CREDENTIAL}'")
        client.query(f"SELECT '{CARD}'::int")
        client.query("INSERT INTO trail (id, email, password) VALUES (7, 'eve@example.org', 'hunter2')")
        client.query("UPDATE trail SET email = 'Zaphod-B' WHERE id = 7")
        client.query(BLIND)
        client.query("PREPARE blind AS INSERT INTO trail (id, email) VALUES (10, $1)")
        client.query(f"EXECUTE blind('{GOVERNED}')")
        client.query(f"SELEC email '{GOVERNED}'")
        client.send(
            Parse("", "INSERT INTO trail VALUES (11, $1, $2)"), Bind("", "", (), (GOVERNED.encode(), b"hunter2"))
        )
        client.send(Execute(""), Sync())
        assert tags(client.until(ready)) == ["INSERT 0 1"]
        insert = Parse("", "INSERT INTO trail (id, email, password, note) VALUES ($1, $2, $3, $4)", (23, 25, 25, 25))
        values = (b"\0\0\0\5", b"eve@example.org", b"hunter2", CARD.encode())
        for forms in ((1, 0, 0, 0), (1, 1, 1, 1)):
            client.send(insert, Bind("", "", forms, values), Execute(""), Sync())
            assert tags(client.until(ready)) == ["INSERT 0 1"]
        client.send(Parse("s", "SELECT id, note FROM trail WHERE id = $1 LIMIT 1", (23,)), Describe(Of.STATEMENT, "s"))
        client.send(Sync())
        client.until(ready)
        client.send(Bind("", "s", (1,), (b"\0\0\0\5",), (1,)), Execute(""), Sync())
        assert len(rows(client.until(ready))) == 1
        client.send(Query("COPY trail FROM STDIN"))
        client.until(lambda said: bool(said))
        client.send(CopyData(f"8\teve@example.org\thunter2\t{CARD}\n".encode()), CopyDone())
        assert tags(client.until(ready)) == ["COPY 1"]
        client.query("COPY trail TO STDOUT")
        client.send(Query("TRUNCATE trail"))
        (hold,) = re.findall(r"Hold (\w+)\.", notice(client.until(noticed))["D"])
        with gateway.gateway.person("operators") as person:
            assert person.post(f"/holds/{hold}/votes", json={"approve": False, "reason": "no"}).status_code == 200
        assert "Denied" in error(client.until(ready))["M"]
    with Client(gateway.dsn("agent-2"), application_name=f"mine {PARENT}") as client:
        client.query("SELECT 2")
    until(lambda: not _missing(gateway), "all deliveries")
    deliveries = {r["decision"]: r for r in gateway.gateway.records("delivery")}
    found = {}
    for record in gateway.gateway.records("decision"):
        named = f"{record['action']['verb']} {record['principal']['subject']}"
        statement = record["action"]["summary"].get("statement", named).partition("\n")[0]
        found[statement] = {**record, "delivery": deliveries.get(record["decision"]["id"], {})}
    return found


def test_a_statement_is_told_with_the_same_members_whatever_became_of_it(worked: Worked) -> None:
    """Granted, blocked, denied by a person, or not to be parsed at all; only the connection has no statement."""
    unparsable = "SELEC '[masked:column]'"
    asked = ("SELECT 1/0", "DROP TABLE trail", "TRUNCATE trail", unparsable)
    assert [worked[what]["outcome"] for what in asked] == ["granted", "blocked", "denied", "refused"]
    members = {what: set(record["action"]["summary"]) for what, record in worked.items()}
    wanted = members["SELECT 1/0"]
    assert {"database", "user", "role", "search_path", "application", "phase", "tables", "statement"} <= wanted
    different = {what: has ^ wanted for what, has in members.items() if has != wanted}
    connecting = frozenset({"statement", "values", "tables", "settings"})
    assert different == dict.fromkeys(("CONNECT agent-1", "CONNECT agent-2"), connecting)
    spans = [{name for name in action(worked[what]) if "parameter" not in name} for what in asked[:3]]
    assert spans[0] ^ spans[1] == {"holdpoint.db.tables"}
    assert spans[1] == spans[2]
    denied = worked["TRUNCATE trail"]["action"]["summary"]
    assert (denied["tables"], denied["application"], denied["role"]) == (["trail"], "trail", "writer")
    assert worked[unparsable]["action"]["summary"]["values"] == []


def test_no_value_that_is_masked_or_known_is_in_a_journal_or_a_log(gateway: DatabaseGateway, worked: Worked) -> None:
    """Neither by what it is nor by what it is called; a span is made of records."""
    assert worked
    files = (gateway.gateway.state / "journal").rglob("*")
    places = {str(file): file.read_bytes() for file in files if file.is_file()}
    places["log"] = "\n".join(map(json.dumps, gateway.gateway.log)).encode()
    assert [(n, s) for n, data in places.items() for s in SECRETS if s.encode() in data] == []
    told = worked["INSERT INTO trail (id, email, password, note) VALUES ($1, $2, $3, $4)"]["action"]["summary"]
    assert told["values"] == ["5", "[masked:column]", "[masked:column]", "[masked:card]"]
    for what in (BLIND, f"EXECUTE blind('{GOVERNED}')", f"SELEC email '{GOVERNED}'"):
        hidden = re.sub(r"'[^']*'|(?<=\()9", "'[masked:column]'", what)
        assert hidden in worked, sorted(worked)
    told = worked["INSERT INTO trail VALUES ('[masked:column]', $1, $2)"]["action"]["summary"]
    assert told["values"] == ["[masked:column]"] * 2


def test_errors_and_columns_belong_to_their_statement(worked: Worked) -> None:
    """Whatever the client was told of it, by whichever message."""
    assert worked["SELECT 1/0"]["delivery"]["sqlstate"] == "22012"
    assert worked["SELECT 1/0"]["delivery"]["bodies"]["response"]["type"] == "application/vnd.postgresql"
    columns = worked["SELECT id, note FROM trail WHERE id = $1 LIMIT 1"]["delivery"]["columns"]
    assert [(column["name"], column["type"], column.get("format")) for column in columns] == [
        ("id", 23, "binary"),
        ("note", 25, "binary"),
    ]


def test_a_trace_is_a_claim_of_its_statement(worked: Worked, gateway: DatabaseGateway) -> None:
    """The comment's, in decision and delivery, for this statement alone; the first principal to claim it owns it."""
    claiming = {what: record for what, record in worked.items() if record["trace"]}
    assert set(claiming) == {"SELECT id, name FROM customers WHERE id < 3 ORDER BY id", "SELECT 2", "CONNECT agent-2"}
    assert {record["trace"]["traceparent"] for record in claiming.values()} == {PARENT}
    assert all(record["delivery"]["trace"] == record["trace"] for record in claiming.values())
    shown = gateway.gateway.administer("audit", "list", "--trace", TRACE, "--json").stdout
    traces = {row["principal"]["subject"]: row["trace_id"] for row in map(json.loads, shown.splitlines())}
    assert traces["agent-1"] == TRACE


def test_a_session_is_replayed_as_tables(gateway: DatabaseGateway, worked: Worked) -> None:
    """Statements, values, columns, rows as the client got them, tags, errors and a COPY's data; refused ones too."""
    session = _session(gateway, worked)
    shown = gateway.gateway.administer("sessions", "replay", session, "--lines", "40").stdout
    for line in (
        "1  │ Ada Lovelace", "[masked:key:email]", "ERROR 22012: division by zero", "SELECT id, note FROM trail",
        "-- $1 = 5", "id │ note", "8  [masked:key:email]", "COPY 1", "DROP TABLE trail", "TRUNCATE trail",
    ):  # fmt: skip
        assert line in shown, shown
    assert gateway.gateway.administer("sessions", "show", session, "--bodies").stdout.count("[masked:") > 8
    told = json.loads(gateway.gateway.administer("sessions", "show", session, "--bodies", "--json").stdout)
    assert [m for e in told["exchanges"] for m in e["recorded"].get("response", {}).get("messages", ())].count(
        {"kind": "rows", "rows": [["1", "Ada Lovelace"], ["2", "Grace Hopper"]]}
    ) == 1
    one = json.loads(
        gateway.gateway.administer("audit", "show", worked["SELECT 1/0"]["decision"]["id"], "--bodies").stdout
    )
    assert one["recorded"]["request"]["messages"] == [{"kind": "query", "text": "SELECT 1/0"}]


def test_words_of_statements_and_of_rows_are_found(gateway: DatabaseGateway, worked: Worked) -> None:
    """What was asked, and what came back."""
    session = _session(gateway, worked)
    indexed(gateway.gateway)
    for words in ("Grace Hopper", "mail", "division", "trail"):
        listed = gateway.gateway.administer("sessions", "list", words, "--json")
        assert [row["id"] for row in json.loads(listed.stdout)] == [session], words


def test_a_session_is_exported_in_every_form(gateway: DatabaseGateway, worked: Worked, tmp_path: Path) -> None:
    """A bundle that verifies and whose report has the tables, a HAR with the messages as JSON, and lines."""
    session = _session(gateway, worked)
    checkpoint(gateway.gateway)
    for form in ("bundle", "har", "jsonl"):
        done = gateway.gateway.administer("sessions", "export", session, "--format", form, "-o", str(tmp_path / form))
        assert done.returncode == 0, done.stderr
    har = json.loads((tmp_path / "har").read_text())["log"]["entries"]
    (failed,) = [e for e in har if e["_holdpoint"].get("statement") == "SELECT 1/0"]
    assert (failed["request"]["url"], failed["response"]["statusText"]) == ("postgres://crm-db/crm", "22012")
    assert json.loads(failed["request"]["postData"]["text"]) == [{"kind": "query", "text": "SELECT 1/0"}]
    with ZipFile(tmp_path / "bundle") as bundle:
        bundle.extractall(tmp_path / "opened")
    report = (tmp_path / "opened" / "report.html").read_text()
    assert all(text in report for text in ("Ada Lovelace", "DROP TABLE trail", "ERROR 22012: division by zero"))
    verified = _run(tmp_path / "opened", gateway.gateway.state / "keys" / "audit.pub")
    assert verified.endswith("PASS\n"), verified
    period = gateway.gateway.administer("audit", "report", "--html", str(tmp_path / "period.html"))
    assert "gaps: none" in period.stdout, period.stdout + period.stderr
    assert gateway.gateway.verify()["faults"] == []


def test_no_connection_is_without_a_record(gateway: DatabaseGateway, worked: Worked) -> None:
    """Of those that Envoy handed over: sessions, whoever left before it was known who it is, wrong passwords, requests
    to cancel."""
    address = ("127.0.0.1", gateway.port)
    for said in (b"", SSLRequest().encode(), b"GET / HTTP/1.1\r\n\r\n", CancelRequest(1, b"none").encode()):
        with socket.create_connection(address, timeout=20) as line:
            line.sendall(said)
            if said:
                line.recv(1)
    with Client(f"postgresql://agent-1:no-token@127.0.0.1:{gateway.port}/crm-db") as client:
        assert client.over
    codes = {"client-left", "malformed", "cancel-request", "identity-invalid"}

    def told() -> bool:
        refused, lines = gateway.gateway.records("refusal"), _lines(gateway)
        known = {r.get("request") for r in (*refused, *gateway.gateway.records("decision"))}
        without = [line for line in lines if line["request_id"] not in known]
        all_of_them = codes <= {r["code"] for r in refused} and len(lines) >= 7
        return all_of_them and len(without) <= sum(r.get("more", 0) for r in refused)

    until(told, "the records and the lines")
    assert gateway.gateway.verify()["faults"] == []


def _lines(gateway: DatabaseGateway) -> list[dict[str, Any]]:
    """What Envoy logged of connections to databases."""
    log = gateway.gateway.state / "envoy" / "access.log"
    return [line for line in map(json.loads, log.read_text().splitlines()) if line["via"] == "postgres"]


def _missing(gateway: DatabaseGateway) -> set[str]:
    """What was granted and is not known to have ended."""
    granted = {r["decision"]["id"] for r in gateway.gateway.records("decision") if r["outcome"] == "granted"}
    return granted - {r["decision"] for r in gateway.gateway.records("delivery")}


def _session(gateway: DatabaseGateway, worked: Worked) -> str:
    """The key of the session in which most was done."""
    indexed(gateway.gateway)
    shown = gateway.gateway.administer("audit", "show", worked["SELECT 1/0"]["decision"]["id"]).stdout
    return str(json.loads(shown)["session_key"])


def _run(folder: Path, key: Path) -> str:
    words = [sys.executable, "verify.py", "--key", str(key)]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, timeout=60).stdout
