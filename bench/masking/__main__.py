"""`python -m bench.masking`: how well and how fast sensitive values are found, beside other engines.

quality   recall and precision on public labelled cases, false alarms on clean text
speed     MB a second and core, and the worst stall
"""

import argparse
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import orjson

from bench import machine
from bench.children import BenchFailed
from bench.masking import children, extract, ours, quality, speed, stalls
from bench.masking.cases import Case
from bench.masking.children import Peer
from bench.masking.quality_report import QualityReport
from bench.masking.sources import VARIABLE, Source, SourceMissing, given_folder, sources
from bench.masking.speed_report import SpeedReport

_BARE = (0.4, 0.3)
PAGE = Path(__file__).parents[2] / "docs" / "masking-quality.md"


def main() -> None:
    """Parse the arguments, run, print. Exits with 1 where something that is needed can't be had."""
    parser = argparse.ArgumentParser(
        prog="bench.masking", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    asked = commands.add_parser("quality", help="recall, precision, false alarms; downloads labelled cases")
    asked.add_argument("--sources", type=Path, help=f"a folder with copies of their repositories (or {VARIABLE})")
    asked.add_argument("--show", action="store_true", help="what was missed, and samples of false alarms; quotes data")
    asked.add_argument("--megabytes", type=float, default=1.0, help="of each clean text (default 1)")
    timed = commands.add_parser("speed", help="MB a second and core, worst stall; needs no data")
    timed.add_argument("--quick", action="store_true", help="less of everything, rougher")
    for command in (asked, timed):
        command.add_argument("--json", action="store_true", help="print the run as JSON")
        command.add_argument("--markdown", action="store_true", help=f"put the run into docs/{PAGE.name}")
        command.add_argument("--alone", action="store_true", help="without the other engines")
        command.add_argument("--compare", type=Path, default=children.PYTHON, help="the Python that has them")
    given = parser.parse_args()
    try:
        with _peers(None if given.alone else given.compare) as (presidio, secrets):
            report = (
                _quality(given, presidio, secrets) if given.command == "quality" else _speed(given, presidio, secrets)
            )
        print(orjson.dumps(report.document(), option=orjson.OPT_INDENT_2).decode() if given.json else report.text())
        if isinstance(report, QualityReport) and given.show:
            print(report.examples(), file=sys.stderr if given.json else sys.stdout)
        if given.markdown:
            report.refresh(PAGE)
    except (BenchFailed, SourceMissing, OSError, ValueError) as error:
        sys.exit(f"bench.masking: {error}")


def _quality(given: argparse.Namespace, presidio: Peer | None, secrets: Peer | None) -> QualityReport:
    folder = given_folder(given.sources)
    known = sources()
    research = _cases(known["presidio-research"], folder)
    recognizers = _cases(known["presidio"], folder)
    lines = _cases(known["detect-secrets"], folder)
    _say(f"{len(research):,} + {len(recognizers):,} + {len(lines):,} labelled cases")
    tables = {
        "presidio-research": quality.entities(research, presidio),
        "presidio": quality.entities(recognizers, presidio),
        "presidio-named": quality.entities(quality.named(recognizers), presidio),
        "detect-secrets": quality.plugins(lines, secrets),
    }
    size = int(given.megabytes * 1e6)
    alarms = quality.alarms(size, presidio, secrets, _say)
    bare = [quality.bare(score, recognizers, size, presidio, _say) for score in (None, *_BARE)]
    unfilled = quality.total("", quality.plugins(quality.unfilled(lines), None))
    versions = [peer.version for peer in (presidio, secrets) if peer is not None]
    return QualityReport(quality.Quality(tables, alarms, versions, bare, unfilled))


def _cases(source: Source, folder: Path | None) -> list[Case]:
    cases: list[Case] = []
    for path, text in source.read(folder, _say).items():
        name = Path(path).stem
        if path.endswith(".json"):
            cases += extract.spans(text, source.repository).cases
        elif name.endswith("_recognizer"):
            cases += extract.recognizer(text, source.repository).cases
        else:
            cases += extract.plugin(text, source.repository, name.removesuffix("_test")).cases
    return cases


def _speed(given: argparse.Namespace, presidio: Peer | None, secrets: Peer | None) -> SpeedReport:
    load = machine.load_average()
    ours.prepare()
    plan = speed.QUICK if given.quick else speed.Plan()
    speeds = speed.measure(plan, presidio, secrets, _say)
    worst = stalls.measure(plan.length, 2 if given.quick else 3, _say)
    return SpeedReport(speeds, worst, machine.basics(), load)


@contextmanager
def _peers(python: Path | None) -> Iterator[tuple[Peer | None, Peer | None]]:
    """Both other engines, started; or none."""
    with ExitStack() as stack:
        if python is None:
            yield None, None
            return
        started = []
        for name in ("presidio", "detect-secrets"):
            peer = Peer(python, name)
            stack.callback(peer.stop)
            started.append(peer)
        yield started[0], started[1]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
