"""Targets as administrators change them: files of the targets' folder, which the gateway follows like any other's
edit. A change that does not come into force is taken back."""

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import yaml

from extproc.app import target_test
from extproc.app.authors import announce
from extproc.app.layout import Layout
from extproc.app.live import Live
from extproc.app.restart import needs_restart
from extproc.app.snapshot import IN_FORCE, REFUSED, replace_file, snapshot
from extproc.app.target_credentials import check_credential
from extproc.config import Settings, SettingsError, TargetSettings, load
from extproc.config.folder import SUFFIX
from extproc.config.source import Members, Unreadable, bytes_of, read_tree
from extproc.config.targets import TARGET
from extproc.console.targets import TargetRefused
from extproc.domain.json import JSON, Document
from extproc.domain.ports import Journal
from extproc.domain.principal import Principal

_VERDICT_SECONDS = 12.0
_LOOK_SECONDS = 0.05


class Targets:
    """The `TargetBook` of a gateway; see there for what its methods raise. Belongs to one event loop."""

    def __init__(self, live: Live, journal: Journal) -> None:
        self._live, self._journal = live, journal
        self._layout = Layout(live.settings.state)
        self._turn = asyncio.Lock()

    def shown(self) -> Document:
        """Targets of the published configuration, with `pending` (why it is not in force yet) and `refused` (why a
        later one was refused)."""
        refused, in_force = _document(self._layout.config / REFUSED), _document(self._layout.config / IN_FORCE)
        pending = in_force.get("version") != self._live.version
        return {
            "version": self._live.version,
            "pending": (in_force.get("pending") or "it is being taken") if pending else None,
            "refused": {"at": refused.get("at"), "why": refused.get("why")} if refused else None,
            "targets": [view(target) for target in self._live.settings.targets],
        }

    async def add(self, name: str, settings: Mapping[str, Any], by: Principal, *, replace: bool) -> Document:
        """Write `<name>.yaml` in the targets' folder, and wait for the verdict."""
        async with self._turn:
            path = self._folder() / f"{name}{SUFFIX}"
            there = self._target(name)
            if there is not None and not replace:
                raise TargetRefused("target-exists", f"the target {name} stands at {there.place}; --replace changes it")
            if there is not None and there.place.file != path:
                raise TargetRefused("not-in-folder", f"the target {name} stands at {there.place}; change it there")
            await asyncio.to_thread(_check_file, path, name, there is None)
            data = yaml.safe_dump({name: dict(settings)}, sort_keys=False, allow_unicode=True).encode()
            written: dict[str, JSON] = {"settings": dict(settings)}
            wanted = await self._change(path, data, "changed" if there else "added", name, by, written)
            return view(next(target for target in wanted.targets if target.name == name))

    async def remove(self, name: str, by: Principal) -> Document:
        """Remove what `add` wrote, and wait for the verdict."""
        async with self._turn:
            target = self._target(name)
            if target is None:
                raise TargetRefused("no-such-target", f"there is no target {name}")
            path = self._folder() / f"{name}{SUFFIX}"
            if target.place.file != path:
                raise TargetRefused("not-in-folder", f"the target {name} stands at {target.place}; remove it there")
            await asyncio.to_thread(_check_file, path, name, False)
            await self._change(path, None, "removed", name, by, {})
            return view(target)

    async def test(self, name: str, path: str, by: Principal) -> Document:
        """Ask the target once; see `target_test`."""
        target = self._target(name)
        if target is None:
            raise TargetRefused("no-such-target", f"there is no target {name}")
        await self._record("tested", name, by, {"path": path})
        return await target_test.run(target, path, self._live.settings)

    async def _change(
        self, path: Path, data: bytes | None, what: str, name: str, by: Principal, facts: Mapping[str, JSON]
    ) -> Settings:
        """Try, record, write, wait; take back what is refused. The configuration that is in force then. Raises
        TargetRefused `not-in-force` where that takes long: what was written stays, for it may be taken any moment."""
        wanted, began = await asyncio.to_thread(self._tried, path, data, name, by), time.time()
        await self._record(what, name, by, facts)
        try:
            before = await asyncio.to_thread(_write, self._layout, path, data, by)
        except OSError as error:
            await self._record("undone", name, by, {"undone": what})
            raise TargetRefused("bad-target", f"{path}: can't be written ({error.strerror})") from error
        problem = await self._verdict(snapshot(wanted).version, began)
        if problem is not None:
            await asyncio.to_thread(_write, self._layout, path, before, by)
            await self._record("undone", name, by, {"undone": what, "why": problem.args[0]})
            raise problem
        return wanted

    def _tried(self, path: Path, data: bytes | None, name: str, by: Principal) -> Settings:
        now = self._live.settings
        try:
            for target in load(now.file, files=False, replaced={path: data}).targets:
                if target.name == name:
                    check_credential(target, now, by)
            wanted = load(now.file, replaced={path: data})
        except SettingsError as error:
            raise TargetRefused("bad-target", str(error)) from error
        if lines := needs_restart(now, wanted):
            raise TargetRefused("bad-target", "\n".join(f"{now.file}: {line}" for line in lines))
        return wanted

    async def _verdict(self, version: str, began: float) -> TargetRefused | None:
        """Why this configuration, which was written after `began`, is refused; None where it is in force. Raises
        TargetRefused where neither is known in time."""
        deadline = time.monotonic() + _VERDICT_SECONDS
        while time.monotonic() < deadline:
            if _document(self._layout.config / IN_FORCE).get("version") == version:
                return None
            refused = _document(self._layout.config / REFUSED)
            # Without a version it could not even be read: somebody edits the files at the same time.
            if refused.get("version") == version or ("version" not in refused and refused.get("at", 0) > began):
                return TargetRefused("bad-target", str(refused.get("why")))
            await asyncio.sleep(_LOOK_SECONDS)
        why = _document(self._layout.config / IN_FORCE).get("pending") or "the gateway's log says why"
        raise TargetRefused(
            "not-in-force",
            f"the change is written and recorded, and not in force after {_VERDICT_SECONDS:g} s: {why}. It stays, and "
            "`holdpoint targets list` shows what became of it",
        )

    async def _record(self, what: str, name: str, by: Principal, facts: Mapping[str, JSON]) -> None:
        body: dict[str, JSON] = {"what": what, "by": by.document(), "target": {"name": name}, **facts}
        await asyncio.to_thread(self._journal.append, "target", body)

    def _folder(self) -> Path:
        folder = self._live.settings.targets_folder
        if folder is None:
            raise TargetRefused("not-in-folder", "the configuration has no targets_folder; name one, and restart")
        return folder

    def _target(self, name: str) -> TargetSettings | None:
        return next((target for target in self._live.settings.targets if target.name == name), None)


def view(target: TargetSettings) -> Document:
    """A target as it is shown: its settings, and where they are written. Of a credential it has the file's name."""
    return {
        "name": target.name,
        "revision": target.revision,
        "file": str(target.place.file),
        "line": target.place.line,
        "settings": TARGET.write(target),
    }


def _check_file(path: Path, name: str, new: bool) -> None:
    """Raises TargetRefused where this file, as it is now, is not this target's alone: what `add` and `remove` do, they
    do to the whole of it. It may say more than is in force."""
    try:
        tree, _ = read_tree(bytes_of(path))
    except Unreadable as error:
        if not path.exists() and not path.is_symlink():
            return
        raise TargetRefused("not-in-folder", f"{path} {error.problem.message}; put that right first") from error
    others = [key.text for key, _ in tree.members if key.text != name] if isinstance(tree, Members) else []
    if others:
        message = f"{path} holds {', '.join(others)} too; change {name} there, or give the others files of their own"
        raise TargetRefused("not-in-folder", message)
    if new:
        raise TargetRefused("not-in-folder", f"{path} is there, and is not in force; change or remove it there")


def _write(layout: Layout, path: Path, data: bytes | None, by: Principal) -> bytes | None:
    """Put this content there, or nothing; returns what was there. Raises OSError."""
    before = path.read_bytes() if path.exists() else None
    announce(layout, path, data, by.document())
    if data is None:
        path.unlink(missing_ok=True)
    else:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        replace_file(path, data)
    return before


def _document(path: Path) -> dict[str, Any]:
    try:
        document = orjson.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}
