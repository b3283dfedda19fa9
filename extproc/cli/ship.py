"""`holdpoint audit ship`: send again what the trace store lost. It may run beside the gateway: it reads files only."""

import argparse
import contextlib
import json
import sqlite3
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from extproc.cli._common import OK, PROBLEMS, CommandError, Subparsers, add_command, add_config, load_settings
from extproc.cli._times import record_time

if TYPE_CHECKING:
    from extproc.audit.compare import Finding
    from extproc.audit.spans import Span

BATCH = 256


@dataclass(slots=True)
class Tally:
    """Counts what a comparison found."""

    spans: int = 0
    traces: int = 0
    missing: int = 0
    altered: int = 0
    unexpected: int = 0
    repeated: int = 0

    def add(self, finding: "Finding") -> None:
        """Count one."""
        from extproc.audit.compare import Altered, Missing, Unexpected

        if isinstance(finding, Missing):
            self.missing += 1
        elif isinstance(finding, Altered):
            self.altered += 1
        elif not isinstance(finding, Unexpected):
            self.spans, self.traces = finding.spans, finding.traces
        elif finding.harmless:
            self.repeated += 1
        else:
            self.unexpected += 1

    def line(self) -> str:
        """The counts for people."""
        text = f"{self.spans} spans in {self.traces} traces: {self.missing} missing, {self.altered} altered, "
        text += f"{self.unexpected} that no record tells"
        return text + (f"; {self.repeated} times one was there again, the same" if self.repeated else "")


def register(verbs: Subparsers) -> None:
    """Add `ship`."""
    parser = add_command(
        verbs,
        "ship",
        "send spans again that Jaeger has no more",
        _ship,
        about="Compare what was shipped with what Jaeger holds, and send again exactly what it lacks. What is not\n"
        "shipped yet is the gateway's to send. The exit code is 1 where something was not taken.",
        examples=("holdpoint audit ship --missing", "holdpoint audit ship --missing --altered --since 2d"),
    )
    parser.add_argument("--missing", action="store_true", required=True, help="send spans that are not there")
    parser.add_argument(
        "--altered", action="store_true",
        help="also those that are there in another form; on disk (Badger) Jaeger then has the right one in place, "
        "unless its start was changed; in memory it has both",
    )  # fmt: skip
    parser.add_argument(
        "--against-jaeger", metavar="URL", help="Jaeger's page (default: the configuration's `audit.jaeger`)"
    )
    parser.add_argument("--otlp", metavar="URL", help="where to send them (default: the configuration's `audit.otlp`)")
    parser.add_argument("--since", metavar="WHEN", help="only spans of records since: a time (RFC 3339) or an age (2d)")
    add_config(parser)
    parser.add_argument("--state", metavar="DIR", type=Path, help="the state folder (default: the configuration's)")
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


def _ship(arguments: argparse.Namespace) -> int:
    from extproc.adapters.otel import OtlpExporter
    from extproc.audit.compare import Altered, Missing

    state, otlp, jaeger = _where(arguments)
    earliest = None if arguments.since is None else record_time("--since", arguments.since)
    wanted = (Missing, Altered) if arguments.altered else Missing
    tally, batch, sent, refused = Tally(), list["Span"](), 0, 0
    with contextlib.closing(OtlpExporter(otlp)) as exporter:
        for finding in _findings(state, jaeger, earliest):
            tally.add(finding)
            if isinstance(finding, wanted):
                batch.append(finding.told.span)
            # What is sent while a trace is compared is of spans that were looked for already.
            if len(batch) >= BATCH:
                sent, refused, batch = *_counted(exporter.export(batch), len(batch), sent, refused), []
        if batch:
            sent, refused = _counted(exporter.export(batch), len(batch), sent, refused)
    if arguments.json:
        print(json.dumps({**asdict(tally), "sent": sent, "refused": refused}))
    else:
        print(tally.line())
        print(f"{sent} spans were sent again" + (f"; {refused} were not taken by {otlp}" if refused else ""))
    return PROBLEMS if refused else OK


def _findings(state: Path, jaeger: str, since: str | None) -> "Iterator[Finding]":
    """What differs between what was shipped and what Jaeger holds. Raises CommandError."""
    from extproc.adapters.jaeger import Jaeger
    from extproc.audit.compare import StoreUnreachable, compare
    from extproc.audit.placement import nanoseconds
    from extproc.audit.reader import JournalFault
    from extproc.audit.replay import ReplayFault

    progress = _progress if sys.stderr.isatty() else _silent
    try:
        with contextlib.closing(Jaeger(jaeger)) as store:
            yield from compare(state, store.spans, 0 if since is None else nanoseconds(since), progress)
    except StoreUnreachable as error:
        raise CommandError(f"not compared with Jaeger: {error}") from error
    except (JournalFault, ReplayFault, OSError, sqlite3.Error) as error:
        raise CommandError(f"not compared with Jaeger: {error}; `holdpoint audit verify` says more") from error


def _counted(taken: bool, size: int, sent: int, refused: int) -> tuple[int, int]:
    return (sent + size, refused) if taken else (sent, refused + size)


def _where(arguments: argparse.Namespace) -> tuple[Path, str, str]:
    """The state folder, where spans are sent, and where they are looked for."""
    state, otlp, jaeger = arguments.state, arguments.otlp, arguments.against_jaeger
    if None in (state, otlp, jaeger):
        settings = load_settings(arguments, files=False)
        state = state or settings.state
        otlp = otlp or (str(settings.audit.otlp) if settings.audit.otlp else None)
        jaeger = jaeger or (str(settings.audit.jaeger) if settings.audit.jaeger else None)
    for value, option, setting in ((otlp, "--otlp", "audit.otlp"), (jaeger, "--against-jaeger", "audit.jaeger")):
        if value is None:
            raise CommandError(f"{option}: not given, and the configuration has no {setting}")
    if not (state / "journal").is_dir():
        raise CommandError(f"no journal in {state / 'journal'}: nothing to send")
    return state, str(otlp), str(jaeger)


def _progress(what: str, done: int, total: int) -> None:
    print(f"\r{what}: {done * 100 // max(total, 1)} %", end="\n" if done >= total else "", file=sys.stderr, flush=True)


def _silent(what: str, done: int, total: int) -> None:
    """Nobody looks on."""
