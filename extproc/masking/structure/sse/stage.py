"""Masking of text/event-stream, event by event.

Three kinds of payload: a chunk of a chat completion, whose pieces of text are masked as the one text that they are;
other JSON; and text, which is masked within its event and across consecutive ones.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from extproc.masking.engine.detect import Detector
from extproc.masking.stage import MaskError
from extproc.masking.structure.escaped import EscapedMasker
from extproc.masking.structure.jsonstage import mask_document
from extproc.masking.structure.sse import llmdelta
from extproc.masking.structure.sse.textrun import TextRun
from extproc.masking.structure.sse.wire import EVENT, Cutter, Event, Line
from extproc.masking.text import TextStage

CONTROL = frozenset((b"endpoint", b"ping", b"open", b"ready", b"error", b"done", b"end", b"close"))
"""Types of events that stand alone: their text continues no other, and a client may wait for them (`endpoint` is the
first thing an MCP server says)."""

STREAMS = 1024
"""Texts that one stream of chunks may carry side by side."""

_TEMPLATE = ("id", "object", "created", "model")


@dataclass(slots=True)
class _Text:
    """One text of a chat completion."""

    plain: TextStage | None
    arguments: EscapedMasker | None

    def feed(self, piece: str, final: bool = False) -> str:
        data = piece.encode("utf-8", "surrogatepass")
        if self.arguments is not None:
            out = self.arguments.feed(data, final)
        elif self.plain is not None:
            out = self.plain.feed(data) + (self.plain.finish() if final else b"")
        else:
            out = data
        return out.decode("utf-8", "surrogatepass")


class SseStage:
    """Masks a stream of events. An event goes on as soon as it is complete, except that what may be the beginning of
    a value waits: the last few characters of a delta, or a whole text event. Raises MaskError for an event over
    `bound` bytes. Payloads that are not JSON are text."""

    __slots__ = ("_detector", "_keys", "_cutter", "_counts", "_texts", "_template", "_run", "_queued")

    def __init__(self, detector: Detector, keys: Iterable[str] = (), bound: int = EVENT) -> None:
        self._detector = detector
        self._keys = tuple(keys)
        self._cutter = Cutter(bound)
        self._counts: dict[str, int] = {}
        self._texts: dict[tuple[int, str, int], _Text] = {}
        self._template: dict[str, Any] = {}
        self._run = TextRun(detector, self._counts, bound)
        self._queued = False  # the last event waits, so an LF that follows its CR waits with it

    @property
    def counts(self) -> dict[str, int]:
        """How many values were masked so far, by kind."""
        counts = dict(self._counts)
        for text in self._texts.values():
            if text.plain is not None:
                _add(counts, text.plain.counts)
        return counts

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes, give the events that are final. Raises MaskError."""
        return self._take(self._cutter.feed(data))

    def finish(self) -> bytes:
        """The input has ended: give the rest. Raises MaskError."""
        out = self._take(self._cutter.feed(b"", final=True))
        return out + self._run.end() + self._end_texts(b"\n")

    def _take(self, found: list[Event | bytes]) -> bytes:
        out: list[bytes] = []
        for item in found:
            if isinstance(item, Event):
                self._queued = False
                out.append(self._event(item))
            elif self._queued and self._run.waiting:
                self._run.follow(item)
            else:
                out.append(item)
        return b"".join(out)

    def _event(self, event: Event) -> bytes:
        event = self._other_lines(event)
        payload = event.data
        if payload is None:
            if event.lines or not self._run.waiting:
                return event.raw  # a comment need not wait: order means nothing to it
            self._queued = True
            self._run.follow(event.raw)
            return b""
        if payload.strip() == b"[DONE]":
            return self._run.end() + self._end_texts(event.close or b"\n") + event.raw
        if payload.lstrip()[:1] in (b"{", b"["):
            masked = self._json(payload)
            if masked is not None:
                return self._run.end() + (event if masked == payload else event.with_data(masked)).raw
        if event.name in CONTROL:
            masked = self._alone(payload)
            return self._run.end() + (event if masked == payload else event.with_data(masked)).raw
        self._queued = True
        return self._run.add(event, payload)

    def _other_lines(self, event: Event) -> Event:
        if not self._detector.gate(b"\n".join(line.text for line in event.lines if line.data is None)):
            return event
        lines = tuple(
            Line(self._alone(line.text), line.end) if line.data is None and self._detector.gate(line.text) else line
            for line in event.lines
        )
        return Event(lines, event.close, event.bom)

    def _alone(self, data: bytes) -> bytes:
        stage = TextStage(self._detector)
        out = stage.feed(data) + stage.finish()
        _add(self._counts, stage.counts)
        return out

    # Chat completions and other JSON.

    def _json(self, payload: bytes) -> bytes | None:
        """The payload, masked; None when it isn't JSON after all, so that it is masked as the text it is."""
        document = _loads(payload) if b"choices" in payload or b"\\u" in payload else None
        if llmdelta.is_chunk(document):
            return self._chunk(payload, document)
        return self._document(payload)

    def _document(self, payload: bytes) -> bytes | None:
        counts: dict[str, int] = {}
        try:
            masked = mask_document(payload, self._detector, self._keys, counts)
        except MaskError:
            return None
        _add(self._counts, counts)
        return masked

    def _chunk(self, payload: bytes, document: dict[str, Any]) -> bytes | None:
        """A piece is masked as part of its text and never by itself; the rest of the chunk as any document."""
        pieces = [slot.holder[slot.member] for slot in _slots(document)]
        for slot in _slots(document):
            slot.holder[slot.member] = ""
        masked = self._document(_dumps(document))
        rest = None if masked is None else _loads(masked)
        if not llmdelta.is_chunk(rest):
            return masked
        changed = rest != document
        self._template = {name: rest[name] for name in _TEMPLATE if name in rest}
        for slot, piece in zip(list(_slots(rest)), pieces, strict=False):
            if not slot.holder[slot.member]:  # otherwise masked by its key
                out = slot.holder[slot.member] = self._text_of(slot).feed(piece)
                changed = changed or out != piece
        for index, choice in llmdelta.choices(rest):
            if choice.get("finish_reason") is not None:
                tails = [(n, tail) for n in list(self._texts) if n[0] == index and (tail := self._close(n))]
                llmdelta.append(choice, tails)
                changed = changed or bool(tails)
        again = _dumps(rest)
        # More quotes than the document has: a name occurs twice, and the reader may take the one we did not see.
        return again if changed or payload.count(b'"') != again.count(b'"') else payload

    def _text_of(self, slot: llmdelta.Slot) -> _Text:
        text = self._texts.get(slot.name)
        if text is None:
            if len(self._texts) >= STREAMS:
                raise MaskError(f"more than {STREAMS} texts in one stream of chunks")
            masker = EscapedMasker(self._detector, self._counts, bare=True) if slot.arguments else None
            text = self._texts[slot.name] = _Text(None if slot.arguments else TextStage(self._detector), masker)
        return text

    def _close(self, name: tuple[int, str, int]) -> str:
        text = self._texts.pop(name)
        rest = text.feed("", final=True)
        if text.plain is not None:
            _add(self._counts, text.plain.counts)
        return rest

    def _end_texts(self, eol: bytes) -> bytes:
        """Texts that no finish_reason ended: what is held goes on in chunks of our own."""
        out: list[bytes] = []
        for name in list(self._texts):
            if rest := self._close(name):
                choice: dict[str, Any] = {"index": name[0], "finish_reason": None}
                llmdelta.append(choice, [(name, rest)])
                out.append(b"data: " + _dumps({**self._template, "choices": [choice]}) + eol + eol)
        return b"".join(out)


def _slots(document: dict[str, Any]) -> Iterator[llmdelta.Slot]:
    for index, choice in llmdelta.choices(document):
        yield from llmdelta.slots(index, choice)


def _add(counts: dict[str, int], more: dict[str, int]) -> None:
    for kind, count in more.items():
        counts[kind] = counts.get(kind, 0) + count


def _loads(data: bytes) -> Any:
    """orjson where it can; the standard library for what it refuses (lone surrogates, NaN). None for what neither reads
    (several documents, one that is nested too deep)."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _dumps(document: Any) -> bytes:
    try:
        return orjson.dumps(document)
    except orjson.JSONEncodeError:
        return json.dumps(document).encode()
