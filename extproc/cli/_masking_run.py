"""`holdpoint masking run`: a stream through the engine, as it goes through the gateway."""

import argparse
import hashlib
import json
import secrets
import sys
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path

from extproc.cli._common import OK, CommandError
from extproc.cli._masking_input import guessed_type, opened, pieces
from extproc.cli._masking_rules import engine_of, kinds_of, settings_of
from extproc.config.kinds import suggestion
from extproc.domain.mask import KEY_LENGTH, Mask, Operator
from extproc.masking.build import build
from extproc.masking.engine.scanner import Scanner, whole
from extproc.masking.engine.span import Span, tally
from extproc.masking.plan import Knowledge, Plan
from extproc.masking.stage import MaskError, Stage

_KEY_BYTES = 32
_LEAST_KEY = 32
_LANE = "response"


def run(arguments: argparse.Namespace) -> int:
    """Mask, or say where values are."""
    # Whatever may be wrong is said before anybody types, or waits for, what is read.
    if wrong := [key for key in arguments.keys if not 0 < len(key) <= KEY_LENGTH]:
        raise CommandError(f"--key: {wrong[0][:20]!r} has {len(wrong[0])} characters; a name has 1 to {KEY_LENGTH}")
    if arguments.json and (arguments.operator is not None or arguments.hash_key is not None or arguments.lenient):
        raise CommandError("--json says where values are and masks nothing; leave out how to mask them")
    operator = _operator(arguments.operator)
    hash_key = _hash_key(arguments, operator)
    engine = engine_of(arguments)
    kinds = kinds_of(engine, arguments.kinds)
    with opened(arguments.file) as source:
        coming, content_type = pieces(source, arguments.file), arguments.type
        if content_type is None:
            first = next(coming, b"")
            coming, content_type = chain([first], coming), guessed_type(arguments, first)
        if arguments.json:
            plan = Plan(engine.detector(kinds), frozenset(arguments.keys)).in_text()
            return _places(plan, coming, arguments.quiet)
        mask = Mask("command line", tuple(kinds), tuple(arguments.keys), operator, (_LANE,), arguments.lenient)
        try:
            stage = build((mask,), _LANE, content_type, Knowledge(engine, hash_key=hash_key))
        except MaskError as error:
            raise CommandError(f"--type: {error}") from error
        if stage is None:
            raise CommandError("there is nothing to mask: no rule has these kinds")
        return _masked(stage, coming, arguments)


def _masked(stage: Stage, coming: Iterator[bytes], arguments: argparse.Namespace) -> int:
    written = 0
    try:
        for piece in coming:
            written += _write(stage.feed(piece), written)
        written += _write(stage.finish(), written)
    except MaskError as error:
        hint = "" if arguments.lenient else "; --lenient masks as text what can't be read"
        raise CommandError(f"{error}; stopped after {written} bytes were written{hint}") from error
    except KeyboardInterrupt:
        _tell("masked until then", stage.counts, arguments.quiet)
        raise
    _tell("masked", stage.counts, arguments.quiet)
    return OK


def _places(plan: Plan, coming: Iterator[bytes], quiet: bool) -> int:
    """A line of JSON for each value, as soon as its end is known. It is read as text, whatever its type."""
    scanner, counts, written = Scanner(plan.detector), dict[str, int](), 0
    last: list[Span] = []
    try:
        for piece in chain(coming, [b""]):
            lines: list[bytes] = []
            for span in scanner.feed(piece, final=not piece):
                tally(counts, span)
                if span.first and last:
                    lines.append(_line(last))
                    last = []
                last = whole([*last, span])
            if last and (not piece or last[0].end < scanner.settled):
                lines.append(_line(last))
                last = []
            written += _write(b"".join(lines), written)
    except KeyboardInterrupt:
        _tell("found until then", counts, quiet)
        raise
    _tell("found", counts, quiet)
    return OK


def _line(value: list[Span]) -> bytes:
    (span,) = value
    told = {"start": span.start, "end": span.end, "kind": span.kind, "score": span.score, "rule": span.rule}
    return json.dumps({**told, "also": list(span.more)} if span.more else told).encode() + b"\n"


def _write(data: bytes, before: int) -> int:
    """Out with it, at once; `before` it so many bytes were written. Raises CommandError, and BrokenPipeError."""
    if sys.stdout is None:
        raise CommandError("stdout is closed; give it somewhere to write")
    rest = data
    try:
        # With PYTHONUNBUFFERED it takes what there is room for, and the rest is ours.
        while rest:
            rest = rest[sys.stdout.buffer.write(rest) :]
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        told = f"only the first {before} bytes are sure to be there"
        raise CommandError(f"stdout: can't be written ({error.strerror}); {told}") from error
    return len(data)


def _tell(what: str, counts: Mapping[str, int], quiet: bool) -> None:
    if not quiet:
        told = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())) or "nothing"
        print(f"{what}: {told}", file=sys.stderr)


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
