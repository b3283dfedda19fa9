"""`python -m tests.soak`: a whole gateway under load while its parts are killed; exit code 1 where its trail is not
whole. It runs in a mount namespace of its own (util-linux' `unshare`), so that its small disk ends with it."""

import argparse
import os
import secrets
import shutil
import signal
import subprocess
import sys
from types import FrameType

import orjson

from tests.soak.run import soak
from tests.soak.stack import Options

_INSIDE = "HOLDPOINT_SOAK_INSIDE"
# What a request leaves in the state folder (records, index and body: some 11 KiB), with room to spare.
_BYTES_A_REQUEST = 16 << 10
_LEAST_DISK = 128 << 20


def main() -> None:
    """Parse the arguments, run, print."""
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--requests", type=int, default=200_000, help="at least so many requests (default: 200000)")
    parser.add_argument("--seed", type=int, help="of requests and faults; printed, so that a run can be had again")
    parser.add_argument("--minutes", type=float, default=0.0, help="at least so long, even when that is more requests")
    parser.add_argument("--connections", type=int, default=32, help="clients at one time (default: 32)")
    parser.add_argument("--rate", type=float, default=0.0, help="at most so many requests a second (default: no limit)")
    parser.add_argument("--gap", type=int, default=800, help="answers between two faults, on average (default: 800)")
    parser.add_argument("--workers", type=int, default=2, help="workers of the gateway (default: 2)")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    given = parser.parse_args()
    _enter_namespace()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    seed = secrets.randbelow(1 << 32) if given.seed is None else given.seed
    disk = _LEAST_DISK + given.requests * _BYTES_A_REQUEST
    options = Options(
        given.requests, seed, given.minutes, given.connections, given.rate, given.gap, given.workers, disk
    )
    _say(f"seed {seed}, {given.requests:,} requests, a disk of {disk >> 20} MiB")
    try:
        report = soak(options, _say)
    except KeyboardInterrupt:
        sys.exit("soak: interrupted; everything it started has ended")
    text = orjson.dumps(report.document(), option=orjson.OPT_INDENT_2).decode() if given.json else report.text()
    sys.stdout.write(text + "\n")
    sys.exit(0 if report.clean else 1)


def _enter_namespace() -> None:
    """Run again in a mount namespace of our own, as root there; where that can't be had, stay."""
    if _INSIDE in os.environ:
        return
    words = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    if shutil.which("unshare") and subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0:
        os.environ[_INSIDE] = "1"
        os.execvp("unshare", [*words, sys.executable, "-m", "tests.soak", *sys.argv[1:]])  # noqa: S606  # our own words


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
