"""How `holdpoint audit verify` shows what it does and what it found."""

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from extproc.domain.display import visible

if TYPE_CHECKING:
    from extproc.audit.verify import Report, StreamReport, Upto


class ProgressLine:
    """One line on a terminal: how much is done, how fast, and how long it will take."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._shown, self._what, self._began = clock, 0.0, "", clock()
        self._terminal = sys.stderr.isatty()

    def __call__(self, what: str, done: int, total: int) -> None:
        now = self._clock()
        if what != self._what:
            self._what, self._began = what, now
        if not self._terminal or (now - self._shown < 0.1 and done < total):
            return
        self._shown = now
        rate = done / max(now - self._began, 0.001)
        speed = f"{rate / 1e6:.0f} MB/s" if what == "journal" else f"{rate:.0f}/s"
        left = f", {(total - done) / max(rate, 1):.0f} s left" if done < total else ""
        text = f"{what}: {done * 100 // max(total, 1)} %, {speed}{left}"
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Take the line away."""
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def show(report: "Report", whence: str) -> None:
    """Print a table of the streams, what signs them, and every fault. `whence` says where the keys are from."""
    head = ("STREAM", "RECORDS", "BYTES", "SEGMENTS", "SIGNED UP TO", "WITNESSED UP TO", "FAULTS")
    several = len(report.keys) > 1
    lines = [head, *(_cells(stream, report.faults.of(stream.stream), several) for stream in report.streams)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    print()
    for stream in report.streams:
        if stream.head:
            print(f"head      {visible(stream.stream)}:{stream.seq}:{stream.head}")
    keys = f"{', '.join(report.keys)} from {whence}" if report.keys else "none: no signature was checked"
    print(f"keys      {visible(keys)}")
    kept = (stream.witnessed.by.partition(_KEPT_BY)[2] for stream in report.streams if stream.witnessed is not None)
    for name in dict.fromkeys(name for name in kept if name):
        print(f"witness   {visible(name)}")
    counts = (
        f"{report.checkpoints} checkpoints, {report.witness_checkpoints} kept by witnesses",
        f"{report.bodies} bodies ({report.body_bytes} bytes)",
        f"{report.requests} requests in Envoy's access log",
        *([] if report.spans is None else [f"{report.spans} spans"]),
    )
    print(f"checked   {', '.join(counts)}")
    for note in report.notes:
        print(f"note      {visible(note)}")
    for fault in report.faults.listed:
        place = "" if fault.path is None else f"{fault.path}: "
        place += "" if fault.offset is None else f"byte {fault.offset}: "
        place += "" if fault.seq is None else f"record {fault.seq}: "
        stream_of = f"{fault.stream}  " if fault.stream else ""
        print(f"FAULT     {fault.wrong}  {visible(stream_of + place + fault.message)}")
    rest = report.faults.count - len(report.faults.listed)
    if rest > 0:
        print(f"FAULT     and {rest} more like these")
    faults = "1 fault" if report.faults.count == 1 else f"{report.faults.count} faults"
    print("everything is as it was written" if report.ok else faults)


_KEPT_BY = " kept by "


def _cells(stream: "StreamReport", faults: int, keys: bool) -> tuple[str, ...]:
    """A line of the table. `keys`: with the key that signed, where there are several; witnesses are named below it."""

    def upto(known: "Upto | None", otherwise: str = "nothing") -> str:
        if known is None:
            return otherwise
        by = known.by.partition(_KEPT_BY)[0]
        return f"{known.seq}, {known.at[:19]}Z, {by if keys else by.partition(' (key ')[0]}"

    shipped = "nothing" if stream.shipped is None else f"nothing; shipped up to {stream.shipped.seq}"
    records = f"{stream.records} ({stream.erased} erased)" if stream.erased else str(stream.records)
    cells = (
        stream.stream,
        records,
        str(stream.bytes),
        str(stream.segments),
        upto(stream.signed),
        upto(stream.witnessed, shipped),
        str(faults),
    )
    return tuple(visible(cell) for cell in cells)
