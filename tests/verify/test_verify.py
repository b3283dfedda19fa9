"""What verification holds against each other: seals, checkpoints, witnesses, announcements, bodies, records."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
import pytest

from extproc.audit import acts
from extproc.audit.bodies.address import address_of, place, salt_of
from extproc.audit.bodies.coding import Coder, salt_frame
from extproc.audit.erase import erase
from extproc.audit.frame import chain, encode, seal_text
from extproc.audit.journal import FileJournal
from extproc.audit.keys import make
from extproc.audit.reader import records
from extproc.audit.store import Cursor, Store
from extproc.audit.verify import KeptInFile, Report, Wrong, verify
from extproc.audit.verify import streams as streams_module
from tests.verify.conftest import EVERY, House, Notebook


@dataclass
class Pages:
    """What a notebook has, as verification reads it."""

    notebook: Notebook
    name: str = "notebook"

    def documents(self) -> Iterator[tuple[str, bytes]]:
        """See Kept."""
        return ((f"page {n}", orjson.dumps(document)) for n, document in enumerate(self.notebook.kept))


def _verify(house: House, **more: Any) -> Report:
    given: dict[str, Any] = {"keys": house.keys, "processes": 1} | more
    return verify(house.state, **given)


def _wrong(report: Report) -> set[Wrong]:
    return {fault.wrong for fault in report.faults.listed}


def _write(house: House, count: int, stream: str = "worker-0") -> None:
    for n in range(count):
        house[stream].append("config", {"n": n})


def test_a_live_journal_is_whole(house: House) -> None:
    """Between two records of its writers there is nothing wrong."""
    _write(house, 5)
    house.archivist().step()
    _write(house, 5)
    report = _verify(house)
    assert (report.ok, report.checkpoints) == (True, 1)
    worker = next(s for s in report.streams if s.stream == "worker-0")
    assert worker.signed is not None
    assert (worker.seq, worker.signed.seq) == (10, 5)


def test_many_processes_find_what_one_does(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments are looked at side by side and held against each other in order."""
    monkeypatch.setattr(streams_module, "WORTH_PROCESSES", 0)
    house._segment_bytes = 2000
    _write(house, 40)
    house.archivist().step()
    house.close()
    assert _verify(house, processes=2).document() == _verify(house).document()
    segments = sorted(house.folder("worker-0").glob("*.segment"))
    segments[2].unlink()
    broken = _verify(house, processes=2)
    assert Wrong.MISSING_SEGMENT in _wrong(broken)
    assert broken.document() == _verify(house).document()


def _stolen(house: House, stream: str, seq: int, change: Callable[[dict[str, Any]], None]) -> None:
    """What somebody with the signing key can do: a stream written anew from a record on, seals and all."""
    folder = house.folder(stream)
    old = list(records(folder))
    shutil.rmtree(folder)
    folder.mkdir()
    prev, data, origin = "0" * 64, b"", str(old[0].body["id"])
    for record in old:
        body = dict(record.body)
        if record.seq == seq:
            change(body)
        if record.kind == "seal":
            text = seal_text(stream, origin, record.seq, prev)
            body |= {"head": prev, "signature": house.signer.sign(text)}
        frame, prev = encode(stream, record.seq, record.kind, record.at, prev, body)
        data += frame
    (folder / f"{0:020d}.segment").write_bytes(data)


def _forget_checkpoints(house: House) -> None:
    """The thief makes the checkpoints anew too."""
    shutil.rmtree(house.folder("archivist"))
    (house.state / "archivist.db").unlink()
    house.archivist().step()
    house.close()


def test_a_thief_of_the_key_is_caught_by_a_witness_and_not_after_it(house: House) -> None:
    """The promise. With the signing key all of a journal can be written anew, and by itself it is whole then. What a
    witness was given before can't be: that is found. What no witness has heard of yet can be, and is not found."""
    notebook = Notebook()
    _write(house, 3)
    house.archivist(notebook).step()
    heard = len(list(records(house.folder("worker-0"))))
    _write(house, 3)
    assert house.chore is not None
    house["worker-0"].sync()
    notebook.away = True
    house.close()
    before = shutil.copytree(house.state, house.state.parent / "before")

    # After the witness: the gateway's own last checkpoint says otherwise, until that is gone too.
    _stolen(house, "worker-0", heard + 1, lambda body: body.update(n=99))
    assert _wrong(_verify(house, witnesses=[Pages(notebook)])) == {Wrong.BEHIND_WITNESS}
    _forget_last_checkpoints(house, len(notebook.kept))
    assert _verify(house, witnesses=[Pages(notebook)]).ok

    # Before it: nothing that is in the state folder tells, and the witness does.
    shutil.rmtree(house.state)
    shutil.copytree(before, house.state)
    _stolen(house, "worker-0", heard - 1, lambda body: body.update(n=99))
    _forget_checkpoints(house)
    assert _verify(house).ok
    caught = _verify(house, witnesses=[Pages(notebook)])
    assert Wrong.BEHIND_WITNESS in _wrong(caught)
    assert any(f.stream == "worker-0" and f.seq == heard - 1 for f in caught.faults.listed)


def _forget_last_checkpoints(house: House, left: int) -> None:
    """The thief cuts the archivist's stream behind the last checkpoint that a witness has."""
    folder = house.folder("archivist")
    found = [record for record in records(folder) if record.kind == "checkpoint"]
    os.truncate(next(folder.glob("*.segment")), found[left - 1].end)


def test_a_seal_by_another_key_or_over_something_else_is_found(house: House, tmp_path: Path) -> None:
    """Its place is named."""
    other = make(tmp_path / "other.key", tmp_path / "other.pub")
    _write(house, 2)
    house.close()
    house.signer = other
    _write(house, 2)
    house.close()
    report = _verify(house)
    assert [(f.wrong, f.seq) for f in report.faults.listed] == [(Wrong.BAD_SEAL, 7)]
    assert "not among the public keys" in report.faults.listed[0].message


def test_without_a_key_what_is_signed_is_a_fault(house: House) -> None:
    """Whoever took the key away gains nothing; where nothing was ever signed it is only said."""
    _write(house, 2)
    house.archivist().step()
    house.close()
    assert _wrong(_verify(house, keys=None)) == {Wrong.NO_KEY}
    assert _wrong(_verify(house, keys=None, witnesses=[Pages(Notebook())])) == {Wrong.NO_KEY}


def test_segments_that_end_without_a_seal_are_found(house: House) -> None:
    """Only the last one may."""
    house._segment_bytes = 600
    journal = FileJournal(house.folder("worker-0"), "worker-0", house.clock, 60.0, segment_bytes=600)
    for n in range(6):
        journal.append("config", {"n": n})
    journal.close()
    assert _wrong(_verify(house)) == {Wrong.UNSEALED}


def test_a_segment_that_was_replaced_does_not_fit(house: House, tmp_path: Path) -> None:
    """Whole, sealed with the right key, and of another chain."""
    house._segment_bytes = 600
    _write(house, 8)
    house.close()
    other = House(tmp_path / "other", 600)
    other.signer = house.signer
    _write(other, 8)
    other.close()
    mine, theirs = (sorted(h.folder("worker-0").glob("*.segment"))[1] for h in (house, other))
    assert mine.name == theirs.name
    shutil.copy(theirs, mine)
    found = _wrong(_verify(house))
    assert {Wrong.BAD_CHAIN, Wrong.BAD_GENESIS} <= found


def test_another_journal_in_place_of_one_is_found(house: House) -> None:
    """The checkpoints name the stream's id."""
    _write(house, 3)
    house.archivist().step()
    house.shut("worker-0")
    shutil.rmtree(house.folder("worker-0"))
    _write(house, 9)
    assert _wrong(_verify(house)) == {Wrong.BAD_GENESIS}


def test_a_checkpoint_that_is_gone_or_changed_is_found(house: House) -> None:
    """The chain of checkpoints is the journal's and the witness's."""
    notebook = Notebook()
    chore = house.archivist(notebook)
    for _ in range(3):
        _write(house, 1)
        chore.tell()
        chore.step()
    kept = notebook.kept
    forged = Notebook(kept=[{**kept[0], "at": "2020-01-01T00:00:00.000000Z"}])
    assert _wrong(_verify(house, witnesses=[Pages(forged)])) == {Wrong.BAD_WITNESS}
    house.close()
    folder = house.folder("archivist")
    second = [r for r in records(folder) if r.kind == "checkpoint"][1]
    os.truncate(next(folder.glob("*.segment")), second.offset)
    assert Wrong.BEHIND_WITNESS in _wrong(_verify(house, witnesses=[Pages(notebook)]))
    assert _verify(house).ok


@pytest.mark.parametrize("text", ["\n", '{"number": 1}\n', "no\n"])
def test_a_witness_file_with_something_else_in_it(house: House, tmp_path: Path, text: str) -> None:
    """An empty line is nothing; all else proves nothing, and should."""
    _write(house, 1)
    path = tmp_path / "w.jsonl"
    path.write_text(text)
    assert _wrong(_verify(house, witnesses=[KeptInFile(path)])) == (set() if text == "\n" else {Wrong.BAD_WITNESS})


def test_records_without_a_checkpoint_for_long_are_a_gap(house: House) -> None:
    """The archivist stands still and the others don't. Where everything stands still there is no gap."""
    _write(house, 1)
    chore = house.archivist()
    chore.step()
    house.clock.now += 3600
    _write(house, 1)
    house.clock.now += 30
    _write(house, 1)
    chore.step()
    assert _verify(house).ok
    for _ in range(5):
        house.clock.now += EVERY
        _write(house, 1)
    late = _verify(house)
    assert [(f.wrong, f.seq) for f in late.faults.listed] == [(Wrong.CHECKPOINT_GAP, 7)]
    chore.step()
    assert _wrong(_verify(house)) == {Wrong.CHECKPOINT_GAP}


def test_a_crash_of_everything_is_no_gap(house: House) -> None:
    """Records of the last moments get their checkpoint when the archivist starts again, hours later."""
    _write(house, 1)
    house.archivist().step()
    _write(house, 2)
    assert house.chore is not None
    house.chore._db.close()
    house.chore = None
    house.shut("archivist")
    house.shut("worker-0")
    house.clock.now += 6 * 3600
    house["archivist"].append("reading", {})
    _write(house, 2)
    house.archivist().step()
    assert _verify(house).ok


def test_an_erased_record_is_announced_or_a_fault(house: House) -> None:
    """Its place is named."""
    house._segment_bytes = 600
    _write(house, 8)
    gone = list(records(house.folder("worker-0")))[1]
    erase(house.folder("worker-0"), [gone.offset])
    report = _verify(house)
    assert [(f.wrong, f.seq, f.offset) for f in report.faults.listed] == [
        (Wrong.ERASED_UNANNOUNCED, gone.seq, gone.offset)
    ]
    body = {**house.named("worker-0"), "ranges": [[gone.seq, gone.seq]], "why": "retention"}
    house.announce("operator", "erased", body)
    assert _verify(house).ok


@pytest.mark.parametrize("forged", ["unsigned", "own key", "copied", "another kind"])
def test_only_the_key_excuses_what_is_missing(house: House, tmp_path: Path, forged: str) -> None:
    """Whoever takes a record out and writes at the end of a stream that it was let go of is told of twice."""
    house._segment_bytes = 600
    _write(house, 8)
    gone, kept = list(records(house.folder("worker-0")))[1:3]
    body = {**house.named("worker-0"), "ranges": [[gone.seq, gone.seq]], "why": "retention"}
    signed = acts.sign("erased", {**body, "ranges": [[kept.seq, kept.seq]]}, house.signer)
    erase(house.folder("worker-0"), [gone.offset])
    said = {
        "unsigned": body,
        "own key": acts.sign("erased", body, make(tmp_path / "thief.key", tmp_path / "thief.pub")),
        "copied": signed | body,
        "another kind": acts.sign("retired", body, house.signer),
    }[forged]
    house["operator"].append("erased", said)
    assert _wrong(_verify(house)) == {Wrong.ERASED_UNANNOUNCED, Wrong.BAD_ANNOUNCEMENT}
    assert Wrong.ERASED_UNANNOUNCED not in _wrong(_verify(house, keys=None))


def test_what_was_let_go_of_in_another_stream_excuses_nothing(house: House) -> None:
    """One of the same name, that was moved aside, had records of the same numbers."""
    house._segment_bytes = 600
    _write(house, 8)
    house.announce("archivist", "erased", {**house.named("worker-0"), "ranges": [[1, 6]], "why": "retention"})
    house.shut("worker-0")
    shutil.move(house.folder("worker-0"), house.folder("worker-0").with_suffix(".damaged"))
    _write(house, 8)
    assert _verify(house).ok
    gone = list(records(house.folder("worker-0")))[1]
    erase(house.folder("worker-0"), [gone.offset])
    assert _wrong(_verify(house)) == {Wrong.ERASED_UNANNOUNCED}


def test_a_beginning_that_is_gone_is_announced_or_a_fault(house: House) -> None:
    """The announcement names the first byte that is left, and the last record that is gone with its hash."""
    house._segment_bytes = 600
    _write(house, 8)
    house.archivist().step()
    first, second = sorted(house.folder("worker-0").glob("*.segment"))[:2]
    base = int(second.stem)
    last = next(record for record in records(house.folder("worker-0")) if record.end == base)
    first.unlink()
    assert _wrong(_verify(house)) == {Wrong.MISSING_SEGMENT}
    body: dict[str, Any] = {"stream": "worker-0", "base": base, "seq": last.seq, "hash": last.hash, "to": last.at}
    house.announce("archivist", "retired", body | {"hash": chain(last.hash, b"x" * 32)})
    assert _wrong(_verify(house)) == {Wrong.MISSING_SEGMENT}
    house.announce("archivist", "retired", body)
    assert _verify(house).ok


def test_since_starts_at_the_last_signed_head_before(house: House) -> None:
    """What was before is not looked at, and that is said; what came after is."""
    house._segment_bytes = 2000
    chore = house.archivist()
    moments = []
    for _ in range(6):
        _write(house, 6)
        chore.tell()
        chore.step()
        house.clock.now += EVERY
        moments.append(next(r.at for r in reversed(list(records(house.folder("worker-0"))))))
    house.close()
    head = sorted(house.folder("worker-0").glob("*.segment"))[0]
    damaged = bytearray(head.read_bytes())
    damaged[100] ^= 1
    head.write_bytes(damaged)
    assert not _verify(house).ok
    late = _verify(house, since=moments[-1])
    assert late.ok
    worker = next(s for s in late.streams if s.stream == "worker-0")
    whole = list(records(house.folder("worker-0"), worker.skipped))
    assert (worker.skipped > 0, worker.records) == (True, len(whole))
    assert any("worker-0" in note and str(worker.skipped) in note for note in late.notes)
    last = sorted(house.folder("worker-0").glob("*.segment"))[-1]
    damaged = bytearray(last.read_bytes())
    damaged[-20] ^= 1
    last.write_bytes(damaged)
    assert not _verify(house, since=moments[-1]).ok


def test_what_was_shipped_must_still_be_there(house: House) -> None:
    """The shipper's own notes are a witness of sorts."""
    _write(house, 4)
    house.close()
    found = list(records(house.folder("worker-0")))
    store = Store(house.state / "shipper.db")
    with store.transaction():
        store.move([Cursor("worker-0", found[0].hash, found[3].end, found[3].seq, found[3].hash)])
    store.close()
    report = _verify(house)
    assert report.ok
    assert report.streams[0].shipped is not None
    os.truncate(next(house.folder("worker-0").glob("*.segment")), found[2].end)
    assert _wrong(_verify(house)) == {Wrong.BEHIND_WITNESS}


def test_a_head_that_was_noted_must_still_be_there(house: House) -> None:
    """Also of a stream that is gone."""
    _write(house, 2)
    house.close()
    last = list(records(house.folder("worker-0")))[-1]
    assert _verify(house, heads=[("worker-0", last.seq, last.hash)]).ok
    assert _wrong(_verify(house, heads=[("worker-0", last.seq, "0" * 64)])) == {Wrong.BEHIND_WITNESS}
    assert _wrong(_verify(house, heads=[("worker-7", 0, last.hash)])) == {Wrong.MISSING}


def test_empty_and_misnamed_streams_are_faults(house: House) -> None:
    """A stream has its first record, and its own name in all of them."""
    _write(house, 2)
    house.close()
    house.folder("worker-0").rename(house.folder("worker-1"))
    house.folder("empty").mkdir()
    found = {(f.stream, f.wrong) for f in _verify(house).faults.listed}
    assert {("worker-1", Wrong.BAD_STREAM), ("empty", Wrong.EMPTY)} <= found


def _body(state: Path, content: bytes) -> str:
    digest = sha256(content).digest()
    salt = salt_of(b"k" * 32, digest)
    address = address_of(salt, digest)
    path = place(state / "bodies", address)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(Coder().frame(content) + salt_frame(salt))
    return address


def test_bodies_are_there_and_what_was_recorded(house: House) -> None:
    """Or their deletion is announced. Files that nobody names are told."""
    one, two, three, stray = (_body(house.state, text) for text in (b"one", b"two", b"three", b"stray"))
    for n, address in enumerate((one, two, three)):
        lane: dict[str, Any] = {"mode": "full", "bytes": 3, "kept": 3, "address": address}
        house["worker-0"].append("delivery", {"decision": f"d{n}", "bodies": {"request": lane}})
    whole = _verify(house)
    assert (whole.ok, whole.bodies) == (True, 3)
    assert any(stray in note for note in whole.notes)
    place(house.state / "bodies", one).unlink()
    path = place(house.state / "bodies", two)
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    report = _verify(house)
    assert {(f.wrong, f.seq) for f in report.faults.listed} == {(Wrong.BODY_MISSING, 1), (Wrong.BODY_CHANGED, 2)}
    house.announce("archivist", "body-deleted", {"addresses": [one], "why": "retention"})
    assert _wrong(_verify(house)) == {Wrong.BODY_CHANGED}
