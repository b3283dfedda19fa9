"""A crash at any moment leaves a trail that verifies, and the next start does the rest."""

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import extproc.audit.retention.records as old_records
from extproc.audit.bodies.folder import BodyFolder
from extproc.audit.index.indexer import Indexer
from extproc.audit.index.query import Query
from extproc.audit.journal import FileJournal
from extproc.audit.retention.purge import purge
from extproc.audit.retention.store import RetentionStore
from extproc.audit.segments import Folder
from tests.retention.conftest import OFFICER, House

POINTS: tuple[tuple[Any, str], ...] = (
    (FileJournal, "append"),
    (FileJournal, "sync"),
    (BodyFolder, "delete"),
    (Indexer, "forget"),
    (RetentionStore, "let_go"),
    (RetentionStore, "gone"),
    (RetentionStore, "note"),
    (RetentionStore, "done"),
    (RetentionStore, "summarize"),
    (RetentionStore, "forget_segments"),
    (old_records, "erase"),
    (Folder, "replace"),
    (Folder, "remove"),
)


class Crash(BaseException):
    """The process is gone."""


def furnish(house: House, purging: bool) -> None:
    """Something of everything to let go of."""
    for n in range(3):
        house.act("worker-0", "wiki", who="wendy", says=f"said by wendy {n}")
        house.act("worker-0", "crm", who="carl", says=f"said by carl {n}")
    house.act("worker-1", "wiki", who="wendy", says="said by wendy 0")
    house.later(70)
    house.act("worker-0", "crm", who="carl", says="said by carl just now")
    house.index()
    if purging:
        purge(house.state, house.store, OFFICER, "asked to be forgotten", Query(principal="carl"), house.clock)
    house.clock.now += 3601.0


def outcome(house: House) -> tuple[object, ...]:
    """What is left in the end."""
    return (
        sorted(house.folder.list()),
        house.erased("worker-0"),
        house.erased("worker-1"),
        len(house.bases("worker-1")),
        [p.receipt is not None for p in house.store.purges()],
    )


@pytest.mark.parametrize("purging", [False, True])
def test_every_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, purging: bool) -> None:
    """The process dies before every single thing that it does to disk."""
    whole = House(tmp_path / "whole")
    furnish(whole, purging)
    whole.keep_house()
    expected = outcome(whole)
    whole.close()
    for n in itertools.count():
        house = House(tmp_path / f"{n}")
        furnish(house, purging)
        with monkeypatch.context() as patch:
            crash_at(patch, n)
            try:
                for _ in range(2):
                    house.index()
                    while house.retention.step():
                        pass
            except Crash:
                crashed = True
            else:
                crashed = False
        house.kill()
        assert house.faults() == []
        house.keep_house()
        assert house.faults() == []
        assert outcome(house) == expected
        assert house.contains("wendy") == []
        house.close()
        if not crashed:
            break
    assert n > 20


def crash_at(patch: pytest.MonkeyPatch, n: int) -> None:
    """Have the process die where it would call any of POINTS for the n-th time."""
    count = itertools.count()

    def dying(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            if next(count) == n:
                raise Crash
            return real(*args, **more)

        return call

    for where, name in POINTS:
        patch.setattr(where, name, dying(getattr(where, name)))


def test_killed_between_record_and_deletion(house: House) -> None:
    """By the kernel, with the record on the disk and the body still there."""
    furnish(house, True)
    addresses = sorted(house.folder.list())
    house.retention.close()
    house.indexer.close()
    house.checkpoints._db.close()
    house._streams.pop("archivist").close()
    process = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("dies.py")), str(house.state), str(house.clock.now)],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": "."},
        check=False,
    )
    assert process.returncode == -signal.SIGKILL
    house._begin()
    assert sorted(house.folder.list()) == addresses
    assert [r.body["why"] for r in house.said("body-deleted")] == ["purge"]
    assert house.faults() == []
    house.keep_house()
    assert house.faults() == []
    assert list(house.folder.list()) == []
    assert house.contains("said by") == []
