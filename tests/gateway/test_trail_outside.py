"""What a running gateway gives away for safe keeping: bodies to a real S3 server, checkpoints to witnesses of each
kind, all of which may be away for a while; and what a thief of the files can't hide then."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from extproc.audit.bodies.folder import BodyFolder
from extproc.audit.reader import records
from tests.support.envoy import until
from tests.support.gateway import Gateway, free_port
from tests.support.s3 import BUCKET, S3Server
from tests.support.trail import bucket, checkpoint, checkpoints, indexed, keys_of_store, metric

HOUR = 3600.0
LONG = "walrus " * 3000
KINDS = ("file", "webhook", "objects")


@dataclass
class Webhook:
    """A service that keeps what it is sent, and may be away."""

    kept: Path
    port: int = field(default_factory=free_port)
    _server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        """Listen."""
        kept = self.kept

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                """Keep one."""
                with kept.open("ab") as file:
                    file.write(self.rfile.read(int(self.headers["content-length"])) + b"\n")
                self.send_response(204)
                self.end_headers()

            def log_message(self, *message: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Be away."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


@dataclass
class Outside:
    """A gateway, and all that is outside of it."""

    gateway: Gateway
    store: S3Server
    webhook: Webhook
    mount: Path

    def kept(self, kind: str) -> list[dict[str, Any]]:
        """The checkpoints that a witness has, in its order."""
        if kind == "objects":
            paths = sorted((self.store.folder / BUCKET / "w" / "checkpoints").glob("*.json"))
            return [json.loads(path.read_bytes()) for path in paths]
        file = self.webhook.kept if kind == "webhook" else self.mount / "witness.jsonl"
        return [json.loads(line) for line in file.read_bytes().splitlines()] if file.exists() else []

    def told(self, *kinds: str) -> None:
        """Wait until these have all checkpoints that there are."""
        wanted = checkpoints(self.gateway.state)
        for kind in kinds:
            until(partial(self._has, kind, wanted), f"all checkpoints at {kind}", 30)

    def _has(self, kind: str, wanted: list[dict[str, Any]]) -> bool:
        return self.kept(kind)[: len(wanted)] == wanted

    def alarms(self) -> list[str]:
        """The witnesses of which the journal says that they were out of reach."""
        return [a["witness"].split()[0] for a in self.gateway.records("alarm") if a["code"] == "witness-unreachable"]


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    """A gateway with a store, and a witness of each kind."""
    folder = tmp_path_factory.mktemp("outside")
    (folder / "mount").mkdir()
    store, webhook = S3Server(folder / "s3"), Webhook(folder / "webhook.jsonl")
    witnesses = (
        f"{{file: {folder / 'mount' / 'witness.jsonl'}}}, {{webhook: 'http://127.0.0.1:{webhook.port}/kept'}}, "
        f"{{objects: {bucket(store, 'w/')}}}"
    )
    audit = f"otlp: null, checkpoint: 1s, record: {{bodies: full}}, objects: {bucket(store, 'b/')}"
    gateway = Gateway(audit=f"{audit}, witnesses: [{witnesses}]")
    keys_of_store(gateway)
    try:
        webhook.start()
        with store:
            yield Outside(gateway.start(), store, webhook, folder / "mount")
    finally:
        gateway.stop()
        webhook.stop()


def ask(outside: Outside, path: str, who: str = "agent-1") -> None:
    """One action with an answer that is worth keeping."""
    body = f"{path} {LONG}".encode()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n\r\n" % len(body)
    outside.gateway.upstream.answer = lambda _: [head + body]
    with outside.gateway.client(who) as agent:
        assert agent.get(path).status_code == 200


def test_bodies_move_to_the_store_and_are_read_back(outside: Outside) -> None:
    """Once a body is an hour old it is in the store alone. A replay shows it all the same; verification reads it."""
    gateway = outside.gateway
    ask(outside, "/moved", "mover")
    gateway.wait_records("delivery", 1)
    shelf = BodyFolder(gateway.state / "bodies")
    aged = list(shelf.list())
    for address in aged:
        file = gateway.state / "bodies" / address[:2] / f"{address}.zst"
        os.utime(file, (time.time() - HOUR, time.time() - HOUR))
    # A round begins when the archivist does.
    os.kill(gateway.pid("archivist"), signal.SIGTERM)
    gateway.wait_ready_again("archivist")
    until(lambda: not any(map(shelf.exists, aged)), "the bodies to be gone from here", 30)
    objects = {p.name.removesuffix(".zst") for p in (outside.store.folder / BUCKET / "b").rglob("*.zst")}
    assert set(aged) <= objects
    indexed(gateway)
    (session,) = json.loads(gateway.administer("sessions", "list", "--principal", "mover", "--json").stdout)
    played = gateway.administer("sessions", "replay", session["id"], "--speed", "0", "--lines", "9999")
    assert "walrus walrus" in played.stdout, played.stderr
    found = gateway.verify()
    assert (found["faults"], found["bodies"]) == ([], len(aged))


def test_a_store_that_lost_a_body_is_told_on(outside: Outside) -> None:
    """What was moved there and is gone is named, and so is what was changed."""
    ask(outside, "/kept-elsewhere")
    outside.gateway.wait_records("delivery", 2)
    moved = max((outside.store.folder / BUCKET / "b").rglob("*.zst"))
    content = moved.read_bytes()
    moved.unlink()
    gone = outside.gateway.verify()["faults"]
    moved.write_bytes(content[:-40] + b"x" + content[-39:])
    changed = outside.gateway.verify()["faults"]
    moved.write_bytes(content)
    assert ([f["wrong"] for f in gone], [f["wrong"] for f in changed]) == (["body-missing"], ["body-changed"])
    assert outside.gateway.verify()["ok"]


def test_witnesses_that_were_away_get_all_that_they_missed(outside: Outside) -> None:
    """In order and without a gap. That one is away is an alarm, once; what agents do goes on."""
    gateway = outside.gateway
    ask(outside, "/before")
    checkpoint(gateway)
    outside.told(*KINDS)
    away = outside.mount.rename(outside.mount.with_name("unmounted"))
    outside.webhook.stop()
    outside.store.kill()
    for n in range(2):
        ask(outside, f"/meanwhile/{n}")
        checkpoint(gateway)
    until(lambda: sorted(outside.alarms()) == ["bucket", "file", "webhook"], "three alarms", 40)
    until(lambda: metric(gateway, "holdpoint_witness_behind") >= 3, "the figure that says so")
    away.rename(outside.mount)
    outside.webhook.start()
    outside.store.start()
    outside.told(*KINDS)
    assert sorted(outside.alarms()) == ["bucket", "file", "webhook"]
    numbers = {kind: [document["number"] for document in outside.kept(kind)] for kind in KINDS}
    assert numbers == {kind: list(range(len(found))) for kind, found in numbers.items()}
    until(lambda: metric(gateway, "holdpoint_witness_behind") == 0, "the figure that says so")
    found = gateway.verify()
    assert (found["faults"], found["witness_checkpoints"] > 0) == ([], True)


def test_only_a_witness_tells_that_an_end_was_cut_off(outside: Outside) -> None:
    """A thief takes the last actions out of all files of this machine, and the checkpoints that named them. The files
    are in order then; each of the witnesses names what is gone."""
    gateway = outside.gateway
    ask(outside, "/innocent")
    checkpoint(gateway)
    before = checkpoints(gateway.state)[-1]
    ask(outside, "/theft")
    checkpoint(gateway)
    outside.told(*KINDS)
    robbed = gateway.folder / "robbed"
    shutil.copytree(gateway.state, robbed, ignore=shutil.ignore_patterns("run", "*.db*", "access.log*", "bodies"))
    shutil.copytree(gateway.state / "bodies", robbed / "bodies")
    for stream in robbed.joinpath("journal").iterdir():
        (last,) = stream.glob("*.segment")
        ends = [r.end for r in records(stream) if r.kind == "checkpoint" and r.body["number"] == before["number"]]
        os.truncate(last, ends[0] if stream.name == "archivist" else before["streams"][stream.name]["offset"])
    config = gateway.folder / "robbed.yaml"
    config.write_text(gateway.config.read_text().replace("state: state", "state: robbed"))

    def faults(*words: str) -> set[tuple[str, str]]:
        done = gateway.administer("audit", "verify", "--json", *words)
        document = json.loads(done.stdout)
        assert document["ok"] == (done.returncode == 0)
        return {(f["wrong"], f["stream"]) for f in document["faults"]}

    alone = subprocess.run(
        [sys.executable, "-m", "extproc.cli", "audit", "verify", "--json", "--state", str(robbed)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    # Without a configuration nobody knows of the store, and what went there is missing.
    assert {f["wrong"] for f in json.loads(alone.stdout)["faults"]} == {"body-missing"}
    for place in (outside.mount / "witness.jsonl", outside.webhook.kept):
        assert ("behind-witness", "worker-0") in faults("--state", str(robbed), "--witness", str(place))
    gateway.config, kept = config, gateway.config
    assert ("behind-witness", "worker-0") in faults("--witness", f"s3://{BUCKET}")
    gateway.config = kept
    assert gateway.verify("--witness", f"s3://{BUCKET}")["ok"]
