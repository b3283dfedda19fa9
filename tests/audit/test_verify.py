"""Verification: nothing in a journal can change unseen."""

import shutil
from pathlib import Path

import pytest

from extproc.audit.frame import Fault, encode
from extproc.audit.journal import FileJournal
from extproc.audit.reader import records
from extproc.audit.segments import name_of
from extproc.audit.verify import Verdict, Witness, verify, verify_file
from tests.audit.conftest import Clock


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """A small whole journal."""
    path = tmp_path / "journal" / "s"
    writer = FileJournal(path, "s", Clock(), 0)
    for n in range(3):
        writer.append("config", {"n": n})
    writer.close()
    return path


def _file(journal: Path) -> Path:
    return journal / name_of(0)


def test_a_whole_journal_has_no_fault_and_names_its_head(journal: Path) -> None:
    """The verdict counts records and bytes and gives the last hash."""
    last = list(records(journal))[-1]
    assert [Verdict("s", journal, 4, _file(journal).stat().st_size, last.hash)] == verify(journal.parents[1])


def test_every_changed_byte_is_found(journal: Path) -> None:
    """Whatever byte is changed, however little, the first fault is in its record."""
    whole, bounds = _file(journal).read_bytes(), [(r.offset, r.end, r.seq) for r in records(journal)]
    for at in range(len(whole)):
        start, _, seq = next(bound for bound in bounds if bound[0] <= at < bound[1])
        for flip in (0x01, 0x80):
            _file(journal).write_bytes(whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :])
            # Without waiting for a writer: a damaged length may look like a frame that is not finished yet.
            verdict = verify_file(journal, wait=lambda: None)
            assert verdict.fault is not None, at
            assert (start, seq) == (verdict.offset, verdict.seq), at


def test_every_cut_is_found_but_between_records_only_with_a_witness(journal: Path) -> None:
    """A journal that ends early at a record's end is whole by itself; whoever holds a later hash sees it."""
    whole, ends = _file(journal).read_bytes(), {r.end for r in records(journal)}
    head = list(records(journal))[-1]
    for at in range(len(whole)):
        _file(journal).write_bytes(whole[:at])
        alone = verify_file(journal, wait=lambda: None)
        assert (alone.fault is None) == (at in ends), at
        assert verify_file(journal, (Witness("s", head.seq, head.hash),), wait=lambda: None).fault is not None


def test_a_record_rewritten_with_its_crc_breaks_the_chain(journal: Path) -> None:
    """Somebody who knows the format still has to change every record after."""
    one = list(records(journal))[1]
    forged, _ = encode("s", one.seq, one.kind, one.at, one.prev, {"n": 9})
    data = _file(journal).read_bytes()
    _file(journal).write_bytes(data[: one.offset] + forged + data[one.end :])
    verdict = verify_file(journal)
    assert (verdict.fault, verdict.seq) == (Fault.BAD_CHAIN, 2)


def test_removed_and_reordered_records_are_found(journal: Path) -> None:
    """Frames that are each whole do not make a chain."""
    data, rows = _file(journal).read_bytes(), list(records(journal))
    frames = [data[r.offset : r.end] for r in rows]
    for order in ([0, 1, 3], [0, 2, 1, 3], [1, 2, 3], [0, 0, 1, 2, 3]):
        _file(journal).write_bytes(b"".join(frames[i] for i in order))
        assert verify_file(journal).fault is Fault.BAD_SEQ, order


def test_a_chain_written_anew_is_found_by_its_witness(journal: Path) -> None:
    """What the chain can't prove by itself, the hash that somebody else holds proves."""
    rows = list(records(journal))
    witness = Witness("s", rows[2].seq, rows[2].hash)
    assert verify_file(journal, (witness,)).fault is None
    shutil.rmtree(journal)
    writer = FileJournal(journal, "s", Clock(), 0)
    for n in range(5):
        writer.append("config", {"n": n})
    writer.close()
    assert verify_file(journal).fault is None
    assert verify_file(journal, (witness,)).fault is Fault.BEHIND_WITNESS


def test_missing_empty_and_renamed_files_are_faults(journal: Path) -> None:
    """A stream that a witness knows and that is gone is a fault, as is one without a first record."""
    state = journal.parents[1]
    (journal.parent / "empty").mkdir()
    journal.rename(journal.parent / "other")
    found = {verdict.stream: verdict.fault for verdict in verify(state, (Witness("s", 1, "0" * 64),))}
    assert found == {"empty": Fault.EMPTY, "other": Fault.BAD_STREAM, "s": Fault.MISSING}


def test_progress_ends_at_the_files_size(journal: Path) -> None:
    """Whoever shows progress sees it end."""
    seen: list[tuple[str, int, int]] = []
    verify(journal.parents[1], progress=lambda *told: seen.append(told))
    assert ("s", _file(journal).stat().st_size, _file(journal).stat().st_size) == seen[-1]
