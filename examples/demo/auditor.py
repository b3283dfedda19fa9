"""An auditor, who was not there: finds the refund in the trail, plays it again, takes evidence away, verifies all."""

import json
import shutil
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from examples.demo.calls import tell
from examples.demo.checks import REFUND_PATH
from examples.demo.gateway import Gateway
from examples.demo.people import AGENT_SUBJECT, APPROVER_SUBJECT
from examples.demo.processes import DemoFailed
from examples.demo.workplace import Workplace

AUDITOR = "auditor"
WORD = "refunds"
WITNESS_SECONDS = 10.0
"""How long a checkpoint may take to its witness, under any load; it takes half a second."""
PAUSE_SECONDS = 0.1
KEY = "audit.pub"

Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Audit:
    """What came of it.

    session: the session in which the refund was asked for, as the operator finds it by the decision's id; by_who,
    by_word: the sessions that the auditor found without that id; refused: what somebody without a role was told;
    replayed: the session, played into a pipe; proof, spoiled: exit code and output of the bundle's verifier, of the
    bundle as it came and with another name in the record of the vote; bodies: how many are in the bundle;
    verified: what `audit verify` found; readings: who read and exported what, as the journal has it.
    """

    session: str
    by_who: list[str]
    by_word: list[str]
    refused: str
    replayed: str
    proof: tuple[int, str]
    spoiled: tuple[int, str]
    bodies: int
    verified: dict[str, Any]
    readings: Rows


def meet(place: Workplace) -> None:
    """The auditor copies the gateway's public key before anything happens; one from beside the trail proves little."""
    shutil.copyfile(place.gateway / "state" / "keys" / KEY, place.auditor / KEY)


def audit(gateway: Gateway, run: Rows) -> Audit:
    """Look for the refund among all sessions, and take it away as evidence. `run`: the agent's decisions. Raises
    DemoFailed."""
    asked = [row["decision"]["id"] for row in run if row["action"]["resource"] == REFUND_PATH]
    if not asked:
        raise DemoFailed("the journal has no decision on a refund")
    who, word = (
        ("--principal", AGENT_SUBJECT, "--target", "crm"),
        (WORD, "--principal", AGENT_SUBJECT, "--target", "crm"),
    )
    # Each starts a Python; together they wait less.
    with ThreadPoolExecutor(4) as pool:
        known = pool.submit(gateway.administer, "sessions", "list", "--decision", asked[0], "--json")
        by_who = pool.submit(gateway.audit, "sessions", "list", *who, "--json")
        by_word = pool.submit(gateway.audit, "sessions", "list", *word, "--json")
        refused = pool.submit(gateway.refusal, "sessions", "list")
    ids = [[row["id"] for row in json.loads(found.result())] for found in (known, by_who, by_word)]
    if not ids[0]:
        raise DemoFailed(f"no session has decision {asked[0]}")
    session = ids[0][0]
    tell(AUDITOR, [f"$ holdpoint sessions list {' '.join(word)}", f"finds {', '.join(ids[2]) or 'none'}"])
    tell(AUDITOR, [f"$ holdpoint sessions replay {session}"])
    replayed = gateway.audit("sessions", "replay", session)
    for line in excerpt(replayed):
        print(f"{AUDITOR:>15} │ {line}", flush=True)
    folder = _export(gateway, session)
    proof, spoiled = _verify_bundle(folder), _spoil(folder)
    _wait_for_witness(gateway.place.witness, folder)
    tell(AUDITOR, [f"$ holdpoint audit verify --key {KEY}"])
    with ThreadPoolExecutor(2) as pool:
        verified = pool.submit(gateway.audit, "audit", "verify", "--key", str(gateway.place.auditor / KEY), "--json")
        report = pool.submit(gateway.audit, "audit", "report", "--json")
    found = json.loads(verified.result())
    tell(AUDITOR, [verified_line(found)])
    bodies = len(list((folder / "bodies").glob("*.body")))
    readings = json.loads(report.result())["readings"]["first"]
    return Audit(session, ids[1], ids[2], refused.result(), replayed, proof, spoiled, bodies, found, readings)


def excerpt(replayed: str) -> list[str]:
    """The refund's part of a replay: from its line to the next exchange's."""
    parts = replayed.split("\n\n")
    starts = [i for i, part in enumerate(parts) if REFUND_PATH in part.partition("\n")[0]]
    return [line.rstrip() for i in starts for line in parts[i].splitlines()]


def verified_line(found: dict[str, Any]) -> str:
    """What `audit verify` found, in a line."""
    records = sum(stream["records"] for stream in found["streams"])
    kept = f"{found['witness_checkpoints']} of {found['checkpoints']} checkpoints are with the witness"
    said = "everything is as it was written" if found["ok"] else f"{found['fault_count']} faults"
    return f"{records} records in {len(found['streams'])} streams, {found['bodies']} bodies; {kept}; {said}"


def _export(gateway: Gateway, session: str) -> Path:
    """The session's evidence bundle, unpacked."""
    bundle = gateway.place.auditor / "evidence.zip"
    tell(AUDITOR, [f"$ holdpoint sessions export {session} -o {bundle.name}"])
    gateway.audit("sessions", "export", session, "-o", str(bundle))
    folder = bundle.with_suffix("")
    with zipfile.ZipFile(bundle) as packed:
        packed.extractall(folder)
    return folder


def _verify_bundle(folder: Path) -> tuple[int, str]:
    tell(AUDITOR, [f"$ python3 -I -S verify.py --key {KEY}"])
    code, said = _run_verifier(folder)
    tell(AUDITOR, said.splitlines())
    return code, said


def _spoil(folder: Path) -> tuple[int, str]:
    """The verifier's word where the vote is another person's; the bundle is as it was afterwards."""
    votes = [path for path in (folder / "records").iterdir() if b'"kind":"vote"' in path.read_bytes()]
    if not votes:
        raise DemoFailed(f"no vote is among the records in {folder}")
    record, name = votes[0], APPROVER_SUBJECT.encode()
    whole = record.read_bytes()
    record.write_bytes(whole.replace(name, name[::-1]))
    try:
        return _run_verifier(folder)
    finally:
        record.write_bytes(whole)


def _run_verifier(folder: Path) -> tuple[int, str]:
    # Alone: without packages (-S), and blind to its environment (-I).
    argv = [sys.executable, "-I", "-S", "verify.py", "--key", str(folder.parent / KEY)]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, (done.stdout + done.stderr).strip()


def _wait_for_witness(witness: Path, folder: Path) -> None:
    """Until the witness has the checkpoint that the bundle rests on, for some seconds at most."""
    last = max((int(path.stem) for path in (folder / "checkpoints").glob("*.json")), default=0)
    deadline = time.monotonic() + WITNESS_SECONDS
    while time.monotonic() < deadline:
        text = witness.read_text(encoding="utf-8") if witness.exists() else ""
        # The last line may be half written.
        if any(json.loads(line)["number"] >= last for line in text[: text.rfind("\n") + 1].splitlines()):
            return
        time.sleep(PAUSE_SECONDS)
