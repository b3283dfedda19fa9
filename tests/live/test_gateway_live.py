"""A whole gateway whose configuration changes while it works."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.support.envoy_upstream import RecordingUpstream
from tests.support.gateway import CREDENTIAL, Gateway, running


@pytest.fixture(scope="module")
def started() -> Iterator[Gateway]:
    """One gateway for the module."""
    yield from running(identity="administrators: [admins]")


@pytest.fixture
def gateway(started: Gateway) -> Iterator[Gateway]:
    """The module's gateway; its configuration is put back after each test."""
    started.upstream.reset()
    (started.folder / "targets.d").mkdir(exist_ok=True)
    before = started.config.read_text()
    yield started
    for file in (started.folder / "targets.d").iterdir():
        file.unlink()
    started.config.write_text(before)
    started.signal_reload()


def in_force(gateway: Gateway) -> None:
    """Wait until the next configuration is in force."""
    gateway.wait_log(lambda e: e.get("message") == "configuration in force")


def refused(gateway: Gateway) -> str:
    """Wait until the next configuration is refused; what the log says."""
    entry = gateway.wait_log(lambda e: str(e.get("message")).startswith("new configuration REFUSED"))
    return str(entry["message"])


def administrator(gateway: Gateway, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run a `holdpoint` command as the user whom the gateway runs as, without a token."""
    environment = {name: value for name, value in os.environ.items() if name != "HOLDPOINT_TOKEN"}
    return subprocess.run(
        [sys.executable, "-m", "extproc.cli", *words, "--config", str(gateway.config)],
        env=environment, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


@contextmanager
def load(gateway: Gateway) -> Iterator[list[int]]:
    """Ask for one thing after the other for as long as the context lasts; the statuses."""
    statuses: list[int] = []
    end = threading.Event()

    def ask() -> None:
        with gateway.client("loader") as agent:
            while not end.is_set():
                statuses.append(agent.get("/customers/1").status_code)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield statuses
    finally:
        end.set()
        asking.join(30)


def test_targets_come_change_and_go_under_load(gateway: Gateway) -> None:
    """No request is lost, one that waits for a person goes on waiting and passes, and each change has its record."""
    other = RecordingUpstream()
    file, at = gateway.folder / "targets.d" / "more.yaml", f"http://127.0.0.1:{other.port}"
    replies: list[httpx.Response] = []

    def ask() -> None:
        with gateway.client() as agent:
            replies.append(agent.post("/customers/7/refunds", json={"amount": 25}))

    asking = threading.Thread(target=ask)
    asking.start()
    hold = gateway.wait_pending()
    with load(gateway) as statuses, gateway.client(target="more") as agent:
        file.write_text(f'more: {{upstream: "{at}"}}\n')
        in_force(gateway)
        assert agent.get("/a").status_code == 200
        file.write_text(f'more: {{upstream: "{at}/base", credential: ../credential}}\n')
        refused(gateway)
        file.write_text(f'more: {{upstream: "{at}/base", credential: credential}}\n')
        in_force(gateway)
        assert agent.get("/b").status_code == 200
        file.unlink()
        in_force(gateway)
        assert agent.get("/c").status_code == 404
    assert [seen.path for seen in other.seen] == ["/a", "/base/b"]
    assert other.seen[1].headers["authorization"] == [f"Bearer {CREDENTIAL}"]
    assert set(statuses) == {200}
    approved = gateway.holdpoint("holds", "approve", hold["id"], "--reason", "as agreed", groups=("finance",))
    assert approved.returncode == 0, approved.stderr
    asking.join(30)
    assert [r.status_code for r in replies] == [200]
    records = [r for r in gateway.records("config") if r["what"] == "changed"]
    assert [(r["added"], r["changed"], r["removed"]) for r in records[-3:]] == [
        (["more"], [], []), ([], ["more"], []), ([], [], ["more"]),
    ]  # fmt: skip
    assert all(r["by"]["owners"] for r in records)
    other.stop()


def test_a_bad_file_changes_nothing_and_everybody_is_told(gateway: Gateway) -> None:
    """The log, the journal and the command line say what is wrong and where; the last good configuration serves."""
    gateway.config.write_text(gateway.config.read_text().replace("credential: credential", "credental: credential"))
    assert 'there is no setting "credental"' in refused(gateway)
    with gateway.client() as agent:
        assert agent.get("/customers/1").status_code == 200
    assert gateway.upstream.seen[0].headers["authorization"] == [f"Bearer {CREDENTIAL}"]
    record = [r for r in gateway.records("config") if r["what"] == "refused"][-1]
    assert f"{gateway.config}:8:" in record["why"]
    told = json.loads((gateway.state / "config" / "refused.json").read_text())
    assert told["why"] == record["why"]


def test_what_takes_a_restart_is_refused_whole(gateway: Gateway) -> None:
    """Also what could have changed along with it."""
    text = gateway.config.read_text().replace("workers: 1", "workers: 2")
    gateway.config.write_text(text.replace("targets:", 'targets:\n  more: {upstream: "http://127.0.0.1:9"}'))
    assert "workers: takes a restart to change" in refused(gateway)
    with gateway.client(target="more") as agent:
        assert agent.get("/").status_code == 404


def test_a_missing_secret_that_comes_makes_a_refused_file_good(gateway: Gateway) -> None:
    """Nobody has to touch the configuration again."""
    secret = gateway.folder / "late"
    at = f"http://127.0.0.1:{gateway.upstream.port}"
    (gateway.folder / "targets.d" / "more.yaml").write_text(f'more: {{upstream: "{at}", credential: late}}\n')
    assert "there is no such file" in refused(gateway)
    secret.touch(0o600)
    secret.write_text("a-late-secret")
    in_force(gateway)
    with gateway.client(target="more") as agent:
        assert agent.get("/late").status_code == 200
    assert gateway.upstream.seen[0].headers["authorization"] == ["Bearer a-late-secret"]


def test_administrators_change_targets_from_the_command_line(gateway: Gateway) -> None:
    """`add` and `remove` return when it is so; what would not do is refused before anything is written; `test` tells
    how the target answers, and never the secret."""
    at = f"http://127.0.0.1:{gateway.upstream.port}"
    secret = str(gateway.folder / "credential")
    added = administrator(gateway, "targets", "add", "more", "--upstream", at, "--credential", secret, "--json")
    assert added.returncode == 0, added.stderr
    assert json.loads(added.stdout)["settings"]["upstream"] == f"{at}"
    with gateway.client(target="more") as agent:
        assert agent.get("/x").status_code == 200
    record = gateway.records("target")[-1]
    assert (record["what"], record["by"]["issuer"][:5]) == ("added", "unix:")
    assert [r for r in gateway.records("config") if r["what"] == "changed"][-1]["by"] == record["by"]

    again = administrator(gateway, "targets", "add", "more", "--upstream", at)
    assert again.returncode == 2
    assert "--replace" in again.stderr
    ours = administrator(gateway, "targets", "add", "bad", "--upstream", gateway.url)
    assert ours.returncode == 2
    assert "is Holdpoint's own listen.address" in ours.stderr
    assert not (gateway.folder / "targets.d" / "bad.yaml").exists()

    tested = administrator(gateway, "targets", "test", "more", "--path", "/health")
    assert tested.returncode == 0, tested.stderr
    assert "status 200" in tested.stdout
    assert CREDENTIAL not in tested.stdout + tested.stderr
    assert gateway.upstream.seen[-1].path == "/health"
    gateway.upstream.answer = lambda _: [b"HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n"]
    turned_away = administrator(gateway, "targets", "test", "more", "--json")
    assert turned_away.returncode == 1
    assert json.loads(turned_away.stdout)["steps"][-1]["detail"] == "status 401: the credential was refused"

    elsewhere = administrator(gateway, "targets", "remove", "crm")
    assert f"{gateway.config}:8" in elsewhere.stderr
    removed = administrator(gateway, "targets", "remove", "more")
    assert removed.returncode == 0, removed.stderr
    with gateway.client(target="more") as agent:
        assert agent.get("/x").status_code == 404
    listed = administrator(gateway, "targets", "list", "--json")
    assert [t["name"] for t in json.loads(listed.stdout)["targets"]] == ["crm"]


def test_targets_of_a_shared_file_are_left_alone(gateway: Gateway) -> None:
    """`add` and `remove` are for files of one target: they write the whole of one. A file that holds others, or that
    is not what is in force, is left as it is."""
    at, folder = f"http://127.0.0.1:{gateway.upstream.port}", gateway.folder / "targets.d"
    files = {"foo": f'bar: {{upstream: "{at}"}}\nfoo: {{upstream: "{at}"}}\n', "baz": f'qux: {{upstream: "{at}"}}\n'}
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    gateway.signal_reload()
    for words, held in (
        (("add", "foo", "--upstream", at, "--replace"), "bar"),
        (("add", "baz", "--upstream", at), "qux"),
        (("remove", "foo"), "bar"),
    ):
        done = administrator(gateway, "targets", *words)
        assert done.returncode == 2
        assert f"{words[1]}.yaml holds {held} too; change {words[1]} there" in done.stderr
    (folder / "half.yaml").write_text("half: {")
    half = administrator(gateway, "targets", "add", "half", "--upstream", at)
    assert half.returncode == 2
    assert "half.yaml" in half.stderr
    assert {name: (folder / f"{name}.yaml").read_text() for name in (*files, "half")} == {**files, "half": "half: {"}


def test_a_token_gives_no_way_to_the_gateways_files(gateway: Gateway) -> None:
    """Whoever administers by a token has what targets use already, and `secrets`; nobody has the gateway's own."""
    at, home = f"http://127.0.0.1:{gateway.upstream.port}", gateway.folder
    mine = "http://127.0.0.1:9"
    (home / "secrets").mkdir(exist_ok=True)
    (home / "secrets" / "out").unlink(missing_ok=True)
    (home / "secrets" / "out").symlink_to(home / "credential")
    for name in ("secrets/ours", "elsewhere"):
        (home / name).touch(0o600)
        (home / name).write_text("a-secret")

    def add(token: bool, upstream: str, file: str) -> str:
        words = ("targets", "add", "steal", "--upstream", upstream, "--credential", str(home / file))
        run = gateway.holdpoint(*words, subject="ada", groups=("admins",)) if token else gateway.administer(*words)
        if run.returncode == 0:
            assert gateway.administer("targets", "remove", "steal").returncode == 0
            return ""
        assert run.returncode == 2
        return run.stderr

    own, theirs = "is in the gateway's own folder", "by a token you may name files below"
    rows = [
        (True, mine, "state/keys/opa.token", own),
        (False, mine, "state/keys/opa.token", own),
        (True, mine, "secrets/../state/keys/opa.token", own),
        (True, mine, "elsewhere", theirs),
        (True, mine, "not-there", theirs),
        (True, mine, "credential", theirs),
        (True, mine, "secrets/out", theirs),
        (True, mine, "secrets/../elsewhere", theirs),
        (True, mine, "secrets/ours", ""),
        (True, at, "credential", ""),
        (False, mine, "elsewhere", ""),
    ]
    for token, upstream, file, expected in rows:
        said = add(token, upstream, file)
        assert expected in said, file
        assert bool(said) is bool(expected), said


def test_only_administrators_change_targets(gateway: Gateway) -> None:
    """A person who may approve may not do this."""
    for words in (("list",), ("add", "x", "--upstream", "http://127.0.0.1:9"), ("remove", "crm"), ("test", "crm")):
        answer = gateway.holdpoint("targets", *words, groups=("finance",))
        assert answer.returncode == 2
        assert "not yours to change" in answer.stderr
        # The user is the gateway's own, whom the token stands in the way of.
        assert "without the token you are let in: env -u HOLDPOINT_TOKEN holdpoint" in answer.stderr


def test_what_was_approved_goes_where_it_was_decided_for(gateway: Gateway) -> None:
    """A target changes while a request waits for a person: the approved one reaches the former upstream, as the person
    saw it, with the former credential; new ones reach the new upstream with the new one."""
    new, replies = RecordingUpstream(), list[httpx.Response]()

    def ask() -> None:
        with gateway.client() as agent:
            replies.append(agent.post("/customers/8/refunds", json={"amount": 25}))

    asking = threading.Thread(target=ask)
    asking.start()
    hold = gateway.wait_pending()
    secret = gateway.folder / "other-credential"
    secret.touch(0o600)
    secret.write_text("another-secret")
    text = gateway.config.read_text().replace(f"127.0.0.1:{gateway.upstream.port}", f"127.0.0.1:{new.port}")
    gateway.config.write_text(text.replace("credential: credential", "credential: other-credential"))
    in_force(gateway)
    with gateway.client() as agent:
        assert agent.get("/now").status_code == 200
    approved = gateway.holdpoint("holds", "approve", hold["id"], "--reason", "as agreed", groups=("finance",))
    assert approved.returncode == 0, approved.stderr
    asking.join(30)
    assert [r.status_code for r in replies] == [200]
    assert [(s.path, s.headers["authorization"]) for s in gateway.upstream.seen] == [
        ("/customers/8/refunds", [f"Bearer {CREDENTIAL}"])
    ]
    assert [(s.path, s.headers["authorization"]) for s in new.seen] == [("/now", ["Bearer another-secret"])]
    new.stop()
