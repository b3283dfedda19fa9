"""Whatever text comes for SQL ends in facts or in Unparsable, with work in proportion to its length; and what records
say of it, and which trace it claims, can be told of any text."""

import cProfile

import orjson

from extproc.protocols.postgres.context import of_connection, of_statement
from extproc.protocols.postgres.sql import UNKNOWNS, Reader, Script, Unparsable
from extproc.protocols.postgres.sql.hiding import Covered, cover
from extproc.protocols.postgres.sql.tree import parse
from extproc.protocols.postgres.summary import Told
from tests.fuzz.plans import SMALL
from tests.fuzz.source import Source

CHOICES = 4
LIMIT = 60
"""Calls for each character, at most, and for SHORT characters in any case."""

SHORT = 1024
_MOST = 8 << 10
_HIDDEN = "[hidden]"
_NAMES = frozenset({"email", "ssn", "a", "b"})


def statements(data: bytes) -> None:
    """The first bytes choose what of the text comes over and over, and how often; NULs part it from the texts that are
    prepared and declared before it."""
    text, before, flags = prepare(data)
    prepared = {name: read for name, one in zip("st", before, strict=False) if (read := _read(one)) is not None}
    calls = _counted(text, prepared)
    if calls > LIMIT:  # what is made when it is first needed is no work of this text
        calls = _counted(text, prepared)
    assert calls <= LIMIT, "calls for each character"
    script = _read(text, prepared)
    if script is not None:
        _facts(script, flags)
    _told(text)


def prepare(data: bytes) -> tuple[str, list[str], int]:
    """The text, those before it, and what is left to choose."""
    source = Source(data, CHOICES)
    start, end, times, flags = source.byte(), source.byte(), source.byte(), source.byte()
    text, *before = source.rest.decode("utf-8", "replace").split("\0")[:3]
    return _repeated(text, start, end, times), before, flags


def take(text: str, prepared: dict[str, Script] | None = None) -> None:
    """Do with a text what is done with one that comes."""
    _read(text, prepared)
    _covered(text)


def _repeated(text: str, start: int, end: int, times: int) -> str:
    """With a piece of it over and over: what takes time in proportion to a square is seen by it."""
    at, until = sorted((len(text) * start // 256, len(text) * end // 256))
    piece = text[at:until]
    most = _MOST // max(1, len(piece))
    return text[:at] + piece * min(most, 1 + times * times // 4) + text[until:]


def _read(text: str, prepared: dict[str, Script] | None = None) -> Script | None:
    known = prepared or {}
    try:
        return Reader(2).read(text, known, known)
    except Unparsable:
        return None


def _counted(text: str, prepared: dict[str, Script]) -> int:
    """Calls for each character, but for those of a fuzzer's instrumentation, and of C, which is not Python's:
    what PostgreSQL's own parser takes is measured by `tests.fuzz.slow`."""
    profile = cProfile.Profile(builtins=False)
    profile.enable()
    try:
        take(text, prepared)
    finally:
        profile.disable()
    return sum(one.callcount for one in profile.getstats() if "_trace_" not in str(one.code)) // max(SHORT, len(text))


def _covered(text: str) -> Covered:
    return cover(text, lambda name: name.lower() in _NAMES, f"'{_HIDDEN}'", strict=True)


def _facts(script: Script, flags: int) -> None:
    """They are documents, of the vocabulary that policies know, and of each result's columns there is an answer."""
    assert script.statements, "nothing is not even an empty statement"
    assert len(script.outer) == len(script.results) or script.outer[0].kind == "empty"
    script = script.calling({"a", "f"}) if flags & 1 else script
    orjson.dumps(script.document)
    assert all(set(one.unknown) <= set(UNKNOWNS) for one in script.statements)
    labels = ["a", "b", "email", "?column?"][: flags >> 1 & 7]
    for number, outputs in enumerate(script.results):
        named = [output.label or "a" for output in outputs or ()]
        for wanted in (labels, named):
            found = script.lineage(wanted, number)
            assert len(found) == len(wanted)
            assert not any(column.is_star for origins in found for column in origins or ())


def _told(text: str) -> None:
    """What a record says of it, and what it claims."""
    covered = _covered(text)
    if covered.text != text and covered.parameters is not None:
        assert _parses(covered.text), "a text that was read is none any more once its values are hidden"
    told = Told({}, SMALL, text, ("a value", None, "4111 1111 1111 1111"))
    orjson.dumps(told.document(_NAMES))
    for claimed in (of_statement(text, text), of_connection([("x.traceparent", text), (text, text)], text)):
        assert claimed is None or set(claimed) == {"traceparent", "tracestate"}


def _parses(text: str) -> bool:
    try:
        parse(text)
    except Unparsable:
        return False
    return True
