"""The demo's children: all gone at the end, whatever happened, and failures told with the tail of a log."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from examples.demo.processes import DemoFailed, Interrupts, Processes, ended, tail

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
# Ignores SIGTERM and starts a grandchild in a session of its own, whose number it prints.
STUBBORN = [
    sys.executable,
    "-c",
    (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], start_new_session=True)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    ),
]


def gone(pid: int) -> bool:
    """Whether no such process runs; one that is dead but not yet reaped has gone too."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    status = Path(f"/proc/{pid}/stat")
    try:
        return not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def soon_gone(pid: int) -> bool:
    """The same, waiting for the kernel to carry the kill out."""
    deadline = time.monotonic() + 10
    while not gone(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return gone(pid)


def test_every_child_ends_with_the_context(tmp_path: Path) -> None:
    """Leaving the context ends what still runs."""
    with Processes(Interrupts()) as processes:
        pids = [processes.start(f"sleep {n}", SLEEP, tmp_path / f"{n}.log").process.pid for n in range(3)]
    assert [pid for pid in pids if not gone(pid)] == []


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="without /proc the demo ends only its own children")
def test_a_stubborn_child_and_its_grandchild_are_killed(tmp_path: Path) -> None:
    """A second Ctrl-C while cleaning up ends the patience, and nothing is left over."""
    interrupts, log = Interrupts(), tmp_path / "log"
    processes = Processes(interrupts)
    child = processes.start("stubborn", STUBBORN, log)
    processes.wait_for(child, lambda: log.read_text().endswith("\n"), 30, "the grandchild's number")
    grandchild = int(log.read_text())
    presser = threading.Timer(0.3, lambda: setattr(interrupts, "count", interrupts.count + 1))
    presser.start()
    processes.stop()
    presser.join()
    assert (gone(child.process.pid), soon_gone(grandchild)) == (True, True)


def test_a_child_that_ends_is_told_with_its_log(tmp_path: Path) -> None:
    """The message names the process, how it ended, and what it said last."""
    program = [sys.executable, "-c", "import sys; print('no such key'); sys.exit(3)"]
    with Processes(Interrupts()) as processes:
        child = processes.start("gateway", program, tmp_path / "log")
        with pytest.raises(DemoFailed, match=r"gateway ended unexpectedly \(exit status 3\)[^$]*no such key"):
            processes.wait_for(child, lambda: False, 30, "the gateway")


def test_a_child_is_asked_to_end_in_its_own_way(tmp_path: Path) -> None:
    """PostgreSQL takes SIGINT for it: at SIGTERM it waits for its clients."""
    program = [
        sys.executable,
        "-c",
        "import time\nprint(flush=True)\ntry: time.sleep(60)\nexcept KeyboardInterrupt: pass",
    ]
    with Processes(Interrupts()) as processes:
        log = tmp_path / "log"
        child = processes.start("server", program, log, stop=signal.SIGINT)
        processes.wait_for(child, lambda: log.read_text() != "", 30, "the server")
        processes.end(child)
    assert child.process.returncode == 0


def test_what_does_not_come_in_time_is_a_failure(tmp_path: Path) -> None:
    """Waiting has an end."""
    with Processes(Interrupts()) as processes:
        child = processes.start("gateway", SLEEP, tmp_path / "log")
        with pytest.raises(DemoFailed, match="readiness did not come within 0 s"):
            processes.wait_for(child, lambda: False, 0.0, "readiness")


def test_a_program_that_is_not_there_is_a_failure(tmp_path: Path) -> None:
    """The message names it."""
    processes = Processes(Interrupts())
    with pytest.raises(DemoFailed, match="opa did not start"):
        processes.start("opa", [tmp_path / "opa"], tmp_path / "log")


def test_only_the_first_signal_raises_and_none_within_a_shield() -> None:
    """A shielded signal raises when the shield is left; every later one only counts."""
    interrupts = Interrupts()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    reached = False
    try:
        interrupts.install()
        with pytest.raises(KeyboardInterrupt), interrupts.shielded():  # noqa: PT012 - what follows the signal is tested
            os.kill(os.getpid(), signal.SIGINT)
            reached = True
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert (reached, interrupts.count) == (True, 2)


def test_how_a_process_ended_is_said_in_words() -> None:
    """Exit statuses and signals."""
    assert (ended(2), ended(-9)) == ("exit status 2", "signal SIGKILL")


def test_the_tail_of_nothing_says_so(tmp_path: Path) -> None:
    """An empty or missing log is no riddle."""
    assert tail(tmp_path / "none").strip() == "(it wrote nothing)"
