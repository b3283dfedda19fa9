"""`python -m examples.demo [--keep]`, or `make demo` and `make demo KEEP=1`.

Exit status: 0 when every claim held, 1 when one did not or something failed, 130 when it was interrupted.
"""

import argparse
import atexit
import os
import sys

from examples.demo.agent_runtime import other_user
from examples.demo.processes import DemoFailed, Interrupts, Processes
from examples.demo.story import Story, Teller
from examples.demo.workplace import create, remove

INTERRUPTED = 130


def main() -> int:
    """Run the demo, and clean up whatever happens."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.demo", description="Run Holdpoint with a real agent on this machine."
    )
    parser.add_argument(
        "--keep",
        action="store_true",
        default=os.environ.get("KEEP", "") not in ("", "0"),
        help="stay up until Ctrl-C (also: KEEP=1)",
    )
    keep = parser.parse_args().keep
    interrupts = Interrupts()
    interrupts.install()
    processes = Processes(interrupts)
    # Once more at exit, for a signal that arrives between two lines of the cleaning up below.
    atexit.register(processes.stop)
    say = Teller()
    place = None
    failed = True
    try:
        with processes:
            place = create(other_user())
            good = Story(processes, place, say).play(keep)
        failed = not good
        say("done" if good else "done, but a claim did not hold")
        return 0 if good else 1
    except DemoFailed as error:
        print(f"\ndemo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        failed = False
        print("\nstopped; everything that was started has ended", flush=True)
        return INTERRUPTED
    finally:
        with interrupts.shielded(quiet=True):
            if place is not None and failed:
                print(f"logs and journal are kept in {place.root}", file=sys.stderr)
            elif place is not None:
                remove(place)


if __name__ == "__main__":
    raise SystemExit(main())
