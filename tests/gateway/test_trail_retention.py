"""What a running gateway forgets: what is old by itself, and what a person asks to be gone. Its trail verifies before
and after."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from extproc.app.layout import Layout
from extproc.audit.bodies.folder import BodyFolder
from extproc.audit.bodies.recorder import Recorder
from extproc.audit.bodies.writer import Shelf
from extproc.audit.journal import FileJournal
from extproc.audit.reader import records
from extproc.domain.decision import Recording as Mode
from tests.sessions.making import decision
from tests.support.envoy import until
from tests.support.envoy_upstream import OK
from tests.support.gateway import Gateway
from tests.support.trail import indexed, segments

DAY = 86400.0
LAB = "lab: {upstream: UPSTREAM, environment: dev, credential: credential, record: {keep: 30d, keep_bodies: 1d}}"
# By the age of the day in days: who did what there. crm keeps records for a year and bodies for a month.
DAYS: dict[int, list[tuple[str, str]]] = {
    400: [("crm", "old-crm"), ("lab", "old-lab")],
    100: [("crm", "middle-crm"), ("lab", "middle-lab"), ("lab", "suspect")],
    5: [("crm", "young-crm"), ("lab", "young-lab")],
}


class Past:
    """Writes stream worker-0 as a worker would have, at times that are long over."""

    def __init__(self, gateway: Gateway) -> None:
        mask = os.umask(0o077)
        layout = Layout(gateway.state)
        layout.prepare()
        os.umask(mask)
        self.today = time.time()
        self.now = self.today - max(DAYS) * DAY
        self.shelf = BodyFolder(layout.bodies)
        self.bodies: dict[str, str] = {}
        self._journal = FileJournal(
            layout.journal_of("worker-0"), "worker-0", lambda: self.now, segment_seconds=DAY / 2, signer=layout.signer()
        )
        self._recorder = Recorder(Shelf(layout.bodies, layout.read_body_key()), "worker-0", self._journal.append)

    def act(self, target: str, who: str) -> None:
        """One action with a recorded body, which says who it is of."""
        id_ = f"{len(self.bodies):x}".rjust(24, "d")
        said = decision(id_, who, f"session-of-{who}", target=target, resource=f"/of/{who}")
        self._journal.append("decision", said)
        recording = self._recorder.begin(id_, Mode.FULL, 1024)
        recording.head("request", [("content-type", "text/plain")], [], [])
        recording.write("request", f"said by {who}".encode())
        kept: Any = recording.finish()["bodies"]
        kept["request"]["index"] = True
        common = {name: said[name] for name in ("session", "principal", "target")}
        facts: dict[str, Any] = {"status": 200, "outcome": "completed", "masked": {}, "bodies": kept}
        self._journal.append("delivery", {**common, "decision": id_, **facts})
        recording.settle()
        self.bodies[who] = address = kept["request"]["address"]
        os.utime(self.shelf.path / address[:2] / f"{address}.zst", (self.now, self.now))

    def close(self) -> None:
        """The worker ended."""
        self._journal.close()


@pytest.fixture(scope="module")
def aged() -> Iterator[tuple[Gateway, Past]]:
    """A gateway that was last run five days ago, with a legal hold on a suspect; it is started now."""
    audit = "otlp: null, record: {bodies: full, index: true}, roles: {administer: [officers]}"
    gateway = Gateway(targets=LAB, audit=audit)
    try:
        past = Past(gateway)
        for age, acts in DAYS.items():
            past.now = past.today - age * DAY
            for target, who in acts:
                past.act(target, who)
        past.close()
        held = gateway.administer(
            "audit", "legal-hold", "place", "--principal", "suspect", "--reason", "lawsuit 7",
            "--state", str(gateway.state),
        )  # fmt: skip
        assert held.returncode == 0, held.stderr
        assert gateway.verify()["faults"] == []
        # Segments end with the day; the last one does when the next record comes.
        gateway.start()
        with gateway.client() as agent:
            assert agent.get("/today").status_code == 200
        yield gateway, past
    finally:
        gateway.stop()


def found(gateway: Gateway, *words: str) -> set[str]:
    """Who the sessions are of that are found."""
    shown = gateway.administer("sessions", "list", "--json", *words)
    assert shown.returncode == 0, shown.stderr
    return {row["principal"]["subject"] for row in json.loads(shown.stdout)}


def checked(gateway: Gateway, receipt: Path) -> "subprocess.CompletedProcess[str]":
    """What is said of a receipt by whoever has the gateway's public key."""
    words = ("audit", "receipt", str(receipt), "--key", str(gateway.state / "keys" / "audit.pub"))
    return subprocess.run([sys.executable, "-m", "extproc.cli", *words], capture_output=True, text=True, check=False)


def test_what_is_over_its_time_goes_by_itself(aged: tuple[Gateway, Past]) -> None:
    """When the gateway starts: whole segments, single records, bodies, and what the index has of them; what a legal
    hold keeps stays. What went was announced, so that verification is clean."""
    gateway, past = aged
    until(lambda: gateway.records("retired") and gateway.records("erased"), "something to go", 30)
    stays = {"middle-crm", "suspect", "young-crm", "young-lab"}
    until(lambda: found(gateway) == {*stays, "agent-1"}, "the rest to go", 30)
    assert {who for who, address in past.bodies.items() if past.shelf.exists(address)} == {"suspect", "young-crm"}
    journal = b"".join(path.read_bytes() for path in segments(gateway, "worker-0"))
    assert {who for who in past.bodies if f"/of/{who}".encode() in journal} == stays
    assert int(segments(gateway, "worker-0")[0].stem) > 0
    deleted = {a for r in gateway.records("body-deleted") for a in r["addresses"]}
    assert deleted == {past.bodies[who] for who in past.bodies if who not in ("suspect", "young-crm")}
    assert found(gateway, "said by", "--target", "crm") == {"young-crm"}
    found_now = gateway.verify()
    assert (found_now["faults"], [s["erased"] for s in found_now["streams"] if s["stream"] == "worker-0"]) == ([], [2])
    told = json.loads(gateway.holdpoint("audit", "retention", "--json", groups=("officers",)).stdout)
    assert (told["behind"], told["legal_holds"], [line["over"] for line in told["bodies"]]) == (None, 1, [0, 1])


def test_a_purge_deletes_bodies_and_gives_a_receipt(aged: tuple[Gateway, Past], tmp_path: Path) -> None:
    """Of whoever fits, but for what is on legal hold; the records of their actions stay, what was said does not, and
    the receipt says so under the gateway's key."""
    gateway, _ = aged
    # The very same answer would be one body, and kept for both.
    gateway.upstream.answer = lambda seen: [OK[:-2] + seen.path[-2:].encode()]
    for who in ("erika", "max"):
        with gateway.client(who, target="lab") as agent:
            assert agent.post(f"/notes/{who}", json={"text": f"the flamingo of {who}"}).status_code == 200
    gateway.wait_records("delivery", 3)
    indexed(gateway)
    with gateway.person("officers", subject="olga") as officer:
        hold = officer.post("/v1/legal-holds", json={"principal": "max", "reason": "lawsuit 8"}).json()["id"]
        dry = officer.post("/v1/purges", json={"query": {"words": ["flamingo"]}, "reason": "-", "dry_run": True}).json()
    assert (dry["decisions"], dry["bodies"], dry["kept"]) == (2, 2, 2)
    assert gateway.records("purge") == []
    assert [r["query"] for r in gateway.records("reading") if "query" in r] == [{"words": ["flamingo"]}]
    receipt = tmp_path / "erika.json"
    words = ("audit", "purge", "flamingo", "--reason", "request of erika", "--yes", "--receipt", str(receipt))
    refused = gateway.holdpoint(*words, groups=("auditors",))
    assert (refused.returncode, receipt.exists()) == (2, False)
    purged = gateway.holdpoint(*words, subject="olga", groups=("officers",))
    assert purged.returncode == 0, purged.stderr
    told = checked(gateway, receipt)
    assert (told.returncode, "2 bodies deleted, 2 kept on legal hold" in told.stdout) == (0, True)
    forged = json.loads(receipt.read_bytes())
    forged["purge"]["reason"] = "something else"
    receipt.write_text(json.dumps(forged))
    assert checked(gateway, receipt).returncode == 1
    (record,) = gateway.records("purge")
    assert (record["by"]["subject"], record["reason"], record["kept"]) == ("olga", "request of erika", 2)
    order = [r.kind for r in records(gateway.state / "journal" / "archivist") if r.body.get("purge") == record["id"]]
    assert order[:1] == ["body-deleted"]
    kept = {d["decision"]: d for d in gateway.records("delivery")}
    of = {d["principal"]["subject"]: d["decision"]["id"] for d in gateway.records("decision")}
    with gateway.control() as asked:
        statuses = [
            asked.get(f"/v1/bodies/{kept[of[who]]['bodies']['request']['address']}?decision={of[who]}").status_code
            for who in ("erika", "max")
        ]
    assert statuses[0] in (404, 410)
    assert statuses[1] == 200
    assert found(gateway, "flamingo") == {"max"}
    assert {"erika", "max"} <= found(gateway)
    assert gateway.verify()["faults"] == []
    lifted = gateway.holdpoint("audit", "legal-hold", "lift", hold, "--reason", "settled", groups=("officers",))
    assert lifted.returncode == 0, lifted.stderr
