"""`holdpoint masking explain`: what is found in a text and why, and what is nearly found and why not."""

import argparse
import json

from extproc.cli._common import OK, PROBLEMS, CommandError
from extproc.cli._masking_input import pieces, stdin
from extproc.cli._masking_rules import engine_of, kinds_of, rule_of
from extproc.cli._masking_view import View
from extproc.cli._terminal import columns
from extproc.masking.explain import Verdict, spans
from extproc.masking.explain import explain as candidates
from extproc.masking.nearly import places

_LARGEST_TEXT = 1 << 20


def explain(arguments: argparse.Namespace) -> int:
    """Say what is found and what is nearly found; all that one rule sees with --rule."""
    if arguments.rule is not None and arguments.kinds:
        raise CommandError("--rule names what is looked for; leave out --kind and --family")
    engine = engine_of(arguments)
    kinds = kinds_of(engine, arguments.kinds)
    only = rule_of(engine, arguments.rule) if arguments.rule is not None else []
    data = _text(arguments.text)
    detector = engine.detector(frozenset(rule.kind for rule in only) or kinds)
    merged = spans(detector, data, arguments.name)
    found = [c for c in candidates(detector, data, arguments.name) if not only or c.rule in only]
    if arguments.json:
        told = {
            "spans": [{"start": s.start, "end": s.end, "kind": s.kind, "score": s.score, "rule": s.rule,
                       "also": list(s.more)} for s in merged],
            "candidates": [{"rule": c.rule.id, "kind": c.rule.kind, "start": c.start, "end": c.end,
                            "verdict": c.verdict.value, "score": c.score, "why": c.why} for c in found],
        }  # fmt: skip
        print(json.dumps(told))
        return OK if any(c.verdict is Verdict.FOUND for c in found) else PROBLEMS
    view = View(data, columns())
    lines = [*view.text(merged)] if not only else []
    named = [engine.rules[index] for index in sorted(detector.named(arguments.name))] if arguments.name else []
    if arguments.name and not only:
        lines += view.name(arguments.name, named)
    for rule in only:
        lines += [*view.one(rule, [c for c in found if c.rule is rule], arguments.name, rule in named)]
    if arguments.all and not only:
        lines += view.every(found)
    elif not only:
        near = places(found, merged, len(data.rstrip(b"\n")))
        shown = sum(len(place.candidates) for place in near)
        missed = sum(c.verdict is not Verdict.FOUND for c in found)
        lines += [*view.found(merged, found), *view.nearly(near, missed - shown)]
    print("\n".join(lines))
    return OK if any(c.verdict is Verdict.FOUND for c in found) else PROBLEMS


def _text(given: str) -> bytes:
    if given != "-":
        return given.encode("utf-8", "surrogateescape")
    data = b""
    for piece in pieces(stdin(), None):
        data += piece
        if len(data) > _LARGEST_TEXT:
            raise CommandError(
                f"more than {_LARGEST_TEXT >> 20} MiB to explain; `holdpoint masking run --json` takes any"
            )
    return data
