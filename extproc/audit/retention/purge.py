"""Purging: what was recorded of somebody's bodies is looked for, counted and shown, and then deleted, whatever its age.

The search runs here; the deletion is noted (see store) and done by whoever runs Deletion, a process at most.
"""

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from extproc.audit.index.query import LIMIT, Query
from extproc.audit.retention.rules import rfc3339
from extproc.audit.retention.store import HoldsChanged, Purge, RetentionStore
from extproc.audit.retention.uses import IndexBehind, Uses, asks_nothing, ends
from extproc.domain.json import JSON, Document
from extproc.domain.principal import Principal

EXAMPLES = 5
WAIT_SECONDS = 5.0
_TRIES = 5


class NothingAsked(ValueError):
    """A purge must say what of: without anything to look for it would be everything."""


@dataclass(slots=True)
class Found:
    """What a purge would do: the number of decisions that fit, the bodies that would go with the decisions that named
    each (`uses`), those that a legal hold keeps, and how many `others` are decisions that did not fit and lose a body
    because it is the same. `examples` are ids of decisions, the newest first."""

    decisions: int = 0
    uses: dict[str, list[str]] = field(default_factory=dict)
    kept: set[str] = field(default_factory=set)
    others: int = 0
    examples: list[str] = field(default_factory=list)

    def document(self) -> dict[str, JSON]:
        """As people are shown it: numbers, and ids of decisions; no content."""
        return {
            "decisions": self.decisions,
            "bodies": len(self.uses),
            "kept": len(self.kept),
            "others": self.others,
            "examples": list(self.examples),
        }


def search(state: Path, store: RetentionStore, query: Query) -> tuple[Found, int]:
    """What a purge would do with all that is recorded by now, and with which generation of legal holds that is so.
    Waits up to WAIT_SECONDS for the index. Raises NothingAsked, IndexBehind, JournalFault, OSError and
    sqlite3.Error."""
    if asks_nothing(query):
        raise NothingAsked("say what to purge: a principal, a session, a decision, a target, a time, or words")
    known = ends(state)
    _wait(state, known)
    generation, holds = store.holds()
    found = Found()
    with Uses(state).reading(known) as index:
        fit = set[str]()
        for decision, addresses in index.found(query):
            found.decisions += 1
            if addresses and len(found.examples) < EXAMPLES:
                found.examples.append(decision)
            if addresses:
                fit.add(decision)
            for address in addresses:
                if address in found.uses or address in found.kept:
                    continue
                if index.held(address, holds):
                    found.kept.add(address)
                else:
                    found.uses[address] = index.decisions(address)
        found.others = len({d for decisions in found.uses.values() for d in decisions} - fit)
    return found, generation


def _wait(state: Path, known: Mapping[str, tuple[str, int]]) -> None:
    """Until the index knows all of this; another process makes it. Raises IndexBehind."""
    until = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            with Uses(state).reading(known):
                return
        except IndexBehind:
            if time.monotonic() > until:
                raise
        time.sleep(0.1)


def purge(
    state: Path,
    store: RetentionStore,
    by: Principal,
    reason: str,
    query: Query,
    clock: Callable[[], float] = time.time,
) -> Purge:
    """Note a purge, to be done by Deletion. Raises as `search`."""
    for _ in range(_TRIES):
        found, generation = search(state, store, query)
        noted = Purge(
            secrets.token_hex(8),
            rfc3339(clock()),
            by.document(),
            reason,
            document(query),
            found.decisions,
            len(found.uses),
            len(found.kept),
        )
        uses = ((address, decision) for address, decisions in found.uses.items() for decision in decisions)
        try:
            store.purge(noted, uses, generation)
        except HoldsChanged:
            continue
        return noted
    raise OSError("legal holds change all the time; try again")


def document(query: Query) -> Document:
    """What is looked for, as records and receipts have it: only what is given."""
    asked = asdict(query)
    del asked["bodies"], asked["limit"], asked["before"]
    return {name: list(value) if name == "words" else value for name, value in asked.items() if value not in (None, ())}


def query_of(asked: Mapping[str, object]) -> Query:
    """The query of a document whose members are texts, and `words` a list of texts. Raises ValueError for a member that
    is none of a query."""
    words = asked.get("words")
    texts = {name: value for name, value in asked.items() if name != "words"}
    if texts.keys() - TEXTS or not all(isinstance(value, str) for value in texts.values()):
        raise ValueError(f"expected texts for some of {', '.join(sorted(TEXTS))}, and a list of words")
    return Query(**texts, words=tuple(words) if isinstance(words, list) else (), limit=LIMIT)  # type: ignore[arg-type]


TEXTS = frozenset({"principal", "target", "effect", "policy", "since", "until", "trace", "decision", "session", "hold"})
"""What else than words can be looked for."""
