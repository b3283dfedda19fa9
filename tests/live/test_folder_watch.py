"""Waiting ends when the kernel says that a folder changed."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from extproc.app.folder_watch import FolderWatch

LONG = 60.0

CHANGES: list[tuple[str, Callable[[Path], object]]] = [
    ("written", lambda file: file.write_text("b")),
    ("another mode", lambda file: file.chmod(0o600)),
    ("removed", lambda file: file.unlink()),
    ("renamed into it", lambda file: (file.parent.parent / "new").rename(file)),
    ("made", lambda file: file.with_name("other").touch()),
]


@pytest.mark.parametrize(("_", "change"), CHANGES, ids=[name for name, _ in CHANGES])
def test_every_change_wakes(tmp_path: Path, _: str, change: Callable[[Path], object]) -> None:
    """Before the time is over; what happened before the call counts too."""
    folder = tmp_path / "watched"
    folder.mkdir()
    (folder / "file").write_text("a")
    (tmp_path / "new").write_text("c")

    async def run() -> float:
        async with FolderWatch() as watch:
            watch.watch([folder, tmp_path / "missing"])
            change(folder / "file")
            began = time.monotonic()
            await watch.wait(LONG)
            return time.monotonic() - began

    assert asyncio.run(run()) < LONG


def test_other_folders_and_no_watch_at_all_end_with_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is watched no more, and a kernel that has no more watches."""

    async def run(folders: list[Path]) -> bool:
        async with FolderWatch() as watch:
            watch.watch([tmp_path])
            watch.watch(folders)
            (tmp_path / "file").touch()
            await watch.wait(0.05)
            return watch._changed.is_set()

    assert not asyncio.run(run([]))
    monkeypatch.setattr("ctypes.CDLL", lambda *_, **__: (_ for _ in ()).throw(OSError()))
    assert not asyncio.run(run([tmp_path]))
