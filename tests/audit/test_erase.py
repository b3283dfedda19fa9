"""Erasing: what was said is gone, and the chain stands."""

from pathlib import Path

import pytest

from extproc.audit.erase import LASTING, EraseRefused, erase
from extproc.audit.frame import Erased, Fault
from extproc.audit.reader import JournalFault, entries, head, record_at, records, size
from extproc.audit.segments import name_of
from tests.audit.conftest import intact
from tests.audit.test_segments import bases, opened


@pytest.fixture
def stream(tmp_path: Path) -> Path:
    """A stream of some segments, in which everybody has a secret."""
    journal = opened(tmp_path / "s")
    for n in range(20):
        journal.append("decision", {"n": n, "said": f"secret-{n}-"})
    journal.close()
    return tmp_path / "s"


def content(folder: Path) -> bytes:
    """All bytes that the folder holds."""
    return b"".join(path.read_bytes() for path in folder.iterdir())


def test_what_is_erased_is_gone_and_all_else_stays(stream: Path) -> None:
    """Of an erased record there are number, digest and hash; every other record is at its place, as it was."""
    before, end = {entry.offset: entry for entry in entries(stream)}, size(stream)
    gone = [r for r in records(stream) if r.kind == "decision" and r.body["n"] in (0, 3, 4, 5, 11)]
    expected = [Erased(r.seq, r.digest, r.hash, r.offset, r.end) for r in gone]
    assert erase(stream, [r.offset for r in gone]) == expected
    after = {entry.offset: entry for entry in entries(stream)}
    assert after == {**before, **{e.offset: e for e in expected}}
    assert [r.offset for r in records(stream)] == [at for at in before if at not in {r.offset for r in gone}]
    assert intact(stream).count("") == 5
    assert size(stream) == end
    for n in range(20):
        assert (b"secret-%d-" % n in content(stream)) == (n not in (0, 3, 4, 5, 11))
    opened(stream).close()
    assert intact(stream)[-3:] == ["seal", "journal-opened", "seal"]


def test_reading_may_begin_at_an_erased_record(stream: Path) -> None:
    """Its hash follows from the records before it; asked for by itself, it is gone."""
    rows = [r for r in records(stream) if r.kind == "decision"][2:6]
    erase(stream, [r.offset for r in rows])
    for row in rows:
        first = next(entries(stream, row.offset))
        assert (first.hash, isinstance(first, Erased)) == (row.hash, True)
        with pytest.raises(JournalFault) as caught:
            record_at(stream, row.offset)
        assert caught.value.fault is Fault.ERASED


def test_erasing_again_changes_nothing(stream: Path) -> None:
    """Also after a crash that left a file half written."""
    offsets = [r.offset for r in records(stream) if r.kind == "decision"][:6]
    (stream / (name_of(0) + ".new")).write_bytes(b"half")
    first = erase(stream, offsets[:4])
    inode = (stream / name_of(0)).stat().st_ino
    assert erase(stream, offsets[:2]) == first[:2]
    assert (stream / name_of(0)).stat().st_ino == inode
    assert [e.offset for e in erase(stream, offsets)] == offsets
    assert list(stream.glob("*.new")) == []


def test_what_can_not_be_erased_is_refused_and_nothing_is(stream: Path) -> None:
    """The segment that is still written, what proves the rest, what is no record, and what is not there any more."""
    before, rows = content(stream), list(records(stream))
    good = next(r.offset for r in rows if r.kind == "decision")
    last = head(stream)
    assert last is not None
    wrong = [r.offset for r in rows if r.kind in LASTING] + [last.offset, good + 1, last.end, bases(stream)[-1]]
    for offset in wrong:
        with pytest.raises(EraseRefused, match=f"byte {offset}:"):
            erase(stream, [good, offset])
    assert content(stream) == before
    (stream / name_of(0)).unlink()
    with pytest.raises(EraseRefused, match="retired"):
        erase(stream, [good])
    assert erase(stream, []) == []


def test_a_stream_without_seals_may_lose_the_last_record_of_a_segment(tmp_path: Path) -> None:
    """And its next writer goes on, though the segment after it has no record yet."""
    journal = opened(tmp_path / "s", signer=None)
    for n in range(20):
        journal.append("decision", {"n": n})
    journal.close()
    last = bases(tmp_path / "s")[-1]
    row = max((r for r in records(tmp_path / "s", 0, last)), key=lambda r: r.offset)
    erase(tmp_path / "s", [row.offset])
    (tmp_path / "s" / name_of(last)).write_bytes(b"")
    opened(tmp_path / "s", signer=None).close()
    assert intact(tmp_path / "s")[-3:] == ["", "segment", "journal-opened"]
