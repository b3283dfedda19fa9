"""Spans as a trace store gives them back: OTLP/JSON, read piece by piece. Pure."""

import codecs
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

LONGEST_START = 1024
LONGEST_SPAN = 16 << 20
"""Characters that an answer may take to begin, and a span to end."""

# In a JSON string the quotes would have backslashes before them, so this can only be the member.
_SPANS = re.compile(r'"spans"\s*:\s*\[')
_SCOPE = re.compile(r'"scope"\s*:\s*(?=\{)')
_SERVICE = re.compile(r'"key"\s*:\s*"service\.name"\s*,\s*"value"\s*:\s*\{\s*"stringValue"\s*:\s*(?=")')
_START = re.compile(r'\s*\{\s*"result"\s*:')
_BETWEEN = re.compile(r"[\s,]*")
_DECODER = json.JSONDecoder()


class BadAnswer(ValueError):
    """What a trace store gave is not OTLP/JSON. The message says why."""


@dataclass(frozen=True, slots=True)
class Happened:
    """An event of a stored span; `at` in nanoseconds."""

    name: str
    at: int
    attributes: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stored:
    """A span as the store has it. Ids are lower-case hex, an absent parent is "", times are nanoseconds since the
    epoch; `kind` and `status` are OpenTelemetry's numbers. Attributes are text, numbers, booleans or lists."""

    service: str
    scope: str
    trace_id: str
    id: str
    parent: str
    name: str
    kind: int
    start: int
    end: int
    attributes: dict[str, Any]
    status: int
    message: str
    links: tuple[tuple[str, str], ...]
    events: tuple[Happened, ...]


def read(pieces: Iterable[bytes]) -> Iterator[Stored]:
    """The spans of a TracesData document as Jaeger wraps it (API v3), in memory that one span bounds, not their number;
    none of nothing at all. Raises BadAnswer."""
    decode, text, at, service, begun = codecs.getincrementaldecoder("utf-8")("replace"), "", 0, "", False
    scope: str | None = None
    source = iter(pieces)
    while True:
        if not begun:
            begun = _START.match(text) is not None
            if begun:
                continue
        elif scope is None:
            found = _SPANS.search(text, at)
            if found is not None:
                service, scope = _head(text[at : found.start()], service)
                at = found.end()
                continue
        else:
            gap = _BETWEEN.match(text, at)
            at = gap.end() if gap else at
            if text.startswith("]", at):
                scope, at = None, at + 1
                continue
            try:
                value, at = _DECODER.raw_decode(text, at)
                yield _span(value, service, scope)
                continue
            except json.JSONDecodeError:
                # Not all of it is there yet.
                pass
        piece = next(source, None)
        if piece is None:
            break
        # At least as much again as there is, so that a long span is not looked at for each of its pieces.
        text, wanted = text[at:], len(text) - at
        at = 0
        while piece is not None:
            text += decode.decode(piece)
            if len(text) >= 2 * wanted:
                break
            piece = next(source, None)
        if not begun and len(text) > LONGEST_START and _START.match(text) is None:
            break
        if len(text) > LONGEST_SPAN:
            raise BadAnswer(f"more than {LONGEST_SPAN} characters without the end of a span")
    if scope is not None:
        raise BadAnswer("it ends in the middle of a list of spans")
    if text and not begun:
        raise BadAnswer(f"not what Jaeger answers: {text[:80]!r}")


def _head(text: str, service: str) -> tuple[str, str]:
    """Service and scope of the spans that follow this text; a further scope of a resource does not name it again."""
    name, scope = _SERVICE.search(text), _SCOPE.search(text)
    try:
        if name is not None:
            service = str(_DECODER.raw_decode(text, name.end())[0])
        said = _DECODER.raw_decode(text, scope.end())[0] if scope is not None else {}
    except json.JSONDecodeError as error:
        raise BadAnswer(f"not JSON: {error}") from None
    return service, str(said.get("name", ""))


def _span(value: Any, service: str, scope: str) -> Stored:
    try:
        status = value.get("status") or {}
        return Stored(
            service, scope, value["traceId"], value["spanId"], value.get("parentSpanId", ""), value.get("name", ""),
            int(value.get("kind", 0)), int(value["startTimeUnixNano"]), int(value["endTimeUnixNano"]),
            _attributes(value), int(status.get("code", 0)), str(status.get("message", "")),
            tuple((link["traceId"], link["spanId"]) for link in value.get("links", ())),
            tuple(
                Happened(event.get("name", ""), int(event["timeUnixNano"]), _attributes(event))
                for event in value.get("events", ())
            ),
        )  # fmt: skip
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BadAnswer(f"not a span: {error!r}") from None


def _attributes(holder: dict[str, Any]) -> dict[str, Any]:
    return {pair["key"]: _value(pair.get("value", {})) for pair in holder.get("attributes", ())}


def _value(value: dict[str, Any]) -> Any:
    if "intValue" in value:
        return int(value["intValue"])
    if "arrayValue" in value:
        return [_value(item) for item in value["arrayValue"].get("values", ())]
    return next(iter(value.values()), "")
