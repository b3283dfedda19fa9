"""The published configuration, and programs that follow it."""

import asyncio
import stat
from pathlib import Path

import pytest

from extproc.app.authors import announce, announced, author_of
from extproc.app.layout import Layout, StateUnusable
from extproc.app.live import KEPT_SECONDS, Live
from extproc.app.restart import differences, needs_restart
from extproc.app.snapshot import Snapshot, publish, read, settings_for, snapshot
from extproc.config import Settings, load
from tests.live.making import CRM, configuration, settings

OTHER = 'other: {upstream: "http://localhost:9002", networks: [10.0.0.0/8], inspect: stream, wait: 90s}'
TUNNEL = 'tunnel: {upstream: "https://1.2.3.4", opaque: true}'
PROXY = 'listen: {proxy: "127.0.0.1:8081"}\ndns: {servers: ["127.0.0.1:53"], refresh: 30s}\nlimits: {bytes: 1GiB}'


def test_a_snapshot_reads_back_as_what_it_was_made_of(tmp_path: Path) -> None:
    """Through the reader of configurations, whatever is in it; private, and with the places of its targets."""
    given = settings(tmp_path, CRM, OTHER, TUNNEL, more=PROXY)
    path = tmp_path / "config" / "active.json"
    publish(snapshot(given), path)
    taken = read(path)
    assert taken == snapshot(given)
    assert [t.place for t in taken.settings.targets] == [t.place for t in given.targets]
    assert [t.revision for t in taken.settings.targets] == [t.revision for t in given.targets]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert settings_for(path) == given


def test_a_snapshot_does_not_look_at_files_that_may_be_away_for_a_moment(tmp_path: Path) -> None:
    """A worker that starts again while somebody renews a credential starts."""
    path = tmp_path / "active.json"
    publish(snapshot(settings(tmp_path)), path)
    (tmp_path / "token").unlink()
    assert settings_for(path).targets[0].name == "crm"


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"settings": {}, "file": "/x", "places": {}}', b"\xff"])
def test_what_is_no_snapshot_is_refused(tmp_path: Path, content: bytes) -> None:
    """With a message, and never half of it."""
    path = tmp_path / "active.json"
    path.write_bytes(content)
    with pytest.raises(StateUnusable):
        read(path)


def test_live_knows_former_targets_for_ten_minutes(tmp_path: Path) -> None:
    """What Envoy routed by an older configuration meets the target that it was routed to, and not one that changed."""
    path, now, told = tmp_path / "active.json", [0.0], list[Settings]()
    first = settings(tmp_path, CRM, OTHER)
    publish(snapshot(first), path)
    live = Live(path, clock=lambda: now[0])
    live.on_change(told.append)
    old = {t.name: t.revision for t in first.targets}
    second = settings(tmp_path, CRM.replace("9001", "9003"))
    publish(snapshot(second), path)
    asyncio.run(live.look())
    assert told == [second]
    assert live.settings == second
    (crm,) = second.targets
    assert crm.revision != old["crm"]
    assert live.target("crm", crm.revision) == crm.target
    assert live.target("crm", old["crm"]) == first.targets[0].target
    assert live.target("other", old["other"]) == first.targets[1].target
    assert live.target("other", crm.revision) is None
    publish(snapshot(first), path)
    asyncio.run(live.look())
    now[0] = KEPT_SECONDS
    asyncio.run(live.look())
    assert live.target("crm", old["crm"]) is not None
    assert live.target("crm", crm.revision) is None


def test_live_keeps_what_it_has_when_the_snapshot_is_damaged(tmp_path: Path) -> None:
    """Nobody but `up` writes it; whatever else is there counts for nothing."""
    path = tmp_path / "active.json"
    publish(snapshot(settings(tmp_path)), path)
    live = Live(path)
    before = live.version
    path.write_text("{")
    asyncio.run(live.look())
    assert live.version == before
    path.unlink()
    asyncio.run(live.look())
    assert live.version == before


def test_live_claims_nothing_that_it_has_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read that fails for a moment, or somebody who can't follow: tried again, the version told only then."""
    path = tmp_path / "active.json"
    publish(snapshot(settings(tmp_path)), path)
    live, told, faults = Live(path), list[Settings](), [MemoryError(), StateUnusable("busy"), OSError(24, "files")]
    first = live.version

    def failing(_: Settings) -> None:
        if faults:
            raise faults.pop()

    def reading(path: Path) -> Snapshot:
        if len(faults) > 1:
            raise faults.pop()
        return read(path)

    monkeypatch.setattr("extproc.app.live.read", reading)
    live.on_change(failing)
    live.on_change(told.append)
    wanted = settings(tmp_path, CRM, OTHER)
    publish(snapshot(wanted), path)
    for _ in range(3):
        asyncio.run(live.look())
        assert live.version == first
    # The others were told meanwhile, and are told again with the one that could not follow.
    assert told == [wanted]
    asyncio.run(live.look())
    assert (told, live.version) == ([wanted, wanted], snapshot(wanted).version)
    asyncio.run(live.look())
    assert len(told) == 2


def test_live_comes_back_to_what_it_left_half_taken(tmp_path: Path) -> None:
    """A snapshot that nobody could follow is taken back: everybody hears of that too."""
    path = tmp_path / "active.json"
    first, second = settings(tmp_path), settings(tmp_path, CRM, OTHER)
    publish(snapshot(first), path)
    live, told = Live(path), list[Settings]()

    def follow(changed: Settings) -> None:
        told.append(changed)
        if changed == second:
            raise ValueError("can't")

    live.on_change(follow)
    for each in (second, first):
        publish(snapshot(each), path)
        asyncio.run(live.look())
    assert (told, live.settings, live.version) == ([second, first], first, snapshot(first).version)


REVISIONS = [
    ('{upstream: "http://127.0.0.1:9001", credential: token}', True),
    ('{credential: {file: token}, upstream: "http://127.0.0.1:9001", environment: production}', True),
    ('{upstream: "http://127.0.0.1:9001/", credential: token}', False),
    ('{upstream: "http://127.0.0.1:9001"}', False),
    ('{upstream: "http://127.0.0.1:9001", credential: keys.json}', False),
    ('{upstream: "http://127.0.0.1:9001", credential: {file: token, header: X-Key}}', False),
    ('{upstream: "http://127.0.0.1:9001", credential: {file: token, prefix: ""}}', False),
    ('{upstream: "http://127.0.0.1:9001", credential: token, inspect: 2MiB}', False),
    ('{upstream: "http://127.0.0.1:9001", credential: token, host: crm.test}', False),
    ('{upstream: "http://127.0.0.1:9001", credential: token, wait: 31s}', False),
    ('{upstream: "http://127.0.0.1:9001", credential: token, networks: [10.0.0.0/8]}', False),
]


@pytest.mark.parametrize(("text", "same"), REVISIONS)
def test_a_revision_changes_with_what_is_said_of_the_target(tmp_path: Path, text: str, same: bool) -> None:
    """And not with how that is written."""
    before = settings(tmp_path).targets[0]
    after = settings(tmp_path, f"crm: {text}").targets[0]
    assert (before.revision == after.revision) is same
    assert after.target.revision == after.revision


RESTARTS = [
    ("workers: 3", ["workers"]),
    ("listen: {address: 127.0.0.1:8099, proxy: 127.0.0.1:8098}", ["listen.address", "listen.proxy"]),
    ("audit: {sync: 0s}", ["audit.sync"]),
    ("policy: {deadline: 1s}", ["policy.deadline"]),
    ("limits: {requests: 3}", []),
    ("dns: {refresh: 9s}", []),
    ("targets_folder: elsewhere", []),
]


@pytest.mark.parametrize(("more", "expected"), RESTARTS)
def test_what_takes_a_restart_is_named(tmp_path: Path, more: str, expected: list[str]) -> None:
    """Setting by setting; targets, names and limits take none."""
    before = settings(tmp_path)
    after = settings(tmp_path, CRM, OTHER, more=more)
    assert [line.partition(":")[0] for line in needs_restart(before, after)] == expected


def test_differences_are_told_with_both_values(tmp_path: Path) -> None:
    """Down to the setting; of lists, the entries that are gone and those that are new."""
    before = settings(tmp_path, more="limits: {requests: 3}\ndns: {servers: [127.0.0.1:53, 127.0.0.2:53]}")
    more = "dns: {servers: [127.0.0.2:53, 127.0.0.3:53]}"
    after = settings(tmp_path, CRM.replace("9001", "9003"), OTHER, more=more)
    found = {d.path: (d.before, d.after) for d in differences(before, after)}
    assert found.pop("limits.requests")[0] == 3
    assert found.pop("targets.crm.upstream") == ("http://127.0.0.1:9001", "http://127.0.0.1:9003")
    assert found.pop("dns.servers") == (["127.0.0.1:53"], ["127.0.0.3:53"])
    nothing, other = found.pop("targets.other")
    assert (nothing, other["networks"]) == (None, ["10.0.0.0/8"])
    assert found == {}


def test_the_author_is_who_announced_it_or_who_owns_the_file(tmp_path: Path) -> None:
    """An announcement counts for the very content that was announced."""
    layout = Layout(tmp_path)
    layout.config.mkdir()
    given = load(configuration(tmp_path))
    folder = tmp_path / "targets.d"
    folder.mkdir()
    path, by = folder / "x.yaml", {"issuer": "https://people.test", "subject": "ada"}
    assert not announced(layout)
    announce(layout, path, b"one", by)
    assert not announced(layout)
    path.write_bytes(b"one")
    assert announced(layout)
    assert author_of(layout, given, frozenset({folder, path})).document() == by
    assert not announced(layout)
    # Used up: the same content again is somebody else's doing.
    assert author_of(layout, given, frozenset({folder, path})).principal is None
    announce(layout, path, b"one", by)
    assert author_of(layout, given, frozenset({given.file})).principal is None
    assert author_of(layout, given, frozenset({path, given.file})).principal is None
    announce(layout, path, b"one", by)
    path.write_bytes(b"two")
    owners = author_of(layout, given, frozenset({folder, path})).document()
    assert isinstance(owners, dict)
    assert owners["owners"]
    announce(layout, path, None, by)
    path.unlink()
    assert author_of(layout, given, frozenset({folder, path})).document() == by
