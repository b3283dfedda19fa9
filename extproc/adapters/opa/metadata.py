"""What a policy says of itself: METADATA, read and checked."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from extproc.adapters.counters import USED
from extproc.adapters.opa.library import Library, Module
from extproc.adapters.opa.refused import PolicyRefused, Problem
from extproc.domain.decision import Mode, Severity
from extproc.domain.json import JSON

_POLICY = re.compile(r"data\.holdpoint\.policies\.([a-z][a-z0-9_]*)\.([a-z][a-z0-9_]*)(\..+)?")
# Parts of the input that a policy declares to read: enforced, it blocks where they are missing, and the second is
# counted for those alone that read it. With each, what gives a reader away;
# who takes the history whole, or picks in it by a name that is not written out, reads both.
HISTORY = "history"
READS = {
    HISTORY: re.compile(rb"\binput\.history\b(?!\.used\b)"),
    USED: re.compile(rb"\binput\.history\b(?!\.(known|principal|target|credential)\b)"),
}
_SHARED = re.compile(r"data\.holdpoint\.(main|lib(\..+)?)")


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy as its METADATA has it. `mode` is its own, and data may overrule it; `file` is a place in the bundle."""

    id: str
    title: str
    description: str
    severity: Severity
    mode: Mode
    file: str
    line: int
    reads: tuple[str, ...] = ()
    reads_if: str = ""

    def document(self, settings: Mapping[str, JSON]) -> dict[str, JSON]:
        """The shape of data.holdpoint.metadata.<id>, with the policy's `settings` in force. `reads` says in which mode
        each part of the input is read; it is empty where the settings leave the policy nothing to do."""
        idle = settings.get("enabled") is False or (self.reads_if != "" and not _says(settings.get(self.reads_if)))
        mode = settings.get("mode", self.mode.value)
        return {
            "id": self.id,
            "title": self.title,
            "description": self.description,
            "severity": self.severity.value,
            "mode": self.mode.value,
            "file": self.file,
            "line": self.line,
            "reads": {} if idle else dict.fromkeys(self.reads, mode),
        }


def read(library: Library, found: Mapping[str, Any]) -> tuple[Policy, ...]:
    """The policies of a library, from what `opa inspect --annotations` found in it. Raises PolicyRefused with every
    problem."""
    annotated = {
        ".".join(part["value"] for part in entry["path"]): entry
        for entry in found.get("annotations") or []
        if entry["annotations"]["scope"] == "package"
    }
    problems: list[Problem] = []
    policies: list[Policy] = []
    for package, files in sorted(found["namespaces"].items()):
        sources = [f for f in files if f.endswith(".rego") and not f.endswith("_test.rego")]
        if not sources or _SHARED.fullmatch(package):
            continue
        match = _POLICY.fullmatch(package)
        if match is None:
            message = f"package {package.removeprefix('data.')}: expected holdpoint.policies.<family>.<name>"
            problems.append(Problem(library.shown(sources[0]), 0, message))
        elif not match[3]:
            entry = annotated.get(package)
            policy = _policy(library, f"{match[1]}.{match[2]}", sources[0], entry, problems)
            policies += [policy] if policy else []
    folders = cast(dict[str, JSON], library.config["policies"])
    problems += [
        Problem(
            library.shown(p.file),
            p.line,
            f"{p.id} is not in a folder {p.id.replace('.', '/')}/, where its data would be",
        )
        for p in policies
        if p.id not in folders
    ]
    if problems:
        raise PolicyRefused(sorted(problems))
    return tuple(policies)


def documents(policies: tuple[Policy, ...], config: Mapping[str, JSON]) -> dict[str, JSON]:
    """What data.holdpoint.metadata is, for a library's configuration."""
    settings = cast(Mapping[str, Mapping[str, JSON]], config["policies"])
    return {p.id: p.document(settings.get(p.id, {})) for p in policies}


def readers(metadata: Mapping[str, JSON]) -> dict[str, JSON]:
    """Ids of the enforced policies that read a part of the input."""
    about = cast(Mapping[str, Mapping[str, Mapping[str, str]]], metadata)
    return {part: [i for i, m in about.items() if m["reads"].get(part) == Mode.ENFORCE.value] for part in READS}


def _says(value: JSON) -> bool:
    """Whether there is a number above 0 anywhere in a setting."""
    if isinstance(value, Mapping):
        return any(map(_says, value.values()))
    if isinstance(value, Sequence) and not isinstance(value, str):
        return any(map(_says, value))
    return isinstance(value, int | float) and value > 0


def _policy(
    library: Library, wanted: str, file: str, entry: dict[str, Any] | None, problems: list[Problem]
) -> Policy | None:
    if entry is None:
        problems.append(
            Problem(library.shown(file), 1, "no METADATA of scope package; it needs title, id and severity")
        )
        return None
    file, line = entry["location"]["file"], entry["location"]["row"]
    notes = entry["annotations"]
    custom = notes.get("custom", {})
    wrong: list[str] = []
    if custom.get("id") != wanted:
        wrong.append(f"custom.id: expected {wanted}, as its package says, found {custom.get('id')!r}")
    if not str(notes.get("title", "")).strip():
        wrong.append("title: missing")
    if custom.get("severity") not in list(Severity):
        wrong.append(f"custom.severity: expected one of {', '.join(Severity)}, found {custom.get('severity')!r}")
    if custom.get("mode", Mode.ENFORCE.value) not in list(Mode):
        wrong.append(f"custom.mode: expected one of {', '.join(Mode)}, found {custom.get('mode')!r}")
    reads, reads_if = custom.get("reads", []), custom.get("reads_if", "")
    if not isinstance(reads, list) or not all(part in READS for part in reads):
        wrong.append(f"custom.reads: expected a list of: {', '.join(READS)}, found {reads!r}")
        reads = list(READS)
    wrong += [
        f"custom.reads: expected {part} in it, for a rule reads input.{part}"
        for part, sign in READS.items()
        if part not in reads and any(sign.search(m.text) for m in _modules_of(library, wanted))
    ]
    settings = cast(dict[str, dict[str, JSON]], library.defaults["policies"]).get(wanted, {})
    if reads_if != "" and reads_if not in settings:
        wrong.append(f"custom.reads_if: expected the name of a setting in its data.yaml, found {reads_if!r}")
    problems += [Problem(library.shown(file), line, f"METADATA {w}") for w in wrong]
    if wrong:
        return None
    return Policy(
        wanted,
        notes["title"],
        notes.get("description", "").strip(),
        Severity(custom["severity"]),
        Mode(custom.get("mode", Mode.ENFORCE.value)),
        file,
        line,
        tuple(reads),
        reads_if,
    )


def _modules_of(library: Library, policy: str) -> list[Module]:
    folder = f"{policy.replace('.', '/')}/"
    return [m for m in library.modules if m.place.startswith(folder) and not m.is_test]
