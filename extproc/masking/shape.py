"""How a body is read, by its content type: in one way, or not at all."""

import re
from enum import Enum, auto
from functools import lru_cache

from extproc.masking.stage import MaskError


class Shape(Enum):
    """How a body is read."""

    JSON = auto()
    EVENTS = auto()
    FORM = auto()
    MULTIPART = auto()
    CSV = auto()
    XML = auto()
    HTML = auto()
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
_NAMED = {
    "text/event-stream": Shape.EVENTS,
    "application/x-www-form-urlencoded": Shape.FORM,
    "text/csv": Shape.CSV,
    "application/csv": Shape.CSV,
    "text/tab-separated-values": Shape.CSV,
    "text/html": Shape.HTML,
    "application/xhtml+xml": Shape.HTML,
    # What says little: JSON if it looks like it.
    "": Shape.UNSURE_TEXT,
    "text/plain": Shape.UNSURE_TEXT,
    "application/octet-stream": Shape.UNSURE_BINARY,
}
_TEXT = re.compile(r"text/.*|application/(?:(?:x-)?(?:java|ecma)script|(?:x-)?yaml|toml|graphql|sql|x-sh|x-pem-file)")
_XML = re.compile(r"(?:application|text)/(?:xml|.*\+xml)|image/svg\+xml")
_JSON = re.compile(r"(?:application|text)/(?:(?:.*\+)?json|x-ndjson|ndjson|jsonl|x-jsonlines|jsonlines|x-json-stream)")


@lru_cache(maxsize=256)
def shape(content_type: str) -> Shape:
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
        return Shape.JSON
    if essence in _NAMED:
        return _NAMED[essence]
    if _XML.fullmatch(essence):
        return Shape.XML
    if essence.startswith("multipart/"):
        return Shape.MULTIPART
    if "json" in essence:  # in words of its own: whatever begins like JSON is read as JSON
        return Shape.UNSURE_BINARY
    return Shape.BINARY if not _TEXT.fullmatch(essence) else Shape.TEXT
