"""Choosing stages: from a Decision's masks, a lane and a content type to what the lane's bytes pass through."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache

from extproc.domain.decision import KEY_LENGTH, Mask
from extproc.masking.engine.detect import ALL, SLICE, Detector, detector
from extproc.masking.engine.fingerprint import CREDENTIAL, NONE, Fingerprints
from extproc.masking.rules.builtin import RULES
from extproc.masking.stage import MaskError, Stage
from extproc.masking.structure.form import FormStage
from extproc.masking.structure.jsonstage import JsonStage
from extproc.masking.structure.sniff import SniffStage
from extproc.masking.structure.spelt import RawBehind, SpeltStage
from extproc.masking.structure.sse.stage import SseStage
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


_RESPONSE = "response"
_GUARDED_EVENT = 4 << 20


@dataclass(frozen=True, slots=True)
class _Selection:
    """What is masked: kinds, member names, and whether credentials are. `names` has them in lower case."""

    kinds: frozenset[str]
    keys: frozenset[str]
    names: frozenset[str]
    credentials: bool


_NOTHING = _Selection(frozenset(), frozenset(), frozenset(), False)
_EVERYTHING = _Selection(ALL, frozenset(), frozenset(), True)


def build(masks: Sequence[Mask], lane: str, content_type: str, fingerprints: Fingerprints = NONE) -> Stage | None:
    """The stage for a lane ("request" or "response"), or None if no mask applies to it. `content_type` is the
    header's value, empty when there is none. The credentials that `fingerprints` know are masked in every response,
    whatever the masks, and in a request by a mask for their kind. Raises MaskError for a mask that can't be carried out
    (an unknown kind) and, with a mask, for a character set that hides ASCII (UTF-16 and the like)."""
    selected, known = _applied(masks, lane, fingerprints)
    if selected.kinds or selected.keys:
        return _stage(selected, content_type, known)
    return _guard(content_type, known) if known else None


def mask_value(
    masks: Sequence[Mask], lane: str, text: str, fingerprints: Fingerprints = NONE
) -> tuple[str, dict[str, int]]:
    """One whole text (a header's value) as the stage for text/plain would mask it, and how many values by kind; the
    text itself where nothing is masked. Raises MaskError for a mask that can't be carried out."""
    selected, known = _applied(masks, lane, fingerprints)
    if not selected.kinds and not selected.names and not known:
        return text, {}
    return mask_whole(detector(selected.kinds, selected.names, known), text)


def find(data: bytes, content_type: str, fingerprints: Fingerprints = NONE) -> dict[str, int]:
    """How many values of each kind a whole body has, decoded as a mask for all kinds would see it; credentials are
    those that `fingerprints` know. Raises MaskError where that mask would."""
    if not data:
        return {}
    shape = _shape(content_type)
    unsure = shape in (_Shape.UNSURE_TEXT, _Shape.UNSURE_BINARY)
    if shape in (_Shape.TEXT, _Shape.BINARY) or (unsure and not _LIKE_JSON.match(data)):
        return detector(ALL, fingerprints=fingerprints).counts(data)
    stage = _stage(_EVERYTHING, content_type, fingerprints)
    for at in range(0, len(data), SLICE):
        stage.feed(data[at : at + SLICE])
    stage.finish()
    return stage.counts


def warm(fingerprints: Fingerprints = NONE) -> None:
    """Compile every automaton and walk it once, so that no request pays for that. Takes some 25 ms."""
    samples = [case for rule in RULES for case in rule.positive + rule.negative]
    text = "\n".join(samples).encode()
    for kinds in (ALL, *(frozenset((kind,)) for kind in ALL), *([frozenset[str]()] if fingerprints else [])):
        stage = TextStage(detector(kinds, fingerprints=fingerprints))
        for at in range(0, len(text), 64):
            stage.feed(text[at : at + 64])
        stage.finish()
        find(b'{"ssn":"123456789","a":["' + b"x\\n" * 99 + b'",1e3]}', "application/json", fingerprints)


def _applied(masks: Sequence[Mask], lane: str, fingerprints: Fingerprints) -> tuple[_Selection, Fingerprints]:
    """What the masks select on a lane, and the credentials that are masked there. Raises MaskError."""
    selected = _selected(tuple(masks), lane) if masks else _NOTHING
    return selected, fingerprints if lane == _RESPONSE or selected.credentials else NONE


@lru_cache(maxsize=1024)
def _selected(masks: tuple[Mask, ...], lane: str) -> _Selection:
    """What the masks select on a lane. Raises MaskError."""
    kinds: set[str] = set()
    keys: set[str] = set()
    for mask in masks:
        if lane not in mask.lanes:
            continue
        kinds |= {*ALL, CREDENTIAL} if "*" in mask.kinds else set(mask.kinds)
        keys |= set(mask.keys)
        if any(len(key) > KEY_LENGTH for key in mask.keys):
            raise MaskError(f"policy {mask.policy}: a name of more than {KEY_LENGTH} characters")
    if unknown := kinds - ALL - {CREDENTIAL}:
        known = sorted({*ALL, CREDENTIAL})
        raise MaskError(f"unknown kinds of value to mask: {sorted(unknown)}; known are {known}")
    return _Selection(
        frozenset(kinds - {CREDENTIAL}), frozenset(keys), frozenset(key.lower() for key in keys), CREDENTIAL in kinds
    )


def _stage(selected: _Selection, content_type: str, known: Fingerprints) -> Stage:
    keys = selected.keys
    by_value = detector(selected.kinds, fingerprints=known)
    only = _only(known)
    match _shape(content_type):
        case _Shape.JSON:
            return _behind(JsonStage(by_value, keys), only)
        case _Shape.EVENTS:
            return _behind(SseStage(by_value, keys), only)
        case _Shape.FORM:
            return FormStage(by_value, keys, only)
        case _Shape.TEXT | _Shape.BINARY as shape:
            return _text(selected, known, shape is _Shape.BINARY)
        case shape:
            fill = shape is _Shape.UNSURE_BINARY
            return SniffStage(lambda: _behind(JsonStage(by_value, keys), only), lambda: _text(selected, known, fill))


def _only(known: Fingerprints) -> Detector | None:
    """What finds the credentials that are known and nothing else; None where none is."""
    return detector(frozenset(), fingerprints=known) if known else None


def _behind(stage: Stage, credentials: Detector | None) -> Stage:
    return stage if credentials is None else RawBehind(stage, credentials)


def _text(selected: _Selection, known: Fingerprints, fill: bool) -> Stage:
    # In text, names are found as part of it.
    return TextStage(detector(selected.kinds, selected.names, known), fill=fill)


def _guard(content_type: str, known: Fingerprints) -> Stage:
    """The stage where no policy asks for a mask, and credentials alone are looked for. It takes what comes: nobody
    chose that this body has to be well-formed, or in a character set that is read."""
    only = detector(frozenset(), fingerprints=known)
    try:
        shape = _shape(content_type)
    except MaskError:
        return TextStage(only, fill=True)
    match shape:
        case _Shape.JSON:
            return RawBehind(SpeltStage(only), only)
        case _Shape.EVENTS:
            return RawBehind(SseStage(only, bound=_GUARDED_EVENT), only)
        case _Shape.FORM:
            return FormStage(only, credentials=only)
        case _Shape.TEXT | _Shape.BINARY:
            return TextStage(only, fill=shape is _Shape.BINARY)
    fill = shape is _Shape.UNSURE_BINARY
    return SniffStage(lambda: RawBehind(SpeltStage(only), only), lambda: TextStage(only, fill=fill), trial=0)


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
    if "json" in essence:  # in words of its own: whatever begins like JSON is read as JSON
        return _Shape.UNSURE_BINARY
    return _Shape.BINARY if not _TEXT.fullmatch(essence) else _Shape.TEXT
