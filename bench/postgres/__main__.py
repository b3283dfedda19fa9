"""`python -m bench.postgres`: PostgreSQL through the gateway, beside the server alone, Envoy and pgbouncer."""

import argparse
import sys
from dataclasses import replace

import orjson

from bench import machine
from bench.__main__ import PAGE
from bench.children import BenchFailed
from bench.postgres.cases import QUICK, Options
from bench.postgres.measure import rounds, started
from bench.postgres.report import Report
from extproc.adapters.opa.binary import OpaMissing


def main() -> None:
    """Parse the arguments, run, print. Exits with 1 where a transaction failed."""
    parser = argparse.ArgumentParser(prog="bench.postgres", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="half a minute instead of some nine; rougher figures")
    parser.add_argument("--rounds", type=int, help="how often every cell is measured")
    parser.add_argument("--json", action="store_true", help="print the run as JSON")
    parser.add_argument("--markdown", action="store_true", help=f"put the run into docs/{PAGE.name}")
    given = parser.parse_args()
    options = QUICK if given.quick else Options()
    if given.rounds is not None and given.rounds < 1:
        parser.error("rounds: expected 1 or more")
    try:
        report = measure(options if given.rounds is None else replace(options, rounds=given.rounds))
        print(orjson.dumps(report.document(), option=orjson.OPT_INDENT_2).decode() if given.json else report.text())
        if given.markdown:
            report.refresh(PAGE)
    except (BenchFailed, OpaMissing, OSError, ValueError) as error:
        sys.exit(f"bench: {error}")


def measure(options: Options) -> Report:
    """One run from start to stop. Raises BenchFailed."""
    facts, load = machine.facts(), machine.load_average()
    _say("starting: a server, pgbouncer, two Envoys, a relay, two gateways")
    with started() as ways:
        return Report(options, facts, load, *rounds(ways, options, _say))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
