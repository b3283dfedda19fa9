"""What people are shown of an action: a little in its record, all of it where they approve it.

Values are hidden in both, code in neither. What an approver is shown is what goes on, under the masks that change it,
and less some values that go on but nobody should read in a list: see `masking.hiding`.
"""

import json
import re
from urllib.parse import unquote_to_bytes

from extproc.masking.hiding import Hidden, Hiding, cover, for_records
from extproc.masking.plan import Knowledge
from extproc.masking.redact import redact
from extproc.masking.structure.escaped import spelling, unescape

EXCERPT_CHARACTERS = 1000
RENDER_BYTES = 1 << 20
"""What a person can be asked to read before they approve, at most."""

MARGIN = 4000
"""Characters: longer than any one value that a rule matches in full, so that cutting leaves no half of one behind."""

# A string, with the colon where it is a name; a number; the end of a container.
_JSON = re.compile(rb'"([^"\\]*(?:\\.[^"\\]*)*)"(\s*:)?|(?<![\w.])-?\d[0-9.eE+-]*|[\]}]', re.DOTALL)

# Between two documents.
_BETWEEN = re.compile(r"[ \t\r\n\x1e]*")


def excerpt(text: str, known: Knowledge, most: int = EXCERPT_CHARACTERS, *, document: bool = False) -> str:
    """The start of a text for a record: masked first, cut after, so that no half of a value is left. `document`: it is
    JSON."""
    looked = text[: most + MARGIN]
    masked = redact(looked, known)[0]
    if document and masked is not looked:
        masked = hide_json(looked, for_records(known))
    return cut(masked, most)


def cut(text: str, most: int) -> str:
    """The start of a text, and a sign where there is more."""
    return text if len(text) <= most else text[:most] + "…"


def hide(text: str, hiding: Hiding) -> str:
    """A text of which no structure is known."""
    data = _bytes(text)
    return _text(cover(data, hiding.inside(data)))


def hide_json(text: str, hiding: Hiding) -> str:
    """JSON: in string values and numbers. Names of members and the structure are shown. Works on the start of a
    document, too."""
    data = _bytes(text)
    places: list[tuple[int, int]] = []
    values: list[tuple[bytes, str]] = []
    name = ""
    for token in _JSON.finditer(data):
        if token[2] is not None:
            name = _text(unescape(token[1]))
        elif token[1] is not None:
            places.append(token.span(1))
            values.append((unescape(token[1]), name))
        elif token[0] in (b"]", b"}"):
            name = ""
        else:
            places.append(token.span())
            values.append((token[0], name))
    found: list[Hidden] = []
    for index, hidden in hiding.fields(values).items():
        start, end = places[index]
        bounds = spelling(data[start:end], [at for one in hidden for at in one[:2]])
        found += [(start + bounds[2 * i], start + bounds[2 * i + 1], one[2]) for i, one in enumerate(hidden)]
    return _text(cover(data, found))


def hide_pairs(text: str, hiding: Hiding) -> str:
    """A form or a query: in the values of its pairs, as they are meant. What is escaped is hidden whole or not at
    all."""
    pairs = [part.partition(b"=") for part in _bytes(text).split(b"&")]
    values = [(_meant(value), _text(_meant(name))) for name, _, value in pairs]
    found = hiding.fields(values)
    parts: list[bytes] = []
    for index, (name, equals, value) in enumerate(pairs):
        hidden = found.get(index, [])
        if values[index][0] != value and [one[:2] for one in hidden] != [(0, len(values[index][0]))]:
            hidden = []
        elif values[index][0] != value:
            hidden = [(0, len(value), hidden[0][2])]
        parts.append(name + equals + cover(value, hidden))
    return _text(b"&".join(parts))


def is_json(text: str) -> bool:
    """Whether a text is JSON: an object or an array, or several in a row (JSON lines, RFC 7464)."""
    decode, at, end = json.JSONDecoder().raw_decode, 0, len(text)
    while (at := _BETWEEN.match(text, at).end()) < end:  # type: ignore[union-attr]
        if text[at] not in "{[":
            return False
        try:
            _, at = decode(text, at)
        except (ValueError, RecursionError):
            return False
    return bool(text.strip())


def _meant(raw: bytes) -> bytes:
    return unquote_to_bytes(raw.replace(b"+", b" "))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
