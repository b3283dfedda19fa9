"""Decisions that are remembered: only where to ask again is provably to ask the same question. Pure.

A question is the same where all is the same that the policies in force can read of it, and where the engine itself says
that its answer depends on none of the members that are never the same twice. Any doubt, and policy is asked.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from extproc.domain.decision import Decision, Effect
from extproc.domain.json import JSON, Document
from extproc.domain.ports import Reach, Settled

VOLATILE = (("history",), ("context", "time"), ("action", "digest"), ("session", "id"))
"""Members of a policy input that hardly two questions share. They are no part of what is compared; that they change
nothing, the engine must say."""

UNKNOWN = tuple(".".join(path) for path in VOLATILE)
"""The same as a Settler takes them."""

_DECISIONS = 1024
_CANDIDATES = 4096
_LONGEST = 16 << 10
"""Bytes of a question, beyond which its answer is not worth the room."""

_Tree = tuple[tuple[str, "_Tree | None"], ...]


@dataclass(frozen=True, slots=True)
class _Terms:
    """One bundle's: what its policies can read, and what is compared of it."""

    reach: Reach
    compared: _Tree


class Memory:
    """One worker's. `reach` tells what the policies in force can read, or None while nothing may be remembered."""

    def __init__(self, reach: Callable[[], Reach | None]) -> None:
        self._reach = reach
        self._seen: Reach | None = None
        self._terms: _Terms | None = None
        self._kept: OrderedDict[bytes, Decision] = OrderedDict()
        self._candidates: OrderedDict[bytes, bool] = OrderedDict()

    def key(self, document: Document) -> bytes | None:
        """All that the policies in force can read of a policy input, but VOLATILE, with their revision; None where
        nothing may be remembered. Also forgets everything once other policies are in force."""
        reach = self._reach()
        if reach is not self._seen:
            self._kept.clear()
            self._candidates.clear()
            self._seen, self._terms = reach, None if reach is None else _terms(reach)
        terms = self._terms
        if terms is None:
            return None
        try:
            key = orjson.dumps([terms.reach.revision, _cut(document, terms.compared)])
        except (TypeError, ValueError):
            return None
        return key if len(key) <= _LONGEST else None

    def recall(self, key: bytes) -> Decision | None:
        """The decision on a question that was answered before."""
        decision = self._kept.get(key)
        if decision is not None:
            self._kept.move_to_end(key)
        return decision

    def worth_settling(self, key: bytes, decision: Decision) -> bool:
        """Whether the engine should be asked what a decision depends on: when its question came a second time, and
        once."""
        if self._terms is None or not _may_stay(decision, self._terms.reach):
            return False
        digest = hashlib.blake2b(key, digest_size=16).digest()
        again = self._candidates.pop(digest, None)
        self._candidates[digest] = again is not None
        if len(self._candidates) > _CANDIDATES:
            self._candidates.popitem(last=False)
        return again is False

    def again(self, key: bytes) -> None:
        """The engine could not be asked: try again when the question comes again."""
        self._candidates[hashlib.blake2b(key, digest_size=16).digest()] = False

    def keep(self, key: bytes, document: Document, decision: Decision, settled: Settled | None) -> bool:
        """Remember a decision, if it is what the engine says that its question comes to whatever VOLATILE is, under the
        policies that are in force now. Whether it was remembered."""
        if settled is None or self.key(document) != key or self._terms is None:
            return False
        revision = self._terms.reach.revision
        if settled.revision != revision or not _may_stay(decision, self._terms.reach) or not _same(decision, settled):
            return False
        self._kept[key] = decision
        if len(self._kept) > _DECISIONS:
            self._kept.popitem(last=False)
        return True


def unsettled(document: Document) -> dict[str, JSON]:
    """A policy input without VOLATILE."""
    left = dict(document)
    for path in VOLATILE:
        inner: dict[str, Any] = left
        for name in path[:-1]:
            inner[name] = inner = dict(inner.get(name) or {})
        inner.pop(path[-1], None)
    return left


def _may_stay(decision: Decision, reach: Reach) -> bool:
    return decision.effect is Effect.ALLOW and not decision.approvals and decision.revision == reach.revision


def _same(decision: Decision, settled: Settled) -> bool:
    """Whether both have the same reasons: another witness that they were asked about the same."""
    ours: Any = decision.document()["reasons"]
    return _set(ours) == _set(settled.reasons)


def _set(reasons: Iterable[JSON]) -> set[bytes]:
    return {orjson.dumps(reason, option=orjson.OPT_SORT_KEYS) for reason in reasons}


def _terms(reach: Reach) -> _Terms | None:
    """None where a rule takes something whole that has one of VOLATILE in it, by which the engine might not see that it
    reads that one."""
    compared = []
    for path in reach.paths:
        for volatile in VOLATILE:
            if path != volatile and volatile[: len(path)] == path:
                return None
        if not any(path[: len(volatile)] == volatile for volatile in VOLATILE):
            compared.append(path)
    return _Terms(reach, _tree(compared))


def _tree(paths: list[tuple[str, ...]]) -> _Tree:
    """Paths as a tree of names; None below a name is all that is in it."""
    heads: dict[str, list[tuple[str, ...]]] = {}
    for path in sorted(paths):
        heads.setdefault(path[0], []).append(path[1:])
    return tuple((name, None if () in rests else _tree(rests)) for name, rests in heads.items())


def _cut(value: Mapping[str, Any], tree: _Tree) -> dict[str, Any]:
    """The members that the tree names, in its order; what is not there is left out."""
    found = {}
    for name, inner in tree:
        if name in value:
            member = value[name]
            found[name] = member if inner is None or not isinstance(member, dict) else _cut(member, inner)
    return found
