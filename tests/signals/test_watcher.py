"""The watcher over journals that grow, break, move and come back; and the reader that believes it."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from extproc.adapters.signals import BATCH_RECORDS, Watcher, WatchPace, run_watcher
from extproc.adapters.signals_metrics import SignalMetrics
from extproc.adapters.signals_reader import SignalsReader
from extproc.adapters.signals_store import SignalsStore
from extproc.audit.segments import name_of
from extproc.domain.principal import Principal
from tests.signals.conftest import AGENT, Story

UNKNOWN = {"known": False}


def requests(story: Story, who: Principal = AGENT) -> int:
    """How many requests of a principal are counted today."""
    found = story.history(who)
    assert found["known"], found
    return int(found["principal"]["requests"]["day"])


def counted(state: Path) -> int:
    """How far the watcher's noted position in worker-0 is, in records."""
    try:
        store = sqlite3.connect(f"file:{state / 'signals.db'}?mode=ro", uri=True)
        try:
            row = store.execute("SELECT seq FROM cursor WHERE stream = 'worker-0'").fetchone()
        finally:
            store.close()
    except sqlite3.Error:
        return 0
    return 0 if row is None else int(row[0])


def start(state: Path) -> subprocess.Popen[bytes]:
    """A watcher process."""
    env = {**os.environ, "PYTHONPATH": os.getcwd()}
    return subprocess.Popen([sys.executable, str(Path(__file__).with_name("watching.py")), str(state)], env=env)


def until_counted(process: subprocess.Popen[bytes], state: Path, records: int) -> None:
    """Wait for another process's position, which nothing announces."""
    deadline = time.monotonic() + 30
    while counted(state) < records:
        assert process.poll() is None
        assert time.monotonic() < deadline, f"{counted(state)} of {records}"
        time.sleep(0.002)


def test_killed_in_the_middle_it_counts_nothing_twice(story: Story) -> None:
    """kill -9 at any moment: the next one goes on from the noted position, with the figures of that position."""
    story.now = time.time()
    total = 6 * BATCH_RECORDS
    for _ in range(total):
        story.decided()
    for target in (1, 2 * BATCH_RECORDS, total):
        process = start(story.state)
        until_counted(process, story.state, target)
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    assert requests(story) == total


def test_a_worker_sees_what_the_watcher_process_publishes(story: Story) -> None:
    """From a journal through another process into this one's memory, while both run; then the watcher ends."""
    story.now = time.time()
    reader = SignalsReader(story.state / "signals.db", poll_seconds=0.01)
    reader.start()
    process = start(story.state)
    try:
        for n in range(1, 4):
            story.now = time.time()
            story.decided()
            deadline = time.monotonic() + 30
            while not (found := dict(reader.of(AGENT, "crm")))["known"] or found["target"]["requests"]["day"] < n:  # type: ignore[index,call-overload,operator]
                assert process.poll() is None
                assert time.monotonic() < deadline, found
                time.sleep(0.005)
        process.terminate()
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait(10)
        reader.close()
    assert counted(story.state) == 3


def test_told_to_stop_it_notes_everything(story: Story) -> None:
    """What is written before it is told to stop is counted when it ends."""
    for _ in range(5):
        story.decided()
    stop = asyncio.Event()
    stop.set()
    asyncio.run(run_watcher(story.state, stop, clock=story.clock))
    assert counted(story.state) == 5


def test_a_file_that_was_moved_aside_is_read_to_its_end(story: Story) -> None:
    """Nothing between the last look and the move is lost, and the file in its place is read from its start."""
    watcher = story.watcher()
    story.decided()
    watcher.step()
    story.decided()
    story.move_aside()
    watcher.step()
    story.decided()
    story.decided()
    watcher.step()
    assert requests(story) == 4
    # A watcher that was not there meanwhile starts over with the new file: it can't find the old one.
    story.move_aside()
    story.decided()
    assert requests(story) == 5


@pytest.mark.parametrize("damage", ["absent", "garbage", "another schema", "empty"])
def test_the_database_is_made_again_from_the_journals(story: Story, damage: str) -> None:
    """Everything in it follows from them."""
    for _ in range(3):
        story.used()
    assert requests(story) == 3
    path = story.state / "signals.db"
    if damage == "another schema":
        with sqlite3.connect(path) as db:
            db.execute("PRAGMA user_version = 99")
            db.execute("ALTER TABLE state RENAME TO elsewhere")
        db.close()
    else:
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        if damage != "absent":
            path.write_bytes(b"" if damage == "empty" else b"not a database, and quite long" * 100)
    assert requests(story) == 3
    assert damage == "empty" or path.stat().st_mode & 0o777 == 0o600


def test_a_database_that_is_replaced_under_it_is_noticed(story: Story) -> None:
    """SQLite goes on in a deleted file without a word; then nobody would read what it writes."""
    watcher = story.watcher()
    story.decided()
    watcher.step()
    (story.state / "signals.db").unlink()
    with pytest.raises(OSError, match=r"signals\.db|No such file"):
        watcher.step()


def test_a_damaged_journal_makes_the_figures_unknown_and_the_others_go_on(story: Story) -> None:
    """Figures that are not whole are none; once the file is moved aside they are known again."""
    story.decided(stream="worker-1")
    story.decided()
    story.journal().sync()
    path = story.state / "journal" / "worker-0" / name_of(0)
    good = path.read_bytes()
    path.write_bytes(good[:-4] + b"\0\0\0\0")
    assert story.history() == UNKNOWN
    path.write_bytes(good)
    assert requests(story) == 2


def test_a_reader_believes_nobody_for_longer_than_seconds(story: Story) -> None:
    """Without a file, before the watcher has caught up, and when it is gone, nothing is known; `of` never raises."""
    reader = SignalsReader(story.state / "signals.db", story.clock)
    reader.refresh()
    assert reader.of(AGENT, "crm") == UNKNOWN
    story.used()
    watcher = story.watcher()
    watcher.step()
    reader.refresh()
    assert reader.of(AGENT, "crm")["known"] is True
    story.now += 4.9
    assert reader.of(AGENT, "crm")["known"] is True
    story.now += 0.2
    assert reader.of(AGENT, "crm") == UNKNOWN
    watcher.step()
    reader.refresh()
    assert reader.of(AGENT, "crm")["known"] is True
    story.now -= 60
    assert reader.of(AGENT, "crm") == UNKNOWN
    reader.close()


def test_a_reader_follows_changes_other_files_and_forgotten_principals(story: Story) -> None:
    """Only what changed is read again; a file in place of the one that was open is taken up."""
    path = story.state / "signals.db"
    reader = SignalsReader(path, story.clock)
    others = [replace(AGENT, subject=f"bot-{n}") for n in range(3)]
    watcher = story.watcher(most_principals=2)
    for who in others:
        story.used(who=who)
        watcher.step()
        reader.refresh()
    told = [dict(reader.of(who, "crm"))["principal"]["requests"]["day"] for who in others]  # type: ignore[index,call-overload]
    assert told == [0, 1, 1]
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink()
    again = story.watcher()
    again.step()
    reader.refresh()
    assert dict(reader.of(others[0], "crm"))["principal"]["requests"]["day"] == 1  # type: ignore[index,call-overload]
    reader.close()


def test_what_was_published_by_hand_can_do_no_harm(story: Story) -> None:
    """A document of another shape is no document."""
    store = SignalsStore(story.state / "signals.db")
    store.publish({AGENT.key: {"principal": 1}}, [], story.now)
    reader = SignalsReader(story.state / "signals.db", story.clock)
    reader.refresh()
    assert reader.of(AGENT, "crm") == UNKNOWN
    reader.close()
    store.close()


def test_figures_fade_by_time_alone(story: Story) -> None:
    """A principal that went silent is told again when a window passes, and not more often than that."""
    watcher = story.watcher()
    reader = SignalsReader(story.state / "signals.db", story.clock)
    story.used()
    seen = []
    for _ in range(5):
        watcher.step()
        reader.refresh()
        found = dict(reader.of(AGENT, "crm"))
        seen.append(tuple(found["target"]["requests"].values()))  # type: ignore[index,call-overload,union-attr]
        story.now += {1: 66, 2: 3900, 3: 90000}.get(len(seen), 0)
    reader.close()
    assert seen == [(1, 1, 1), (0, 1, 1), (0, 0, 1), (0, 0, 0), (0, 0, 0)]


def test_metrics_name_targets_and_never_principals(story: Story) -> None:
    """What Prometheus gets is bounded by the configuration."""
    registry = CollectorRegistry()
    story.used()
    story.delivered(masked={"response": {"card": 7}})
    story.unexpected("evil.test:443")
    Watcher(story.state, clock=story.clock, metrics=SignalMetrics(registry), pace=WatchPace()).step(now=True)
    labels = {name for family in registry.collect() for sample in family.samples for name in sample.labels}
    assert labels == {"target", "lane", "kind"}
    named = {"target": "crm", "lane": "response", "kind": "card"}
    assert registry.get_sample_value("holdpoint_signal_masked_total", named) == 7
    assert registry.get_sample_value("holdpoint_signal_unexpected_destinations_total") == 1
    assert registry.get_sample_value("holdpoint_signal_principals") == 1
