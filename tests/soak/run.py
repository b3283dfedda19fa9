"""One soak from start to end."""

import re
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from extproc.audit.reader import JournalFault, size, streams
from extproc.audit.store import Store
from tests.soak.compare import compare, read_received, read_told, read_trail
from tests.soak.faults import Injector
from tests.soak.people import Approver
from tests.soak.processes import SoakFailed
from tests.soak.report import Check, Report
from tests.soak.stack import Options, Stack
from tests.support.envoy import until

Say = Callable[[str], None]
_DRAIN_SECONDS = 1800.0
_CHECK_SECONDS = 3600.0
# Of what a content command says: what it looked at.
_TOLD = re.compile(r"checked |note |\d+ spans ")
_LINES = 25


def soak(options: Options, say: Say) -> Report:
    """Do it all. What went wrong is in the report."""
    report = Report(options.seed)
    began = time.monotonic()
    try:
        with Stack(options, say) as stack:
            if stack.disk.why_not:
                report.left_out = f"a full disk (a small one can't be mounted: {stack.disk.why_not})"
                say(f"left out: {report.left_out}")
            _stress(stack, report, say)
            _settle(stack, report, say)
            _judge(stack, report, say)
    except (SoakFailed, AssertionError, TimeoutError, JournalFault, OSError, subprocess.SubprocessError) as error:
        report.trouble = f"{type(error).__name__}: {error}"
    report.seconds = time.monotonic() - began
    return report


def _stress(stack: Stack, report: Report, say: Say) -> None:
    """Requests and faults, until there were enough of both."""
    options, began = stack.options, time.monotonic()
    injector = Injector(stack, lambda text: say(f"{_progress(stack, began)}  {text}"))

    def enough() -> bool:
        long = time.monotonic() - began >= options.minutes * 60
        return long and stack.clients.answers.total() >= options.requests

    people = Approver(stack.gateway)
    try:
        injector.run(enough)
    finally:
        people.stop()
        report.faults, report.slowest = dict(injector.counts), injector.slowest
        report.votes = {"approved": people.approved, "denied": people.denied}
        report.answers = dict(stack.clients.answers)
    say(f"{_progress(stack, began)}  faults are over; the clients end")
    report.answers = dict(stack.clients.finish())


def _progress(stack: Stack, began: float) -> str:
    answers = stack.clients.answers
    return f"{time.monotonic() - began:6.0f} s  {answers.total():>8,} requests, {answers['200']:>8,} answered 200"


def _settle(stack: Stack, report: Report, say: Say) -> None:
    """Let the shipper send what it has, and stop the gateway."""
    say("the shipper sends the rest")
    began = time.monotonic()
    until(lambda: _shipped(stack.gateway.state), "the shipper to send everything", _DRAIN_SECONDS)
    report.drained_seconds = time.monotonic() - began
    report.disk_bytes = stack.disk.used()
    code = stack.gateway.finish()
    if code:
        raise SoakFailed(f"the gateway stopped with exit code {code}")


def _shipped(state: Path) -> bool:
    """Whether the shipper has everything that is written now. Its gauge does not tell: a new one begins at 0."""
    with closing(Store(state / "shipper.db", readonly=True)) as store:
        cursors = store.cursors()
    return all(f.name in cursors and size(f) <= cursors[f.name].offset for f in streams(state))


def _judge(stack: Stack, report: Report, say: Say) -> None:
    say("comparing upstream, clients and journal")
    report.comparison = compare(
        read_received(stack.received), read_told(stack.results), read_trail(stack.gateway.state)
    )
    say("verifying the journal")
    report.checks.append(_check(stack, "audit verify", "audit", "verify"))
    say("comparing with Jaeger, and sending again what it lacks")
    report.checks.append(_check(stack, "audit ship", "audit", "ship", "--missing"))
    say("comparing with Jaeger again")
    against = ("audit", "verify", "--against-jaeger", stack.jaeger.page)
    report.checks.append(_check(stack, "audit verify, Jaeger", *against))


def _check(stack: Stack, name: str, *words: str) -> Check:
    began = time.monotonic()
    argv = [sys.executable, "-m", "extproc.cli", *words, "--config", str(stack.gateway.config)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=_CHECK_SECONDS)
    said = (done.stdout + done.stderr).strip().splitlines()
    if done.returncode == 0:
        said = [line for line in said[:-1] if _TOLD.match(line)] + said[-1:]
    return Check(name, done.returncode == 0, "\n".join(said[-_LINES:]), time.monotonic() - began)
