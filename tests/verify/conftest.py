"""A small gateway's state: streams with seals, an archivist that makes checkpoints, and witnesses."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from extproc.audit import acts
from extproc.audit.checkpoints import Checkpoints, Witness, WitnessUnreachable
from extproc.audit.journal import FileJournal
from extproc.audit.keys import PublicKeys, Signer, make
from extproc.audit.reader import origin
from extproc.domain.json import Document

EVERY = 60.0


@dataclass
class Clock:
    """Time that tests move; each look moves it a millisecond, so that records have an order."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        self.now += 0.001
        return self.now


@dataclass
class Notebook:
    """A witness that keeps documents, or is away."""

    name: str = "notebook"
    away: bool = False
    kept: list[Document] = field(default_factory=list)

    def hand(self, document: Document, first: bool) -> None:
        """See Witness."""
        if self.away:
            raise WitnessUnreachable("the notebook is shut")
        self.kept.append(document)


class House:
    """One state folder, with its key, its streams and its archivist."""

    def __init__(self, state: Path, segment_bytes: int = 64 << 20) -> None:
        self.state, self.clock, self._segment_bytes = state, Clock(), segment_bytes
        (state / "keys").mkdir(parents=True)
        self.signer: Signer = make(state / "keys" / "audit.key", state / "keys" / "audit.pub")
        self._streams: dict[str, FileJournal] = {}
        self.chore: Checkpoints | None = None

    @property
    def keys(self) -> PublicKeys:
        """The key that the state's own signatures are checked with."""
        return PublicKeys.load([self.state / "keys" / "audit.pub"])

    def __getitem__(self, stream: str) -> FileJournal:
        if stream not in self._streams:
            self._streams[stream] = FileJournal(
                self.folder(stream), stream, self.clock, 60.0, segment_bytes=self._segment_bytes, signer=self.signer
            )
        return self._streams[stream]

    def announce(self, stream: str, kind: str, body: Document) -> None:
        """Say that something was let go of, as retention does."""
        self[stream].append(kind, acts.sign(kind, body, self.signer))

    def named(self, stream: str) -> dict[str, Any]:
        """A stream by its name and the id of the one that has it now."""
        found = origin(self.folder(stream))
        return {"stream": stream, "id": found.id if found is not None else ""}

    def folder(self, stream: str) -> Path:
        """Where a stream lies."""
        return self.state / "journal" / stream

    def archivist(self, *witnesses: Witness, **more: Any) -> Checkpoints:
        """The chore, begun anew; its time is the clock's."""
        if self.chore is not None:
            self.chore.close()
        self.chore = Checkpoints(
            self.state, self["archivist"], self.signer, witnesses, EVERY, self.clock, lambda: self.clock.now, **more
        )
        return self.chore

    def shut(self, stream: str) -> None:
        """End a stream's writer; the next use begins another."""
        self._streams.pop(stream).close()

    def close(self) -> None:
        """End everything."""
        if self.chore is not None:
            self.chore.close()
            self.chore = None
        for stream in list(self._streams):
            self.shut(stream)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A state folder without records."""
    opened = House(tmp_path / "state")
    yield opened
    opened.close()
