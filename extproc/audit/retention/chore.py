"""The chore that lets go of what is old: bodies, records inside segments, whole segments.

When it begins, and once an hour, it goes through everything. What it can't be sure of it leaves: nothing is deleted
while the index does not know all that was recorded before the pass began, or while a stream can't be read.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from extproc.audit.bodies.folder import BodyFolder
from extproc.audit.journal import FileJournal
from extproc.audit.keys import Signer
from extproc.audit.objects import ObjectStoreError
from extproc.audit.reader import JournalFault, streams
from extproc.audit.retention.announce import Announcer
from extproc.audit.retention.bodies import SETTLED_SECONDS, OldBodies
from extproc.audit.retention.deletion import Bodies, Deletion, Forgetful
from extproc.audit.retention.legal import reinstate
from extproc.audit.retention.records import OldRecords
from extproc.audit.retention.rules import Rules
from extproc.audit.retention.steady import Steady
from extproc.audit.retention.store import HoldsChanged, RetentionStore
from extproc.audit.retention.uses import IndexBehind, Uses, ends

EVERY_SECONDS = 3600.0
Shipped = Callable[[], Mapping[str, int] | None]
"""Of each stream the byte before which all is sent; None where nothing is sent anywhere."""


class Retention:
    """A chore (see chores.Chore) of the one process that deletes anything. `journal` writes the stream of that name in
    `state`; `shelf` is the state folder's bodies and `bodies` those wherever they are; `rules` gives what is configured
    now. `clock` gives seconds since the epoch, `ticks` monotonic ones; `on_wait` hears why a pass can't go on, and ""
    when it does."""

    name = "retention"

    def __init__(
        self,
        state: Path,
        store: RetentionStore,
        journal: FileJournal,
        shelf: BodyFolder,
        bodies: Bodies,
        index: Forgetful,
        signer: Signer,
        rules: Callable[[], Rules],
        shipped: Shipped,
        *,
        stream: str = "archivist",
        clock: Callable[[], float] = time.time,
        ticks: Callable[[], float] = time.monotonic,
        on_wait: Callable[[str], None] = lambda why: None,
    ) -> None:
        self._state, self._store = state, store
        self._rules, self._shipped, self._clock, self._ticks, self._on_wait = rules, shipped, clock, ticks, on_wait
        self._announcer = Announcer(journal, state / "journal" / stream, signer)
        self._uses = Uses(state)
        self._deletion = Deletion(store, self._announcer, bodies, index, signer, clock)
        self._bodies = OldBodies(store, self._uses, shelf, bodies, index, self._deletion)
        self._records = OldRecords(state, store, self._uses, bodies, index, self._announcer, clock)
        self._steady = Steady(store, self._announcer, clock, ticks)
        self._pass: Iterator[bool] | None = None
        self._due = ticks()
        self._said = ""

    def step(self) -> bool:
        """A piece of what was asked for (purges), else of a pass; True while there is more to do now. Raises OSError,
        sqlite3.Error and JournalUnwritable: the next step begins the pass again."""
        try:
            return self._deletion.step() or self._go_on()
        except (ObjectStoreError, JournalFault) as error:
            raise OSError(str(error)) from error

    def _go_on(self) -> bool:
        if self._pass is None:
            if self._ticks() < self._due:
                return False
            if (why := self._steady.wrong()) is not None:
                self._due = self._ticks() + EVERY_SECONDS
                self._say(why)
                return False
            self._pass = self._go_through()
        # Whatever it raises ends a pass: the next begins where nothing is assumed.
        current, self._pass = self._pass, None
        try:
            more = next(current)
        except StopIteration:
            self._due = self._ticks() + EVERY_SECONDS
            return False
        except HoldsChanged:
            return True
        except IndexBehind as error:
            self._say(str(error))
            return False
        except JournalFault as error:
            # Nothing more goes until somebody has looked at it.
            self._due = self._ticks() + EVERY_SECONDS
            self._say(str(error))
            return False
        self._pass = current
        return more

    def close(self) -> None:
        """Let go of the database."""
        self._store.close()

    def _go_through(self) -> Iterator[bool]:
        now = self._clock()
        known = ends(self._state)
        while (why := self._behind(known)) is not None:
            self._say(why)
            yield False
        self._say("")
        with self._uses.reading(known) as index:
            reinstate(self._state, self._store, index, self._announcer, now - SETTLED_SECONDS, self._clock)
        rules = self._rules()
        rules = Rules(rules.general, self._store.targets(rules.targets))
        yield from self._bodies.let_go(rules, known, now)
        for folder in streams(self._state):
            if folder.name in known:
                shipped = self._shipped()
                end = known[folder.name][1]
                until = end if shipped is None else min(end, shipped.get(folder.name, 0))
                yield from self._records.let_go(folder, rules, known, until)

    def _behind(self, known: Mapping[str, tuple[str, int]]) -> str | None:
        try:
            with self._uses.reading(known):
                return None
        except IndexBehind as error:
            return str(error)

    def _say(self, why: str) -> None:
        if why != self._said:
            self._said = why
            self._on_wait(why)
