"""What reads rules, patterns, fingerprints and content types says what is wrong, and raises nothing else; a pattern
means what RE2 takes it to mean."""

import contextlib

from extproc.domain.mask import Mask, Operator
from extproc.masking.build import build
from extproc.masking.engine._re2 import Pattern
from extproc.masking.engine.engine import Engine
from extproc.masking.engine.fingerprint import FingerprintsUnreadable, load
from extproc.masking.engine.needles import Needles
from extproc.masking.engine.scanner import Scanner, scan, whole
from extproc.masking.rules.pattern import full, gate, longest, prefixes, shortest
from extproc.masking.rules.reading import RulesInvalid, read
from extproc.masking.rules.regex import LONGEST, PatternInvalid, parse
from extproc.masking.stage import MaskError
from extproc.masking.structure.coding import codings
from extproc.masking.structure.parts import Malformed, boundary, read_part
from tests.fuzz.plans import SMALL
from tests.fuzz.source import Source

_TEXT = b"ab 12-34 key: 4111 1111 1111 1111 jane@example.com a\xc3\xa9 ghp_" + b"a1" * 9
_MASK = (Mask("p", ("*",), ("secret",), Operator.REDACT),)


def readers(data: bytes) -> None:
    """The first byte chooses the reader."""
    source = Source(data, 1)
    source.one((_pattern, _rules, _fingerprints, _types, _headers, _rule))(source.rest)


def _pattern(data: bytes) -> None:
    """A pattern, a NUL, and a text in which to look for it."""
    written, _, subject = data.partition(b"\0")
    text = written.decode("latin-1")
    try:
        parsed = parse(text)
    except PatternInvalid:
        return
    atoms = parsed.lead + parsed.value
    if longest(atoms) > LONGEST:
        return
    run = f"[{parsed.run}]*" if parsed.run else ""
    ours = Pattern(full(atoms) + run)
    theirs = Pattern(text.replace("(?P<value>", "(?:"))
    found = ours.search(subject, 0, len(subject))
    assert found == theirs.search(subject, 0, len(subject))
    closure = Pattern(rf"(?:{prefixes(atoms)})\z")
    if found is not None:
        head = Pattern(full(atoms)).match_end(subject, *found)
        assert shortest(atoms) <= head - found[0] <= longest(atoms)
        for end in range(found[0] + 1, head + 1):
            assert closure.match_end(subject[:end], found[0], end) == end
    for before in ("", "0-9A-Za-z"):
        bound = Pattern((f"[^{before}]" if before else "") + full(atoms))
        if bound.search(b"\n" + subject, 0, len(subject) + 1) is not None:
            for size in (1, 3, 6, 12):
                assert Pattern(gate(atoms, before, size)).search(b"\n" + subject, 0, len(subject) + 1) is not None


def _rules(data: bytes) -> None:
    """Rules, a NUL, and a text in which to look for what they describe."""
    written, _, subject = data.partition(b"\0")
    try:
        rules = read(written.decode("utf-8", "replace"), "here")
    except RulesInvalid:
        return
    detector = Engine(rules).detector()
    for text in (_TEXT, subject):
        found = whole(scan(detector, text))
        scanner = Scanner(detector)
        pieces = [span for at in range(len(text)) for span in scanner.feed(text[at : at + 1])]
        streamed = whole(pieces + scanner.feed(b"", final=True))
        assert [(s.start, s.end, s.kind) for s in found] == [(s.start, s.end, s.kind) for s in streamed]


def _rule(data: bytes) -> None:
    """A rule with any pattern, check, boundaries and context, and a text."""
    members = [text.replace("'", "''") for text in data.decode("utf-8", "replace").split("\0")]
    members += [""] * (6 - len(members))
    pattern, check, before, after, context, subject = members[:6]
    lines = ["rules:", "  - id: r", "    kind: k", "    family: secret", "    positive: [x]", "    negative: [x]"]
    lines += [f"    pattern: '{pattern}'", f"    before: '{before}'"]
    lines += [f"    check: '{check}'"] if check else []
    lines += [f"    after: '{after}'"] if after else []
    lines += [f"    context: ['{context}']", "    score: 0.2"] if context else []
    _rules("\n".join(lines).encode() + b"\0" + subject.encode())


def _fingerprints(data: bytes) -> None:
    try:
        known = load(data)
    except FingerprintsUnreadable:
        return
    if known:
        Needles(known)


def _types(data: bytes) -> None:
    text = data.decode("latin-1")
    for reader in (lambda: build(_MASK, "response", text, SMALL), lambda: codings([text]), lambda: boundary(text)):
        with contextlib.suppress(MaskError):
            reader()
    build((), "response", text, SMALL)  # credentials are looked for whatever the type


def _headers(data: bytes) -> None:
    with contextlib.suppress(Malformed):
        read_part(data)
