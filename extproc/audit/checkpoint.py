"""A checkpoint: the heads of all streams at one moment, in one signed document that names the checkpoint before it.

    {"at", "every", "number", "previous", "streams": {stream: {"hash", "id", "offset", "seq"}}, "key", "signature"}

`seq` and `hash` are those of the last record that is vouched for, `offset` the byte of the stream after it, `id` the
one in the stream's genesis. `previous` is the SHA-256 of the canonical JSON of the checkpoint before, 64 zeros at
first. The signature is over SIGNED and the canonical JSON of all other members. `every` is how many seconds there are
to be between two at most, while anything is written.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import orjson

from extproc.audit.frame import ZERO
from extproc.audit.keys import BadSignature, PublicKeys, Signer
from extproc.domain.json import Document

KIND = "checkpoint"
STREAM = "archivist"
"""The stream that checkpoints are written to."""
SIGNED = "holdpoint checkpoint 1\n"
_MOST = 1 << 63
_HASH = re.compile(r"[0-9a-f]{64}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


class BadCheckpoint(ValueError):
    """A document is no checkpoint, or not one that a known key signed."""


@dataclass(frozen=True, slots=True)
class Head:
    """The last record of a stream: its number and hash (hex), the byte after it, and the id of the stream's genesis."""

    id: str
    seq: int
    hash: str
    offset: int

    def document(self) -> dict[str, str | int]:
        """As a checkpoint has it."""
        return {"id": self.id, "seq": self.seq, "hash": self.hash, "offset": self.offset}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checked one. `at` is RFC 3339, `every` in seconds, `digest` what the next one has as `previous`."""

    number: int
    previous: str
    at: str
    every: float
    streams: Mapping[str, Head]
    key: str
    digest: str


def build(
    number: int, previous: str, at: str, every: float, streams: Mapping[str, Head], signer: Signer
) -> dict[str, Any]:
    """The signed document of a checkpoint."""
    body: dict[str, Any] = {"number": number, "previous": previous, "at": at, "every": every, "key": signer.key_id}
    body["streams"] = {stream: head.document() for stream, head in sorted(streams.items())}
    return body | {"signature": signer.sign(_text(body))}


def digest_of(document: Document) -> str:
    """What the next checkpoint names this one by, in hex."""
    return sha256(_canonical(document)).hexdigest()


def read(document: object) -> Checkpoint:
    """A checkpoint whose signature nobody has looked at. Raises BadCheckpoint."""
    if not isinstance(document, dict) or document.keys() != _MEMBERS.keys():
        raise BadCheckpoint(f"not a checkpoint: expected an object with exactly the members {sorted(_MEMBERS)}")
    for name, kind in _MEMBERS.items():
        if isinstance(document[name], bool) or not isinstance(document[name], kind):
            raise BadCheckpoint(f"not a checkpoint: its {name} is not of the right type")
    if not 0 <= document["number"] < _MOST or not _HASH.fullmatch(document["previous"]):
        raise BadCheckpoint("not a checkpoint: its number or previous is not well-formed")
    if not _TIME.fullmatch(document["at"]):
        raise BadCheckpoint("not a checkpoint: its time is not well-formed")
    heads = {stream: _head(stream, head) for stream, head in document["streams"].items()}
    return Checkpoint(
        document["number"], document["previous"], document["at"], float(document["every"]), heads, document["key"],
        digest_of(document),
    )  # fmt: skip


def check(document: object, keys: PublicKeys) -> Checkpoint:
    """The checkpoint in a document, if one of the keys signed it. Raises BadCheckpoint."""
    found = read(document)
    assert isinstance(document, dict)
    body = {name: value for name, value in document.items() if name != "signature"}
    try:
        keys.verify(found.key, _text(body), document["signature"])
    except BadSignature as error:
        raise BadCheckpoint(f"checkpoint {found.number}: {error}") from None
    return found


def _head(stream: str, head: object) -> Head:
    if not isinstance(head, dict) or head.keys() != {"id", "seq", "hash", "offset"}:
        raise BadCheckpoint(f"not a checkpoint: the head of stream {stream[:64]!r} is not {{hash, id, offset, seq}}")
    well = (type(head["seq"]), type(head["offset"]), type(head["id"]), type(head["hash"])) == (int, int, str, str)
    if not well or not all(0 <= head[n] < _MOST for n in ("seq", "offset")) or not _HASH.fullmatch(head["hash"]):
        raise BadCheckpoint(f"not a checkpoint: the head of stream {stream[:64]!r} is not well-formed")
    return Head(head["id"], head["seq"], head["hash"], head["offset"])


def _canonical(document: Document) -> bytes:
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)


def _text(body: Document) -> str:
    return SIGNED + _canonical(body).decode()


_MEMBERS: dict[str, type | tuple[type, ...]] = {
    "number": int, "previous": str, "at": str, "every": (int, float), "streams": dict, "key": str, "signature": str
}  # fmt: skip
FIRST = ZERO
"""What the first checkpoint has as `previous`."""
