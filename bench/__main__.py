"""`python -m bench`: measure the gateway beside a plain Envoy, and say where the time goes."""

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import orjson

from bench import fairness, machine, recording, targets, trail
from bench.cases import QUICK, Options
from bench.children import BenchFailed
from bench.figures import lines
from bench.report import Report
from bench.run import rounds, stages, started
from extproc.adapters.opa.binary import OpaMissing

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"


def main() -> None:
    """Parse the arguments, run, print. Exits with 1 where an answer, or the journal, was not right."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a minute instead of some seven; rougher figures")
    parser.add_argument("--rounds", type=int, help="how often every cell is measured")
    parser.add_argument("--workers", type=int, help="workers of the gateway, and of the processor that only continues")
    parser.add_argument("--json", action="store_true", help="print the run as JSON")
    parser.add_argument("--markdown", action="store_true", help=f"put the run into docs/{PAGE.name}")
    given = parser.parse_args()
    options = QUICK if given.quick else Options()
    chosen = {name: getattr(given, name) for name in ("rounds", "workers") if getattr(given, name) is not None}
    if any(number < 1 for number in chosen.values()):
        parser.error(f"{' and '.join(chosen)}: expected 1 or more")
    try:
        report = measure(replace(options, **chosen))
        print(orjson.dumps(report.document(), option=orjson.OPT_INDENT_2).decode() if given.json else report.text())
        if given.markdown:
            report.refresh(PAGE)
    except (BenchFailed, OpaMissing, OSError, ValueError) as error:
        sys.exit(f"bench: {error}")


def measure(options: Options) -> Report:
    """One run from start to stop. Raises BenchFailed."""
    facts, load = machine.facts(), machine.load_average()
    _say("starting: a gateway, two more Envoys, an upstream, a client")
    with started(options) as bench:
        _say("the steps of one request, each alone")
        steps = stages(bench)
        run = rounds(bench, options, _say)
    kept = recording.measure(options, _say)
    with tempfile.TemporaryDirectory(prefix="hp-") as state:
        found = trail.measure(Path(state), options.records, _say)
    fair = fairness.measure(options.seconds, options.rounds, _say)
    changes = list(targets.measure(targets.COUNTS, _say))
    return Report(options, facts, load, lines(run.samples), run, steps, kept, found, fair, changes)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
