"""Masking of text/event-stream, event by event.

Two kinds of payload: JSON, of which some carries a text in pieces, as answers of language models do; and text, which is
masked within its event and across consecutive ones.
"""

import re
from collections.abc import Iterator

from extproc.masking.engine.scanner import scan
from extproc.masking.engine.span import add
from extproc.masking.plan import Plan
from extproc.masking.stage import MaskError
from extproc.masking.structure.llm.deltas import Deltas, Document, Look
from extproc.masking.structure.sse.textrun import TextRun
from extproc.masking.structure.sse.wire import EVENT, Cutter, Event, Line
from extproc.masking.text import paint

CONTROL = frozenset((b"endpoint", b"ping", b"open", b"ready", b"error", b"done", b"end", b"close"))
"""Types of events that stand alone: their text continues no other, and a client may wait for them (`endpoint` is the
first thing an MCP server says)."""

_TYPES, _TYPE_LENGTH = 64, 64
_DONE = b"[DONE]"
_LIKE_JSON = re.compile(rb'(?:\xef\xbb\xbf)?[ \t\r\n]*(?:[{\[]|"[^\\]*\\)')  # a string only where its escapes matter
_WITH_NAMES = re.compile(rb'(?:\xef\xbb\xbf)?[\[ \t\r\n]*\{[ \t\r\n]*"')


class SseStage:
    """Masks a stream of events. An event goes on as soon as it is complete, except that what may be the beginning of
    a value waits: the last few characters of a piece of text, or a whole text event. Raises MaskError for an event over
    `bound` bytes, and for one that begins like a JSON object, is none, and may have a name that the plan selects,
    unless that is lenient. Other payloads that are not JSON are text."""

    __slots__ = ("_plan", "_strict", "_cutter", "_counts", "_deltas", "_run", "_queued", "_clean")

    def __init__(self, plan: Plan, bound: int = EVENT) -> None:
        self._plan = text = plan.in_text()
        self._strict = bool(plan.keys) and not plan.lenient
        self._cutter = Cutter(bound)
        self._counts: dict[str, int] = {}
        self._deltas = Deltas(plan)
        self._run = TextRun(text, self._counts, bound)
        self._queued = False  # the last event waits, so an LF that follows its CR waits with it
        self._clean: set[bytes] = set()  # lines beside data that were seen before and have nothing to mask

    @property
    def counts(self) -> dict[str, int]:
        """Number of masked values so far, by kind."""
        counts = self._deltas.counts
        add(counts, self._counts)
        return counts

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes, give the events that are final. Raises MaskError."""
        return self._take(self._cutter.feed(data))

    def finish(self) -> bytes:
        """The input has ended: give the rest. Raises MaskError."""
        out = self._take(self._cutter.feed(b"", final=True))
        return out + self._run.end() + _events(self._deltas.end(), b"\n")

    def _take(self, found: list[Event | bytes]) -> bytes:
        out: list[bytes] = []
        events = [item for item in found if isinstance(item, Event)]
        looks = iter(self._deltas.look([event.data for event in events if event.data and _is_json(event.data)]))
        for item in found:
            if isinstance(item, Event):
                self._queued = False
                out.append(self._event(item, looks))
            elif self._queued and self._run.waiting:
                self._run.follow(item)
            else:
                out.append(item)
        out.append(self._run.settle())
        return b"".join(out)

    def _event(self, event: Event, looks: Iterator[Look]) -> bytes:
        payload = event.data
        event = self._other_lines(event)
        if payload is None:
            out = self._run.settle()
            if event.lines() or not self._run.waiting:
                return out + event.raw  # a comment need not wait: order means nothing to it
            self._queued = True
            self._run.follow(event.raw)
            return out
        if payload.strip() == _DONE:
            return self._run.end() + _events(self._deltas.end(), event.close or b"\n") + event.raw
        if _is_json(payload):
            documents = self._deltas.take(next(looks), event.name)
            if documents is not None:
                before = _events(documents[:-1], event.close or b"\n")
                return self._run.end() + before + event.with_data(documents[-1].payload).raw
            if self._strict and _WITH_NAMES.match(payload):
                raise MaskError("malformed JSON in a server-sent event")
        if event.name in CONTROL:
            return self._run.end() + event.with_data(self._alone(payload)).raw
        self._queued = True
        return self._run.add(event, payload)

    def _other_lines(self, event: Event) -> Event:
        others = event.others
        if not others or others in self._clean:
            return event
        if any(line.data is None and scan(self._plan.detector, line.text) for line in event.lines()):
            made = [Line(self._alone(line.text), line.end) if line.data is None else line for line in event.lines()]
            return event.with_lines(made)
        if len(self._clean) < _TYPES and len(others) <= _TYPE_LENGTH:
            self._clean.add(others)
        return event

    def _alone(self, data: bytes) -> bytes:
        spans = scan(self._plan.detector, data)
        return paint(self._plan, data, spans, self._counts) if spans else data


def _is_json(payload: bytes) -> bool:
    return _LIKE_JSON.match(payload) is not None and payload.strip() != _DONE


def _events(documents: list[Document], eol: bytes) -> bytes:
    """Events of our own."""
    out: list[bytes] = []
    for document in documents:
        name = b"event: " + document.label + eol if document.label else b""
        out.append(name + b"data: " + document.payload + eol + eol)
    return b"".join(out)
