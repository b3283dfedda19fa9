"""What the demo finds out by itself: ways in that are shut, places that hold no secret, a trace that is whole."""

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from examples.demo import checks_database, records
from examples.demo import checks_outside as say
from examples.demo.agent_run import Vote
from examples.demo.agent_runtime import Runtime, run_as
from examples.demo.checks import Check, check_silence, check_trace
from examples.demo.customer_api import CUSTOMERS
from examples.demo.database import Database
from examples.demo.gateway import Gateway
from examples.demo.holdings import Holdings
from examples.demo.jaeger import PAUSE_SECONDS, SHIPPING_SECONDS, all_traces, spans_of, tags_of, wait_for_tags
from examples.demo.outside import Outside
from examples.demo.people import AGENT_SUBJECT
from examples.demo.processes import DemoFailed
from examples.demo.script_database import COPY_FILE
from examples.demo.seen import Seen
from examples.demo.stolen import Stolen, Token
from examples.demo.upstream import read_log
from examples.demo.workplace import DATABASE, Workplace
from extproc.audit.bodies.address import SUFFIX
from extproc.audit.bodies.coding import Decoding


def try_ways_in(
    place: Workplace, runtime: Runtime, gateway: Gateway, database: Database | None
) -> list[dict[str, Any]]:
    """Let the agent's user try what it must not reach; what came of each try (see probe.py). Raises DemoFailed.

    Only what exists is tried: a missing file is no proof.
    """
    files = [place.config, place.gateway / "secrets" / "crm", place.log("holdpoint")]
    files += [place.approver_file, place.operator_file, place.auditor_file, place.witness]
    sockets = sorted((place.gateway / "state" / "run").glob("*.sock"))
    login = []
    if database is not None:
        files += [place.database_secret, database.data / "pg_hba.conf"]
        sockets += sorted((database.folder / "s").glob(".s.PGSQL.*[0-9]"))
        login = [{"address": database.address, "password": place.agent_token, **database.login}]
    plan = {
        "login": login,
        "read": [str(path) for path in [*files, Path(f"/proc/{gateway.pid}/environ")] if path.exists()],
        "list": [str(place.gateway / "state"), str(place.gateway / "state" / "journal")],
        "connect": [str(path) for path in sockets],
        "fetch": [
            {"url": f"http://{gateway.at.customer_api}/customers", "token": place.agent_token},
            {"url": f"http://{gateway.at.model_server}/v1/models", "token": place.agent_token},
        ],
    }
    program = Path(__file__).with_name("probe.py").read_text(encoding="utf-8")
    env = {"PATH": os.defpath, "PROBE": json.dumps(plan)}
    done = run_as(runtime.owner, [str(runtime.python), "-I", "-c", program], cwd=Path("/"), env=env)
    if done.returncode != 0:
        raise DemoFailed(f"the agent's user could not try what it must not reach: {done.stderr[-2000:]}")
    # The attempts are in the upstreams' logs as requests without the credential; they are not the agent's work.
    for name in ("customer_api", "model_server"):
        place.upstream(name, "received").unlink(missing_ok=True)
    results: list[dict[str, Any]] = json.loads(done.stdout)
    return results


def silence(place: Workplace, issued: Sequence[Token], jaeger: str | None) -> Check:
    """Look for every secret of the run in all that the gateway wrote down."""
    state = place.gateway / "state"
    # Where secrets have their place: the gateway's own keys, and the credentials that it hands to Envoy.
    meant = (state / "keys", state / "envoy" / "secrets")
    files = [path for path in state.rglob("*") if path.is_file() and not any(path.is_relative_to(one) for one in meant)]
    logs = [place.log(name) for name in ("holdpoint", "jaeger")]
    contents = {str(path.relative_to(place.root)): content_of(path) for path in [*files, *logs] if path.exists()}
    if jaeger is not None:
        contents["Jaeger"] = json.dumps(all_traces(jaeger)).encode()
    return check_silence(
        contents,
        {
            "the pasted secret": place.pasted_secret,
            "a customer's card number": str(CUSTOMERS[0]["card_number"]),
            "an SSN": str(CUSTOMERS[0]["ssn"]),
            **records.SECRETS,
            "the agent's token": place.agent_token,
            "the approver's token": place.approver_token,
            "the operator's token": place.operator_token,
            "the auditor's token": place.auditor_token,
            "an upstream's credential": place.customer_credential,
            "the model's credential": place.model_credential,
            "the database's password": place.database_password,
            **{f"the job's token {token.id}": token.text for token in issued},
        },
    )


def content_of(path: Path) -> bytes:
    """What is in a file; of a recorded body, which is kept packed, the body itself."""
    if path.suffix != SUFFIX:
        return path.read_bytes()
    with path.open("rb") as file:
        return b"".join(Decoding(file.read).content())


def in_jaeger(place: Workplace, trail: list[dict[str, Any]], jaeger: str) -> Check:
    """Wait until Jaeger has every decision of the run in the agent's trace, for some seconds at most."""
    trace_id = trace_of_run(place)
    decisions = [str(row["decision"].get("id")) for row in trail]
    deadline = time.monotonic() + SHIPPING_SECONDS
    while True:
        found = [tags_of(span) for span in spans_of(jaeger, trace_id)]
        traced = [tags["holdpoint.decision.id"] for tags in found if "holdpoint.decision.id" in tags]
        if set(decisions) <= set(traced) or time.monotonic() > deadline:
            return check_trace(decisions, traced, trace_id)
        time.sleep(PAUSE_SECONDS)


def database_seen(
    gateway: Gateway, runtime: Runtime, database: Database, vote: Vote | None, holdings: Sequence[Holdings]
) -> Seen:
    """What is to be seen of the agent's work at the database, now that it is done. Raises DemoFailed."""
    place, jaeger = gateway.place, gateway.at.jaeger
    own = _settled(gateway)
    copy = place.scripts / COPY_FILE
    return Seen(
        transcript=read_log(place.database_transcript),
        model_server=read_log(place.upstream("model_server", "received")),
        rows=own,
        found=database.found(runtime),
        vote=vote,
        copy=copy.read_text(encoding="utf-8") if copy.exists() else "",
        holdings=holdings,
        script=database.psql is not None,
        spans=None if jaeger is None else _spans(jaeger, {str(row["decision"]["id"]) for row in own}),
    )


def _spans(jaeger: str, decisions: set[str]) -> list[dict[str, str]]:
    """Those of the database, once each of these decisions has one, or those there are after some seconds."""
    deadline = time.monotonic() + SHIPPING_SECONDS
    while True:
        spans = wait_for_tags(jaeger, checks_database.TAGS, len(decisions))
        if decisions <= {span.get("holdpoint.decision.id") for span in spans} or time.monotonic() > deadline:
            return spans
        time.sleep(PAUSE_SECONDS)


def _settled(gateway: Gateway) -> list[dict[str, Any]]:
    """The trail of the agent at the database, with what became of each: of a connection that is on record once it has
    ended, so this waits for some seconds at most."""
    deadline = time.monotonic() + SHIPPING_SECONDS
    while True:
        rows = [row for row in gateway.trail() if row["target"].get("name") == DATABASE]
        own = [row for row in rows if row["principal"]["subject"] == AGENT_SUBJECT]
        open_ones = [row for row in own if row["decision"]["effect"] == "allow" and not row.get("delivery")]
        if not open_ones or time.monotonic() > deadline:
            return own
        time.sleep(PAUSE_SECONDS)


def strangers(place: Workplace, outside: Outside, stolen: Stolen | None, jaeger: str | None) -> list[Check]:
    """What is claimed of those beside the agent; `stolen` None: this machine can't show it."""
    received = read_log(place.upstream("customer_api", "received"))
    checks = [say.check_outside(outside)]
    if jaeger is not None:
        spans = wait_for_tags(jaeger, say.OUTSIDE_TAGS, len(outside.refused))
        checks.append(say.check_outside_traced(outside, spans))
    checks.append(say.check_proxied(outside, received))
    if stolen is None:
        return checks
    checks.append(say.check_copied(stolen, received))
    if jaeger is not None:
        spans = wait_for_tags(jaeger, say.COPIED_TAGS, 1)
        checks.append(say.check_copied_traced(spans, wait_for_tags(jaeger, say.REVOKED_TAGS, 2)))
    return [*checks, say.check_revoked(stolen)]


def trace_of_run(place: Workplace) -> str:
    """The trace that the agent began; empty when it began none."""
    lines = [line["trace_id"] for line in read_log(place.transcript) if line["kind"] == "trace"]
    return str(lines[0]) if lines else ""
