"""The words of recorded bodies: text of a bounded length, where the body is one."""

import re
import zlib
from collections.abc import Iterable

from extproc.audit.bodies.folder import BodyUnreadable
from extproc.audit.bodies.heads import POSTGRES
from extproc.audit.bodies.places import Bodies
from extproc.audit.dialogue.postgres import messages
from extproc.audit.dialogue.text import words
from extproc.audit.index.rows import Kept, plain
from extproc.audit.objects import ObjectStoreError

LONGEST = 256 * 1024
"""Bytes of a body, decoded, whose words are indexed."""
_TEXT = re.compile(r"text/.*|.*[/+](json|xml|javascript|x-www-form-urlencoded|x-ndjson|graphql|yaml)")
# zlib's own numbers: a gzip header, or a zlib one.
_INFLATE = {"gzip": 31, "x-gzip": 31, "deflate": 15}


def is_text(content_type: str) -> bool:
    """Whether a body of this type is read as text."""
    return _TEXT.fullmatch(content_type.partition(";")[0].strip().lower()) is not None


def plain_bytes(pieces: Iterable[bytes], coding: str, most: int = LONGEST) -> bytes:
    """The start of a body with its content coding undone; what it is in another coding, or not whole, as far as it can
    be read."""
    name, taken = coding.strip().lower(), bytearray()
    inflate = zlib.decompressobj(_INFLATE[name]) if name in _INFLATE else None
    if inflate is None and name not in ("", "identity"):
        return b""
    for piece in pieces:
        try:
            taken += piece if inflate is None else inflate.decompress(piece, most - len(taken) + 1)
        except zlib.error:
            break
        if len(taken) >= most:
            break
    return bytes(taken[:most])


class BodyTexts:
    """The words of bodies that may be searched."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies

    def __call__(self, kept: Kept) -> str:
        """The text of a body; empty where it has none, or is gone: what can't be read can't be found."""
        if not is_text(kept.type) and kept.type != POSTGRES:
            return ""
        try:
            data = plain_bytes(self._bodies.open(kept.address), kept.coding)
            said = words(messages(data, kept.lane)) if kept.type == POSTGRES else data.decode("utf-8", "replace")
            return plain(said)
        except (BodyUnreadable, ObjectStoreError, OSError, ValueError):
            return ""
