"""`holdpoint masking`: mask what comes in, explain what is found and why, test rules."""

import argparse
import json
from pathlib import Path

from extproc.cli._common import OK, CommandError, Subparsers, add_command


def register(subparsers: Subparsers) -> None:
    """Add `masking` and its verbs."""
    noun = add_command(
        subparsers,
        "masking",
        "mask a stream, explain what is found, test rules",
        None,
        about="See what the masking engine does with your data, and test rules of your own. docs/masking-rules.md\n"
        "says how to write one. Nothing is sent anywhere, and no gateway has to run.",
        examples=(
            "holdpoint masking run < chat.json --type application/json",
            "holdpoint masking explain 'ssn 219-09-9998'",
            "holdpoint masking test our-rules.yaml",
            "holdpoint masking list --family identity",
        ),
    )
    verbs = noun.add_subparsers(metavar="VERB", title="verbs")
    _add_run(verbs)
    _add_explain(verbs)
    _add_test(verbs)
    _add_list(verbs)


def _add_run(verbs: Subparsers) -> None:
    run = add_command(
        verbs,
        "run",
        "mask stdin, or a file, to stdout as it streams by",
        _run,
        about="Mask stdin, or a file, to stdout as it streams by, as a gateway would; how many of which kind goes to\n"
        "stderr. Only what may be the beginning of a value waits for what follows. What can't be read as its type\n"
        "ends it with the exit code 2, and nothing more is written. With --json, one line of JSON for each value\n"
        "instead, with its place in bytes and no part of it; there, everything is read as text.",
        examples=(
            "kubectl logs -f api | holdpoint masking run",
            "holdpoint masking run --key ssn --operator partial dump.json",
            "holdpoint masking run --kind secret --json < app.log",
            "holdpoint masking run --operator hash --hash-key secrets/mask.key export.csv > masked.csv",
        ),
    )
    run.add_argument("file", nargs="?", metavar="FILE", type=Path, help="what to mask (default: stdin)")
    run.add_argument("--type", metavar="TYPE", help="its content type (default: by the file's name, else text/plain)")
    run.add_argument(
        "--key", dest="keys", action="append", default=[], metavar="NAME", help="mask everything under this name, too"
    )
    run.add_argument(
        "--operator",
        metavar="OPERATOR",
        help="what stands in a value's place: redact (default), partial, hash, null, length or drop",
    )
    run.add_argument(
        "--hash-key",
        type=Path,
        metavar="FILE",
        help="the key of hashes, 32 bytes or more, as masking.hash_key names it (default: a new one for each run)",
    )
    run.add_argument("--lenient", action="store_true", help="mask as text what can't be read as its type")
    run.add_argument("--json", action="store_true", help="print where values are instead of the masked text")
    run.add_argument("--quiet", action="store_true", help="say nothing on stderr but errors")
    _add_kinds(run)
    _add_rules(run)


def _add_explain(verbs: Subparsers) -> None:
    explain = add_command(
        verbs,
        "explain",
        "say what is found in a text and why, and what is nearly found and why not",
        _explain,
        about="Say what is found in a text and why, and what has the shape of a value and is none: which rule sees\n"
        "it, and what it would take. The exit code is 1 where nothing is found.",
        examples=(
            "holdpoint masking explain 'card 4111 1111 1111 1112'",
            "holdpoint masking explain --name customerSsn 219099998",
            "holdpoint masking explain --rule passport 'passport 12345678'",
            "holdpoint masking explain - < message.txt",
        ),
    )
    explain.add_argument("text", metavar="TEXT", help="the text; - for stdin")
    explain.add_argument("--name", default="", metavar="NAME", help="the name of the field that it stands in")
    explain.add_argument("--rule", metavar="ID", help="what this rule sees, all of it")
    explain.add_argument("--all", action="store_true", help="every candidate of every rule, also unlikely ones")
    explain.add_argument("--json", action="store_true", help="print JSON, for programs")
    _add_kinds(explain)
    _add_rules(explain)


def _add_test(verbs: Subparsers) -> None:
    test = add_command(
        verbs,
        "test",
        "test rules on their own cases",
        _test,
        about="Test rules on the positive and negative cases that stand beside them: those of the files, or, without\n"
        "one, those that come with Holdpoint. The exit code is 1 where a case fails, 2 where a file can't be used.\n"
        "Notes say which rules of the files are too broad, slow, or hardly tested.",
        examples=("holdpoint masking test our-rules.yaml", "holdpoint masking test"),
    )
    test.add_argument("files", nargs="*", metavar="FILE", type=Path, help="files of rules")
    test.add_argument("--json", action="store_true", help="print JSON, for programs")


def _add_list(verbs: Subparsers) -> None:
    listed = add_command(
        verbs,
        "list",
        "list the rules, or show one as YAML",
        _list,
        about="List the rules with how sure each is, alone and in context: 0.50/0.85, or -/0.85 for what is found in\n"
        "context only. With a rule or kind: all of it, in the YAML that a file of rules has.",
        examples=(
            "holdpoint masking list --family identity",
            "holdpoint masking list iban",
            "holdpoint masking list --checks",
        ),
    )
    listed.add_argument("rule", nargs="?", metavar="RULE", help="show this rule, or the rules of this kind, whole")
    listed.add_argument("--checks", action="store_true", help="list the checks that a rule may name instead")
    listed.add_argument("--json", action="store_true", help="print JSON, for programs")
    _add_kinds(listed)
    _add_rules(listed)


def _add_kinds(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--kind",
        "--family",
        dest="kinds",
        action="append",
        default=[],
        metavar="KIND",
        help="this kind or family only (again for more); `pii`: all but secrets",
    )


def _add_rules(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--rules", action="append", default=[], type=Path, metavar="FILE", help="a file of rules of your own, too"
    )
    # Without the default that it has in other commands: nothing here needs a configuration, nor that it be right.
    parser.add_argument(
        "-c", "--config", metavar="FILE", help="a configuration, for what it says of masking (default: none)"
    )


def _run(arguments: argparse.Namespace) -> int:
    from extproc.cli._masking_run import run

    return run(arguments)


def _test(arguments: argparse.Namespace) -> int:
    from extproc.cli._masking_test import test

    return test(arguments)


def _explain(arguments: argparse.Namespace) -> int:
    from extproc.cli._masking_explain import explain

    return explain(arguments)


def _list(arguments: argparse.Namespace) -> int:
    from extproc.cli._masking_list import as_yaml, checks, document, table
    from extproc.cli._masking_rules import engine_of, kinds_of, rule_of
    from extproc.cli._terminal import columns
    from extproc.masking.checks import describe

    if arguments.checks:
        if arguments.rule is not None:
            raise CommandError("--checks lists checks, and all of them; leave out the rule")
        print(json.dumps(describe()) if arguments.json else "\n".join(checks(columns())))
        return OK
    engine = engine_of(arguments)
    kinds = kinds_of(engine, arguments.kinds)
    rules = engine.rules if arguments.rule is None else rule_of(engine, arguments.rule)
    rules = [rule for rule in rules if rule.kind in kinds]
    if not rules and arguments.rule is not None:
        raise CommandError(f"{arguments.rule!r} is not of what --kind names; leave out one of them")
    if arguments.json:
        print(json.dumps([document(rule) for rule in rules]))
    else:
        print("\n".join(as_yaml(rules) if arguments.rule is not None else table(rules, columns())))
    return OK
