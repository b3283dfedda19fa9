"""`holdpoint policy`: list policies, test them, try an input on them, explain a decision."""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from extproc.adapters.opa import bundle, library
from extproc.adapters.opa.binary import OpaFailed, OpaMissing, find_opa
from extproc.adapters.opa.check import Checked, check, evaluate, unformatted
from extproc.adapters.opa.refused import PolicyRefused
from extproc.cli._common import (
    DEFAULT_CONFIG,
    OK,
    PROBLEMS,
    CommandError,
    Subparsers,
    add_command,
    add_config,
    load_settings,
)
from extproc.cli._control_client import add_access
from extproc.cli._sessions_source import source
from extproc.domain.decision import Decision, Effect, MalformedDecision, Mode, Reason, parse
from extproc.domain.display import visible
from extproc.domain.mask import EVERY, GROUPS, Mask, Operator

_LARGEST_INPUT = 16 << 20
_GATEWAY = "holdpoint"
# What the gateway refuses by rules of its own, before policies are asked; and what would be let on.
_RULES = {
    "pinned": "`read_only` or the login's `role` was chosen when the session began, and it can't change that.",
    "unknown-target": "what was asked for is no target: `holdpoint targets list` shows those that there are.",
    "target-out-of-scope": "the credential is good for other targets only: issue one that names this one.",
    "database-out-of-scope": "its `databases` name which others of a target's server may be asked for.",
    "unparsable": "PostgreSQL's parser can't read it, so nobody can tell what it does: mend the statement.",
    "too-long": "no longer text is judged: give long values as parameters, or use COPY.",
    "too-many": "no more statements are judged in one text: send it in parts.",
    "fast-path": "no function is called by the fast path: call it in a SELECT.",
}


def register(subparsers: Subparsers) -> None:
    """Add `policy` and its verbs."""
    noun = add_command(
        subparsers,
        "policy",
        "list, test and explain policies",
        None,
        about="List, test and explain policies: those of the configuration, of --policies, or those that come with\n"
        "Holdpoint. docs/policy-guide.md says how to write one.",
        examples=("holdpoint policy list", "holdpoint policy test policies", "holdpoint policy explain 0198c5e2"),
    )
    verbs = noun.add_subparsers(metavar="VERB", title="verbs")

    def verb(name: str, text: str, run: Callable[[argparse.Namespace], int], *examples: str) -> argparse.ArgumentParser:
        parser = add_command(verbs, name, text, run, examples=examples)
        parser.add_argument("--data", metavar="PATH", type=Path, help="your data for the policies, a file or a folder")
        return parser

    listing = verb("list", "list the policies: id, severity, mode, title", _list, "holdpoint policy list")
    test = verb(
        "test",
        "check policies and their metadata, and run their tests",
        _test,
        "holdpoint policy test",
        "holdpoint policy test policies --data policy-data.yaml",
    )
    test.add_argument("policies", metavar="PATH", nargs="?", type=Path, help="the folder of policies")
    attempt = verb(
        "try",
        "say what the policies make of an action",
        _try,
        "holdpoint policy try input.json",
        "holdpoint policy try 0198c5e2 --policies candidate/",
    )
    attempt.add_argument(
        "record", metavar="RECORD", help="a file with a policy input, - for stdin, or the start of a decision's id"
    )
    explain = verb("explain", "explain a decision of the journal", _explain, "holdpoint policy explain 0198c5e2")
    explain.add_argument("decision", metavar="DECISION", help="the start of the decision's id")
    for parser in (listing, attempt, explain):
        parser.add_argument("--policies", metavar="PATH", type=Path, help="another folder of policies")
    for parser in (listing, test):
        add_config(parser)
        parser.add_argument("--json", action="store_true", help="print JSON, for programs")
    for parser in (attempt, explain):
        add_access(parser)
        parser.add_argument(
            "--state", metavar="DIR", type=Path, help="look the decision up in this state folder, not at a gateway"
        )


def _list(arguments: argparse.Namespace) -> int:
    checked = _checked(arguments)
    rows = [
        {
            "id": p.id,
            "severity": p.severity.value,
            "mode": _mode(checked, p.id, p.mode),
            "title": p.title,
            "description": p.description,
            "file": checked.library.shown(p.file),
            "line": p.line,
        }
        for p in checked.policies
    ]
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return OK
    width = max((len(str(r["id"])) for r in rows), default=0)
    for row in rows:
        print(f"{row['id']:<{width}}  {row['severity']:<8}  {row['mode']:<8}  {row['title']}")
    return OK


def _test(arguments: argparse.Namespace) -> int:
    problems: list[str] = []
    checked: Checked | None = None
    try:
        opa = find_opa()
        loaded = _load(arguments)
        problems += [str(p) for p in unformatted(loaded, opa)]
        checked = check(loaded, opa)
    except PolicyRefused as refused:
        problems += [str(p) for p in refused.problems]
    except (OpaMissing, OpaFailed) as error:
        raise CommandError(str(error)) from None
    if arguments.json:
        tests = [{"name": t.name, "file": t.file, "line": t.line} for t in checked.tests] if checked else []
        print(json.dumps({"ok": not problems, "problems": problems, "tests": tests}, indent=2))
    elif problems:
        print("\n".join(problems))
        print(f"\n{len(problems)} problem{'s' if len(problems) > 1 else ''}", file=sys.stderr)
    elif checked:
        print(f"{len(checked.policies)} policies, {len(checked.tests)} tests: all good")
        for policy in checked.policies:
            own = sum(t.name.startswith(f"holdpoint.policies.{policy.id}_test.") for t in checked.tests)
            print(f"  {policy.id}: {own} tests" if own else f"  {policy.id}: no tests")
        print(f"revision {bundle.revision(checked)}")
    return PROBLEMS if problems else OK


def _try(arguments: argparse.Namespace) -> int:
    document, rebuilt = _input(arguments)
    checked = _checked(arguments)
    revision = bundle.revision(checked)
    try:
        answer = evaluate(checked, find_opa(), json.dumps(document).encode(), revision)
        decision = parse("try", answer)
    except (OpaMissing, OpaFailed) as error:
        raise CommandError(f"no decision (the gateway would block): {error}") from None
    except MalformedDecision as error:
        raise CommandError(f"no valid decision (the gateway would block): {error}") from None
    if arguments.json:
        print(json.dumps(answer, indent=2))
        return OK
    if rebuilt:
        print("note: rebuilt from the record, which has no query, headers or body; rules that read them see none\n")
    print(f"effect: {decision.effect}")
    for reason in decision.reasons:
        print(f"  {_line(reason)}")
    _print_obligations(decision)
    print(f"revision: {revision}")
    return OK


def _explain(arguments: argparse.Namespace) -> int:
    record = _record(arguments, arguments.decision)
    try:
        decision = parse(arguments.decision, record["decision"])
    except (KeyError, MalformedDecision) as error:
        raise CommandError(f"the record of {arguments.decision} has no readable decision: {error}") from None
    checked = _checked(arguments)
    known = {p.id: p for p in checked.policies}
    explained = []
    for reason in decision.reasons:
        policy = known.get(reason.policy)
        explained.append(
            {
                "policy": reason.policy,
                "code": reason.code,
                "effect": reason.effect.value,
                "mode": reason.mode.value,
                "severity": reason.severity.value,
                "message": reason.message,
                "title": policy.title if policy else None,
                "where": f"{checked.library.shown(policy.file)}:{policy.line}" if policy else None,
                "change": _change(reason, decision),
            }
        )
    current = bundle.revision(checked)
    if arguments.json:
        document = {"decision": decision.document(), "reasons": explained, "current_revision": current}
        print(json.dumps(document, indent=2))
        return OK
    action, target = record.get("action", {}), record.get("target", {})
    print(f"{decision.effect}: {_shown(action, 'verb')} {_shown(action, 'resource')} on {_shown(target, 'name')}")
    for reason, entry in zip(decision.reasons, explained, strict=True):
        print(f"\n{_line(reason)}")
        if entry["title"]:
            print(f"  {visible(str(entry['title']))} ({entry['where']})")
        print(f"  {entry['change']}")
    _print_obligations(decision)
    if decision.revision != current:
        print(f"\nnote: decided under revision {visible(decision.revision)}; shown are the policies of {current}")
    return OK


def _change(reason: Reason, decision: Decision) -> str:
    """What would make this reason another one."""
    if reason.policy == _GATEWAY:
        if reason.code == "no-rule":
            return "To allow it takes a policy that says so: none of the loaded ones has an allow for this action."
        if reason.code in _RULES:
            return f"A rule of the gateway itself, no decision of a policy: {_RULES[reason.code]}"
        return "The gateway itself refused, for want of a decision: `holdpoint check`, and the policy engine's log."
    if reason.mode is Mode.SHADOW:
        return f"Only watched. It counts once `policies.{reason.policy}.mode` is `enforce` in the policy data."
    if reason.effect is Effect.HOLD:
        needs = [f"{a.quorum} of {visible(a.group)}" for a in decision.approvals if a.policy == reason.policy]
        return f"It goes on when {' and '.join(needs) or 'those named'} approve: `holdpoint holds list`."
    if reason.code == "approved":
        return "People approved this very action; another one of its kind is held again."
    if reason.effect is Effect.BLOCK:
        return f"Its settings are `policies.{reason.policy}` in the policy data; `mode: shadow` there only watches."
    return (
        f"It stays so until `policies.{reason.policy}` is changed in the policy data (`enabled: false` turns it off)."
    )


def _input(arguments: argparse.Namespace) -> tuple[Mapping[str, Any], bool]:
    """The policy input that RECORD names, and whether it was rebuilt from a decision's record."""
    name: str = arguments.record
    if name != "-" and not Path(name).is_file():
        try:
            return _rebuilt(_record(arguments, name)), True
        except CommandError as error:
            raise CommandError(f"there is no file {visible(name)}, and as a decision: {error}") from None
    try:
        text = sys.stdin.buffer.read(_LARGEST_INPUT) if name == "-" else Path(name).read_bytes()[:_LARGEST_INPUT]
        document = json.loads(text)
    except OSError as error:
        raise CommandError(f"{name} can't be read ({error.strerror})") from None
    except ValueError as error:
        raise CommandError(f"{name} is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise CommandError(f"{name}: expected a policy input, an object with the member `action`")
    # What people copy from OPA's own tools has the input inside of one more object.
    inner = document.get("input") if set(document) == {"input"} else document
    if not isinstance(inner, dict) or "action" not in inner:
        raise CommandError(f"{name}: expected a policy input, an object with the member `action`")
    return inner, False


def _rebuilt(record: Mapping[str, Any]) -> dict[str, Any]:
    action, summary = record.get("action", {}), record.get("action", {}).get("summary", {})
    path = str(action.get("resource", ""))
    facts: dict[str, Any] = {
        "method": action.get("verb", ""),
        "host": summary.get("host", ""),
        "path": path,
        "segments": [unquote(part) for part in path.split("/") if part],
        "query": {},
        "headers": {},
        "content_type": summary.get("content_type", ""),
        "body": {"inspected": True, "size": summary.get("size")},
        "sensitive": {"address": {}, "headers": {}, "body": {}, "families": {}},
    }
    if isinstance(summary.get("llm"), dict):
        facts["llm"] = {k: v for k, v in summary["llm"].items() if k != "prompt"}
    if isinstance(summary.get("mcp"), dict):
        facts["mcp"] = summary["mcp"]
    return {
        "schema": 1,
        "principal": record.get("principal", {}),
        "target": record.get("target", {}),
        "session": {"id": str(record.get("session", ""))},
        "action": {**{k: action.get(k, "") for k in ("protocol", "verb", "resource", "digest")}, "facts": facts},
        "context": {"time": record.get("at", ""), "source": {"address": record.get("source", {}).get("address", "")}},
        "approvals": [],
        "history": {"known": False},
    }


def _record(arguments: argparse.Namespace, decision_id: str) -> Mapping[str, Any]:
    with source(arguments) as of:
        return of.decision(decision_id)


def _load(arguments: argparse.Namespace) -> library.Library:
    folder: Path | None = arguments.policies
    data: Path | None = arguments.data
    if folder is None and (arguments.config != DEFAULT_CONFIG or Path(arguments.config).exists()):
        settings = load_settings(arguments).policy
        folder, data = settings.path, data or settings.data
    return library.load(folder, data)


def _checked(arguments: argparse.Namespace) -> Checked:
    try:
        return check(_load(arguments), find_opa(), tests=False)
    except (PolicyRefused, OpaMissing, OpaFailed) as error:
        raise CommandError(str(error)) from None


def _mode(checked: Checked, policy: str, own: Mode) -> str:
    settings = checked.library.config["policies"]
    given = settings.get(policy) if isinstance(settings, Mapping) else None
    if not isinstance(given, Mapping):
        return own.value
    return "off" if given.get("enabled") is False else str(given.get("mode", own.value))


def _line(reason: Reason) -> str:
    mode = " (shadow)" if reason.mode is Mode.SHADOW else ""
    return (
        f"{reason.effect}{mode}  {visible(reason.policy)}/{visible(reason.code)}  {reason.severity}  "
        f"{visible(reason.message)}"
    )


def _print_obligations(decision: Decision) -> None:
    for approval in decision.approvals:
        minutes = approval.expires_in_seconds / 60
        print(f"approval: {approval.quorum} of {visible(approval.group)} within {minutes:g} min ({approval.policy})")
    for lane in ("request", "response"):
        for line in dict.fromkeys(_mask_line(m) for m in decision.masks if lane in m.lanes):
            print(f"masked in the {lane}: {line}")


def _mask_line(mask: Mask) -> str:
    """What a mask selects, and what it does that is not the usual."""
    parts = [_selected(name) for name in mask.kinds]
    parts += [f"key {visible(key)}" for key in mask.keys]
    line = ", ".join(dict.fromkeys(parts))
    if mask.kinds and mask.excepted:
        line += f"; but for {', '.join(map(visible, mask.excepted))}"
    if mask.operator is not Operator.REDACT:
        line += f"; operator {mask.operator}"
    return line + ("; malformed bodies as text" if mask.lenient else "")


def _selected(name: str) -> str:
    if name == EVERY:
        return "every kind"
    return f"family {name}" if name in GROUPS else f"kind {visible(name)}"


def _shown(document: Mapping[str, Any], name: str) -> str:
    return visible(str(document.get(name, "?")))
