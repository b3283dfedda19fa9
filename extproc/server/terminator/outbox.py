"""What one step of a connection sends, gathered: a peer gets it in one piece, and so does each recording before it."""

from extproc.audit.bodies.recorder import Recording
from extproc.audit.bodies.writer import RecordingFailed
from extproc.domain.grant import Lane
from extproc.server.terminator.peer import Peer


class Outbox:
    """Filled during a step; recorded, and then sent, at its end. A statement is some four messages each way: one by one
    they would take a system call each, twice, and wake whoever reads for each."""

    __slots__ = ("_pieces", "_recorded")

    def __init__(self) -> None:
        self._pieces: dict[Lane, tuple[Peer, list[bytes]]] = {}
        self._recorded: dict[tuple[Recording, str], list[bytes]] = {}

    def put(self, peer: Peer, lane: Lane, data: bytes, recording: Recording | None = None) -> None:
        """Bytes that go to a peer on this lane, after those before them; into the recording first."""
        if lane in self._pieces:
            self._pieces[lane][1].append(data)
        else:
            self._pieces[lane] = (peer, [data])
        if recording is not None:
            self._recorded.setdefault((recording, lane.value), []).append(data)

    def record(self) -> None:
        """Record what is about to be sent. Raises RecordingFailed, and then nothing is sent."""
        recorded, self._recorded = self._recorded, {}
        try:
            for (recording, lane), data in recorded.items():
                recording.write(lane, data[0] if len(data) == 1 else b"".join(data))
        except RecordingFailed:
            self._pieces = {}
            raise

    def send(self) -> None:
        """Send what was recorded."""
        pieces, self._pieces = self._pieces, {}
        for peer, data in pieces.values():
            peer.write(data[0] if len(data) == 1 else b"".join(data))
