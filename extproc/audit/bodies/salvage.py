"""What a crash left under way: stored as far as it got to the disk, and given back to be recorded.

Whoever calls holds the stream's journal, so nobody else writes to its folder.
"""

from collections.abc import Callable
from pathlib import Path

from extproc.audit.bodies.coding import Coder, Decoding, Malformed
from extproc.audit.bodies.recorder import KIND, TEMPORARY, prepare
from extproc.audit.bodies.writer import LaneWriter, RecordingFailed, Shelf
from extproc.domain.json import JSON, Document

_LANES = ("request", "response")
_AGAIN = ".again"


def salvage(shelf: Shelf, stream: str, record: Callable[[str, Document], object]) -> int:
    """Store what one stream left, calling `record` with each record's kind and body; returns how many.

    Where this is cut short, a body is recorded twice rather than not at all. Raises OSError, RecordingFailed and
    whatever `record` raises."""
    folder = shelf.folder / TEMPORARY / stream
    if not folder.is_dir():
        return 0
    prepare(shelf.folder)
    count, coder = 0, Coder()
    for file in sorted(folder.iterdir()):
        decision, _, lane = file.name.partition(".")
        if lane not in _LANES or not decision:
            # A probe, or a salvaging that was cut short.
            file.unlink()
            continue
        found = _store(shelf, file, coder)
        if found is not None:
            record(KIND, {"decision": decision, "lane": lane, **found, "salvaged": True})
            count += 1
        file.unlink()
    return count


def strays(folder: Path) -> list[str]:
    """The streams that have a folder of what is under way, whether anybody writes to it or not."""
    try:
        return sorted(each.name for each in (folder / TEMPORARY).iterdir() if each.is_dir())
    except FileNotFoundError:
        return []


def _store(shelf: Shelf, file: Path, coder: Coder) -> dict[str, JSON] | None:
    """Shelve what whole frames hold; None where that is nothing."""
    failures: list[str] = []
    writer = LaneWriter(f"{file}{_AGAIN}", coder, None, failures.append)
    with file.open("rb", buffering=0) as opened:
        decoding = Decoding(opened.read)
        try:
            torn = 0 if _copy(decoding, writer) else file.stat().st_size - decoding.good
        except RecordingFailed:
            writer.abandon()
            raise
    address = writer.finish(shelf)
    writer.settle()
    if address is None:
        return None
    found: dict[str, JSON] = {"address": address, "bytes": writer.bytes, "kept": writer.kept}
    return {**found, "torn": torn} if torn else found


def _copy(decoding: Decoding, writer: LaneWriter) -> bool:
    """Write what whole frames hold: of a torn one nothing went on, though its start may be read. False where there was
    something torn."""
    held: list[bytes] = []
    good, whole = 0, True
    pieces = decoding.content()
    while True:
        try:
            piece = next(pieces, None)
        except Malformed:
            piece, whole = None, False
        if decoding.good != good:
            for each in held:
                writer.write(each)
            good, held = decoding.good, []
        if piece is None:
            return whole
        held.append(piece)
