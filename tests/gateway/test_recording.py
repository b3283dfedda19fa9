"""What is recorded of bodies, through a whole gateway: as much as target and policy let, as it went on; else nothing
goes on."""

import json
import os
import shutil
import signal
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from extproc import resources
from extproc.audit.bodies.folder import BodyFolder
from extproc.audit.index import Index, Query
from tests.support.envoy_upstream import Seen
from tests.support.flows import PIECE, Asking, Slow, until
from tests.support.gateway import Gateway
from tests.support.masked import sent

CARD = "4111111111111111"
HEAD_BYTES = 1024
TARGETS = """
whole: {upstream: UPSTREAM, environment: dev, credential: credential, record: {bodies: full}}
found: {upstream: UPSTREAM, environment: dev, credential: credential, record: {bodies: full, index: true}}
heads: {upstream: UPSTREAM, environment: dev, credential: credential, record: {bodies: head, head: 1KiB}}
sizes: {upstream: UPSTREAM, environment: dev, credential: credential, record: {bodies: metadata}}
unread: {upstream: UPSTREAM, environment: dev, credential: credential, inspect: headers, record: {bodies: full}}
"""
# Nobody could mask what nobody reads.
DATA = """
policies:
  http.pii_in_responses: {unmasked_targets: [unread]}
  http.secrets_in_requests: {unmasked_targets: [unread]}
"""
POLICY = """# METADATA
# scope: package
# title: Less is kept of some paths
# description: For tests.
# custom:
#   id: http.discreet
#   severity: info
#   mode: enforce
package holdpoint.policies.http.discreet

import data.holdpoint.lib.http

findings contains finding("metadata") if "private" in http.words

findings contains finding("head") if "first" in http.words

findings contains {
\t"code": "masked-request",
\t"effect": "mask",
\t"message": "Cards don't leave.",
\t"mask": {"kinds": ["card"], "keys": [], "lanes": ["request", "response"]},
} if not "unread" in http.words

finding(least) := {
\t"code": "discreet",
\t"effect": "allow",
\t"message": "Less of it is kept.",
\t"record": least,
}
"""


@pytest.fixture(scope="module")
def started() -> Iterator[Gateway]:
    """A gateway with targets of each kind, and a policy that asks for less on some paths."""
    made = Gateway(policy="path: policies, data: data.yaml", targets=TARGETS.strip())
    (made.folder / "data.yaml").write_text(DATA)
    shutil.copytree(resources.policies(), made.folder / "policies")
    own = made.folder / "policies" / "http" / "discreet"
    own.mkdir()
    (own / "discreet.rego").write_text(POLICY)
    try:
        yield made.start()
    finally:
        made.stop()


@pytest.fixture
def gateway(started: Gateway) -> Gateway:
    """The module's gateway, its upstream's memory empty."""
    started.upstream.reset()
    return started


def document(data: bytes, kind: str = "application/json") -> bytes:
    """A whole HTTP response."""
    return b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n%b" % (kind.encode(), len(data), data)


def received(gateway: Gateway) -> bytes:
    """The body that the upstream got last."""
    return sent(gateway.upstream.seen[-1])


def delivery(gateway: Gateway, path: str) -> dict[str, Any]:
    """The delivery of the request of this path, once it is recorded."""

    def found() -> list[dict[str, Any]]:
        ids = [d["decision"]["id"] for d in gateway.records("decision") if d["action"]["resource"] == path]
        return [d for d in gateway.records("delivery") if d["decision"] in ids]

    until(lambda: bool(found()), f"the delivery of {path}")
    return found()[-1]


def content(gateway: Gateway, address: str) -> bytes:
    """A recorded body."""
    return b"".join(BodyFolder(gateway.state / "bodies").open(address))


def post(gateway: Gateway, target: str, path: str, body: object) -> httpx.Response:
    """Write something."""
    with gateway.client(target=target) as agent:
        return agent.post(path, json=body)


def test_both_bodies_are_recorded_as_they_went_on(gateway: Gateway) -> None:
    """The request as the upstream got it, the response as the agent did: masked, both."""
    gateway.upstream.answer = lambda _: [document(json.dumps({"card": CARD, "note": "paid"}).encode())]
    reply = post(gateway, "whole", "/pay", {"pay": f"with {CARD} please"})
    assert (reply.status_code, CARD in reply.text) == (200, False)
    sent = received(gateway)
    assert CARD.encode() not in sent
    told = delivery(gateway, "/pay")["bodies"]
    assert content(gateway, told["request"].pop("address")) == sent
    assert content(gateway, told["response"].pop("address")) == reply.content
    assert told == {
        "request": {"mode": "full", "bytes": len(sent), "kept": len(sent), "type": "application/json"},
        "response": {
            "mode": "full", "bytes": len(reply.content), "kept": len(reply.content), "type": "application/json",
        },
    }  # fmt: skip


def test_words_of_bodies_are_found_where_that_is_allowed(gateway: Gateway) -> None:
    """As they were masked. What a request asks for is in its decision's record too, and found by that anywhere."""
    gateway.upstream.answer = lambda _: [document(b'{"animal": "okapi"}')]
    for target in ("whole", "found"):
        post(gateway, target, f"/{target}/search", {"asks": f"quagga {CARD}"})
    index = Index(gateway.state)

    def targets(word: str) -> list[str]:
        return [found.target for found in index.actions(Query(words=(word,))).rows]

    until(lambda: targets("okapi") == ["found"], "the response's words in the index")
    assert targets("quagga") == ["found", "whole"]
    assert targets(CARD) == []
    index.close()


def test_heads_are_recorded_without_secrets(gateway: Gateway) -> None:
    """Those on the list, as they went on."""
    gateway.upstream.answer = lambda _: [document(b"{}")]
    with gateway.client(target="whole") as agent:
        agent.get("/heads", headers={"x-api-key": "s3cr3t-value", "user-agent": "tests/1", "cookie": "a=b"})
    heads = delivery(gateway, "/heads")["heads"]
    assert ["user-agent", "tests/1"] in heads["request"]
    assert ["content-type", "application/json"] in heads["response"]
    assert "s3cr3t-value" not in json.dumps(heads)
    assert {n for n, _ in heads["request"]} & {"authorization", "cookie", "x-api-key"} == set()


@pytest.mark.parametrize(
    ("target", "path", "mode"),
    [
        ("whole", "/a", "full"),
        ("whole", "/first/a", "head"),
        ("whole", "/private/a", "metadata"),
        ("heads", "/b", "head"),
        ("heads", "/first/b", "head"),
        ("heads", "/private/b", "metadata"),
        ("sizes", "/c", "metadata"),
        ("sizes", "/first/c", "metadata"),
    ],
)
def test_the_lesser_of_target_and_policy_is_kept(gateway: Gateway, target: str, path: str, mode: str) -> None:
    """All of it is counted."""
    gateway.upstream.answer = lambda _: [document(PIECE * 3, "text/plain")]
    with gateway.client(target=target) as agent:
        reply = agent.get(path)
    assert reply.content == PIECE * 3
    told = delivery(gateway, path)["bodies"]["response"]
    most = {"full": len(PIECE) * 3, "head": HEAD_BYTES if target == "heads" else 64 << 10, "metadata": 0}[mode]
    assert (told["mode"], told["bytes"], told["kept"]) == (mode, len(PIECE) * 3, most)
    if most:
        assert content(gateway, told["address"]) == (PIECE * 3)[:most]
    else:
        assert "address" not in told


def test_what_never_comes_here_is_not_told(gateway: Gateway) -> None:
    """On a target whose bodies are not read, nothing is said of them."""
    with gateway.client(target="unread") as agent:
        assert agent.get("/unread").text == "ok"
    assert "bodies" not in delivery(gateway, "/unread")


def test_a_download_that_a_kill_cuts_is_salvaged(gateway: Gateway) -> None:
    """What the agent got before its worker was killed is recorded by the next one."""
    gateway.upstream.answer = slow = Slow()
    download = Asking(gateway.client(target="whole"), "GET", "/long").wait()
    os.kill(gateway.pid("worker-0"), signal.SIGKILL)
    gateway.wait_ready_again("worker-0")
    slow.go.set()
    download.end()
    (decision,) = [d["decision"]["id"] for d in gateway.records("decision") if d["action"]["resource"] == "/long"]
    (salvaged,) = [r for r in gateway.records("recording") if r["decision"] == decision]
    assert (salvaged["lane"], salvaged["salvaged"]) == ("response", True)
    kept = content(gateway, salvaged["address"])
    assert salvaged["bytes"] == salvaged["kept"] == len(kept)
    assert len(download.body) > 0
    assert kept.startswith(bytes(download.body))
    assert (PIECE * 2).startswith(kept)
    assert list((gateway.state / "bodies" / "tmp" / "worker-0").iterdir()) == []


@pytest.fixture
def small() -> Iterator[tuple[Gateway, Path]]:
    """A gateway whose bodies alone lie on a disk of 4 MiB."""
    made = Gateway(targets=TARGETS.strip())
    bodies = made.state / "bodies"
    bodies.mkdir(0o700, parents=True)
    made.state.chmod(0o700)
    command = f"mount -t tmpfs -o size=4m,mode=700 tmpfs {bodies}"
    if os.geteuid() != 0 or os.system(f"{command} 2>/dev/null") != 0:  # noqa: S605 - its words are ours
        made.stop()
        pytest.skip("a small disk can be mounted by root only, and not in every container")
    try:
        yield made.start(), bodies
    finally:
        made.signal(15)
        made.kill()
        os.system(f"umount --lazy {bodies}")  # noqa: S605 - its words are ours
        made.stop()


def fill(path: Path) -> None:
    """Take all the room there is."""
    with suppress(OSError), path.open("wb", 0) as file:
        while True:
            file.write(b"x" * 4096)


def test_nothing_passes_that_cannot_be_recorded(small: tuple[Gateway, Path]) -> None:
    """The disk of bodies is full: no request reaches the upstream but where nothing is to be kept of it; the reason is
    said, and once there is room everything goes on by itself."""
    gateway, bodies = small
    gateway.upstream.answer = lambda _: [document(b"{}")]
    assert post(gateway, "whole", "/before", {"n": 0}).status_code == 200
    gateway.upstream.reset()
    gateway.upstream.answer = lambda _: [document(b"{}")]
    fill(bodies / "filling")
    # The first one learns of it with its own body.
    answers = [post(gateway, "whole", "/full", {"n": n}) for n in range(4)]
    assert {a.status_code for a in answers[1:]} == {503}
    assert answers[0].status_code >= 500
    assert answers[-1].json()["reasons"][0]["code"] == "recording-unwritable"
    assert gateway.upstream.seen == []
    assert delivery(gateway, "/full")["outcome"].startswith(("aborted:recording-failed", "refused:"))
    assert post(gateway, "sizes", "/sizes", {"n": 0}).status_code == 200
    (bodies / "filling").unlink()
    assert post(gateway, "whole", "/after", {"n": 0}).status_code == 200
    told = delivery(gateway, "/after")["bodies"]
    assert content(gateway, told["request"]["address"]) == received(gateway)


def test_a_response_stops_where_it_cannot_be_recorded(small: tuple[Gateway, Path]) -> None:
    """In mid-download: what the agent got is recorded, and no byte that is not."""
    gateway, _ = small
    noise = os.urandom(1 << 20)

    def endless(_: Seen) -> Iterable[bytes]:
        yield b"HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ncontent-length: 16777216\r\n\r\n"
        yield from [noise] * 16

    gateway.upstream.answer = endless
    download = Asking(gateway.client(target="whole"), "GET", "/endless").end()
    assert download.broken is not None
    told = delivery(gateway, "/endless")
    assert told["outcome"] == "aborted:recording-failed"
    response = told["bodies"]["response"]
    assert len(download.body) <= response["kept"] < 4 << 20
