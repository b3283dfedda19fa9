"""The writer: what is appended is in the file, whole, or is not and says so."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from extproc.audit.bound import RECORD_BYTES
from extproc.audit.frame import MAX_PAYLOAD
from extproc.audit.journal import FileJournal, JournalCorrupt
from extproc.audit.reader import records
from extproc.audit.segments import cut_of, name_of
from extproc.domain.json import Document
from extproc.domain.ports import JournalUnwritable
from tests.audit.conftest import Clock, Streams, decision, intact
from tests.support.limits import file_limit


def test_append_returns_the_number_of_a_record_that_is_in_the_file(streams: Streams) -> None:
    """Numbers go up by one after the genesis, and a reader sees each record at once."""
    journal = streams["worker-0"]
    assert [journal.append("decision", decision(f"d{i}")) for i in range(3)] == [1, 2, 3]
    read = list(records(streams.path("worker-0")))
    assert [record.seq for record in read] == [0, 1, 2, 3]
    assert decision("d1") == read[2].body
    assert read[1].hash == read[2].prev
    assert read[-1].end == journal.offset == streams.segment("worker-0").stat().st_size


def test_canonical_bytes_do_not_depend_on_member_order(tmp_path: Path) -> None:
    """Two bodies that say the same have the same hash."""
    hashes = []
    bodies: list[Document] = [{"x": 1, "y": {"p": 1, "q": 2}}, {"y": {"q": 2, "p": 1}, "x": 1}]
    for name, body in zip("ab", bodies, strict=True):
        journal = FileJournal(tmp_path / name / "s", "s", lambda: 1.5, 0)
        journal.append("config", body)
        journal.close()
        first, second = records(tmp_path / name / "s")
        hashes.append((second.at, second.body))
        assert first.kind == "genesis"
    assert hashes[0] == hashes[1] == ("1970-01-01T00:00:01.500000Z", {"x": 1, "y": {"p": 1, "q": 2}})


def test_a_short_write_is_undone_and_the_chain_goes_on(streams: Streams) -> None:
    """With no room for a whole record nothing of it stays, and once there is room the next record follows."""
    journal, path = streams["worker-0"], streams.segment("worker-0")
    journal.append("decision", decision("d1"))
    size = journal.offset
    for room in (0, 1, 7, 8, 9, 300):
        with file_limit(size + room), pytest.raises(JournalUnwritable):
            journal.append("decision", decision("lost"))
        assert size == path.stat().st_size
    assert journal.append("decision", decision("d2")) == 2
    intact(streams.path("worker-0"))


def test_a_descriptor_closed_by_others_refuses_once_and_recovers(streams: Streams) -> None:
    """The journal takes its file again by itself."""
    journal = streams["worker-0"]
    os.close(journal._segment._fd)
    with pytest.raises(JournalUnwritable):
        journal.append("decision", decision("lost"))
    assert journal.append("decision", decision("d1")) == 1
    intact(streams.path("worker-0"))


def test_a_file_replaced_under_its_writer_is_refused(streams: Streams) -> None:
    """Records that nobody would find are not records: the append says so until the file is back."""
    journal, path = streams["worker-0"], streams.segment("worker-0")
    path.rename(path.with_suffix(".away"))
    for _ in range(2):
        with pytest.raises(JournalUnwritable):
            journal.append("decision", decision("d1"))
    path.unlink(missing_ok=True)
    path.with_suffix(".away").rename(path)
    journal.append("decision", decision("d2"))
    intact(streams.path("worker-0"))


_WIDE = {"x": ["y" * 2000] * 255}


@pytest.mark.parametrize(
    ("body", "written"),
    [
        ({"x": object()}, {"x": "(object)"}),
        ({"x": "\ud800"}, {"x": "?"}),
        ({"x": 2**70}, {"x": hex(2**70)}),
        ({1: 2}, {"1": 2}),
        ({"x": "y" * MAX_PAYLOAD}, {"x": "y" * 2048 + "…"}),
        ({"x": list(range(9999))}, {"x": [*range(256), "… 9743 more"]}),
        (_WIDE, {"x": [*["y" * 512 + "…"] * 64, "… 191 more"]}),
        ({"x": [_WIDE] * 200, "request": "r-1"}, {"request": "r-1"}),
    ],
    ids=["object", "surrogate", "integer", "key", "long", "list", "wide", "wider"],
)
def test_what_is_long_or_has_no_canonical_form_is_shortened(streams: Streams, body: Any, written: Any) -> None:
    """No request is left without a record for what its client made of it, and no record is large."""
    journal = streams["worker-0"]
    before = journal.offset
    assert journal.append("decision", body) == 1
    assert list(records(streams.path("worker-0")))[1].body == {**written, "shortened": True}
    assert journal.offset - before <= RECORD_BYTES


def test_a_shortened_record_tells_who_did_what_and_how_it_was_decided(streams: Streams) -> None:
    """Whatever else is in it, and however much: the parts that readers join and count by are there."""
    journal = streams["worker-0"]
    known = decision("d1")
    long: Any = {
        **known,
        "trace": [["\x01" * 5000] * 500] * 50,
        "claims": {f"c{i}" * 99: "y" * 9999 for i in range(999)},
    }
    journal.append("decision", long)
    (record,) = list(records(streams.path("worker-0")))[1:]
    assert record.end - record.offset < RECORD_BYTES
    for name in ("principal", "target", "action", "decision"):
        kept = {k: v for k, v in known[name].items() if not isinstance(v, dict | list)}
        assert kept.items() >= record.body[name].items() or record.body[name] == known[name]
    assert record.body["decision"]["id"] == "d1"


def test_a_journal_of_the_first_format_is_refused(tmp_path: Path) -> None:
    """Its file lies where the folder would: the message says to move it."""
    (tmp_path / "s.journal").write_bytes(b"...")
    with pytest.raises(JournalCorrupt, match=r"a journal of format 1.* move it out of"):
        FileJournal(tmp_path / "s", "s")


def test_two_writers_of_one_stream_are_refused(streams: Streams) -> None:
    """The second one can't open it."""
    streams["worker-0"].append("decision", decision())
    with pytest.raises(JournalUnwritable, match="another process writes it"):
        FileJournal(streams.path("worker-0"), "worker-0")


def test_a_closed_journal_takes_nothing(streams: Streams) -> None:
    """After close, append raises, and closing again does nothing."""
    journal = streams["worker-0"]
    journal.close()
    journal.close()
    with pytest.raises(JournalUnwritable, match="closed"):
        journal.append("decision", decision())


def test_a_folder_that_can_not_be_had_is_an_error(tmp_path: Path) -> None:
    """The message names the file."""
    (tmp_path / "journal").write_text("not a folder")
    with pytest.raises(JournalUnwritable, match="journal/s"):
        FileJournal(tmp_path / "journal" / "s", "s")


def test_a_tail_torn_at_any_byte_is_cut_and_recorded(tmp_path: Path) -> None:
    """Wherever a crash cut the last record, opening keeps all before it and says how many bytes were cut."""
    path = tmp_path / "journal" / "worker-0"
    journal = FileJournal(path, "worker-0", Clock(), 0)
    journal.append("decision", {"n": 1})
    good = journal.offset
    journal.append("decision", {"n": 2})
    journal.close()
    file = path / name_of(0)
    whole = file.read_bytes()
    for cut in range(good + 1, len(whole)):
        file.write_bytes(whole[:cut])
        FileJournal(path, "worker-0", Clock(), 0).close()
        read = list(records(path))
        assert intact(path) == ["genesis", "decision", "journal-opened", "journal-repaired"]
        assert (cut - good, good) == (read[-1].body["cut_bytes"], read[-1].body["offset"])
        assert whole[good:cut] == (path / cut_of(good)).read_bytes()


def test_a_torn_genesis_starts_over(tmp_path: Path) -> None:
    """A crash within the very first record leaves nothing worth keeping."""
    path = tmp_path / "journal" / "s"
    FileJournal(path, "s", Clock(), 0).close()
    (path / name_of(0)).write_bytes((path / name_of(0)).read_bytes()[:11])
    FileJournal(path, "s", Clock(), 0).close()
    assert intact(path) == ["genesis", "journal-repaired"]


def test_damage_before_the_tail_is_not_repaired(tmp_path: Path) -> None:
    """Cutting there would destroy good records: the journal refuses to open."""
    path = tmp_path / "journal" / "s"
    journal = FileJournal(path, "s", Clock(), 0)
    journal.append("decision", decision("d1"))
    at = journal.offset
    journal.append("decision", decision("d2"))
    journal.append("decision", decision("d3"))
    journal.close()
    file = path / name_of(0)
    whole = file.read_bytes()
    for byte in (1, 4, 20):
        file.write_bytes(whole[: at + byte] + bytes([whole[at + byte] ^ 0xFF]) + whole[at + byte + 1 :])
        with pytest.raises(JournalCorrupt, match="holdpoint audit verify"):
            FileJournal(path, "s", Clock(), 0)
    file.write_bytes(b"something else entirely")
    with pytest.raises(JournalCorrupt):
        FileJournal(path, "s", Clock(), 0)


def test_a_journal_of_another_stream_is_refused(tmp_path: Path) -> None:
    """A folder that was renamed does not become part of another chain."""
    FileJournal(tmp_path / "a", "a", Clock(), 0).close()
    (tmp_path / "a").rename(tmp_path / "b")
    with pytest.raises(JournalCorrupt, match="holds stream 'a'"):
        FileJournal(tmp_path / "b", "b", Clock(), 0)


@pytest.mark.parametrize("most", [1 << 20, 3000])
def test_a_killed_writer_loses_nothing_that_it_said(tmp_path: Path, most: int) -> None:
    """After SIGKILL every record whose number was told is there, the chain holds, and a new writer goes on."""
    path = tmp_path / "journal" / "worker-0"
    told = 0
    for _ in range(4):
        command = [sys.executable, "-m", "tests.audit.writer", str(path), "worker-0", str(most)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                told = int(line)
                if told % 100 == 99:
                    process.send_signal(signal.SIGKILL)
                    break
            rest = process.stdout.read().split("\n")
        told = max([told, *(int(line) for line in rest[:-1] if line)])
        FileJournal(path, "worker-0", sync_seconds=0).close()
        assert told < sum(1 for _ in records(path))
        intact(path)


def test_sync_runs_in_the_background_and_close_ends_it(tmp_path: Path) -> None:
    """A record is in the file before its sync; the thread ends with the journal."""
    journal = FileJournal(tmp_path / "s", "s", sync_seconds=60)
    journal.append("decision", decision())
    assert intact(tmp_path / "s") == ["genesis", "decision"]
    thread = journal._thread
    journal.close()
    assert thread is not None
    assert not thread.is_alive()
