"""What `holdpoint masking` reads: stdin or a file, piece by piece, and what its content type is."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from extproc.cli._common import CommandError

_PIECE = 64 << 10
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


def stdin() -> BinaryIO:
    """Standard input. A person at a terminal is told that it is waited for. Raises CommandError."""
    if sys.stdin is None:
        raise CommandError("stdin is closed; name a file instead, or give it something to read")
    if sys.stdin.isatty():
        print("reading from the terminal; Ctrl-D ends it", file=sys.stderr)
    return sys.stdin.buffer


@contextmanager
def opened(path: Path | None) -> Iterator[BinaryIO]:
    """The file, or stdin without one. Raises CommandError."""
    if path is None:
        yield stdin()
        return
    try:
        source = path.open("rb")
    except OSError as error:
        raise CommandError(f"{path}: can't be read ({error.strerror})") from error
    with source:
        yield source


def pieces(source: BinaryIO, path: Path | None) -> Iterator[bytes]:
    """What comes, as it comes. Raises CommandError."""
    read = source.read1 if isinstance(source, BufferedReader) else source.read
    while True:
        try:
            piece = read(_PIECE)
        except OSError as error:
            raise CommandError(f"{path or 'stdin'}: can't be read on ({error.strerror})") from error
        if not piece:
            return
        yield piece


def guessed_type(arguments: argparse.Namespace, first: bytes) -> str:
    """The content type where none is named: by the file's name, or by what it begins with. Raises CommandError."""
    if opaque := next((says for magic, says in _OPAQUE.items() if first.startswith(magic)), None):
        raise CommandError(f"this is {opaque} (--type {_BYTES} reads it as it is)")
    named = _TYPES.get(arguments.file.suffix.lower()) if arguments.file is not None else None
    guessed = named or (_BYTES if b"\0" in first else _TEXT)
    if guessed != _TEXT and not arguments.quiet:
        by = "its name" if named else "its NUL bytes"
        as_text = ", and as text for --json" if arguments.json else ""
        print(f"read as {guessed}, by {by}{as_text}; --type says otherwise", file=sys.stderr)
    return guessed
