"""Is a library good enough to serve? OPA checks and tests it; what OPA can't know is checked here."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import orjson

from extproc import resources
from extproc.adapters.opa.binary import OpaFailed, run
from extproc.adapters.opa.library import Library
from extproc.adapters.opa.metadata import Policy, documents, read, readers
from extproc.adapters.opa.reach import Paths, reach
from extproc.adapters.opa.refused import PolicyRefused, Problem
from extproc.domain.decision import Effect, MalformedDecision, parse
from extproc.domain.json import JSON

UNBUILT = "unbuilt"
# Beside what OPA itself calls nondeterministic: these write what they are given, which is payload, to OPA's log.
_SPEAKING = frozenset({"print", "internal.print", "trace"})


@dataclass(frozen=True, slots=True)
class TestResult:
    """One Rego test. `message` is empty where it passed."""

    name: str
    file: str
    line: int
    message: str


@dataclass(frozen=True, slots=True)
class Checked:
    """A library that passed, and what was learnt of it. `reach` is what its policies can read of their input; None
    where that can't be told."""

    library: Library
    policies: tuple[Policy, ...]
    tests: tuple[TestResult, ...]
    reach: Paths | None = None

    def data(self, revision: str, config: dict[str, JSON] | None = None) -> dict[str, JSON]:
        """The bundle's data document."""
        return _data(revision, self.policies, self.library.config if config is None else config)

    def metadata(self) -> dict[str, JSON]:
        """What data.holdpoint.metadata will be, and an engine's management API then tells."""
        return documents(self.policies, self.library.config)


def check(library: Library, opa: Path, *, tests: bool = True) -> Checked:
    """Check a library whole. Tests run with the library's own data: they are about its rules, not about a user's
    thresholds. Raises PolicyRefused with every problem found, OpaFailed if OPA can't do its part."""
    with staged(library) as place:
        _compile(library, opa, place)
        found = _read(run(opa, ["inspect", "--annotations", "--format=json", "."], place).stdout, "inspect")
        policies = read(library, found)
        _write(place, _data(UNBUILT, policies, library.defaults))
        results = tuple(_test(library, opa, place)) if tests else ()
        failed = [Problem(r.file, r.line, f"{r.name}: {r.message}") for r in results if r.message]
        if failed:
            raise PolicyRefused(sorted(failed))
        _write(place, _data(UNBUILT, policies, library.config))
        _answers(library, opa, place, policies)
    with staged(library, tests=False) as place:
        return Checked(library, policies, results, reach(library, found["namespaces"], opa, place))


def unformatted(library: Library, opa: Path) -> list[Problem]:
    """The files that `opa fmt` would write differently."""
    with staged(library) as place:
        listed = run(opa, ["fmt", "--list", "."], place).stdout.decode().split()
    return [Problem(library.shown(name), 0, "not as `opa fmt` writes it; run: opa fmt --write FILE") for name in listed]


def evaluate(checked: Checked, opa: Path, document: bytes, revision: str) -> dict[str, Any]:
    """The decision document for a policy input (JSON), from a one-shot OPA. Raises OpaFailed, with OPA's own words."""
    with staged(checked.library) as place:
        _write(place, checked.data(revision))
        arguments = ["eval", "--bundle", ".", "--stdin-input", "--strict-builtin-errors", "--format=json"]
        result = run(opa, [*arguments, "data.holdpoint.main.decision"], place, document)
    answer = _read(result.stdout, "eval")
    if "errors" in answer or not answer.get("result"):
        raise OpaFailed(
            "; ".join(e.get("message", "") for e in answer.get("errors", [])) or "the decision is undefined"
        )
    return cast(dict[str, Any], answer["result"][0]["expressions"][0]["value"])


@contextmanager
def staged(library: Library, *, tests: bool = True) -> Iterator[Path]:
    """A folder with the library's modules laid out as in the bundle, its `tests` too, without data."""
    with tempfile.TemporaryDirectory(prefix="holdpoint-policy-") as name:
        place = Path(name)
        for module in library.modules:
            if module.is_test and not tests:
                continue
            file = place / module.place
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(module.text)
        yield place


def _write(place: Path, document: dict[str, JSON]) -> None:
    (place / "data.json").write_bytes(orjson.dumps(document))


def _data(revision: str, policies: tuple[Policy, ...], config: dict[str, JSON]) -> dict[str, JSON]:
    metadata = documents(policies, config)
    return {"holdpoint": {"revision": revision, "metadata": metadata, "config": config, "readers": readers(metadata)}}


def _compile(library: Library, opa: Path, place: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="holdpoint-opa-") as name:
        capabilities = Path(name) / "capabilities.json"
        capabilities.write_bytes(_capabilities(opa, place))
        schema = resources.policies() / "schemas" / "input.json"
        flags = ["--strict", "--bundle", "--format=json", f"--capabilities={capabilities}", f"--schema={schema}"]
        result = run(opa, ["check", *flags, "--max-errors=0", "."], place)
    if result.returncode == 0:
        return
    errors = _read(result.stdout or result.stderr, "check").get("errors", [])
    problems = [_problem(library, e) for e in errors]
    raise PolicyRefused(sorted(set(problems)) or [Problem("policies", 0, _words(result.stderr))])


def _capabilities(opa: Path, place: Path) -> bytes:
    """What policies may use: nothing that answers differently twice (network, clock, chance), nothing that logs."""
    known = _read(run(opa, ["capabilities", "--current"], place).stdout, "capabilities")
    known["builtins"] = [b for b in known["builtins"] if not b.get("nondeterministic") and b["name"] not in _SPEAKING]
    known["allow_net"] = []
    return orjson.dumps(known)


def _test(library: Library, opa: Path, place: Path) -> Iterator[TestResult]:
    result = run(opa, ["test", "--bundle", "--format=json", "."], place)
    if not result.stdout.strip():
        if result.returncode == 0:
            return
        raise PolicyRefused([Problem("policies", 0, _words(result.stderr))])
    document = json.loads(result.stdout)
    if isinstance(document, dict):
        raise PolicyRefused([_problem(library, e) for e in document.get("errors", [])])
    for entry in document or []:
        failed = entry.get("fail") or entry.get("error") or entry.get("skip")
        message = "" if not failed else str((entry.get("error") or {}).get("message") or "failed")
        where = entry["location"]
        yield TestResult(
            f"{entry['package'].removeprefix('data.')}.{entry['name']}",
            library.shown(where["file"]),
            where["row"],
            message,
        )


def _answers(library: Library, opa: Path, place: Path, policies: tuple[Policy, ...]) -> None:
    """Every policy has findings, and an empty input leads to a block: the entrypoint is there, whole and closed."""
    speaking = 'x := {c | some f, n; data.holdpoint.policies[f][n].findings; c := concat(".", [f, n])}'
    query = f"{speaking}; d := data.holdpoint.main.decision"
    result = run(opa, ["eval", "--bundle", ".", "--stdin-input", "--format=json", query], place, b"{}")
    answer = _read(result.stdout, "eval")
    if "errors" in answer or not answer.get("result"):
        words = "; ".join(e.get("message", "") for e in answer.get("errors", [])) or "it is undefined"
        raise PolicyRefused([Problem("lib/main.rego", 0, f"no decision for an empty input: {words}")])
    bindings = answer["result"][0]["bindings"]
    silent = [p for p in policies if p.id not in bindings["x"]]
    if silent:
        raise PolicyRefused(
            [Problem(library.shown(p.file), p.line, "has no rule `findings contains ... if ...`") for p in silent]
        )
    try:
        decision = parse("check", bindings["d"])
    except MalformedDecision as error:
        raise PolicyRefused([Problem("lib/main.rego", 0, f"no valid decision for an empty input: {error}")]) from None
    if decision.effect is not Effect.BLOCK:
        raise PolicyRefused([Problem("lib/main.rego", 0, f"an empty input leads to {decision.effect}, not to block")])


def _problem(library: Library, error: dict[str, Any]) -> Problem:
    where = error.get("location") or {}
    message = " ".join(str(error.get("message", "")).split())
    details = error.get("details")
    if isinstance(details, dict) and isinstance(details.get("line"), str):
        message += f": {details['line'].strip()}"
    return Problem(
        library.shown(where.get("file", "policies")), where.get("row", 0), f"{error.get('code', 'error')}: {message}"
    )


def _read(output: bytes, command: str) -> dict[str, Any]:
    try:
        document = json.loads(output)
    except ValueError:
        raise OpaFailed(f"`opa {command}` did not answer in JSON: {_words(output) or 'nothing'}") from None
    if not isinstance(document, dict):
        raise OpaFailed(f"`opa {command}` answered in an unexpected shape")
    return document


def _words(output: bytes) -> str:
    return " ".join(output.decode("utf-8", "replace").split())[:500]
