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
from extproc.masking.sniff import SniffStage
from extproc.masking.sse import SseStage
from extproc.masking.stage import MaskError, Stage
from extproc.masking.text import TextStage, mask_whole


class _Shape(Enum):
    """How a body is read."""

    JSON = auto()
    EVENTS = auto()
    FORM = auto()
    TEXT = auto()
    BINARY = auto()
    UNSURE_TEXT = auto()
    UNSURE_BINARY = auto()


TYPE_LENGTH = 256
"""Characters of a content type, at most."""

_CHARSETS = frozenset(
    {"utf-8", "utf8", "us-ascii", "ascii", "latin1", "latin-1", *map("windows-125{}".format, range(9))}
)
_ISO = re.compile(r"iso-8859-[0-9]{1,2}")
_LIKE_JSON = re.compile(rb"(?:\xef\xbb\xbf)?[ \t\r\n]*[{\[]")
_UNSURE = {
    "": _Shape.UNSURE_TEXT,
    "text/plain": _Shape.UNSURE_TEXT,
    "application/octet-stream": _Shape.UNSURE_BINARY,
}
_TEXT = re.compile(
    r"text/.*|multipart/.*"
    r"|application/(?:(?:.*\+)?xml|(?:x-)?(?:java|ecma)script|csv|(?:x-)?yaml|toml|graphql|sql|x-sh|x-pem-file)"
)
_JSON = re.compile(r"(?:application|text)/(?:(?:.*\+)?json|x-ndjson|ndjson|jsonl|x-jsonlines|jsonlines|x-json-stream)")


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
    shape = _shape(content_type)
    unsure = shape in (_Shape.UNSURE_TEXT, _Shape.UNSURE_BINARY)
    if shape in (_Shape.TEXT, _Shape.BINARY) or (unsure and not _LIKE_JSON.match(data)):
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
        case _Shape.TEXT | _Shape.BINARY as shape:
            return _text(kinds, keys, shape is _Shape.BINARY)
        case shape:
            fill = shape is _Shape.UNSURE_BINARY
            return SniffStage(lambda: JsonStage(detector(kinds), keys), lambda: _text(kinds, keys, fill))


def _text(kinds: frozenset[str], keys: frozenset[str], fill: bool) -> Stage:
    return TextStage(detector(*_named(kinds, keys)), fill=fill)


def _named(kinds: frozenset[str], keys: frozenset[str]) -> _Selection:
    """The same for text, where names are found as part of it."""
    return kinds, frozenset(key.lower() for key in keys) if keys else keys


@lru_cache(maxsize=256)
def _shape(content_type: str) -> _Shape:
    """How a body of this type is read. Raises MaskError for a type that is read in more than one way, or in a character
    set that may hide ASCII."""
    if len(content_type) > TYPE_LENGTH:  # before anything else: whoever sends long ones shall not have us read them
        raise MaskError(f"a content type longer than {TYPE_LENGTH} characters")
    if "," in content_type:
        raise MaskError("a content type with a comma, which is what two of them joined look like; send one")
    essence, *parameters = (part.strip().lower() for part in content_type.split(";"))
    charsets = [
        value.strip().strip('"').strip()
        for name, equals, value in (parameter.partition("=") for parameter in parameters)
        if name.strip().strip('"').rstrip("*0123456789") == "charset"  # RFC 2231: charset*, charset*0
    ]
    if len(charsets) > 1:
        raise MaskError("a content type with more than one character set; send one")
    if charsets and charsets[0] not in _CHARSETS and not _ISO.fullmatch(charsets[0]):
        raise MaskError(f"a body in {charsets[0][:20]!r} can't be inspected; UTF-8 can")
    if _JSON.fullmatch(essence):
        return _Shape.JSON
    if essence == "text/event-stream":
        return _Shape.EVENTS
    if essence == "application/x-www-form-urlencoded":
        return _Shape.FORM
    if essence in _UNSURE:
        return _UNSURE[essence]
    return _Shape.BINARY if not _TEXT.fullmatch(essence) else _Shape.TEXT
