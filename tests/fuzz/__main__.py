"""`python -m tests.fuzz`: fuzz masking and PostgreSQL, target by target, in rounds; exit code 1 if something was found.

What is found is left in the working folder, to be looked at and, once it is understood, to be named and put into the
corpus. `--keep` makes the corpus anew: the fewest inputs, of those that it has and those that were found, which reach
all that they reach together.
"""

import argparse
import hashlib
import itertools
import os
import re
import secrets
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.keep import fewest
from tests.fuzz.seeds import WORDS, seeds
from tests.fuzz.slow import SLOW, slowest
from tests.fuzz.targets import CODE, TARGETS

CORPUS = Path(__file__).parent / "corpus"
WORK = Path(".make/fuzz")
_DICTIONARY = WORK / "words"
_ROUND = 5 * 60
"""Seconds of a share in one round, at most: what is found early is seen early."""

_SHARES = {"streaming": 3, "statements": 2}
"""How many shares of the time a target has, if it is not one."""

_LONGEST = 2048
_MEMORY_MB = 2048
_LIMITS = [
    f"-artifact_prefix={WORK}/",
    f"-dict={_DICTIONARY}",
    f"-max_len={_LONGEST}",
    f"-rss_limit_mb={_MEMORY_MB}",
    "-timeout=60",
    "-print_final_stats=1",
]
_FIGURES = re.compile(r"cov: (\d+) ft: (\d+) corp: (\d+)")
_HASHED = re.compile(r"[0-9a-f]{12}")
_RUNS = re.compile(r"number_of_executed_units: (\d+)")


@dataclass
class Result:
    """What became of a target."""

    runs: int = 0
    edges: int = 0
    inputs: int = 0
    findings: list[str] = field(default_factory=list)


def main() -> None:
    """Parse the arguments, run, print."""
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5, help="so long, all targets together (default: 5)")
    parser.add_argument("--target", choices=TARGETS, action="append", help="only this one (may be given repeatedly)")
    parser.add_argument("--seed", type=int, help="of the mutations; printed, so that a run can be had again")
    parser.add_argument("--keep", action="store_true", help="put what was found to reach more into the corpus")
    given = parser.parse_args()
    seed = secrets.randbelow(1 << 31) if given.seed is None else given.seed
    names = given.target or [*TARGETS]
    _say(f"seed {seed}, {given.minutes:g} minutes, targets {', '.join(names)}")
    results = {name: Result() for name in names}
    for name in names:
        _prepare(name)
    end = time.monotonic() + 60 * given.minutes
    for number in itertools.count():
        left = end - time.monotonic()
        shares = {name: _SHARES.get(name, 1) for name in names}
        seconds = min(_ROUND, int(left / sum(shares.values())))
        if seconds < 1:
            break
        for name, share in shares.items():
            _fuzz(name, share * seconds, seed + number, results[name])
    for name in names if given.keep else ():
        _keep(name)
    _report(results)
    sys.exit(1 if any(result.findings for result in results.values()) else 0)


def _prepare(name: str) -> None:
    for folder in ("inputs", "found"):
        (WORK / name / folder).mkdir(parents=True, exist_ok=True)
    for index, data in enumerate(seeds(name)):
        (WORK / name / "inputs" / f"seed-{index}").write_bytes(data[:_LONGEST])
    lines = ("".join(f"\\x{byte:02x}" for byte in word.encode()) for word in WORDS)
    _DICTIONARY.write_text("".join(f'"{line}"\n' for line in lines))
    (CORPUS / name).mkdir(parents=True, exist_ok=True)


def _fuzz(name: str, seconds: int, seed: int, result: Result) -> None:
    """One round."""
    found = WORK / name / "found"
    before = {path.name for path in found.iterdir()}
    text = _libfuzzer(name, f"-max_total_time={seconds}", f"-seed={seed}", WORK / name / "inputs", CORPUS / name)
    result.runs += sum(map(int, _RUNS.findall(text)))
    for edges, _, inputs in _FIGURES.findall(text)[-1:]:
        result.edges, result.inputs = int(edges), int(inputs)
    for path in sorted(found.iterdir()):
        if path.name not in before and path.suffix == ".txt":
            result.findings.append(str(path.with_suffix("")))
            _say(f"{name}: {path.with_suffix('')}\n{path.read_text()[-1500:]}")


def _keep(name: str) -> None:
    """Make a target's corpus anew; what has a name of its own stays."""
    old = [path for path in (CORPUS / name).iterdir() if _HASHED.fullmatch(path.name)]
    inputs = [path.read_bytes() for path in (*old, *(WORK / name / "inputs").iterdir())]
    kept = fewest(TARGETS[name], inputs, CODE[name])
    for path in old:
        path.unlink()
    for data in kept:
        hashed = hashlib.sha1(data, usedforsecurity=False).hexdigest()[:12]
        (CORPUS / name / hashed).write_bytes(data)
    _say(f"{name}: {len(kept)} inputs kept of {len(inputs)}")


def _libfuzzer(name: str, *arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.run", name, str(WORK / name / "found"), *_LIMITS, *map(str, arguments)],
        env={**os.environ, "PYTHONHASHSEED": "0"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    text = done.stdout.decode("utf-8", "replace")
    if "INFO: Running with" not in text:
        sys.exit(f"fuzz: the fuzzer did not start:\n{text[-2000:]}")
    return text


def _report(results: dict[str, Result]) -> None:
    for name, result in results.items():
        _say(f"{name:10} {result.runs:>10,} runs {result.edges:>6,} edges {result.inputs:>6,} inputs"
             f" {len(result.findings):>3} findings")  # fmt: skip
    for name in (name for name in results if name in SLOW):
        for milliseconds, path in slowest(name, [*(WORK / name / "inputs").iterdir(), *(CORPUS / name).iterdir()]):
            _say(f"slow: {milliseconds:.1f} ms for 4 KiB: {path}")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
