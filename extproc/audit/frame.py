"""The journal's bytes: one frame a record, each record naming the hash of the one before. Pure.

    frame   = length (4 bytes, big endian) | CRC-32 (4 bytes, big endian, over length and payload) | payload
    payload = canonical JSON (sorted members, no spaces, UTF-8) of {at, body, kind, prev, seq, stream}
    digest  = SHA-256 of the payload
    hash    = SHA-256 of prev's 32 bytes and the digest's 32 bytes; in hex it is the next record's `prev`

Record 0 of a stream has kind `genesis`, a body of {format, id, stream} with a random id, and `prev` of 64 zeros.
The CRC finds accidents; the chain finds edits, up to the last hash that somebody else holds.

The hash has two levels so that a record can be erased and the chain still be followed: the erased frame keeps its
length, and its payload is {digest, erased, seq} with spaces behind it. Whether it was to be erased, another record
says (kind `erased`); the frame alone says nothing.
"""

import re
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Any

import orjson

FORMAT = 2
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
    ERASED = "erased"
    RETIRED = "retired"
    BAD_SEAL = "bad-seal"


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
    """One record as read back. `offset` and `end` are its frame's bytes in the stream; `digest` and `hash` are hex."""

    stream: str
    seq: int
    kind: str
    at: str
    prev: str
    body: dict[str, Any]
    digest: str
    hash: str
    offset: int
    end: int


@dataclass(frozen=True, slots=True)
class Erased:
    """What is left of a record that was erased; members as in Record."""

    seq: int
    digest: str
    hash: str
    offset: int
    end: int


def encode(stream: str, seq: int, kind: str, at: str, prev: str, body: object) -> tuple[bytes, str]:
    """One frame and the record's hash. Raises Unencodable."""
    record = {"at": at, "body": body, "kind": kind, "prev": prev, "seq": seq, "stream": stream}
    try:
        payload = orjson.dumps(record, default=_plain, option=orjson.OPT_SORT_KEYS)
    except TypeError as error:
        raise Unencodable(f"record {seq} of {stream}: {error}") from None
    if len(payload) > MAX_PAYLOAD:
        raise Unencodable(f"record {seq} of {stream}: {len(payload)} bytes, at most {MAX_PAYLOAD}")
    return frame(payload), chain(prev, sha256(payload).digest())


def frame(payload: bytes) -> bytes:
    """The frame of a payload."""
    length = LENGTH.pack(len(payload))
    return b"%b%b%b" % (length, LENGTH.pack(zlib.crc32(payload, zlib.crc32(length))), payload)


def chain(prev: str, digest: bytes) -> str:
    """The hash of the record with this digest that follows the one with the hash `prev`. Raises ValueError where
    `prev` is not hex."""
    return sha256(bytes.fromhex(prev) + digest).hexdigest()


def erased(payload: bytes, seq: int) -> bytes:
    """The payload that stands in place of record `seq`'s, of the same length."""
    digest = sha256(payload).hexdigest().encode()
    return (b'{"digest":"%b","erased":true,"seq":%d}' % (digest, seq)).ljust(len(payload))


def seal_text(stream: str, origin: str, seq: int, head: str) -> str:
    """What the seal at `seq` signs: that the record before it has the hash `head`. `origin` is the id in the stream's
    genesis."""
    return f"holdpoint seal 1\n{stream}\n{origin}\n{seq}\n{head}\n"


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


def decode(payload: bytes, offset: int, prev: str | None = None) -> Record | Erased:
    """The record in a payload whose CRC held; `offset` is where its frame starts. Of an erased one the hash follows
    from `prev`, the hash of the record before it: without it, that it is erased is an error. Raises FrameError."""
    end = offset + HEAD.size + len(payload)
    if payload.startswith(_ERASED_START):
        return _blank(payload, offset, end, prev)
    try:
        record = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise FrameError(Fault.BAD_RECORD, offset, f"the payload is not JSON: {error}") from None
    if not isinstance(record, dict) or record.keys() != _MEMBERS.keys():
        raise FrameError(Fault.BAD_RECORD, offset, f"the record has not exactly the members {sorted(_MEMBERS)}")
    for name, kind in _MEMBERS.items():
        if type(record[name]) is not kind:
            raise FrameError(Fault.BAD_RECORD, offset, f"the record's {name} is not {kind.__name__}")
    if _HASH.fullmatch(record["prev"]) is None:
        raise FrameError(Fault.BAD_RECORD, offset, "the record's prev is not 64 hex digits")
    digest = sha256(payload)
    return Record(
        **record, digest=digest.hexdigest(), hash=chain(record["prev"], digest.digest()), offset=offset, end=end
    )


def _blank(payload: bytes, offset: int, end: int, prev: str | None) -> Erased:
    found = _BLANK.fullmatch(payload)
    if found is None:
        raise FrameError(Fault.BAD_RECORD, offset, "neither a record nor what is left of an erased one")
    if prev is None:
        raise FrameError(Fault.ERASED, offset, "the record was erased")
    digest = found[1].decode()
    return Erased(int(found[2]), digest, chain(prev, bytes.fromhex(digest)), offset, end)


_ERASED_START = b'{"digest":"'
_BLANK = re.compile(rb'\{"digest":"([0-9a-f]{64})","erased":true,"seq":(0|[1-9][0-9]{0,18})\} *')
_HASH = re.compile(r"[0-9a-f]{64}")
_MEMBERS = {"at": str, "body": dict, "kind": str, "prev": str, "seq": int, "stream": str}


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"a {type(value).__name__} has no JSON form")
