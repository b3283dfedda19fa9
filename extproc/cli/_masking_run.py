"""`holdpoint masking run`: a stream through the engine, as it goes through the gateway."""

import argparse
import hashlib
import json
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from extproc.cli._common import OK, CommandError
from extproc.cli._masking_rules import engine_of, kinds_of, settings_of
from extproc.config.kinds import suggestion
from extproc.domain.decision import KEY_LENGTH, Mask, Operator
from extproc.masking.build import build
from extproc.masking.engine.scanner import Scanner, whole
from extproc.masking.engine.span import Span, tally
from extproc.masking.plan import Knowledge, Plan
from extproc.masking.stage import MaskError, Stage

_PIECE = 64 << 10
_KEY_BYTES = 32
_LEAST_KEY = 32
_LANE = "response"
_TEXT, _BYTES = "text/plain", "application/octet-stream"
_TYPES = {
    ".json": "application/json",
    ".ndjson": "application/x-ndjson",
    ".jsonl": "application/x-ndjson",
    ".csv": "text/csv",
    ".tsv": "text/tab-separated-values",
    ".xml": "application/xml",
    ".svg": "image/svg+xml",
    ".html": "text/html",
    ".htm": "text/html",
    ".sse": "text/event-stream",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".md": "text/markdown",
}
"""Content types by a file's suffix; any other is text, or bytes."""

_OPAQUE = {
    b"\x1f\x8b": "gzip; decode it first, as `zcat` does",
    b"\x28\xb5\x2f\xfd": "zstd; decode it first, as `zstdcat` does",
    b"BZh": "bzip2; decode it first, as `bzcat` does",
    b"\xfd7zXZ": "xz; decode it first, as `xzcat` does",
    b"PK\x03\x04": "a ZIP archive or an office document; take its files out first",
    b"%PDF-": "a PDF document, whose text is compressed; `pdftotext` takes it out",
    b"\xff\xfe": "UTF-16; `iconv -f UTF-16 -t UTF-8` makes it readable",
    b"\xfe\xff": "UTF-16; `iconv -f UTF-16 -t UTF-8` makes it readable",
}
"""What begins so has its values where nobody finds them."""


def run(arguments: argparse.Namespace) -> int:
    """Mask, or say where values are."""
    engine = engine_of(arguments)
    kinds = kinds_of(engine, arguments.kinds)
    if long := next((key for key in arguments.keys if not 0 < len(key) <= KEY_LENGTH), None):
        raise CommandError(f"--key: {long[:20]!r}…: a name has {KEY_LENGTH} characters at most")
    with _opened(arguments.file) as source:
        first = next(pieces := _pieces(source, arguments.file), b"")
        content_type = _type(arguments, first)
        if arguments.json:
            if arguments.operator is not None or arguments.hash_key is not None or arguments.lenient:
                raise CommandError("--json says where values are and masks nothing; leave out how to mask them")
            plan = Plan(engine.detector(kinds), frozenset(arguments.keys)).in_text()
            return _places(plan, first, pieces, arguments.quiet)
        operator = _operator(arguments.operator)
        knowledge = Knowledge(engine, hash_key=_hash_key(arguments, operator))
        mask = Mask("command line", tuple(kinds), tuple(arguments.keys), operator, (_LANE,), arguments.lenient)
        try:
            stage = build((mask,), _LANE, content_type, knowledge)
        except MaskError as error:
            raise CommandError(f"--type: {error}") from error
        if stage is None:
            raise CommandError("there is nothing to mask: no rule has these kinds")
        return _masked(stage, first, pieces, arguments)


def _masked(stage: Stage, first: bytes, pieces: Iterator[bytes], arguments: argparse.Namespace) -> int:
    out, written = sys.stdout.buffer, 0
    try:
        piece = first
        while piece:
            written += out.write(stage.feed(piece))
            out.flush()
            piece = next(pieces, b"")
        written += out.write(stage.finish())
        out.flush()
    except MaskError as error:
        hint = "" if arguments.lenient else "; --lenient masks as text what can't be read"
        raise CommandError(f"{error}; stopped after {written} bytes were written{hint}") from error
    except KeyboardInterrupt:
        _tell("masked until then", stage.counts, arguments.quiet)
        raise
    _tell("masked", stage.counts, arguments.quiet)
    return OK


def _places(plan: Plan, first: bytes, pieces: Iterator[bytes], quiet: bool) -> int:
    """A line of JSON for each value, as soon as its end is known. It is read as text, whatever its type."""
    scanner, counts = Scanner(plan.detector), dict[str, int]()
    last: list[Span] = []
    piece = first
    while True:
        for span in scanner.feed(piece, final=not piece):
            tally(counts, span)
            if span.first and last:
                _print_place(last)
                last = []
            last = whole([*last, span])
        if last and (not piece or last[0].end < scanner.settled):
            _print_place(last)
            last = []
        sys.stdout.flush()
        if not piece:
            break
        piece = next(pieces, b"")
    _tell("found", counts, quiet)
    return OK


def _print_place(value: list[Span]) -> None:
    (span,) = value
    told = {"start": span.start, "end": span.end, "kind": span.kind, "score": span.score, "rule": span.rule}
    print(json.dumps({**told, "also": list(span.more)} if span.more else told))


def _tell(what: str, counts: Mapping[str, int], quiet: bool) -> None:
    if not quiet:
        told = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())) or "nothing"
        print(f"{what}: {told}", file=sys.stderr)


def _type(arguments: argparse.Namespace, first: bytes) -> str:
    """The content type: as named, or by the file's name, or by what it begins with."""
    if arguments.type is not None:
        return str(arguments.type)
    if opaque := next((says for magic, says in _OPAQUE.items() if first.startswith(magic)), None):
        raise CommandError(f"this is {opaque} (--type {_BYTES} reads it as it is)")
    named = _TYPES.get(arguments.file.suffix.lower()) if arguments.file is not None else None
    guessed = named or (_BYTES if b"\0" in first else _TEXT)
    if guessed != _TEXT and not arguments.quiet:
        by = "its name" if named else "its NUL bytes"
        as_text = ", and as text for --json" if arguments.json else ""
        print(f"read as {guessed}, by {by}{as_text}; --type says otherwise", file=sys.stderr)
    return guessed


def _operator(name: str | None) -> Operator:
    if name is None:
        return Operator.REDACT
    try:
        return Operator(name)
    except ValueError:
        hint = suggestion(name, Operator) or f"; there are {', '.join(Operator)}"
        raise CommandError(f"--operator: there is no operator {name!r}{hint}") from None


def _hash_key(arguments: argparse.Namespace, operator: Operator) -> bytes:
    """The key of hashes: of the file, or the configuration's, derived as the gateway does; or a new one."""
    path: Path | None = arguments.hash_key
    if operator is not Operator.HASH:
        if path is not None:
            raise CommandError("--hash-key: is for --operator hash")
        return b""
    settings = settings_of(arguments)
    if path is None and settings is not None:
        path = settings.masking.hash_key
    if path is None:
        if not arguments.quiet:
            print("hashes of this run can't be compared with others: its key is new (--hash-key)", file=sys.stderr)
        return secrets.token_bytes(_KEY_BYTES)
    try:
        key = path.read_bytes()
    except OSError as error:
        raise CommandError(f"{path}: can't be read ({error.strerror})") from error
    if len(key) < _LEAST_KEY:
        raise CommandError(f"{path}: {len(key)} bytes are too few for a key; `openssl rand -hex 32` makes one")
    return hashlib.blake2b(key, digest_size=_KEY_BYTES).digest()


@contextmanager
def _opened(path: Path | None) -> Iterator[BinaryIO]:
    if path is None:
        if sys.stdin.isatty():
            print("reading from the terminal; Ctrl-D ends it", file=sys.stderr)
        yield sys.stdin.buffer
        return
    try:
        source = path.open("rb")
    except OSError as error:
        raise CommandError(f"{path}: can't be read ({error.strerror})") from error
    with source:
        yield source


def _pieces(source: BinaryIO, path: Path | None) -> Iterator[bytes]:
    """What comes, as it comes."""
    read = source.read1 if isinstance(source, BufferedReader) else source.read
    while True:
        try:
            piece = read(_PIECE)
        except OSError as error:
            raise CommandError(f"{path or 'stdin'}: can't be read on ({error.strerror})") from error
        if not piece:
            return
        yield piece
