"""Refusals of nobody known, of which Envoy's access log may tell thousands a second: the first of a kind (same code,
peer and target) is recorded at once, those that follow within a second are counted, and one record says how many."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from extproc.audit.frame import Record
from extproc.domain.identity import neighbourhood
from extproc.domain.json import Document

SECONDS = 1.0
# Kinds that are told apart within one window; a stranger with more addresses is one kind for each code.
_MOST = 1024
# What is of one request alone.
_OWN = ("request", "size", "sha256")

Kind = tuple[str, str, str]


def kind_of(kind: str, body: Document) -> Kind | None:
    """What it is counted with; None for what always has a record of its own, such as alarms and whoever is known."""
    if kind != "refusal" or body.get("principal") is not None:
        return None
    target, peer = body.get("target"), str(body.get("source") or "")
    name = target.get("name") if isinstance(target, dict) else None
    return str(body.get("code")), neighbourhood(peer.rpartition(":")[0]), str(name or "")


def _rest(kind: Kind) -> Kind:
    return kind[0], "", ""


@dataclass(slots=True)
class _Like:
    """Those that came after the first: how many, what the first of them said, and the lines of the first and last."""

    body: dict[str, Any]
    offset: int
    last: int
    more: int = 0


class Crowd:
    """Counts the lines of one file at a time. `ticks` gives monotonic seconds."""

    def __init__(self, ticks: Callable[[], float] = time.monotonic) -> None:
        self._ticks = ticks
        self._began = ticks()
        self._likes: dict[Kind, _Like | None] = {}

    @property
    def due(self) -> bool:
        """Whether it is time to write what was counted."""
        return self._ticks() - self._began >= SECONDS

    @property
    def waiting(self) -> bool:
        """Whether anything is counted and not written."""
        return any(self._likes.values())

    def joins(self, kind: Kind, body: dict[str, Any], offset: int) -> bool:
        """Count one line where its kind had one before. Where it is the first, it is for the caller to record, and
        then to be `met`."""
        kind = self._known_as(kind)
        if kind not in self._likes:
            return False
        like = self._likes[kind]
        if like is None:
            like = self._likes[kind] = _Like(body, offset, offset)
        like.more, like.last = like.more + 1, offset
        return True

    def met(self, kind: Kind) -> None:
        """The first of its kind is recorded."""
        self._likes[self._known_as(kind)] = None

    def drain(self, file: str) -> Iterator[dict[str, Any]]:
        """The records to write, and a new window. Each is forgotten once the next is asked for."""
        # What was counted without its peer comes last: then everything else of its lines is told already.
        for kind in sorted(self._likes, key=lambda kind: kind == _rest(kind)):
            like = self._likes[kind]
            if like is not None:
                shared = {name: value for name, value in like.body.items() if name not in _OWN}
                if kind == _rest(kind):
                    shared |= {"source": "", "target": None}
                yield shared | {"more": like.more, "log": {"file": file, "offset": like.offset, "last": like.last}}
            del self._likes[kind]
        self._began = self._ticks()

    def _known_as(self, kind: Kind) -> Kind:
        return kind if kind in self._likes or len(self._likes) < _MOST else _rest(kind)


class Told:
    """The lines that an earlier process recorded and did not note that it had."""

    def __init__(self, found: Iterable[Record]) -> None:
        self._lines: set[tuple[object, object]] = set()
        self._spans: dict[tuple[object, Kind], list[tuple[int, int]]] = {}
        for record in found:
            log = record.body.get("log")
            if not isinstance(log, dict):
                continue
            kind, first, last = kind_of(record.kind, record.body), log.get("offset"), log.get("last")
            if kind is not None and isinstance(first, int) and isinstance(last, int):
                self._spans.setdefault((log.get("file"), kind), []).append((first, last))
            else:
                self._lines.add((log.get("file"), first))

    def __bool__(self) -> bool:
        return bool(self._lines or self._spans)

    def has(self, kind: Kind | None, file: str, offset: int) -> bool:
        """Whether the line at this byte is recorded: by itself, or counted with its kind or with the rest."""
        if (file, offset) in self._lines:
            return True
        kinds = () if kind is None else (kind, _rest(kind))
        return any(first <= offset <= last for k in kinds for first, last in self._spans.get((file, k), ()))

    def clear(self) -> None:
        """Every line that it could be about is behind."""
        self._lines.clear()
        self._spans.clear()
