"""An agent's session through a whole gateway, and the people who look at it afterwards, each as far as their role
goes."""

import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.envoy import until
from tests.support.gateway import Gateway
from tests.support.trail import indexed

CARD = "4111111111111111"
ROLES = "list: [auditors], read: [readers], export: [exporters], administer: [officers]"
NOBODY = "0" * 64
PATHS = ["/customers/7", "/notes", "/admin/users"]


@dataclass(frozen=True)
class Told:
    """A gateway with one session of three actions: allowed with a masked answer, written, blocked."""

    gateway: Gateway
    session: str
    decision: str
    address: str


@pytest.fixture(scope="module")
def told() -> Iterator[Told]:
    """No checkpoint comes by itself: what is exported has to be signed for that."""
    lab = "lab: {upstream: UPSTREAM, environment: dev, credential: credential}"
    audit = f"otlp: null, checkpoint: 1h, record: {{bodies: full, index: true}}, roles: {{{ROLES}}}"
    gateway = Gateway(targets=lab, audit=audit, identity="administrators: [admins]")
    answer = json.dumps({"customer": "Zanzibar Ltd", "card": CARD}).encode()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(answer)
    gateway.upstream.answer = lambda _: [head + answer]
    try:
        gateway.start()
        with gateway.client("reporter", target="lab") as agent:
            statuses = [agent.get("/customers/7").status_code, agent.post("/notes", json={"say": "quagga"}).status_code]
            statuses.append(agent.get("/admin/users").status_code)
        assert statuses == [200, 200, 403]
        gateway.wait_records("delivery", 2)
        indexed(gateway)
        (found,) = listed(gateway, "--principal", "reporter")
        with gateway.control() as asked:
            exchanges = asked.get(f"/v1/sessions/{found['id']}").json()["exchanges"]
        first = exchanges[0]
        decision, address = first["decision"]["id"], first["recorded"]["response"]["address"]
        yield Told(gateway, found["id"], decision, address)
    finally:
        gateway.stop()


def listed(gateway: Gateway, *words: str, groups: tuple[str, ...] = ("auditors",)) -> list[dict[str, Any]]:
    """What `sessions list` finds."""
    shown = gateway.holdpoint("sessions", "list", "--json", *words, groups=groups)
    assert shown.returncode == 0, shown.stderr
    return list(json.loads(shown.stdout))


@pytest.mark.parametrize(
    ("groups", "list_", "read", "export", "administer"),
    [
        ((), 403, 403, 403, 403),
        (("auditors",), 200, 403, 403, 403),
        (("readers",), 403, 200, 403, 403),
        (("exporters",), 403, 403, 200, 403),
        (("officers",), 403, 403, 403, 200),
        (("auditors", "readers", "exporters"), 200, 200, 200, 403),
        (("admins",), 200, 200, 200, 200),
    ],
)
def test_each_role_lets_in_to_its_own(
    told: Told, groups: tuple[str, ...], list_: int, read: int, export: int, administer: int
) -> None:
    """And a refusal of any of them leaves no record of something read or taken."""
    before = len(told.gateway.records("reading")), len(told.gateway.records("export"))
    purge = {"query": {"principal": "reporter"}, "reason": "a test", "dry_run": True}
    with told.gateway.person(*groups) as person:
        found = {
            "list": [
                person.get("/v1/sessions").status_code,
                person.get(f"/v1/sessions/{told.session}").status_code,
                person.get(f"/v1/decisions/{told.decision}").status_code,
            ],
            "read": [person.get(f"/v1/bodies/{told.address}?decision={told.decision}").status_code],
            "export": [person.get(f"/v1/sessions/{told.session}/export?format=jsonl").status_code],
            "administer": [
                person.get("/v1/retention").status_code,
                person.get("/v1/legal-holds").status_code,
                person.post("/v1/purges", json=purge).status_code,
            ],
        }
    assert found == {"list": [list_] * 3, "read": [read], "export": [export], "administer": [administer] * 3}
    after = len(told.gateway.records("reading")), len(told.gateway.records("export"))
    assert after == (before[0] + (read == 200), before[1] + (export == 200))


def test_nobody_known_gets_nothing(told: Told) -> None:
    """An agent's token is no person's; neither is one that somebody else signed."""
    paths = [
        "/v1/sessions",
        f"/v1/sessions/{told.session}/export",
        f"/v1/bodies/{told.address}?decision={told.decision}",
        "/v1/retention",
    ]
    for token in (told.gateway.agents.token("reporter", groups=["admins"]), "no token", "a.b.c"):
        with told.gateway.control({"authorization": f"Bearer {token}"}) as stranger:
            assert [stranger.get(path).status_code for path in paths] == [401] * 4


def test_a_body_is_read_by_its_decision_alone(told: Told) -> None:
    """Who may read bodies has to say of which action, and it has to be that one's: else there is none, nor a record."""
    before = told.gateway.records("reading")
    with told.gateway.person("readers") as reader:
        paths = [f"{told.address}?decision={NOBODY[:24]}", f"{NOBODY}?decision={told.decision}", f"{told.address}"]
        assert [reader.get(f"/v1/bodies/{path}").status_code for path in paths] == [404, 404, 400]
    assert told.gateway.records("reading") == before


@pytest.mark.parametrize(
    ("words", "fits"),
    [
        (("zanzibar",), True),
        (("quagga", "--target", "lab"), True),
        (("--effect", "block"), True),
        (("--effect", "mask"), True),
        (("--policy", "http.sensitive_paths"), True),
        ((CARD,), False),
        (("--target", "crm"), False),
        (("quagga", "--until", "1h"), False),
    ],
)
def test_a_session_is_found_by_what_is_known_of_it(told: Told, words: tuple[str, ...], fits: bool) -> None:
    """By words of its bodies too, for this target has them indexed; not by what was masked."""
    found = listed(told.gateway, *words, groups=("auditors", "readers"))
    assert [row["id"] for row in found] == [told.session] * fits


def test_words_of_bodies_are_for_those_who_may_read_them(told: Told) -> None:
    """What is found tells of the body: without the role it finds nothing, and with it the search is a record."""
    before = len(told.gateway.records("reading"))
    assert listed(told.gateway, "zanzibar", groups=("auditors",)) == []
    assert len(told.gateway.records("reading")) == before
    assert len(listed(told.gateway, "zanzibar", groups=("auditors", "readers"))) == 1
    (searched,) = told.gateway.records("reading")[before:]
    assert (searched["what"], searched["by"]["subject"], searched["words"]) == ("words", "bob", ["zanzibar"])


def test_a_session_is_shown_to_those_who_may_list(told: Told) -> None:
    """Its three actions, in order, without a body."""
    shown = told.gateway.holdpoint("sessions", "show", told.session[:6], groups=("auditors",))
    assert shown.returncode == 0
    places = [shown.stdout.find(path) for path in PATHS]
    assert -1 not in places
    assert places == sorted(places)
    assert "Zanzibar" not in shown.stdout


def test_a_replay_shows_what_was_said_and_records_who_saw_it(told: Told) -> None:
    """Both sides, as they were masked. Each body that was read is a record with the reader's name."""
    before = len(told.gateway.records("reading"))
    played = told.gateway.holdpoint("sessions", "replay", told.session, "--speed", "0", groups=("auditors", "readers"))
    assert played.returncode == 0, played.stderr
    assert "quagga" in played.stdout
    assert "Zanzibar" in played.stdout
    assert CARD not in played.stdout
    read = told.gateway.records("reading")[before:]
    assert {r["by"]["subject"] for r in read} == {"bob"}
    assert {r["session"] for r in read} == {told.session}
    assert sorted(r["lane"] for r in read) == ["request", "response", "response"]


def test_a_replay_without_the_role_shows_no_body(told: Told) -> None:
    """What was asked and decided is shown, and why no body is."""
    before = told.gateway.records("reading")
    played = told.gateway.holdpoint("sessions", "replay", told.session, "--speed", "0", groups=("auditors",))
    assert "/customers/7" in played.stdout
    assert "quagga" not in played.stdout
    assert "read" in played.stdout + played.stderr
    assert told.gateway.records("reading") == before


def test_a_reading_is_a_record_before_its_first_byte(told: Told) -> None:
    """When the answer's head is here, the record is in the journal."""
    before = len(told.gateway.records("reading"))
    path = f"/v1/bodies/{told.address}?decision={told.decision}"
    with told.gateway.person("readers") as reader, reader.stream("GET", path) as answer:
        (record,) = told.gateway.records("reading")[before:]
        body = answer.read()
    assert (record["decision"], record["address"], record["lane"]) == (told.decision, told.address, "response")
    assert json.loads(body)["customer"] == "Zanzibar Ltd"


def test_nothing_is_read_or_taken_that_cannot_be_recorded(told: Told) -> None:
    """The control process's stream is taken away: no body, no export; once it is back, both again."""
    gateway, stream = told.gateway, told.gateway.state / "journal" / "control"
    body, export = f"/v1/bodies/{told.address}?decision={told.decision}", f"/v1/sessions/{told.session}/export"
    (segment,) = stream.glob("*.segment")
    aside = segment.rename(gateway.folder / segment.name)
    with gateway.person("readers", "exporters") as person:
        # What is written before the next sync is still in the file that went aside, and is there when it is back.
        until(lambda: person.get(body).status_code == 503, "a refusal to read")
        refused = [person.get(body), person.get(export)]
        aside.rename(segment)
        # What was begun while it was away may still fail.
        until(lambda: person.get(body).status_code == 200, "a body to be read again")
        again = person.get(f"{export}?format=har").status_code
    assert [(a.status_code, a.json()["code"]) for a in refused] == [(503, "journal-unwritable")] * 2
    assert again == 200
    assert gateway.verify()["faults"] == []


@pytest.mark.parametrize("what", ["har", "jsonl"])
def test_an_export_for_programs_has_the_actions(told: Told, what: str, tmp_path: Path) -> None:
    """In the order in which they were; who took it is a record."""
    file = tmp_path / "out"
    words = ("sessions", "export", told.session, "--format", what, "-o", str(file))
    before = len(told.gateway.records("export"))
    assert told.gateway.holdpoint(*words, subject="eve", groups=("exporters",)).returncode == 0
    if what == "har":
        entries = json.loads(file.read_bytes())["log"]["entries"]
        urls = [entry["request"]["url"] for entry in entries]
    else:
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        urls = [line["body"]["action"]["resource"] for line in lines if line.get("kind") == "decision"]
    assert [url[-len(path) :] for url, path in zip(urls, PATHS, strict=True)] == PATHS
    (taken,) = told.gateway.records("export")[before:]
    assert (taken["by"]["subject"], taken["what"], taken["session"]) == ("eve", what, told.session)


def test_evidence_verifies_where_nothing_is_installed(told: Told, tmp_path: Path) -> None:
    """Right after the session: with Python alone, in an empty environment, by the gateway's public key; not by another
    key, and not once a record in it was changed."""
    gateway, evidence = told.gateway, tmp_path / "evidence.zip"
    words = ("sessions", "export", told.session, "-o", str(evidence))
    exported = gateway.holdpoint(*words, groups=("exporters",))
    assert exported.returncode == 0, exported.stdout + exported.stderr
    folder = tmp_path / "there"
    with zipfile.ZipFile(evidence) as archive:
        archive.extractall(folder)
    key, other = tmp_path / "audit.pub", tmp_path / "other.pub"
    key.write_bytes((gateway.state / "keys" / "audit.pub").read_bytes())
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(other) + ".key"], check=True)
    subprocess.run(["openssl", "pkey", "-in", str(other) + ".key", "-pubout", "-out", str(other)], check=True)
    assert verdict(folder, key) == (0, "PASS")
    assert verdict(folder, other) == (1, "FAIL")
    assert b"Zanzibar" in b"".join(p.read_bytes() for p in (folder / "bodies").glob("*.body"))
    assert not [p for p in folder.rglob("*") if p.is_file() and CARD.encode() in p.read_bytes()]
    record = max((folder / "records").iterdir())
    record.write_bytes(record.read_bytes().replace(b"reporter", b"reformer"))
    assert verdict(folder, key) == (1, "FAIL")


def verdict(folder: Path, key: Path) -> tuple[int, str]:
    """The exit code of the bundle's own verifier, and its verdict."""
    python = sys.base_prefix + "/bin/python3"
    command = ["env", "-i", python, "-I", "-S", str(folder / "verify.py"), "--key", str(key)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, "PASS" if "PASS" in done.stdout else "FAIL" if "FAIL" in done.stdout else done.stderr
