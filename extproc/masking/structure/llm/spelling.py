"""Documents whose pieces are cut out, and put back when they are masked; all other bytes stay what they were."""

import json
import re
from collections.abc import Mapping
from typing import Any

import orjson

from extproc.masking.stage import MaskError
from extproc.masking.structure.llm.places import Slot


def loads(data: bytes) -> Any:
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


def dumps(document: Any) -> bytes:
    """A document in as few bytes as it takes. Raises MaskError for one that is nested too deep."""
    try:
        return orjson.dumps(document)
    except orjson.JSONEncodeError:
        pass
    try:
        return json.dumps(document).encode()
    except RecursionError:
        raise MaskError("JSON that is nested too deep") from None


def blank(index: int) -> bytes:
    """What stands in the place of a piece: no value of any rule, and spelt in one way only."""
    return b'"\x7f%d\x7f"' % index


_BLANK = re.compile(rb'"\x7f([0-9]{1,9})\x7f"')


def blanks(masked: bytes) -> set[int]:
    """Which blanks a document has."""
    return set(map(int, _BLANK.findall(masked)))


def filled(masked: bytes, texts: Mapping[int, bytes]) -> bytes:
    """A document with these in the place of blanks."""
    return _BLANK.sub(lambda found: texts.get(int(found[1]), found[0]), masked)


def cut(payload: bytes, document: dict[str, Any], slots: list[Slot]) -> bytes:
    """The payload with blanks for pieces. Where it is sure which bytes spell them all others are kept, otherwise the
    document is spelt again, and of members with one name only the last is left."""
    kept = _cut_out(payload, slots)
    if kept is not None:
        return kept
    pieces = [slot.piece for slot in slots]
    for index, slot in enumerate(slots):
        slot.holder[slot.member] = blank(index)[1:-1].decode()
    made = dumps(document)
    for slot, piece in zip(slots, pieces, strict=True):
        slot.holder[slot.member] = piece
    return made


def _cut_out(payload: bytes, slots: list[Slot]) -> bytes | None:
    """Sure it is if the member's name occurs once, and no escape is left: then nothing else can spell this name."""
    places: list[tuple[int, int, int]] = []
    for index, slot in enumerate(slots):
        name = b'"%b"' % slot.member.encode()
        at = payload.find(name)
        if at < 0 or payload.find(name, at + 1) >= 0:
            return None
        at += len(name)
        if payload[at : at + 1] != b":":
            return None
        at += 2 if payload[at + 1 : at + 2] == b" " else 1
        spelt = dumps(slot.piece)
        if not payload.startswith(spelt, at):
            return None
        places.append((at, at + len(spelt), index))
    places.sort()
    out: list[bytes] = []
    at = 0
    for start, end, index in places:
        out += (payload[at:start], blank(index))
        at = end
    made = b"".join(out) + payload[at:]
    return None if b"\\" in made else made
