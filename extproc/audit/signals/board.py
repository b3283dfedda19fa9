"""All principals' figures, the most recently active of them. Pure."""

import heapq
from collections import OrderedDict
from collections.abc import Iterable

from extproc.audit.frame import Record
from extproc.audit.signals.facts import Fact, closed, fact_of
from extproc.audit.signals.figures import DAY, HOURS_DAYS, OfPrincipal, State
from extproc.domain.json import JSON

MOST_PRINCIPALS = 10_000
"""Beyond, whoever was active longest ago is forgotten, and is new when it comes back. One takes 5 to 60 KB."""
MOST_CHANGED = 1000
"""At midnight every document changes; told in one piece, 10,000 of them would stop the reading for seconds."""
MOST_TUNNELS = 10_000
"""Opaque tunnels whose end is awaited. Of those beyond, and of those that are open while the watcher starts anew, the
bytes are not counted."""


class Board:
    """Figures by principal key (issuer, a space, subject). Not thread-safe."""

    def __init__(self, states: Iterable[tuple[str, State]] = (), most: int = MOST_PRINCIPALS) -> None:
        """`states` are those of rows published before."""
        made = [(key, OfPrincipal(state)) for key, state in states]
        self._most = most
        self._parties: OrderedDict[str, OfPrincipal] = OrderedDict(sorted(made, key=lambda item: item[1].last))
        # When each has to be told again, by time alone; 0.0 is now, for what was told before is of another time.
        self._due = dict.fromkeys(self._parties, 0.0)
        self._touched: set[str] = set()
        self._forgotten: list[str] = []
        self._tunnels: OrderedDict[str, Fact] = OrderedDict()

    def __len__(self) -> int:
        return len(self._parties)

    def take(self, record: Record) -> Fact | None:
        """Count a record; gives what it told, if anything."""
        fact = self._closed(record) if record.kind == "tunnel" else fact_of(record)
        if fact is None:
            return None
        if fact.opens:
            self._tunnels[fact.opens] = fact
            if len(self._tunnels) > MOST_TUNNELS:
                self._tunnels.popitem(last=False)
        party = self._parties.get(fact.principal)
        if party is None:
            party = self._parties[fact.principal] = OfPrincipal()
            if len(self._parties) > self._most:
                self._forget(next(iter(self._parties)))
        else:
            self._parties.move_to_end(fact.principal)
        party.take(fact)
        self._due[fact.principal] = 0.0
        self._touched.add(fact.principal)
        return fact

    def changed(self, now: float, most: int = MOST_CHANGED) -> dict[str, dict[str, JSON]]:
        """The documents of those whose document is another than when this was last called, by key; of many, those that
        a record spoke of come first, and the rest the next time."""
        documents = {}
        due = [(at, key) for key, at in self._due.items() if at <= now]
        for _, key in heapq.nsmallest(most, due) if len(due) > most else due:
            documents[key] = self._parties[key].document(now)
            self._due[key] = self._parties[key].due(now)
        return documents

    def touched(self) -> dict[str, State]:
        """What the figures are made of, for those that a record spoke of since this was last called."""
        states = {key: self._parties[key].state() for key in self._touched if key in self._parties}
        self._touched.clear()
        return states

    def forgotten(self, now: float) -> list[str]:
        """Keys of principals that were forgotten since this was last called: too many, or too long away."""
        while self._parties:
            key, party = next(iter(self._parties.items()))
            if party.last > now - (HOURS_DAYS + 1) * DAY:
                break
            self._forget(key)
        gone, self._forgotten = self._forgotten, []
        return [key for key in gone if key not in self._parties]

    def _closed(self, record: Record) -> Fact | None:
        opened = self._tunnels.pop(str(record.body.get("decision")), None)
        return None if opened is None else closed(record, opened)

    def _forget(self, key: str) -> None:
        del self._parties[key], self._due[key]
        self._forgotten.append(key)
