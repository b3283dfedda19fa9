"""Figures of one principal, as a whole and for each of its targets. Pure; every collection is bounded."""

from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

from extproc.audit.signals.facts import Fact, Repeat, Said
from extproc.audit.signals.windows import Windows
from extproc.domain.json import JSON

MOST_MASKED = 96
"""Figures from which on values of further kinds are counted as kind `other`. Whoever sends values of very many kinds
leaves room for what is no mask, and hides no kind from a policy that counts each."""
MOST_FIGURES = 128
MOST_TARGETS = 64
MOST_REPEATS = 16
MOST_CREDENTIALS = 16
MOST_SOURCES = 64
SHOWN_REPEATS = 8
"""How many of each are kept; beyond that the one that was used longest ago is forgotten (of figures: the new one)."""
ROW_SECONDS = 900.0
"""A row of refusals or failures that nothing was added to for so long is over."""
SOURCES_SECONDS = 3600.0
"""How long a network or an environment counts for a credential."""
HOURS_DAYS = 28
DAY = 86400
ALWAYS = ("requests", "allowed", "held", "blocked", "bytes/request", "bytes/response")

State = dict[str, Any]


class Figures:
    """Sums by path, and rows of refusals and failures."""

    def __init__(self, state: State | None = None) -> None:
        given = state or {}
        self._sums = {path: Windows(rings) for path, rings in given.get("sums", {}).items()}
        self._rows: dict[str, tuple[int, float]] = {name: (n, at) for name, (n, at) in given.get("rows", {}).items()}

    def take(self, fact: Fact) -> None:
        """Count a fact."""
        for path, n in fact.counts:
            sums = self._windows(path)
            if sums is not None:
                sums.add(fact.at, n)
        if fact.said is Said.REFUSED:
            self._longer("blocked_in_a_row", fact.at)
            self._longer("failures_in_a_row", fact.at)
        elif fact.said is Said.GRANTED:
            self._rows.pop("blocked_in_a_row", None)
        elif fact.said is Said.FAILED:
            self._longer("failures_in_a_row", fact.at)
        elif fact.said is Said.SUCCEEDED:
            self._rows.pop("failures_in_a_row", None)

    def _windows(self, path: str) -> Windows | None:
        """The sums of a figure, None where there is no room for it."""
        sums = self._sums.get(path)
        if sums is None and len(self._sums) >= MOST_MASKED and path.startswith("masked/"):
            path = "/".join((*path.split("/")[:2], "other"))
            sums = self._sums.get(path)
        if sums is None and len(self._sums) < MOST_FIGURES:
            sums = self._sums[path] = Windows()
        return sums

    def _longer(self, name: str, at: float) -> None:
        n, last = self._rows.get(name, (0, at))
        self._rows[name] = (1 if at - last > ROW_SECONDS else n + 1, max(at, last))

    def document(self, now: float) -> dict[str, JSON]:
        """Its part of the policy input, as of `now`."""
        found: dict[str, Any] = {}
        for path in ALWAYS:
            _put(found, path, {"minute": 0, "hour": 0, "day": 0})
        for path, windows in list(self._sums.items()):
            sums = windows.sums(now)
            if sums["day"]:
                _put(found, path, sums)
            else:
                del self._sums[path]
        for name in ("blocked_in_a_row", "failures_in_a_row"):
            if name in self._rows and now - self._rows[name][1] >= ROW_SECONDS:
                del self._rows[name]
            found[name] = self._rows.get(name, (0, now))[0]
        return found

    def due(self) -> float:
        """When the document changes by time alone."""
        rows = [last + ROW_SECONDS for _, last in self._rows.values()]
        return min((*(w.due() for w in self._sums.values()), *rows), default=float("inf"))

    def state(self) -> State:
        """What it is made of, for JSON."""
        return {"sums": {path: w.state() for path, w in self._sums.items()}, "rows": self._rows}


class OfTarget:
    """A principal's figures for one target: since when it uses it, and which refused actions it repeats."""

    def __init__(self, state: State | None = None) -> None:
        given = state or {}
        self.figures = Figures(given.get("figures"))
        self._first: float | None = given.get("first")
        self._repeats: OrderedDict[tuple[str, str, str], tuple[Windows, str]] = OrderedDict(
            ((verb, resource, code), (Windows(rings), digest))
            for verb, resource, code, rings, digest in given.get("repeats", ())
        )

    @property
    def granted(self) -> bool:
        """Whether anything was ever granted there."""
        return self._first is not None

    def take(self, fact: Fact) -> None:
        """Count a fact."""
        self.figures.take(fact)
        if fact.said is Said.GRANTED and (self._first is None or fact.at < self._first):
            self._first = fact.at
        if fact.repeat is not None:
            self._repeat(fact.repeat, fact.at)

    def _repeat(self, asked: Repeat, at: float) -> None:
        key = (asked.verb, asked.resource, asked.code)
        sums, _ = self._repeats.pop(key, (Windows(), ""))
        self._repeats[key] = (sums, asked.digest)
        sums.add(at, 1)
        if len(self._repeats) > MOST_REPEATS:
            self._repeats.popitem(last=False)

    def document(self, now: float) -> dict[str, JSON]:
        """Its part of the policy input, as of `now`."""
        found = self.figures.document(now)
        if self._first is not None:
            found["first_granted"] = datetime.fromtimestamp(self._first, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        counted = []
        for key, (windows, digest) in list(self._repeats.items()):
            sums = windows.sums(now)
            if not sums["day"]:
                del self._repeats[key]
            elif sums["hour"] > 1:
                counted.append((sums["hour"], *key, digest))
        found["repeated"] = [
            {"count": n, "verb": verb, "resource": resource, "code": code, "digest": digest}
            for n, verb, resource, code, digest in sorted(counted, reverse=True)[:SHOWN_REPEATS]
        ]
        return found

    def due(self) -> float:
        """When the document changes by time alone."""
        return min((self.figures.due(), *(windows.due() for windows, _ in self._repeats.values())))

    def state(self) -> State:
        """What it is made of, for JSON."""
        repeats = [[*key, windows.state(), digest] for key, (windows, digest) in self._repeats.items()]
        return {"figures": self.figures.state(), "first": self._first, "repeats": repeats}


class OfPrincipal:
    """Everything of one principal. `last` is when it last did something, in seconds since the epoch."""

    def __init__(self, state: State | None = None) -> None:
        given = state or {}
        self.last: float = given.get("last", 0.0)
        self._figures = Figures(given.get("figures"))
        self._targets = OrderedDict((name, OfTarget(of)) for name, of in given.get("targets", ()))
        self._seen: OrderedDict[str, dict[str, dict[str, float]]] = OrderedDict(given.get("seen", ()))
        self._hours: dict[int, int] = {int(day): mask for day, mask in given.get("hours", ())}

    def take(self, fact: Fact) -> None:
        """Count a fact."""
        self.last = max(self.last, fact.at)
        self._figures.take(fact)
        day, second = divmod(int(fact.at), DAY)
        self._hours[day] = self._hours.get(day, 0) | 1 << second // 3600
        if len(self._hours) > HOURS_DAYS + 1:
            del self._hours[min(self._hours)]
        if fact.credential:
            self._source(fact)
        if fact.target:
            target = self._targets.pop(fact.target, None) or OfTarget()
            self._targets[fact.target] = target
            target.take(fact)
            if len(self._targets) > MOST_TARGETS:
                self._targets.popitem(last=False)

    def _source(self, fact: Fact) -> None:
        seen = self._seen.pop(fact.credential, None) or {"networks": {}, "environments": {}}
        self._seen[fact.credential] = seen
        for name, value in (("networks", fact.network), ("environments", fact.environment)):
            if value:
                seen[name][value] = max(fact.at, seen[name].get(value, 0.0))
                if len(seen[name]) > MOST_SOURCES:
                    del seen[name][min(seen[name], key=seen[name].__getitem__)]
        if len(self._seen) > MOST_CREDENTIALS:
            self._seen.popitem(last=False)

    def document(self, now: float) -> dict[str, JSON]:
        """{principal, targets: {name: ..}, credentials: {credential: ..}}: what the reader makes policy inputs of."""
        principal = self._figures.document(now)
        today = int(now) // DAY
        past = [mask for day, mask in self._hours.items() if today - HOURS_DAYS <= day < today]
        principal["hours"] = {"days": len(past), "active": [sum(m >> h & 1 for m in past) for h in range(24)]}
        principal["targets"] = sum(target.granted for target in self._targets.values())
        return {
            "principal": principal,
            "targets": {name: target.document(now) for name, target in self._targets.items()},
            "credentials": {name: self._credential(name, now) for name in list(self._seen)},
        }

    def _credential(self, name: str, now: float) -> JSON:
        seen = self._seen[name]
        for values in seen.values():
            for value in [v for v, at in values.items() if at <= now - SOURCES_SECONDS]:
                del values[value]
        return {which: sorted(values) for which, values in seen.items()}

    def due(self, now: float) -> float:
        """When, after `now`, the document changes by time alone: seconds since the epoch."""
        due: float = min((now // DAY + 1) * DAY, self._figures.due())
        due = min((due, *(target.due() for target in self._targets.values())))
        for seen in self._seen.values():
            due = min((due, *(at + SOURCES_SECONDS for values in seen.values() for at in values.values())))
        return due

    def state(self) -> State:
        """What it is made of, for JSON."""
        return {
            "last": self.last,
            "figures": self._figures.state(),
            "targets": [[name, of.state()] for name, of in self._targets.items()],
            "seen": list(self._seen.items()),
            "hours": list(self._hours.items()),
        }


def _put(found: dict[str, Any], path: str, value: Mapping[str, int]) -> None:
    *inner, last = path.split("/", 2)
    for name in inner:
        found = cast(dict[str, Any], found.setdefault(name, {}))
    found[last] = value


NOTHING_OF_TARGET = OfTarget().document(0.0)
NOTHING = OfPrincipal().document(0.0)
"""What is said of whom no record speaks."""
