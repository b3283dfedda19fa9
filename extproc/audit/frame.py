"""The journal's bytes: one frame a record, each record naming the hash of the one before. Pure.

    frame   = length (4 bytes, big endian) | CRC-32 (4 bytes, big endian, over length and payload) | payload
    payload = canonical JSON (sorted members, no spaces, UTF-8) of {at, body, kind, prev, seq, stream}
    hash    = SHA-256 (hex) of the payload; the next record's `prev`

Record 0 of a stream has kind `genesis`, a body of {format, id, stream} with a random id, and `prev` of 64 zeros.
The CRC finds accidents; the chain finds edits, up to the last hash that somebody else holds.
"""

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Any

import orjson

FORMAT = 1
HEAD = struct.Struct(">II")
LENGTH = struct.Struct(">I")
MAX_PAYLOAD = 1 << 20
"""Bytes; a longer record is refused, and a longer length in a file is a fault."""
ZERO = "0" * 64


class Fault(StrEnum):
    """What can be wrong with a journal."""

    MISSING = "missing"
    EMPTY = "empty"
    TORN = "torn"
    BAD_LENGTH = "bad-length"
    BAD_CRC = "bad-crc"
    BAD_RECORD = "bad-record"
    BAD_GENESIS = "bad-genesis"
    BAD_SEQ = "bad-seq"
    BAD_CHAIN = "bad-chain"
    BAD_STREAM = "bad-stream"
    BEHIND_WITNESS = "behind-witness"
    UNREADABLE = "unreadable"


class FrameError(ValueError):
    """A frame, or the record in it, is not what the format says. `offset` is bytes from the start of the input."""

    def __init__(self, fault: Fault, offset: int, message: str) -> None:
        super().__init__(message)
        self.fault = fault
        self.offset = offset


class Unencodable(ValueError):
    """A record that has no canonical form (too long, or a value that JSON can't carry)."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record as read back. `offset` and `end` are the frame's bytes in its file; `hash` is hex."""

    stream: str
    seq: int
    kind: str
    at: str
    prev: str
    body: dict[str, Any]
    hash: str
    offset: int
    end: int


def encode(stream: str, seq: int, kind: str, at: str, prev: str, body: object) -> tuple[bytes, str]:
    """One frame and the hash of its payload. Raises Unencodable."""
    record = {"at": at, "body": body, "kind": kind, "prev": prev, "seq": seq, "stream": stream}
    try:
        payload = orjson.dumps(record, default=_plain, option=orjson.OPT_SORT_KEYS)
    except TypeError as error:
        raise Unencodable(f"record {seq} of {stream}: {error}") from None
    if len(payload) > MAX_PAYLOAD:
        raise Unencodable(f"record {seq} of {stream}: {len(payload)} bytes, at most {MAX_PAYLOAD}")
    length = LENGTH.pack(len(payload))
    return length + LENGTH.pack(zlib.crc32(payload, zlib.crc32(length))) + payload, sha256(payload).hexdigest()


def split(data: bytes | memoryview, at: int) -> int | None:
    """The end of the frame that starts at `at`, or None where the input ends first. Raises FrameError for a length
    or a CRC that is wrong."""
    if at + HEAD.size > len(data):
        return None
    length, crc = HEAD.unpack_from(data, at)
    if not 0 < length <= MAX_PAYLOAD:
        raise FrameError(Fault.BAD_LENGTH, at, f"a frame of {length} bytes, expected 1 to {MAX_PAYLOAD}")
    end = at + HEAD.size + length
    if end > len(data):
        return None
    if zlib.crc32(data[at + HEAD.size : end], zlib.crc32(data[at : at + LENGTH.size])) != crc:
        raise FrameError(Fault.BAD_CRC, at, "the frame's CRC does not match its bytes")
    return int(end)


def decode(payload: bytes, offset: int) -> Record:
    """The record in a payload whose CRC held; `offset` is where its frame starts. Raises FrameError."""
    try:
        record = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise FrameError(Fault.BAD_RECORD, offset, f"the payload is not JSON: {error}") from None
    if not isinstance(record, dict) or set(record) != set(_MEMBERS):
        raise FrameError(Fault.BAD_RECORD, offset, f"the record has not exactly the members {sorted(_MEMBERS)}")
    for name, kind in _MEMBERS.items():
        if type(record[name]) is not kind:
            raise FrameError(Fault.BAD_RECORD, offset, f"the record's {name} is not {kind.__name__}")
    return Record(**record, hash=sha256(payload).hexdigest(), offset=offset, end=offset + HEAD.size + len(payload))


_MEMBERS = {"at": str, "body": dict, "kind": str, "prev": str, "seq": int, "stream": str}


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"a {type(value).__name__} has no JSON form")
