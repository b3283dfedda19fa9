"""What a worker records of exchanges' bodies, while they pass."""

import contextlib
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from extproc.audit.bodies import heads
from extproc.audit.bodies.coding import Coder
from extproc.audit.bodies.writer import LaneWriter, RecordingFailed, Shelf
from extproc.domain.decision import Recording as Mode
from extproc.domain.json import JSON, Document
from extproc.domain.ports import JournalUnwritable

KIND = "recording"
"""The kind of the records that name bodies which no delivery's record names."""
TEMPORARY = "tmp"
LOOSE = "loose"
_PROBE = ".probe"
# What a disk must still take before anything passes again that has to be recorded.
_PROBE_BYTES = bytes(64 * 1024)


class Recorder:
    """Begins recordings of one stream of the journal; for one thread.

    `shelf.folder` holds everything, and below it a folder of this stream's own with what is under way. `record` writes
    a record of a kind to the stream. Raises OSError where the folders can't be made."""

    def __init__(self, shelf: Shelf, stream: str, record: Callable[[str, Document], object]) -> None:
        self.shelf = shelf
        self._record = record
        self._late: list[tuple[str, str, LaneWriter]] = []
        self.folder = shelf.folder / TEMPORARY / stream
        self.coder = Coder()
        self._wrong: str | None = "not tried yet"
        prepare(shelf.folder)
        self.folder.mkdir(0o700, exist_ok=True)

    def ready(self) -> None:
        """Raises RecordingFailed while bodies can't be recorded. Costs nothing while nothing has gone wrong; after that
        it tries whether the disk takes something again."""
        if self._wrong is None:
            return
        probe = self.folder / _PROBE
        try:
            probe.write_bytes(_PROBE_BYTES)
            probe.unlink()
        except OSError as error:
            # What is left of it may be what the next one would need.
            with contextlib.suppress(OSError):
                probe.unlink()
            raise RecordingFailed(f"{self.folder}: {error.strerror}") from error
        self._catch_up()
        self._wrong = None

    def begin(
        self, decision_id: str, mode: Mode, head_bytes: int, index: bool = False, of_type: str = ""
    ) -> "Recording":
        """The recording of what passes under a decision. Touches no disk yet. With `index` its words may be searched
        for. `of_type` is the bodies' type where they have no head."""
        return Recording(self, decision_id, mode, head_bytes, index, of_type)

    def fail(self, why: str) -> None:
        """Something could not be written."""
        self._wrong = why

    def later(self, decision_id: str, lane: str, writer: LaneWriter) -> None:
        """A body could not be put on the shelf: it is once the disk takes something again."""
        self._late.append((decision_id, lane, writer))

    def _catch_up(self) -> None:
        while self._late:
            decision_id, lane, writer = self._late[0]
            address = writer.finish(self.shelf)
            found: dict[str, JSON] = {"address": address, "bytes": writer.bytes, "kept": writer.kept}
            try:
                self._record(KIND, {"decision": decision_id, "lane": lane, **found, "salvaged": True})
            except JournalUnwritable as error:
                raise RecordingFailed(str(error)) from error
            writer.settle()
            del self._late[0]


class Recording:
    """One exchange being recorded: `write` before each piece goes on, `finish` at the end, `settle` once the delivery's
    record is written."""

    def __init__(
        self, recorder: Recorder, decision_id: str, mode: Mode, head_bytes: int, index: bool, of_type: str
    ) -> None:
        self._recorder, self._decision_id, self._mode, self._index = recorder, decision_id, mode, index
        self._unheaded: dict[str, JSON] = {"type": of_type} if of_type else {}
        self._most = {Mode.FULL: None, Mode.HEAD: head_bytes, Mode.METADATA: 0}[mode]
        self._late: set[str] = set()
        self._lanes: dict[str, LaneWriter] = {}
        self._heads: dict[str, list[tuple[str, str]]] = {}
        self._kinds: dict[str, dict[str, JSON]] = {}

    def head(
        self,
        lane: str,
        headers: Sequence[tuple[str, str]],
        changed: Sequence[tuple[str, str]],
        removed: Iterable[str],
    ) -> None:
        """A lane's head goes on with these changes. Names are lower case."""
        sent = self._heads[lane] = heads.as_sent(headers, changed, frozenset(removed))
        kinds: dict[str, JSON] = {}
        for name, value in sent:
            if name == "content-type":
                kinds["type"] = value[: heads.VALUE_CHARACTERS]
            elif name == "content-encoding":
                kinds["coding"] = value[: heads.VALUE_CHARACTERS]
        self._kinds[lane] = kinds
        self._writer(lane)

    def write(self, lane: str, data: bytes) -> None:
        """A piece of a lane's body is about to go on. Raises RecordingFailed, and then it must not."""
        if data:
            self._writer(lane).write(data)

    def finish(self) -> dict[str, JSON]:
        """The members `bodies` and `heads` of the delivery's record. A body that could not be put on the shelf has no
        address here; a later `recording` record gives it."""
        bodies: dict[str, JSON] = {}
        for lane, writer in self._lanes.items():
            body: dict[str, JSON] = {"mode": self._mode.value, "bytes": writer.bytes, "kept": writer.kept}
            try:
                address = writer.finish(self._recorder.shelf)
            except RecordingFailed:
                self._recorder.later(self._decision_id, lane, writer)
                self._late.add(lane)
                body["pending"] = True
            else:
                if address is not None:
                    body["address"] = address
                    if self._index:
                        body["index"] = True
            bodies[lane] = {**body, **self._kinds.get(lane, self._unheaded)}
        return {"bodies": bodies, "heads": {lane: heads.document(sent) for lane, sent in self._heads.items()}}

    def settle(self) -> None:
        """The delivery's record is written: nothing is left to salvage."""
        for lane, writer in self._lanes.items():
            if lane not in self._late:
                writer.settle()

    def _writer(self, lane: str) -> LaneWriter:
        writer = self._lanes.get(lane)
        if writer is None:
            recorder = self._recorder
            path = f"{recorder.folder}/{self._decision_id}.{lane}"
            writer = self._lanes[lane] = LaneWriter(path, recorder.coder, self._most, recorder.fail)
        return writer


def prepare(folder: Path) -> None:
    """Make the folders in which bodies lie; nobody else can enter them. Raises OSError."""
    for each in (folder, folder / TEMPORARY, folder / LOOSE):
        each.mkdir(0o700, parents=True, exist_ok=True)
    for first in range(256):
        # Made before they are needed: a recording's end then costs no look whether they are there.
        os.makedirs(folder / f"{first:02x}", 0o700, exist_ok=True)
