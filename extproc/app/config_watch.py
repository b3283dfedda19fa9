"""The configuration follows its files while the gateway runs: a change is put in force whole, or refused whole."""

import asyncio
import contextlib
import logging
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from extproc.adapters.ca import CaUnusable
from extproc.adapters.envoy.files import watch_limit, watches
from extproc.adapters.envoy.generate import generate
from extproc.adapters.envoy.plan import BadPlan, EnvoyPlan
from extproc.adapters.envoy.validate import EnvoyRefused, validate
from extproc.app import probe
from extproc.app.authors import Author, announced, author_of
from extproc.app.door import Door, NotTaken, certify
from extproc.app.fingerprints import Credentials
from extproc.app.folder_watch import FolderWatch
from extproc.app.layout import Layout, StateUnusable
from extproc.app.masking_rules import MaskingRules
from extproc.app.masking_rules import collect as collect_rules
from extproc.app.plan import envoy_plan
from extproc.app.restart import differences, needs_restart
from extproc.app.rule_files import RulesRefused
from extproc.app.snapshot import IN_FORCE, REFUSED, Snapshot, active, publish, replace_file, snapshot
from extproc.app.upstreams import Upstreams, is_named, refusals
from extproc.config import Settings, SettingsError, load
from extproc.domain.json import JSON
from extproc.domain.ports import Journal, JournalUnwritable

_LOOK_SECONDS = 0.5
_TAKEN_SECONDS = 10.0
_TAKEN_LOOK_SECONDS = 0.05
# Of all that differs, a record has so many bytes: one that the journal need not shorten.
_DIFFERENCES_BYTES = 4 << 10
_VALUE_CHARACTERS = 1000
_OTHER_WATCHES = 24
"""inotify instances of other programs of the gateway's user: ours have ten, OPA two."""

_log = logging.getLogger("holdpoint.config")

_Stamp = tuple[tuple[str, int, int, int], ...]


class ConfigRefused(Exception):
    """A configuration that is not put in force. The message has one line for each thing that is wrong."""


def checked(settings: Settings, envoy: str, before: Settings | None = None) -> None:
    """Find out whether a gateway could run on these settings: the plan, where its targets lead, and Envoy itself, which
    takes 10 ms for each target. It is not asked again about targets that are the same in `before`. Raises
    ConfigRefused."""
    problems = [
        f"{target.place}: targets.{target.name}.upstream: {refusal.address} is {refusal.why}"
        for target in settings.targets
        if not is_named(target)
        for refusal in refusals(target, [target.upstream.host], settings)
    ]
    if problems:
        raise ConfigRefused("\n".join(problems))
    try:
        with tempfile.TemporaryDirectory(prefix="holdpoint-check-") as folder:
            plan, place = envoy_plan(settings), Path(folder)
            if settings.listen.managed:
                _check_watches(plan, envoy_plan(before) if before is not None else plan)
            known = set(envoy_plan(before).targets) if before is not None else set()
            plan = replace(plan, targets=tuple(target for target in plan.targets if target not in known))
            # Envoy reads the certificates that it is to show; those of an authority for the moment will do.
            certify(plan, place, place)
            validate(generate(plan), place, envoy)
    except (BadPlan, EnvoyRefused) as error:
        raise ConfigRefused(str(error)) from error


def _check_watches(plan: EnvoyPlan, before: EnvoyPlan) -> None:
    """Raises ConfigRefused where Envoy would need more file watches than the kernel gives it, while it has both."""
    needed, limit = len(watches(generate(plan)) | watches(generate(before))) + _OTHER_WATCHES, watch_limit()
    if limit is not None and needed > limit:
        raise ConfigRefused(
            f"{len(plan.targets)} targets take {needed} inotify instances, and the kernel gives a user {limit}; "
            f"raise it, as root: sysctl -w fs.inotify.max_user_instances={max(1024, 2 * needed)}"
        )


class ConfigKeeper:
    """Keeps what runs equal to the configuration's files. `settings` are what the gateway starts with; `programs` are
    the names of those that read the snapshot. Belongs to one event loop."""

    def __init__(
        self,
        settings: Settings,
        journal: Journal,
        envoy: str,
        door: Door,
        upstreams: Upstreams,
        credentials: Credentials,
        rules: MaskingRules,
        programs: Sequence[str],
    ) -> None:
        self._now = snapshot(settings)
        self._journal, self._envoy, self._door, self._upstreams = journal, envoy, door, upstreams
        self._credentials, self._rules = credentials, rules
        self._programs = programs
        # What Envoy has been told; and what was last said of it, where it could not be.
        self._told, self._trouble = "", ""
        self._layout = Layout(settings.state)
        self._seen = _stamp(self._read())
        # Where a configuration was refused: what it names, for a missing secret that is there now makes it good.
        self._named: tuple[Path, ...] = ()
        self._named_seen: _Stamp = ()
        self._turn = asyncio.Lock()

    @property
    def settings(self) -> Settings:
        """What is in force."""
        return self._now.settings

    async def start(self) -> None:
        """Put the first configuration in force, before anything runs on it. Raises ConfigRefused, CaUnusable and
        OSError."""
        await asyncio.to_thread(checked, self._now.settings, self._envoy)
        await asyncio.to_thread(publish, self._now, active(self._layout))
        self._refusal.unlink(missing_ok=True)
        await self._upstreams.refresh()
        await self._door.start(envoy_plan(self._now.settings))
        await asyncio.to_thread(self._in_force, self._now.version)
        self._told = self._now.version

    async def watch(self) -> None:
        """Reload whenever a file has changed and stayed as it is for a moment, until cancelled."""
        before = self._seen
        async with FolderWatch() as folders:
            while True:
                folders.watch({path.parent for path in self._read()})
                await folders.wait(_LOOK_SECONDS)
                stamp, named = await asyncio.to_thread(self._look)
                whole = stamp == before or await asyncio.to_thread(announced, self._layout)
                if (stamp != self._seen and whole) or named != self._named_seen:
                    await self.reload()
                before = stamp
                async with self._turn:
                    await self._tell()

    async def reload(self) -> None:
        """Read everything again now. What is refused is logged, recorded and written down; the last good stays."""
        async with self._turn:
            before, named_before = self._seen, self._named_seen
            # Before anything is read, so that what changes meanwhile is seen as changed.
            named = await asyncio.to_thread(_named, self._now.settings.file)
            self._named = named
            self._seen, self._named_seen = await asyncio.to_thread(self._look)
            differ = set(before) ^ set(self._seen)
            if named_before:
                differ |= set(named_before) ^ set(self._named_seen)
            changed = frozenset(Path(path) for path, *_ in differ)
            author = await asyncio.to_thread(author_of, self._layout, self._now.settings, changed)
            wanted: Snapshot | None = None
            try:
                wanted = await asyncio.to_thread(_loaded, self._now.settings.file)
                if wanted.version != self._now.version:
                    await asyncio.to_thread(self._check, wanted.settings)
                    await self._take(wanted, author)
                self._named, self._named_seen = (), ()
                self._refusal.unlink(missing_ok=True)
            except (CaUnusable, ConfigRefused, JournalUnwritable, OSError, StateUnusable) as error:
                await self._refused(str(error), author, wanted)

    def _check(self, wanted: Settings) -> None:
        if lines := needs_restart(self._now.settings, wanted):
            raise ConfigRefused("\n".join(f"{wanted.file}: {line}" for line in lines))
        checked(wanted, self._envoy, self._now.settings)
        if wanted.masking != self._now.settings.masking:
            try:
                collect_rules(wanted, self._layout.read_mask_key())
            except RulesRefused as error:
                raise ConfigRefused(str(error)) from error

    async def _take(self, wanted: Snapshot, author: Author) -> None:
        """First the record, then the programs of ours, and Envoy last: what it sends on by the new configuration
        meets programs that know it, and what it sent by the old one does too, for they keep it for a while."""
        before, after = self._now.settings, wanted.settings
        facts = _changes(before, after)
        # Lines can move, and comments come and go, without anything changing.
        if any(facts.values()) or before != after:
            self._note("changed", author, wanted, facts)
        try:
            # Known before anything can be sent with a new one.
            await asyncio.to_thread(self._use, before, after)
            await asyncio.to_thread(publish, wanted, active(self._layout))
        except (OSError, RulesRefused, StateUnusable) as error:
            await self._go_back(before, after)
            raise ConfigRefused(f"{error}\nthe change that was recorded just now came to nothing") from error
        self._now = wanted
        self._upstreams.use(after)
        await self._tell()

    def _use(self, before: Settings, after: Settings) -> None:
        self._credentials.use(after)
        if after.masking != before.masking:
            self._rules.use(after)

    async def _go_back(self, before: Settings, after: Settings) -> None:
        try:
            await asyncio.to_thread(self._use, after, before)
        except (RulesRefused, StateUnusable) as error:
            # What workers look for is more than what is in force, or as it was; it is brought up to date later.
            _log.error("%s", error)

    async def _tell(self) -> None:
        """Bring every program, and then Envoy, to what was published; it is in force once all of them have it. What
        can't be done now, on a full disk for example, is tried again: until then Envoy goes on by the former
        configuration, which our programs know for a while."""
        try:
            if self._told != self._now.version:
                await self._taken(self._now.version)
                await self._upstreams.refresh()
                await self._door.change(envoy_plan(self._now.settings))
                await asyncio.to_thread(self._in_force, self._now.version)
                self._told, self._trouble = self._now.version, ""
                _log.info("configuration in force", extra={"version": self._told})
            await self._door.sweep()
        except (BadPlan, CaUnusable, NotTaken, OSError) as error:
            if self._trouble != str(error):
                self._trouble = str(error)
                _log.error("the new configuration is not in force yet, which is tried again: %s", error)
                with contextlib.suppress(OSError):
                    await asyncio.to_thread(self._in_force, self._told, str(error))

    async def _taken(self, version: str) -> None:
        """Wait until every program has the snapshot; one that is started anew reads it anyway. Raises NotTaken."""
        deadline = time.monotonic() + _TAKEN_SECONDS
        late = list(self._programs)
        while late and time.monotonic() < deadline:
            late = [name for name in late if probe.version(self._layout.beat(name)) != version]
            if late:
                await asyncio.sleep(_TAKEN_LOOK_SECONDS)
        if late:
            raise NotTaken(f"no answer from {', '.join(late)} within {_TAKEN_SECONDS:g} s")

    async def _refused(self, why: str, author: Author, wanted: Snapshot | None) -> None:
        _log.error("new configuration REFUSED; the last good one stays in force:\n%s", why)
        facts: dict[str, JSON] = {"at": time.time(), "why": why, "in_force": self._now.version}
        if wanted is not None:
            facts["version"] = wanted.version
        try:
            await asyncio.to_thread(replace_file, self._refusal, orjson.dumps(facts))
            self._note("refused", author, wanted, {"why": why})
        except (JournalUnwritable, OSError) as error:
            _log.error("%s", error)

    def _note(self, what: str, author: Author, wanted: Snapshot | None, facts: Mapping[str, JSON]) -> None:
        body: dict[str, JSON] = {"what": what, "file": str(self._now.settings.file), "by": author.document()}
        version: dict[str, JSON] = {"version": wanted.version} if wanted else {}
        self._journal.append("config", {**body, **version, **facts})

    def _in_force(self, version: str, pending: str | None = None) -> None:
        told = {"version": version, "at": time.time(), "pending": pending}
        replace_file(self._layout.config / IN_FORCE, orjson.dumps(told))

    @property
    def _refusal(self) -> Path:
        return self._layout.config / REFUSED

    def _look(self) -> tuple[_Stamp, _Stamp]:
        return _stamp(self._read()), _stamp(self._named)

    def _read(self) -> Iterator[Path]:
        settings = self._now.settings
        yield settings.file
        if settings.targets_folder is not None:
            yield settings.targets_folder
            yield from sorted(settings.targets_folder.glob("*"))


def _loaded(file: Path) -> Snapshot:
    try:
        return snapshot(load(file))
    except SettingsError as error:
        raise ConfigRefused(str(error)) from error


def _named(file: Path) -> tuple[Path, ...]:
    """The secrets and certificates of targets that the file names, if that much of it can be read."""
    try:
        targets = load(file, files=False).targets
    except SettingsError:
        return ()
    secrets = (file for target in targets for file in target.secrets)
    return (*secrets, *(target.ca for target in targets if target.ca is not None))


def _stamp(paths: Iterable[Path]) -> _Stamp:
    return tuple(_stamps(paths))


def _stamps(paths: Iterable[Path]) -> Iterator[tuple[str, int, int, int]]:
    for path in paths:
        try:
            found = path.stat()
        except OSError:
            yield str(path), 0, 0, 0
        else:
            # A change of mode, such as a `chmod 600` that makes a secret usable, is one of ctime only.
            yield str(path), found.st_ino, found.st_ctime_ns, found.st_size


def _changes(before: Settings, after: Settings) -> dict[str, JSON]:
    old, new = ({t.name: t.revision for t in s.targets} for s in (before, after))
    return {
        "added": sorted(new.keys() - old.keys()),
        "changed": sorted(name for name in new.keys() & old.keys() if new[name] != old[name]),
        "removed": sorted(old.keys() - new.keys()),
        **_settings(before, after),
    }


def _settings(before: Settings, after: Settings) -> dict[str, JSON]:
    """Every setting that differs, with both values; how many were left out where they are too many for a record."""
    told: list[JSON] = []
    room, left_out = _DIFFERENCES_BYTES, 0
    for found in differences(before, after):
        entry: dict[str, JSON] = {"path": found.path, "before": _short(found.before), "after": _short(found.after)}
        room -= len(orjson.dumps(entry))
        if room >= 0:
            told.append(entry)
        else:
            left_out += 1
    return {"settings": told, **({"settings_left_out": left_out} if left_out else {})}


def _short(value: Any) -> JSON:
    """A value, or the beginning of its JSON where that is long."""
    text = orjson.dumps(value).decode()
    return value if len(text) <= _VALUE_CHARACTERS else f"{text[:_VALUE_CHARACTERS]}…"
