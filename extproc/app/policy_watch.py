"""Policies reload without a restart: a changed folder is built, tested and put in force whole, or refused loudly."""

import asyncio
import logging
import time
from collections.abc import Iterator
from pathlib import Path

from extproc.adapters.opa.binary import OpaFailed, OpaMissing
from extproc.adapters.opa.bundle import build, publish
from extproc.adapters.opa.management import ManagementUnavailable
from extproc.adapters.opa.refused import PolicyRefused
from extproc.app.engine import engine_management, policy_folder
from extproc.app.layout import Layout
from extproc.config import Settings
from extproc.domain.json import JSON
from extproc.domain.ports import Journal, JournalUnwritable

_LOOK_SECONDS = 1.0
_CONFIRM_SECONDS = 10.0
_CONFIRM_LOOK_SECONDS = 0.05
_LAST_GOOD = "of the last good bundle"
_log = logging.getLogger("holdpoint.policy")

Stamp = frozenset[tuple[str, int, int]]


class PolicyKeeper:
    """Keeps the managed engine's bundle equal to the policy folder."""

    def __init__(self, settings: Settings, journal: Journal) -> None:
        self._settings = settings
        self._journal = journal
        self._out = Layout(settings.state).bundle
        self._origin = self._out.with_name("origin")
        self._seen: Stamp = frozenset()
        self.revision = ""

    def start(self) -> None:
        """Load, or go on with the last good bundle of the same folder: a gateway that comes back after a crash while
        somebody edits policies must come back. Raises what `load` raises where there is none."""
        try:
            self.load()
        except PolicyRefused as error:
            if not (self._out.exists() and self._origin.exists() and self._origin.read_text("utf-8") == self._place()):
                raise
            self.revision = _LAST_GOOD
            self._refused(str(error))

    def load(self) -> None:
        """Build and put in force. Raises PolicyRefused, OpaMissing, OpaFailed, OSError; what was in force stays so."""
        self._seen = self._stamp()
        bundle = build(self._settings.policy.path, self._settings.policy.data)
        publish(bundle, self._out)
        self._origin.write_text(self._place(), "utf-8")
        self.revision = bundle.revision
        self._note("loaded", {"revision": self.revision})

    def confirm(self) -> None:
        """Wait until the engine itself says that it serves these policies, and say so; loudly if it never does."""
        deadline = time.monotonic() + _CONFIRM_SECONDS
        serves = ""
        with engine_management(self._settings) as management:
            while time.monotonic() < deadline:
                try:
                    serves = management.revision()
                except ManagementUnavailable as error:
                    serves = str(error)
                if serves == self.revision or self.revision == _LAST_GOOD:
                    _log.info("policies are in force", extra={"revision": serves})
                    return
                time.sleep(_CONFIRM_LOOK_SECONDS)
        _log.error("policies of revision %s were built, and the engine does not serve them: %s", self.revision, serves)

    async def watch(self) -> None:
        """Reload whenever a file changes, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            if self._stamp() != self._seen:
                await self.reload()

    async def reload(self) -> None:
        """Reload now; a refusal is logged and recorded, and the last good policies stay in force."""
        try:
            await asyncio.to_thread(self.load)
            await asyncio.to_thread(self.confirm)
        except (PolicyRefused, OpaMissing, OpaFailed, OSError) as error:
            self._refused(str(error))

    def _refused(self, why: str) -> None:
        self._note("refused", {"revision": self.revision, "why": why})
        _log.error("new policies REFUSED; revision %s stays in force:\n%s", self.revision, why)

    def _place(self) -> str:
        return f"{policy_folder(self._settings)}\n{self._settings.policy.data}\n"

    def _note(self, what: str, facts: dict[str, JSON]) -> None:
        try:
            self._journal.append("policy", {"what": what, "folder": str(policy_folder(self._settings)), **facts})
        except JournalUnwritable as error:
            _log.error("%s", error)

    def _stamp(self) -> Stamp:
        return frozenset(_stamps(policy_folder(self._settings), self._settings.policy.data))


def _stamps(*places: Path | None) -> Iterator[tuple[str, int, int]]:
    for place in places:
        if place is None:
            continue
        for file in sorted(place.rglob("*")) if place.is_dir() else [place]:
            try:
                seen = file.stat()
            except OSError:
                continue
            yield str(file), seen.st_mtime_ns, seen.st_size
