"""curl, as a person or a script uses it."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.clients.world import CARD, DELETES, PII, READS, SSN, WRITES, Background, World
from tests.support.gateway import CREDENTIAL

SCRIPT = Path(__file__).parents[2] / "examples" / "clients" / "read_refund_delete.sh"
Done = subprocess.CompletedProcess[str]

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")


def curl(world: World, subject: str, *words: str) -> Done:
    """Run curl as this agent; its address is below /crm/. The token goes in through standard input."""
    *options, path = words
    config = f'header = "Authorization: Bearer {world.token(subject)}"\n'
    argv = ["curl", "--silent", "--show-error", "--config", "-", *options, f"{world.gateway.url}/crm/{path}"]
    return subprocess.run(argv, input=config, capture_output=True, text=True, check=False, timeout=60)


def test_the_example_reads_masked_waits_for_a_person_and_is_told_why(world: World) -> None:
    """The script as shipped: each step's answer says what came of it, and the trail has all three."""
    environment = {**os.environ, "GATEWAY": world.gateway.url, "TOKEN": world.token("curl-example")}
    asking = Background(
        lambda: subprocess.run(
            [str(SCRIPT)], env=environment, capture_output=True, text=True, check=False, timeout=90
        )
    )  # fmt: skip
    hold = world.held("curl-example")
    assert [s.line.split()[0] for s in world.gateway.upstream.seen] == ["GET"]
    world.approve(hold["hold"], "finance")
    done = asking.result()
    assert (done.returncode, done.stderr) == (0, "")
    read, refund, delete = (part.strip() for part in done.stdout.split("\n-> HTTP ")[:3])
    statuses = [part[:3] for part in done.stdout.split("\n-> HTTP ")[1:]]
    assert statuses == ["200", "201", "403"]
    assert "[masked:card]" in read
    assert CARD not in done.stdout
    assert SSN not in done.stdout
    assert '"amount": 15.0' in refund
    why = json.loads(delete[delete.index("{") :])
    assert why["title"] == "Blocked by policy"
    assert DELETES in [r["policy"] for r in why["reasons"]]
    assert why["detail"]
    assert why["next"]
    assert [s.line.split()[0] for s in world.gateway.upstream.seen] == ["GET", "POST"]
    assert {h for s in world.gateway.upstream.seen for h in s.headers["authorization"]} == {f"Bearer {CREDENTIAL}"}
    world.traced("curl-example", ("mask", PII), ("mask", READS), ("allow", WRITES), ("block", DELETES))


def test_a_script_sees_a_block_in_the_exit_code(world: World) -> None:
    """`--fail-with-body` ends with 22 and still shows the reason."""
    done = curl(world, "curl-block", "--fail-with-body", "--request", "DELETE", "customers")
    assert done.returncode == 22
    assert json.loads(done.stdout)["reasons"][0]["policy"] == DELETES
    assert world.gateway.upstream.seen == []


def test_a_hold_is_answered_at_once_where_the_client_asks_so(world: World) -> None:
    """202 with the hold's id; after the approval the same request goes through, once."""
    words = ["--header", "Prefer: respond-async", "--json", '{"amount": 5}', "customers/7/refunds"]
    first = json.loads(curl(world, "curl-async", *words).stdout)
    assert first["title"] == "Held for approval"
    assert first["next"]
    world.approve(first["hold"], "finance")
    second = curl(world, "curl-async", "--include", *words)
    assert second.stdout.startswith("HTTP/1.1 201")
    third = json.loads(curl(world, "curl-async", *words).stdout)
    assert third["hold"] != first["hold"]
    assert len(world.gateway.upstream.seen) == 1
    world.traced("curl-async", ("hold", WRITES), ("allow", WRITES))
