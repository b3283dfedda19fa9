"""Segments: a stream goes on through them, whatever ends its writer and whenever."""

import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from extproc.audit.frame import ZERO, Fault, Record, seal_text
from extproc.audit.journal import FileJournal, JournalCorrupt
from extproc.audit.keys import PublicKeys, Signer
from extproc.audit.reader import JournalFault, head, origin, record_at, records, size, streams
from extproc.audit.segments import Folder, cut_of, name_of
from extproc.audit.signals.tail import Tail
from extproc.domain.ports import JournalUnwritable
from tests.audit.conftest import Clock, intact
from tests.support.limits import file_limit

SIGNER = Signer(Ed25519PrivateKey.generate())
KEYS = PublicKeys([SIGNER.public])
MOST = 900


def opened(folder: Path, clock: Clock | None = None, **more: Any) -> FileJournal:
    """A writer of small segments that it seals."""
    return FileJournal(
        folder, "s", clock or Clock(), **{"sync_seconds": 0, "segment_bytes": MOST, "signer": SIGNER, **more}
    )


def bases(folder: Path) -> list[int]:
    """Where the segments begin."""
    with Folder(folder) as it:
        return it.bases()


@pytest.fixture
def stream(tmp_path: Path) -> Path:
    """A stream of some segments."""
    journal = opened(tmp_path / "journal" / "s")
    for n in range(20):
        journal.append("decision", {"n": n})
    journal.close()
    return tmp_path / "journal" / "s"


def numbers(folder: Path) -> list[int]:
    """Which of the decisions are there."""
    return [record.body["n"] for record in records(folder) if record.kind == "decision"]


def test_segments_rotate_by_size_and_are_named_by_their_first_byte(stream: Path) -> None:
    """One is full when it has the size; each is headed by a record of whose chain it is, and ends with a seal."""
    with Folder(stream) as folder:
        where = folder.bases()
        ends = [*where[1:], folder.end()]
        assert len(where) > 3
        for base, end in zip(where, ends, strict=True):
            assert folder.file(base).stat().st_size == end - base
            assert base == where[-1] or MOST <= end - base < MOST + 800
            rows = list(records(stream, base, end))
            assert rows[0].kind == ("segment" if base else "genesis")
            assert rows[-1].kind == "seal"
            if base:
                known = origin(stream)
                assert known is not None
                assert rows[0].body == {"base": base, "format": 2, "genesis": known.hash, "id": known.id}
    assert intact(stream).count("decision") == 20


def test_seals_are_signed(stream: Path) -> None:
    """Over stream, chain, number and the hash of the record before, which they count from the segment's first."""
    known, last, first, base, seals = origin(stream), "", 0, 0, 0
    assert known is not None
    for record in records(stream):
        if record.kind in ("genesis", "segment"):
            first, base = record.seq, record.offset
        if record.kind == "seal":
            body = record.body
            assert (body["head"], body["first"], body["base"]) == (last, first, base)
            assert body["records"] == record.seq - first
            KEYS.verify(body["key"], seal_text("s", known.id, record.seq, last), body["signature"])
            seals += 1
        last = record.hash
    assert seals == len(bases(stream))


def test_segments_rotate_by_age(tmp_path: Path) -> None:
    """Before the first record that comes later, also where the writer was started anew meanwhile."""
    clock, folder = Clock(), tmp_path / "s"
    journal = opened(folder, clock, segment_seconds=60.0, segment_bytes=1 << 20)
    journal.append("decision", {"n": 0})
    clock.now += 59
    journal.append("decision", {"n": 1})
    assert len(bases(folder)) == 1
    clock.now += 1
    journal.append("decision", {"n": 2})
    assert len(bases(folder)) == 2
    journal.close()
    clock.now += 61
    journal = opened(folder, clock, segment_seconds=60.0, segment_bytes=1 << 20)
    journal.append("decision", {"n": 3})
    journal.close()
    assert len(bases(folder)) == 3
    kinds = ["genesis", "decision", "decision", "seal", "segment", "decision", "seal", "journal-opened", "seal"]
    assert intact(folder) == [*kinds, "segment", "decision", "seal"]


def test_without_a_key_segments_rotate_unsealed(tmp_path: Path) -> None:
    """The chain is the same."""
    journal = opened(tmp_path / "s", signer=None)
    for n in range(20):
        journal.append("decision", {"n": n})
    journal.close()
    assert len(bases(tmp_path / "s")) > 1
    assert set(intact(tmp_path / "s")) == {"genesis", "segment", "decision"}


def test_reading_goes_on_into_segments_that_were_not_there(tmp_path: Path) -> None:
    """A reader that came to the end of a segment finds the next one, and what was added to its own."""
    journal = opened(tmp_path / "s")
    rows = records(tmp_path / "s")
    seen = [next(rows).seq]
    for n in range(20):
        journal.append("decision", {"n": n})
        seen.append(next(rows).seq)
    seen += [record.seq for record in rows]
    journal.close()
    assert seen == list(range(len(seen)))
    assert len(bases(tmp_path / "s")) > 3


def test_every_record_is_found_at_its_offset(stream: Path) -> None:
    """And from there on, up to any other."""
    rows = list(records(stream))
    for n, row in enumerate(rows):
        assert record_at(stream, row.offset) == row
        assert list(records(stream, row.offset)) == rows[n:]
        assert list(records(stream, 0, row.offset)) == rows[:n]
        assert head(stream, row.offset) == rows[-1]
    assert size(stream) == rows[-1].end


def test_a_torn_end_anywhere_in_the_last_segment(stream: Path) -> None:
    """Killed before the new segment was made, before its first record, within it or later: the next writer keeps
    every whole record, goes on with the chain, and says what it cut."""
    last, rows = bases(stream)[-1], list(records(stream))
    file, files = stream / name_of(last), {path: path.read_bytes() for path in stream.iterdir()}
    whole = files[file]
    # Around each frame's start byte by byte, and some within.
    edges = {end + n for end in (row.end - last for row in rows) if end >= 0 for n in range(-2, 11)}
    for cut in (None, *sorted({*edges, *range(0, len(whole), 37)} & set(range(len(whole))))):
        for path in stream.iterdir():
            path.unlink()
        for path, content in files.items():
            path.write_bytes(content)
        if cut is None:
            file.unlink()
        else:
            file.write_bytes(whole[:cut])
        kept = [row for row in rows if row.end <= last + (cut or 0)]
        journal = opened(stream)
        journal.append("decision", {"n": 99})
        journal.close()
        now = list(records(stream))
        assert now[: len(kept)] == kept
        torn = last + (cut or 0) - kept[-1].end
        assert [row.body["cut_bytes"] for row in now if row.kind == "journal-repaired"] == [torn][: torn > 0]
        assert [path.name for path in stream.glob("*.cut")] == [cut_of(kept[-1].end)][: torn > 0]
        assert intact(stream)[-2:] == ["decision", "seal"]


def test_a_new_segment_of_which_the_disk_has_only_zeros(stream: Path) -> None:
    """After a power cut a file may have its length and not its bytes."""
    last = bases(stream)[-1]
    (stream / name_of(last)).write_bytes(bytes(400))
    opened(stream).close()
    kinds = intact(stream)
    assert kinds[kinds.index("journal-opened") - 1 :] == ["segment", "journal-opened", "journal-repaired", "seal"]


@contextmanager
def no_more_files() -> Iterator[None]:
    """Until the end this process can open nothing."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_rotation_that_fails_is_done_when_it_can_be(tmp_path: Path) -> None:
    """No room for the seal, no new file, no room for its first record: each refuses, and nothing is there twice."""
    folder = tmp_path / "s"
    journal = opened(folder)
    journal.append("decision", {"n": 0, "padding": "x" * MOST})
    full = journal.offset
    with file_limit(full + 10), pytest.raises(JournalUnwritable, match="can't write"):
        journal.append("decision", {"n": 1})
    assert journal.offset == full
    with no_more_files(), pytest.raises(JournalUnwritable, match="can't begin a segment"):
        journal.append("decision", {"n": 2})
    for room in (0, 10):
        with file_limit(room), pytest.raises(JournalUnwritable):
            journal.append("decision", {"n": 3})
    assert intact(folder) == ["genesis", "decision", "seal"]
    journal.append("decision", {"n": 4})
    journal.close()
    assert intact(folder) == ["genesis", "decision", "seal", "segment", "decision", "seal"]


def test_a_writer_that_ends_while_its_rotation_fails(tmp_path: Path) -> None:
    """The next one finds an empty segment, or none, and does not seal twice."""
    folder = tmp_path / "s"
    journal = opened(folder)
    journal.append("decision", {"n": 0, "padding": "x" * MOST})
    with no_more_files(), pytest.raises(JournalUnwritable):
        journal.append("decision", {"n": 1})
    with file_limit(0), pytest.raises(JournalUnwritable):
        journal.append("decision", {"n": 1})
    journal.close()
    assert size(folder) == bases(folder)[-1]
    opened(folder).close()
    assert intact(folder) == ["genesis", "decision", "seal", "segment", "journal-opened", "seal"]


def test_many_threads_and_a_sync_that_never_rests(tmp_path: Path) -> None:
    """Whatever comes between a rotation and the sync of what was before it, every record is there once."""
    journal = opened(tmp_path / "s", None, sync_seconds=0.0001)

    def work(start: int) -> None:
        for n in range(start, start + 300):
            journal.append("decision", {"n": n})

    threads = [threading.Thread(target=work, args=(start,)) for start in (0, 300, 600)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.close()
    intact(tmp_path / "s")
    assert sorted(numbers(tmp_path / "s")) == list(range(900))


def test_retired_segments_are_not_missed_but_known(stream: Path) -> None:
    """Reading begins with what is there; a record that went with them says so; the writer goes on."""
    before, known = list(records(stream)), origin(stream)
    where = bases(stream)
    for base in where[:2]:
        (stream / name_of(base)).unlink()
    assert list(records(stream)) == list(records(stream, 5)) == [row for row in before if row.offset >= where[2]]
    with pytest.raises(JournalFault) as caught:
        record_at(stream, before[3].offset)
    assert caught.value.fault is Fault.RETIRED
    assert origin(stream) == known
    opened(stream).close()
    assert intact(stream)[-3:] == ["seal", "journal-opened", "seal"]


def test_a_segment_that_is_gone_from_the_middle_is_a_fault(stream: Path) -> None:
    """So is one that lost its end, or has more than it should: a reader never takes it for the stream's end."""
    where = bases(stream)
    middle = stream / name_of(where[1])
    whole = middle.read_bytes()
    for content, fault in (
        (whole[:-1], Fault.TORN),
        (whole[: record_at(stream, where[1]).end - where[1]], Fault.MISSING),
        (whole + whole, Fault.BAD_LENGTH),
        (None, Fault.MISSING),
    ):
        if content is None:
            middle.unlink()
        else:
            middle.write_bytes(content)
        with pytest.raises(JournalFault) as caught:
            list(records(stream))
        assert caught.value.fault is fault


def test_a_last_segment_without_the_one_before_is_not_taken_up(stream: Path) -> None:
    """Nobody could say which record it has to name."""
    where = bases(stream)
    (stream / name_of(where[-1])).write_bytes(b"")
    previous = stream / name_of(where[-2])
    whole = previous.read_bytes()
    for content in (whole[:-1], whole[:50], None):
        if content is None:
            previous.unlink()
        else:
            previous.write_bytes(content)
        with pytest.raises(JournalCorrupt, match="holdpoint audit verify"):
            opened(stream)


def test_a_follower_reads_through_segments_and_a_folder_that_is_moved_aside(tmp_path: Path) -> None:
    """To the end of the old folder, then from the start of the new one."""
    folder = tmp_path / "s"
    journal, tail, seen = opened(folder), Tail(folder, None), list[Record]()

    def follow() -> None:
        for record in tail.read():
            tail.took(record)
            seen.append(record)

    for n in range(12):
        journal.append("decision", {"n": n})
        follow()
    folder.rename(tmp_path / "s.old")
    journal = opened(folder)
    for n in range(12, 24):
        journal.append("decision", {"n": n})
    follow()
    assert [row.body["n"] for row in seen if row.kind == "decision"] == list(range(24))
    assert tail.behind() == 0
    again = Tail(folder, tail.cursor)
    assert list(again.read()) == []
    journal.append("decision", {"n": 24})
    assert [row.body.get("n") for row in again.read()][-1] == 24


def test_streams_are_folders_that_were_not_moved_aside(tmp_path: Path) -> None:
    """A name with a dot is nobody's stream."""
    for name in ("b", "a", "a.old"):
        (tmp_path / "journal" / name).mkdir(parents=True)
    (tmp_path / "journal" / "file").touch()
    assert [path.name for path in streams(tmp_path)] == ["a", "b"]
    assert head(tmp_path / "journal" / "a") is None
    assert origin(tmp_path / "journal" / "a") is None
    assert streams(tmp_path / "nowhere") == []


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sizes=st.lists(st.integers(0, 2000), min_size=1, max_size=25),
    most=st.integers(1, 6000),
    cut=st.floats(0, 1, exclude_max=True),
    starts=st.integers(1, 3),
)
def test_whatever_was_written_is_read_and_survives_a_cut(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], most: int, cut: float, starts: int
) -> None:
    """Records of any size, segments of any size, writers that end at any time, and a last segment cut anywhere."""
    folder = tmp_path_factory.mktemp("s") / "s"
    for start in range(starts):
        journal = opened(folder, segment_bytes=most)
        for n, length in enumerate(sizes[start::starts]):
            journal.append("decision", {"n": start + n * starts, "padding": "x" * length})
        journal.close()
    intact(folder)
    assert sorted(numbers(folder)) == list(range(len(sizes)))
    rows, last = list(records(folder)), bases(folder)[-1]
    assert rows[0].prev == ZERO
    file = folder / name_of(last)
    at = int(file.stat().st_size * cut)
    file.write_bytes(file.read_bytes()[:at])
    kept = [row for row in rows if row.end <= last + at]
    opened(folder, segment_bytes=most).close()
    intact(folder)
    assert list(records(folder))[: len(kept)] == kept
