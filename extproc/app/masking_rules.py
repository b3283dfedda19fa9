"""What the masking engine is made of: tried and published by `up`, which reads the files; compiled by workers, which do
not."""

import asyncio
import hashlib
import logging
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from extproc.app.authors import author_of
from extproc.app.layout import Layout, StateUnusable
from extproc.app.rule_files import RuleFile, RulesRefused, compiled, failing, load
from extproc.app.snapshot import replace_file
from extproc.config import Settings
from extproc.config import files as looks
from extproc.config.values import Wrong
from extproc.domain.json import JSON
from extproc.domain.ports import Journal, JournalUnwritable
from extproc.masking.engine.engine import Engine

FILE = "masking.json"
_FORMAT = 1
_LOOK_SECONDS = 0.5
_log = logging.getLogger("holdpoint.masking")

_Stamp = tuple[tuple[str, int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Published:
    """What an engine is made of, and the key of masks that hash (32 bytes)."""

    files: tuple[RuleFile, ...]
    disabled: tuple[str, ...]
    hash_key: bytes = field(repr=False)

    def engine(self) -> Engine:
        """The engine; takes some tenths of a second. Raises StateUnusable, for this was tried before."""
        try:
            return compiled(self.files, self.disabled, "masking.disable")
        except RulesRefused as error:
            raise StateUnusable(f"the published rules can't be used: {error}; start the gateway again") from error

    @property
    def version(self) -> str:
        """16 hex digits that change with the rules, and not with the key."""
        text = orjson.dumps([[[f.where, f.text] for f in self.files], list(self.disabled)])
        return hashlib.sha256(text).hexdigest()[:16]


def path_of(layout: Layout) -> Path:
    """Where the document is."""
    return layout.config / FILE


def collect(settings: Settings, key: bytes) -> Published:
    """Read every file, and find out whether an engine can be made of them and whether their rules keep their own cases.
    `key` is the gateway's own, for where the configuration names none. Raises RulesRefused."""
    found = load(settings.masking.rules)
    problems, masking = list(found.problems), settings.masking
    for path in found.paths:
        try:
            looks.closed(path)
        except Wrong as error:
            problems.append(f"{path}: {error}")
    if masking.hash_key is not None:
        # Looked at anew each time: a file that is just being written is empty, and anybody can guess that key.
        try:
            looks.key(masking.hash_key)
            key = masking.hash_key.read_bytes()
        except Wrong as error:
            problems.append(f"masking.hash_key: {error}")
        except OSError as error:
            problems.append(f"masking.hash_key: {masking.hash_key}: {error.strerror}")
    try:
        compiled(found.files, masking.disable, f"{settings.file}: masking.disable")
        problems += failing(found.files)
    except RulesRefused as error:
        problems.append(str(error))
    if problems:
        raise RulesRefused("\n".join(problems))
    return Published(found.files, masking.disable, hashlib.blake2b(key, digest_size=32).digest())


def publish(published: Published, layout: Layout) -> None:
    """Put it where workers read it (mode 0600, by rename), if it is not there already. Raises StateUnusable."""
    path = path_of(layout)
    document = _document(published)
    try:
        if not path.exists() or path.read_bytes() != document:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            replace_file(path, document)
    except OSError as error:
        raise StateUnusable(f"{path}: {error.strerror}") from error


def read(layout: Layout) -> Published:
    """What was published. Raises StateUnusable where it is missing or damaged: nobody knows what to look for then."""
    path = path_of(layout)
    try:
        document = orjson.loads(path.read_bytes())
        if document["format"] != _FORMAT:
            raise ValueError
        files = tuple(RuleFile(str(where), str(text)) for where, text in document["files"])
        return Published(files, tuple(map(str, document["disabled"])), bytes.fromhex(document["hash_key"]))
    except OSError as error:
        raise StateUnusable(f"{path}: {error.strerror}; start the gateway with `holdpoint up`") from error
    except (ValueError, KeyError, TypeError) as error:
        raise StateUnusable(f"{path}: not what this version wrote; start the gateway again") from error


class MaskingRules:
    """Keeps what is published equal to the files. What is no coroutine blocks for some tenths of a second, and may be
    called from any thread."""

    def __init__(self, settings: Settings, layout: Layout) -> None:
        self._settings, self._layout = settings, layout
        self._paths: tuple[Path, ...] = ()
        self._seen: _Stamp = ()
        self._published: Published | None = None
        self._refused = False  # what the files had when they were last read
        self._turn = threading.Lock()

    def start(self) -> None:
        """Publish, or go on with what was published of the same configuration: a gateway that comes back after a crash
        while somebody edits rules must come back. Raises RulesRefused where there is no such thing, StateUnusable."""
        try:
            self.use(self._settings)
        except RulesRefused as error:
            try:
                former = read(self._layout)
            except StateUnusable:
                raise error from None
            named = [str(path) for path in self._settings.masking.rules]
            if [file.where for file in former.files] != named or former.disabled != self._settings.masking.disable:
                raise
            self._published, self._refused = former, True
            self._look()
            _log.error("rules REFUSED; the last good ones stay in force:\n%s", error)

    def use(self, settings: Settings) -> None:
        """Take a new configuration. Raises RulesRefused and StateUnusable; what was published stays then."""
        with self._turn:
            # Before anything is read, so that what changes meanwhile is seen as changed.
            paths = _paths(settings)
            seen = _stamp(paths)
            self._publish(settings)
            self._settings, self._paths, self._seen = settings, paths, seen

    async def keep(self, journal: Journal) -> None:
        """Publish anew whenever a file has changed and stayed as it is for a moment, until cancelled. What is refused
        is logged and recorded, and the last good rules stay. Raises StateUnusable."""
        before = self._seen
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            stamp = await asyncio.to_thread(_stamp, self._paths)
            if stamp != self._seen and stamp == before:
                await self.reload(journal)
            before = stamp

    async def reload(self, journal: Journal) -> None:
        """Read everything again now. Raises StateUnusable."""
        facts = await asyncio.to_thread(self._again)
        if not facts:
            return
        try:
            journal.append("config", facts)
        except JournalUnwritable as error:
            _log.error("%s", error)
        if "why" in facts:
            _log.error("new rules REFUSED; the last good ones stay in force:\n%s", facts["why"])
        else:
            _log.info("rules are in force", extra={"version": facts["version"]})

    def _again(self) -> dict[str, JSON]:
        """Publish what the files have now; what there is to record of it."""
        with self._turn:
            before, former = self._seen, self._published
            # Whatever comes of it, what is there now is looked at again when it is another.
            self._look()
            changed = frozenset(Path(path) for path, *_ in set(before) ^ set(self._seen))
            by = author_of(self._layout, self._settings, changed).document()
            facts: dict[str, JSON] = {"file": str(self._settings.file), "by": by}
            try:
                published = self._publish(self._settings)
            except RulesRefused as error:
                self._refused = True
                return {"what": "rules-refused", **facts, "why": str(error)}
            # Whoever was told that they are refused is told, too, when the good ones are back.
            if published == former and not self._refused:
                return {}
            self._refused = False
            return {"what": "rules-changed", **facts, "version": published.version}

    def _publish(self, settings: Settings) -> Published:
        published = collect(settings, self._layout.read_mask_key())
        publish(published, self._layout)
        self._published = published
        return published

    def _look(self) -> None:
        self._paths = _paths(self._settings)
        self._seen = _stamp(self._paths)


def _paths(settings: Settings) -> tuple[Path, ...]:
    key = settings.masking.hash_key
    return (*load(settings.masking.rules).paths, *([key] if key is not None else []))


def _document(published: Published) -> bytes:
    return orjson.dumps(
        {
            "format": _FORMAT,
            "files": [[file.where, file.text] for file in published.files],
            "disabled": list(published.disabled),
            "hash_key": published.hash_key.hex(),
        }
    )


def _stamp(paths: Iterable[Path]) -> _Stamp:
    found = []
    for path in paths:
        try:
            there = path.stat()
        except OSError:
            found.append((str(path), 0, 0, 0))
        else:
            # Who may write it counts, too, and changes no time but this one.
            found.append((str(path), there.st_ino, there.st_ctime_ns, there.st_size))
    return tuple(found)
