"""`holdpoint masking test`: rules on their own cases, and advice on rules that work and could do better."""

import argparse
import json
import textwrap

from extproc.cli._common import OK, PROBLEMS
from extproc.cli._masking_list import folded
from extproc.cli._masking_rules import rules_of, shipped_rules
from extproc.cli._terminal import columns
from extproc.domain.display import visible
from extproc.masking.advice import advice
from extproc.masking.trial import Failure, tried

_PLAIN = 60
"""Characters of a case that are shown as they are."""


def test(arguments: argparse.Namespace) -> int:
    """Try them, and say what is wrong."""
    rules = rules_of(arguments.files) if arguments.files else shipped_rules()
    failures = list(tried(rules))
    # Whoever wrote the shipped rules was told.
    advised = list(advice(rules)) if arguments.files else []
    cases = sum(len(rule.positive) + len(rule.negative) for rule in rules)
    if arguments.json:
        rows = [{"rule": f.rule, "case": f.case, "why": f.why} for f in failures]
        notes = [{"rule": note.rule, "what": note.what} for note in advised]
        print(json.dumps({"rules": len(rules), "cases": cases, "failures": rows, "advice": notes}))
        return PROBLEMS if failures else OK
    for failure in failures:
        _say("FAIL", failure.rule, _told(failure))
    for note in advised:
        _say("note", note.rule, note.what)
    if not rules:
        print("note  there is no rule in it")
    print(f"{_some(len(rules), 'rule')}, {_some(cases, 'case')}, {_some(len(failures), 'failure')}")
    return PROBLEMS if failures else OK


def _told(failure: Failure) -> str:
    case = failure.case if len(failure.case) <= _PLAIN else folded(failure.case)
    return f"{case!r}: {failure.why}"


def _say(mark: str, rule: str, what: str) -> None:
    text = f"{mark}  {rule}: {visible(what)}"
    print(textwrap.fill(text, columns(), subsequent_indent=" " * 6, break_on_hyphens=False))


def _some(count: int, what: str) -> str:
    return f"{count or 'no'} {what}{'s' * (count != 1)}"
