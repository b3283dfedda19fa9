"""Did what the demo claims of its trail happen? Checked against what an auditor found and a verifier said."""

from collections import Counter

from examples.demo.auditor import Audit
from examples.demo.checks import MASKED_FIELDS, REFUND_PATH, Check
from examples.demo.customer_api import CUSTOMERS
from examples.demo.people import APPROVER_SUBJECT, AUDITOR_SUBJECT

NO_ROLE = "role 'list'"


def trail_checks(audit: Audit) -> list[Check]:
    """All claims of the trail, in the order of the auditor's work."""
    return [
        check_found(audit),
        check_replayed(audit),
        check_evidence(audit),
        check_verified(audit),
        check_readings(audit),
    ]


def check_found(audit: Audit) -> Check:
    """The session is one of the agent's on the target, and the only one with the word; who has no role sees none."""
    claim = "an auditor finds the refund's session, by who and where and by a word; others find nothing"
    if audit.session not in audit.by_who or audit.by_word != [audit.session]:
        found = f"{len(audit.by_who)} by who and where, {', '.join(audit.by_word) or 'none'} by the word"
        return Check(claim, False, f"session {audit.session} was looked for; found {found}")
    if NO_ROLE not in audit.refused:
        return Check(claim, False, f"{APPROVER_SUBJECT}, who has no role, was told: {audit.refused or 'all of it'}")
    return Check(claim, True, f"session {audit.session}; {APPROVER_SUBJECT} is told: {audit.refused}")


def check_replayed(audit: Audit) -> Check:
    """Request, response, approval and masks are in the replay, and nothing that was masked."""
    claim = "replayed, it shows what was asked, who approved it, and the answers as they were masked"
    wanted = [f"POST crm {REFUND_PATH}", '"amount": 40.0', f"approved by {APPROVER_SUBJECT}", '"id": "R-1"']
    wanted += [f'"{name}": "[masked:' for name in MASKED_FIELDS]
    missing = [words for words in wanted if words not in audit.replayed]
    leaked = [name for one in CUSTOMERS for name in MASKED_FIELDS if str(one[name]) in audit.replayed]
    if missing or leaked:
        told = [f"not there: {', '.join(missing)}"] if missing else []
        told += [f"there, and should be masked: {', '.join(sorted(set(leaked)))}"] if leaked else []
        return Check(claim, False, "; ".join(told))
    return Check(claim, True, f"it has {'; '.join(wanted[:4])}; and no card number or SSN")


def check_evidence(audit: Audit) -> Check:
    """The verifier, run by Python alone with the auditor's copy of the key, passes the bundle, and no changed one."""
    claim = "its evidence bundle is verified by Python alone, with a key that the auditor had before"
    code, said = audit.proof
    if code != 0 or not said.endswith("PASS") or "(given)" not in said:
        return Check(claim, False, f"verify.py ended with {code} and said: {said}")
    code, after = audit.spoiled
    if code != 1 or "FAIL" not in after:
        return Check(claim, False, f"of a bundle with another approver in it verify.py said: {after}")
    return Check(claim, True, f"{said.splitlines()[1].removeprefix('ok ').strip()}; FAIL with another approver in it")


def check_verified(audit: Audit) -> Check:
    """Nothing is wrong with any stream, each has records that the witness knows, and the keys are the auditor's."""
    claim = "the whole trail is as it was written, and a witness outside the gateway's folder says so too"
    found = audit.verified
    bare = [stream["stream"] for stream in found["streams"] if stream["witnessed"] is None]
    if not found["ok"] or not found["streams"] or not found["keys"]:
        return Check(claim, False, f"{found['fault_count']} faults: {found['faults'][:3]}")
    if bare or not found["witness_checkpoints"]:
        return Check(claim, False, f"the witness knows nothing of {', '.join(bare) or 'any checkpoint'}")
    records = sum(stream["records"] for stream in found["streams"])
    told = f"{records} records in {len(found['streams'])} streams, {found['bodies']} bodies, no fault"
    return Check(claim, True, f"{told}; the witness has {found['witness_checkpoints']} checkpoints")


def check_readings(audit: Audit) -> Check:
    """The search for words, each body that the replay showed, and the export are records with the auditor's name."""
    claim = "who searched, read and exported it is on record"
    own = [row for row in audit.readings if row["by"] == AUDITOR_SUBJECT]
    counted = Counter((row["kind"], row["what"]) for row in own if row["about"] == audit.session)
    read, exported = counted["reading", "body"], counted["export", "bundle"]
    # A search is about no session.
    searched = sum((row["kind"], row["what"], row["about"]) == ("reading", "words", "") for row in own)
    told = f"{searched} search, {read} readings of bodies and {exported} export by {AUDITOR_SUBJECT}"
    complete = searched + read + exported == len(audit.readings)
    true = complete and searched == 1 and 0 < audit.bodies <= read and exported == 1
    return Check(claim, true, f"{told}; session {audit.session}")
