"""Lets go of bodies whose time is over."""

from collections.abc import Iterator, Mapping

from extproc.audit.bodies.folder import BodyFolder, BodyMissing
from extproc.audit.retention.announce import parts
from extproc.audit.retention.deletion import Bodies, Deletion, Forgetful
from extproc.audit.retention.rules import Rules
from extproc.audit.retention.store import RetentionStore
from extproc.audit.retention.uses import PAGE, Reading, Uses

SETTLED_SECONDS = 60.0
"""A body is on its shelf before the record that names it is written, by no more than this."""


class OldBodies:
    """One content has one address, whoever sent it: it goes when the time of all its uses is over and no legal hold
    keeps one. `shelf` is the state folder's bodies, `bodies` those wherever they are."""

    def __init__(
        self,
        store: RetentionStore,
        uses: Uses,
        shelf: BodyFolder,
        bodies: Bodies,
        index: Forgetful,
        deletion: Deletion,
    ) -> None:
        self._store, self._uses, self._shelf, self._bodies = store, uses, shelf, bodies
        self._index, self._deletion = index, deletion

    def let_go(self, rules: Rules, known: Mapping[str, tuple[str, int]], now: float) -> Iterator[bool]:
        """A piece at a time, of what was recorded before `now`; `known` is what the index must have (see uses.ends).
        Raises IndexBehind, HoldsChanged, and as Deletion.step."""
        after = ""
        while True:
            generation, holds = self._store.holds()
            with self._uses.reading(known) as index:
                page = index.addresses(after)
                old = [a for a in page if self.over(a, rules, index, now) and not index.held(a, holds)]
            if not page:
                break
            # Those that an index names that was made anew may be gone already.
            here = [address for address in old if self._bodies.exists(address)]
            if len(here) < len(old):
                self._index.forget(addresses=set(old) - set(here))
            yield from self._delete(here, generation, now)
            after = page[-1]
        yield from self._strays(rules, known, now)

    def over(self, address: str, rules: Rules, index: Reading, now: float) -> bool:
        """Whether the time of all uses is over."""
        recorded = self._recorded(address)
        # Most are young, and their file says so without the index.
        if recorded is not None and recorded >= now - rules.shortest_bodies:
            return False
        for use in index.uses(address):
            if use.target is None or use.last is None:
                if recorded is None or recorded >= now - rules.longest_bodies:
                    return False
            elif use.last >= now - rules.of(use.target).bodies:
                return False
        return True

    def _strays(self, rules: Rules, known: Mapping[str, tuple[str, int]], now: float) -> Iterator[bool]:
        """Bodies that nothing names any more. Whom they are about is not known, so that any legal hold keeps them."""
        for page in parts(self._shelf.list(), PAGE):
            generation, holds = self._store.holds()
            if holds:
                return
            aged = [a for a in page if (self._recorded(a) or now) < now - rules.longest_bodies]
            with self._uses.reading(known) as index:
                strays = [address for address in aged if not index.named(address)]
            yield from self._delete(strays, generation, now)

    def _delete(self, addresses: list[str], generation: int, now: float) -> Iterator[bool]:
        if addresses:
            self._store.let_go(addresses, generation, now - SETTLED_SECONDS)
            while self._deletion.step():
                yield True
        yield True

    def _recorded(self, address: str) -> float | None:
        """When its file was last recorded; None for one that was moved away."""
        try:
            return self._shelf.recorded(address)
        except BodyMissing:
            return None
