"""Nothing in a journal can change unseen: every byte of a small one, and a thousand places of a large one."""

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import orjson
import pytest

from extproc.audit.checkpoint import read
from extproc.audit.erase import erase
from extproc.audit.frame import HEAD, Erased, Record, frame
from extproc.audit.keys import PublicKeys
from extproc.audit.reader import entries, records
from extproc.audit.verify import Fault, Report, Wrong, verify
from extproc.audit.verify import segment as segment_module
from extproc.audit.verify.segment import Task
from extproc.audit.verify.sift import Sift
from tests.verify.conftest import House, Notebook


@pytest.fixture(autouse=True)
def _nobody_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A length that was made larger looks like a frame that is not finished yet; nobody will finish it."""
    monkeypatch.setattr(segment_module, "RETRIES", 0)


class Trail:
    """A state folder at rest, and what a witness has of it."""

    def __init__(self, house: House, notebook: Notebook) -> None:
        self.state, self.notebook = house.state, notebook
        self.keys = PublicKeys.load([house.state / "keys" / "audit.pub"])
        self.heads = {name: (head.seq, head.hash) for name, head in read(dict(notebook.kept[-1])).streams.items()}

    def verify(self) -> Report:
        """Look at it as whoever asks the witness does."""
        return verify(self.state, keys=self.keys, witnesses=[self], processes=1)

    @property
    def name(self) -> str:
        """See Kept."""
        return "notebook"

    def documents(self) -> Iterator[tuple[str, bytes]]:
        """See Kept."""
        return ((f"page {n}", orjson.dumps(document)) for n, document in enumerate(self.notebook.kept))


@dataclass(frozen=True)
class Place:
    """A frame in a segment's file: its bytes there, and the record's number."""

    path: Path
    start: int
    end: int
    seq: int


def _places(state: Path) -> list[Place]:
    places = []
    for folder in sorted((state / "journal").iterdir()):
        bases = sorted(int(path.stem) for path in folder.glob("*.segment"))
        for entry in entries(folder):
            base = max(base for base in bases if base <= entry.offset)
            path = folder / f"{base:020d}.segment"
            places.append(Place(path, entry.offset - base, entry.end - base, entry.seq))
    return places


@pytest.fixture
def trail(house: House) -> Trail:
    """Two streams in several segments, an erased record, and checkpoints that a witness has to the last byte."""
    house._segment_bytes = 700
    notebook = Notebook()
    chore = house.archivist(notebook)
    for n in range(7):
        for stream in ("worker-0", "worker-1"):
            house[stream].append("config", {"n": n})
        chore.tell()
        chore.step()
    gone = next(r for r in records(house.folder("worker-0")) if r.kind == "config")
    pair = [gone.seq, gone.seq]
    house.announce("archivist", "erased", {**house.named("worker-0"), "ranges": [pair], "why": "retention"})
    assert all(isinstance(entry, Erased) for entry in erase(house.folder("worker-0"), [gone.offset]))
    house.shut("worker-0")
    house.shut("worker-1")
    chore.tell()
    chore.step()
    house.close()
    return Trail(house, notebook)


def test_what_is_whole_has_no_fault(trail: Trail) -> None:
    """And is counted, signed and witnessed to its last record."""
    report = trail.verify()
    assert [fault.message for fault in report.faults.listed] == []
    assert report.notes == []
    told = {s.stream: s for s in report.streams}
    assert set(told) == {"archivist", "worker-0", "worker-1"}
    assert told["worker-0"].erased == 1
    assert told["worker-0"].segments > 2
    for stream in ("worker-0", "worker-1"):
        upto = told[stream].witnessed
        assert upto is not None
        assert (upto.seq, told[stream].head) == trail.heads[stream]
        assert told[stream].signed is not None
        assert told[stream].records == told[stream].seq + 1


def _covered(trail: Trail) -> list[Place]:
    """The frames up to the heads that the witness has."""
    return [place for place in _places(trail.state) if place.seq <= trail.heads[place.path.parent.name][0]]


def _alone(path: Path) -> segment_module.Result:
    """One segment by itself."""
    base = int(path.stem)
    return segment_module.check(Task(path, path.parent.name, base, base, Sift(acts=True, seals=True)))


@contextmanager
def _flipped(path: Path, at: int, bits: int) -> Iterator[None]:
    """A file with one byte changed, in place."""
    with path.open("r+b", buffering=0) as file:
        byte = os.pread(file.fileno(), 1, at)
        os.pwrite(file.fileno(), bytes([byte[0] ^ bits]), at)
        yield
        os.pwrite(file.fileno(), byte, at)


def _named(faults: list[Fault], place: Place) -> list[Fault]:
    """Those that name this record, by its place or by its number."""
    return [
        fault
        for fault in faults
        if fault.path == place.path and (place.start <= (fault.offset or 0) < place.end or fault.seq == place.seq)
    ]


def test_every_changed_byte_is_found(trail: Trail) -> None:
    """Whatever byte is changed, however little, there is a fault that names its file and record."""
    for place in _places(trail.state):
        for at in range(place.start, place.end):
            with _flipped(place.path, at, 0x01 if at % 2 else 0x80):
                assert _named(_alone(place.path).faults, place), (place, at)
        # What one segment shows is in the report of all of them; once a record is enough of that.
        with _flipped(place.path, (place.start + place.end) // 2, 0x04):
            report = trail.verify()
        assert _named(report.faults.listed, place), (place, report.faults.listed)
        assert report.faults.count < 12


def _rewritten(place: Place, payload: bytes) -> None:
    whole = place.path.read_bytes()
    place.path.write_bytes(whole[: place.start] + frame(payload) + whole[place.end :])


def test_a_record_rewritten_with_its_crc_is_found(trail: Trail) -> None:
    """Somebody who knows the format breaks the chain at the next record, if not before."""
    for place in _covered(trail):
        whole = place.path.read_bytes()
        payload = whole[place.start + HEAD.size : place.end]
        for old, new in ((b'"at":"20', b'"at":"21'), (b'"digest":"', b'"digest":"0')):
            if old in payload:
                _rewritten(place, payload.replace(old, new, 1)[: len(payload)])
                report = trail.verify()
                assert not report.ok, place
                assert any(abs((fault.seq or 0) - place.seq) <= 1 for fault in report.faults.listed)
                place.path.write_bytes(whole)


@pytest.mark.parametrize("how", ["deleted", "repeated", "swapped", "put in"])
def test_records_that_are_moved_are_found(trail: Trail, how: str) -> None:
    """Each record in turn. The first fault names the place where the order breaks."""
    places = _covered(trail)
    for place, following in pairwise(places):
        whole = place.path.read_bytes()
        one, rest = whole[place.start : place.end], whole[place.end :]
        if how == "deleted":
            changed = whole[: place.start] + rest
        elif how == "repeated":
            changed = whole[: place.end] + one + rest
        elif how == "put in":
            forged = one[HEAD.size :].replace(b'"at":"2027', b'"at":"2026')
            changed = whole[: place.end] + frame(forged) + rest
        elif following.path == place.path:
            other = whole[following.start : following.end]
            changed = whole[: place.start] + other + one + whole[following.end :]
        else:
            continue
        place.path.write_bytes(changed)
        report = trail.verify()
        stream = place.path.parent.name
        found = [fault for fault in report.faults.listed if fault.stream == stream]
        assert found, (how, place)
        assert any(abs((fault.seq or 0) - place.seq) <= 2 for fault in found), (how, place, found)
        place.path.write_bytes(whole)


def test_every_cut_before_the_last_witnessed_head_is_found(trail: Trail) -> None:
    """At each byte of each segment of a stream that the witness knows to its end."""
    for path in sorted((trail.state / "journal").glob("worker-0/*.segment")):
        whole = path.read_bytes()
        ends = {place.end for place in _places(trail.state) if place.path == path}
        for at in reversed(range(len(whole))):
            os.truncate(path, at)
            if at and at not in ends:
                assert [fault.wrong for fault in _alone(path).faults] == [Wrong.TORN], (path, at)
            else:
                faults = trail.verify().faults.listed
                assert any(fault.stream == path.parent.name for fault in faults), (path, at)
        path.write_bytes(whole)


def test_segments_and_streams_that_are_gone_are_found(trail: Trail) -> None:
    """The first, one between, the last, and a whole stream."""
    folder = trail.state / "journal" / "worker-0"
    for path in sorted(folder.glob("*.segment")):
        path.rename(path.with_suffix(".away"))
        found = {fault.wrong for fault in trail.verify().faults.listed}
        assert found & {Wrong.MISSING_SEGMENT, Wrong.BEHIND_WITNESS}, path
        path.with_suffix(".away").rename(path)
    folder.rename(trail.state / "worker-0")
    assert Wrong.MISSING in {fault.wrong for fault in trail.verify().faults.listed}


def test_a_thousand_places_of_a_large_journal(house: House) -> None:
    """Each changed byte is found in its segment, at its record."""
    house._segment_bytes = 32 << 10
    notebook = Notebook()
    chore = house.archivist(notebook)
    for n in range(20_000):
        house["worker-0"].append("config", {"n": n, "text": "x" * 40})
    chore.tell()
    chore.step()
    house.close()
    seed = random.Random(4)
    keys = PublicKeys.load([house.state / "keys" / "audit.pub"])
    places = [place for place in _places(house.state) if place.path.parent.name == "worker-0"]
    for place in seed.choices(places, k=1000):
        at = seed.randrange(place.start, place.end)
        with _flipped(place.path, at, seed.randrange(1, 256)):
            assert _named(_alone(place.path).faults[:1], place), (place, at)
    assert verify(house.state, keys=keys, processes=1).ok
    assert isinstance(next(entries(house.folder("worker-0"))), Record)
