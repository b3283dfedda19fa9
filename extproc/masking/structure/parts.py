"""Headers of a multipart body's parts (RFC 2045, 2046, 7578): what they say that decides how a part is read."""

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

from extproc.masking.stage import MaskError

_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
_PARAMETER = re.compile(r';[ \t]*(?:([^=;\s"]+)[ \t]*=[ \t]*("(?:[^"\\]|\\.)*"|[^;"]*))?[ \t]*')
_ESCAPED = re.compile(r"\\(.)")
_LINES = re.compile(rb"[^\r\n]+")
_FOLDED = re.compile(rb"\r?\n[ \t]+")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*:[ \t]*(.*)", re.DOTALL)
_ONCE = ("content-type", "content-disposition", "content-transfer-encoding")


class Malformed(MaskError):
    """Not multipart, as far as it was read."""


def parameters(value: str) -> tuple[str, dict[str, str]]:
    """A header's value as its first word in lower case, and its parameters by name in lower case, quotes taken off.
    Raises Malformed for one that is not well-formed, or has a parameter twice."""
    first, mark, rest = value.partition(";")
    found: dict[str, str] = {}
    rest, at = mark + rest, 0
    while at < len(rest):
        hit = _PARAMETER.match(rest, at)
        if hit is None or hit.end() == at:
            raise Malformed("malformed multipart: a header with a parameter that can't be read")
        at = hit.end()
        if hit[1] is None:
            continue
        name = hit[1].lower()
        if name in found:
            raise Malformed("malformed multipart: a header with the same parameter twice")
        quoted = hit[2][:1] == '"'
        found[name] = _ESCAPED.sub(r"\1", hit[2][1:-1]) if quoted else hit[2].strip()
    return first.strip().lower(), found


def boundary(content_type: str) -> bytes:
    """The boundary of a multipart type. Raises Malformed where it has none, or none that may be one."""
    _, given = parameters(content_type)
    value = given.get("boundary")
    if value is None or not _BOUNDARY.fullmatch(value):
        raise Malformed("a multipart body without a boundary of 1 to 70 characters in its content type")
    return value.encode("ascii")


@dataclass(frozen=True, slots=True)
class Part:
    """What a part's headers say. `names` are the ways to read its name, the likeliest first."""

    type: str
    essence: str
    names: tuple[str, ...]
    transfer: str


@lru_cache(maxsize=64)
def read_part(head: bytes) -> Part:
    """What a block of headers says. Raises Malformed for a line that is no header, and for a header that comes twice
    though it counts."""
    fields: dict[str, str] = {}
    for raw in _LINES.findall(_FOLDED.sub(b" ", head)):
        field = _FIELD.fullmatch(raw)
        if field is None:
            raise Malformed("malformed multipart: a part with a line that is no header")
        name = field[1].decode("ascii").lower()
        if name in _ONCE and name in fields:
            raise Malformed(f"malformed multipart: a part with more than one {name}")
        fields[name] = field[2].decode("utf-8", "replace").strip()
    kind, disposition, transfer = (fields.get(name, "") for name in _ONCE)
    return Part(kind, kind.partition(";")[0].strip().lower(), _names(disposition), transfer.lower())


def field_name(raw: bytes) -> str | None:
    """The name of the header that a line is, if it is one."""
    field = _FIELD.fullmatch(raw)
    return None if field is None else field[1].decode("ascii")


def _names(disposition: str) -> tuple[str, ...]:
    _, given = parameters(disposition)
    if any(key.startswith("name*") and key != "name*" for key in given):
        raise Malformed("malformed multipart: a name in several parameters")
    found = [given["name"]] if "name" in given else []
    if "name*" in given:  # RFC 5987: character set, language, value
        found.append(unquote(given["name*"].rpartition("'")[2]))
    # What browsers do for quotes in names.
    return tuple(dict.fromkeys([*found, *(unquote(name) for name in found)]))
