"""Values that are hidden in a statement's text: inside constants and comments, never across a token.

PostgreSQL's own scanner says where a token ends. A constant may be code (the body of a DO, the text of an EXECUTE), so
inside one no more is hidden than in any text; a constant is hidden as a whole where it is one word that a rule takes
for a value.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from extproc.domain.action import Unrenderable
from extproc.masking.engine.fingerprint import CREDENTIAL
from extproc.masking.engine.scanner import scan, whole
from extproc.masking.hiding import Hidden, Hiding, apart, cover, for_records
from extproc.masking.plan import Knowledge
from extproc.masking.redact import redact
from extproc.protocols.postgres.sql.tree import tokens
from extproc.protocols.shown import EXCERPT_CHARACTERS, MARGIN, cut

_QUOTED: Final = frozenset({"SCONST", "USCONST", "BCONST", "XCONST"})
_NUMBERS: Final = frozenset({"ICONST", "FCONST"})
_COMMENTS: Final = frozenset({"C_COMMENT", "SQL_COMMENT"})
_NAMES: Final = frozenset({"IDENT", "UIDENT"})
_PLACES: Final = _QUOTED | _NUMBERS | _COMMENTS | _NAMES
_BLANKS: Final = " \t\n\r\f\v"
_DOLLARS = re.compile(rb"\$[^$]*\$")
_LONGEST: Final = 64 << 10
"""Characters of a text of which only the start is recorded, if it is to be read by tokens."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where something may be hidden, in bytes: what stands between the quotes of a constant, in a comment, a name."""

    start: int
    end: int
    constant: bool = False
    name: bool = False


def for_approver(sql: str, hiding: Hiding) -> str:
    """All of a statement's text. Raises Unrenderable where its tokens can't be told."""
    data, scanned = sql.encode("utf-8", "surrogatepass"), tokens(sql)
    if not _complete(sql, scanned):
        raise Unrenderable("The statement can't be read as PostgreSQL reads it, so nobody could say what would run")
    places = [one for one in _places(sql, data, scanned) if not one.name]
    alone = {(one.start, one.end) for one in places if one.constant}
    found = [
        (span.start, span.end, span.kind)
        for span in whole(scan(hiding.everything, data))
        if (span.start, span.end) in alone and hiding.alone(data[span.start : span.end].decode())
    ]
    found = apart(found, _within(hiding.closed_inside(data), places))
    return cover(data, found).decode("utf-8", "surrogatepass")


def for_record(sql: str, known: Knowledge, most: int = EXCERPT_CHARACTERS) -> str:
    """The start of a statement's text, `most` characters of it."""
    looked = sql[: most + MARGIN]
    if redact(looked, known)[0] is looked:
        return cut(sql, most)
    hiding, data = for_records(known), looked.encode("utf-8", "surrogatepass")
    inside = hiding.inside(data)
    if len(sql) > _LONGEST:
        # Where its tokens end nobody looks, so it is told up to the first value.
        return cut(data[: inside[0][0]].decode("utf-8", "ignore") + "…", most)
    places = list(_places(sql, sql.encode("utf-8", "surrogatepass"), tokens(sql)))
    if places:
        closed = hiding.closed_inside(data)
        inside = apart(_within(inside, places), apart(_within(closed, places), _pieces(closed, places)))
    # What has no tokens no server runs.
    return cut(cover(data, inside).decode("utf-8", "surrogatepass"), most)


def _complete(sql: str, scanned: list[tuple[int, int, str]]) -> bool:
    """Whether the tokens are all of a text but for the blanks between them."""
    at = 0
    for start, end, _ in [*scanned, (len(sql), len(sql), "")]:
        if sql[at:start].strip(_BLANKS):
            return False
        at = end
    return True


def _places(sql: str, data: bytes, scanned: list[tuple[int, int, str]]) -> Iterator[_Place]:
    """The insides of constants, comments and names, in order."""
    at = before = 0
    for first, last, kind in scanned:
        if kind not in _PLACES:
            continue
        if sql.isascii():
            start, end = first, last
        else:
            start = at + len(sql[before:first].encode("utf-8", "surrogatepass"))
            end = start + len(sql[first:last].encode("utf-8", "surrogatepass"))
            at, before = end, last
        if kind in _QUOTED:
            yield _Place(*_unquoted(data, start, end), constant=True)
        elif kind in _COMMENTS:
            yield _Place(start + 2, end - 2 if kind == "C_COMMENT" else end)
        else:
            yield _Place(start, end, constant=kind in _NUMBERS, name=kind in _NAMES)


def _unquoted(data: bytes, start: int, end: int) -> tuple[int, int]:
    """What stands between the quotes of a constant."""
    if data[start] == 36 and (dollars := _DOLLARS.match(data, start)):
        return dollars.end(), end - len(dollars[0])
    return data.index(b"'", start) + 1, end - 1


def _within(found: list[Hidden], places: list[_Place]) -> list[Hidden]:
    """Those that lie inside one constant or comment; and credentials of the gateway's own inside a name."""
    kept: list[Hidden] = []
    for start, end, kind in found:
        place = _last(places, start)
        if place is not None and end <= place.end and (not place.name or kind == CREDENTIAL):
            kept.append((start, end, kind))
    return kept


def _pieces(found: list[Hidden], places: list[_Place]) -> list[Hidden]:
    """What constants have of them: `4111-1111` are two, and a sign that is shown."""
    pieces: list[Hidden] = []
    for start, end, kind in found:
        at = max(0, bisect_right(places, start, key=_begins) - 1)
        while at < len(places) and places[at].start < end:
            place = places[at]
            if place.constant and start < place.end:
                pieces.append((max(start, place.start), min(end, place.end), kind))
            at += 1
    return pieces


def _last(places: list[_Place], at: int) -> _Place | None:
    """The last place that begins at or before an offset."""
    index = bisect_right(places, at, key=_begins)
    return places[index - 1] if index else None


def _begins(place: _Place) -> int:
    return place.start
