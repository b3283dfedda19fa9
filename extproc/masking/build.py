"""Choosing stages: from a Decision's masks, a lane and a content type to what the lane's bytes pass through."""

import re
from collections.abc import Sequence
from enum import Enum, auto
from functools import lru_cache

from extproc.domain.decision import KEY_LENGTH, Mask
from extproc.masking.detect import ALL, SLICE, detector
from extproc.masking.form import FormStage
from extproc.masking.jsonstage import JsonStage
from extproc.masking.rules import RULES
from extproc.masking.sse import SseStage
from extproc.masking.stage import MaskError, Stage
from extproc.masking.text import TextStage, mask_whole

_KEPT = 256  # characters of a content type whose reading is cached
_CHARSET = re.compile(r"charset\s*=\s*\"?\s*([^\s;\"]+)", re.IGNORECASE)
_WIDE = re.compile(
    r"utf-?(?:16|32|7)|ucs-?[24]|unicode|ebcdic|ibm|cp(?:037|500|1026|1140)|hz-gb|iso-2022", re.IGNORECASE
)
_TEXT = re.compile(
    r"text/.*|multipart/.*"
    r"|application/(?:(?:.*\+)?xml|(?:x-)?(?:java|ecma)script|csv|(?:x-)?yaml|toml|graphql|sql|x-sh|x-pem-file)"
)
_JSON = re.compile(r"(?:application|text)/(?:(?:.*\+)?json|x-ndjson|ndjson|jsonl|x-jsonlines|jsonlines|x-json-stream)")


class _Shape(Enum):
    """How a body is read."""

    JSON = auto()
    EVENTS = auto()
    FORM = auto()
    TEXT = auto()
    BINARY = auto()


_Selection = tuple[frozenset[str], frozenset[str]]  # kinds and member names


def build(masks: Sequence[Mask], lane: str, content_type: str) -> Stage | None:
    """The stage for a lane ("request" or "response"), or None if no mask applies to it. `content_type` is the
    header's value, empty when there is none. Raises MaskError for a mask that can't be carried out (an unknown kind)
    and for a character set that hides ASCII (UTF-16 and the like)."""
    selected = _selected(tuple(masks), lane) if masks else None
    return None if selected is None else _stage(*selected, content_type)


def mask_value(masks: Sequence[Mask], lane: str, text: str) -> tuple[str, dict[str, int]]:
    """One whole text (a header's value) as the stage for text/plain would mask it, and how many values by kind; the
    text itself where nothing is masked. Raises MaskError for a mask that can't be carried out."""
    selected = _selected(tuple(masks), lane) if masks else None
    return (text, {}) if selected is None else mask_whole(detector(*_named(*selected)), text)


def find(data: bytes, content_type: str) -> dict[str, int]:
    """How many values of each kind a whole body has, decoded as a mask for all kinds would see it. Raises MaskError
    where that mask would."""
    if not data:
        return {}
    if _shape(content_type) in (_Shape.TEXT, _Shape.BINARY):
        return detector(ALL).counts(data)
    stage = _stage(ALL, frozenset(), content_type)
    for at in range(0, len(data), SLICE):
        stage.feed(data[at : at + SLICE])
    stage.finish()
    return stage.counts


def warm() -> None:
    """Compile every automaton and walk it once, so that no request pays for that. Takes some 25 ms."""
    samples = [case for rule in RULES for case in rule.positive + rule.negative]
    text = "\n".join(samples).encode()
    for kinds in (ALL, *(frozenset((kind,)) for kind in ALL)):
        stage = TextStage(detector(kinds))
        for at in range(0, len(text), 64):
            stage.feed(text[at : at + 64])
        stage.finish()
        find(b'{"ssn":"123456789","a":["' + b"x\\n" * 99 + b'",1e3]}', "application/json")


@lru_cache(maxsize=1024)
def _selected(masks: tuple[Mask, ...], lane: str) -> _Selection | None:
    """What the masks select on a lane, or None. Raises MaskError."""
    kinds: set[str] = set()
    keys: set[str] = set()
    for mask in masks:
        if lane not in mask.lanes:
            continue
        kinds |= ALL if "*" in mask.kinds else set(mask.kinds)
        keys |= set(mask.keys)
        if any(len(key) > KEY_LENGTH for key in mask.keys):
            raise MaskError(f"policy {mask.policy}: a name of more than {KEY_LENGTH} characters")
    if not kinds and not keys:
        return None
    if unknown := kinds - ALL:
        raise MaskError(f"unknown kinds of value to mask: {sorted(unknown)}; known are {sorted(ALL)}")
    return frozenset(kinds), frozenset(keys)


def _stage(kinds: frozenset[str], keys: frozenset[str], content_type: str) -> Stage:
    match _shape(content_type):
        case _Shape.JSON:
            return JsonStage(detector(kinds), keys)
        case _Shape.EVENTS:
            return SseStage(detector(kinds), keys)
        case _Shape.FORM:
            return FormStage(detector(kinds), keys)
        case shape:
            return TextStage(detector(*_named(kinds, keys)), fill=shape is _Shape.BINARY)


def _named(kinds: frozenset[str], keys: frozenset[str]) -> _Selection:
    """The same for text, where names are found as part of it."""
    return kinds, frozenset(key.lower() for key in keys) if keys else keys


def _shape(content_type: str) -> _Shape:
    # Whoever sends long ones shall not have us keep them.
    return _read(content_type) if len(content_type) <= _KEPT else _read.__wrapped__(content_type)


@lru_cache(maxsize=256)
def _read(content_type: str) -> _Shape:
    """How a body of this type is read. Raises MaskError for a character set that hides ASCII."""
    essence = content_type.partition(";")[0].strip().lower()
    charset = _CHARSET.search(content_type)
    if charset and _WIDE.match(charset[1]):
        raise MaskError(f"a body in {charset[1][:20]} can't be inspected; UTF-8 can")
    if _JSON.fullmatch(essence):
        return _Shape.JSON
    if essence == "text/event-stream":
        return _Shape.EVENTS
    if essence == "application/x-www-form-urlencoded":
        return _Shape.FORM
    return _Shape.BINARY if essence and not _TEXT.fullmatch(essence) else _Shape.TEXT
