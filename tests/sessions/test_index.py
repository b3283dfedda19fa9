"""The index is what the journal says, however it came to be, and knows when it is not."""

import gzip
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from extproc.audit.bodies.folder import BodyFolder
from extproc.audit.bodies.places import Bodies
from extproc.audit.erase import erase
from extproc.audit.index import BodyTexts, Index, Indexer, IndexUnusable, Query, SessionRow
from extproc.audit.index.indexer import BATCH_TEXTS, SCRUB_SECONDS, Unreadable
from extproc.audit.index.rows import row_id, session_key
from extproc.audit.journal import FileJournal
from extproc.audit.segments import Folder
from tests.sessions.making import DIRTY, START, TRACE, Trail, common, decision, fill

TABLES = ("action", "policy", "event", "body", "session", "session_target")


def drain(indexer: Indexer) -> None:
    """Until it knows all."""
    while indexer.step():
        continue


def content(state: Path) -> dict[str, list[Any]]:
    """Everything that the index says, in an order that does not tell how it came to be."""
    db = sqlite3.connect(state / "index.db")
    try:
        names = dict(db.execute("SELECT id, name FROM stream"))
        found: dict[str, list[Any]] = {}
        for table in TABLES:
            rows = db.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608 - names of our own
            if table in ("action", "event"):
                rows = [(row[0], names[row[1]], *row[2:]) for row in rows]
            if table == "action":
                rows = [(*row[:-2], names.get(row[-2]), row[-1]) for row in rows]
            found[table] = sorted(rows, key=repr)
        found["words"] = sorted(db.execute("SELECT rowid, * FROM words").fetchall())
        found["stream"] = sorted(row[1:] for row in db.execute("SELECT * FROM stream"))
        db.execute("INSERT INTO words (words) VALUES ('integrity-check')")
        return found
    finally:
        db.close()


def whole(state: Path) -> dict[str, list[Any]]:
    """What an index made in one go says."""
    indexer = Indexer(state, BodyTexts(Bodies(BodyFolder(state / "bodies"))), batch=10_000)
    indexer.rebuild()
    drain(indexer)
    indexer.close()
    return content(state)


def test_an_index_made_in_pieces_is_that_made_in_one_go(filled: Trail, tmp_path: Path) -> None:
    """With the writer stopped and another begun after each batch, of every size."""
    wanted = whole(filled.state)
    assert len(wanted["action"]) == 5
    for batch in range(1, 9):
        Indexer(filled.state).rebuild()
        more = True
        while more:
            indexer = Indexer(filled.state, BodyTexts(Bodies(BodyFolder(filled.state / "bodies"))), batch)
            more = indexer.step()
            indexer.close()
        assert content(filled.state) == wanted


def test_an_index_that_follows_is_that_made_at_the_end(trail: Trail, indexer: Indexer) -> None:
    """A step after every record: deliveries, masks and holds come after what they are about."""
    append = FileJournal.append

    def step(self: FileJournal, kind: str, body: Any) -> int:
        seq = append(self, kind, body)
        indexer.step()
        return seq

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FileJournal, "append", step)
        fill(trail)
    drain(indexer)
    followed = content(trail.state)
    assert followed == whole(trail.state)


def test_records_told_twice_count_once(filled: Trail, indexer: Indexer) -> None:
    """A cursor that went back (an index restored from a copy, two writers) changes nothing."""
    drain(indexer)
    wanted = content(filled.state)
    db = sqlite3.connect(filled.state / "index.db")
    db.execute("UPDATE stream SET offset = 0, seq = -1, hash = ''")
    db.commit()
    db.close()
    drain(indexer)
    assert content(filled.state) == wanted


def test_records_of_one_microsecond_all_have_their_row(trail: Trail, indexer: Indexer) -> None:
    """Streams whose clocks stand still: more records than a microsecond has slots."""
    trail.clock.step = 0.0
    for i in range(600):
        trail.ask(f"{i:03x}", worker=f"worker-{i % 2}")
    drain(indexer)
    assert len(content(trail.state)["action"]) == 600


def _garbage(path: Path) -> None:
    path.write_bytes(b"not a database" * 1000)


def _middle(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096:] = bytes(len(data) - 4096)
    path.write_bytes(data)


def _old(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()


def _other_tables(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("DROP TABLE session")
    db.close()


@pytest.mark.parametrize("damage", [_garbage, _middle, _old, _other_tables, Path.unlink])
def test_a_damaged_index_is_made_anew(filled: Trail, damage: Callable[[Path], None]) -> None:
    """Damage, another release's tables, a file that was deleted: the next steps make it again."""
    wanted, path = whole(filled.state), filled.state / "index.db"
    for suffix in ("-wal", "-shm"):
        path.with_name(f"index.db{suffix}").unlink(missing_ok=True)
    damage(path)
    indexer = Indexer(filled.state, BodyTexts(Bodies(BodyFolder(filled.state / "bodies"))))
    drain(indexer)
    indexer.close()
    assert content(filled.state) == wanted


def test_a_deleted_index_is_noticed_by_who_has_it_open(filled: Trail, indexer: Indexer, index: Index) -> None:
    """Its writer makes another, its readers open that."""
    drain(indexer)
    assert len(index.actions(Query()).rows) == 5
    (filled.state / "index.db").unlink()
    with pytest.raises(IndexUnusable, match="no index yet"):
        index.actions(Query())
    drain(indexer)
    assert len(index.actions(Query()).rows) == 5


def test_another_stream_in_place_of_one_makes_the_index_anew(filled: Trail, indexer: Indexer) -> None:
    """Rows of a stream that was moved aside lead nowhere."""
    drain(indexer)
    filled.close()
    (filled.state / "journal" / "worker-1").rename(filled.state / "journal" / "worker-1.old")
    filled.ask("d1", worker="worker-1")
    drain(indexer)
    assert content(filled.state) == whole(filled.state)


def test_a_stream_that_lost_its_end_makes_the_index_anew(filled: Trail, indexer: Indexer) -> None:
    """After a power cut the journal goes on before the place that was indexed."""
    drain(indexer)
    filled.close()
    (segment,) = (filled.state / "journal" / "worker-0").glob("*.segment")
    data = segment.read_bytes()
    segment.write_bytes(data[: len(data) // 2])
    filled.ask("e1")
    drain(indexer)
    assert content(filled.state) == whole(filled.state)


def test_a_damaged_stream_does_not_stop_the_others(filled: Trail, indexer: Indexer, index: Index) -> None:
    """It is told each time, with its place; what is before it, and in other streams, is found."""
    filled.close()
    (segment,) = (filled.state / "journal" / "worker-0").glob("*.segment")
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)
    for _ in range(3):
        with pytest.raises(Unreadable, match="worker-0"):
            indexer.step()
    found = {row.decision[:2] for row in index.actions(Query()).rows}
    assert {"a1", "b1", "c1"} <= found
    assert "a3" not in found
    assert "worker-0" in str(index.progress()["worker-0"][1])


def test_a_step_reads_few_bodies(trail: Trail, indexer: Indexer, index: Index) -> None:
    """What is small on the disk, packed by whoever answered, may be long: other chores have their turn in between."""
    packed = gzip.compress(b"zanzibar " * 20_000)
    for i in range(BATCH_TEXTS * 2):
        trail.answer(trail.ask(f"{i:03x}"), response=packed, type_="text/plain", coding="gzip", index=True)
    assert indexer.step()
    assert len(index.actions(Query(words=("zanzibar",), limit=1000)).rows) == BATCH_TEXTS
    drain(indexer)
    assert len(index.actions(Query(words=("zanzibar",), limit=1000)).rows) == 2 * BATCH_TEXTS


def test_what_is_forgotten_is_gone_from_the_file(trail: Trail) -> None:
    """Of an erased record and of a deleted body no word stays in the file, and sessions count what is left."""
    now = [0.0]
    trail.ask("a1", text="unutterable")
    secret = trail.answer(trail.ask("a2"), response=b'{"word": "zanzibar"}', index=True)
    bodies = Bodies(BodyFolder(trail.state / "bodies"))
    indexer, index = Indexer(trail.state, BodyTexts(bodies), ticks=lambda: now[0]), Index(trail.state)
    drain(indexer)
    (found,) = index.actions(Query(words=("unutterable",))).rows
    assert len(index.actions(Query(words=("zanzibar",))).rows) == 1
    indexer.forget(records=[found.place], addresses=[secret["bodies"]["response"]["address"]])
    assert index.actions(Query(words=("unutterable",))).rows == index.actions(Query(words=("zanzibar",))).rows == ()
    (session,) = index.sessions(Query()).rows
    assert (sum(session.counts), index.lanes("a2".ljust(24, "0"))) == (1, {})
    index.close()
    now[0] += SCRUB_SECONDS
    drain(indexer)
    indexer.close()
    for path in trail.state.glob("index.db*"):
        assert not [word for word in (b"unutterable", b"zanzibar") if word in path.read_bytes()]


def test_an_erased_record_is_no_fault_and_is_not_in_a_new_index(trail: Trail, indexer: Indexer, index: Index) -> None:
    """The chain stands, and the rest is indexed."""
    journal = FileJournal(trail.state / "journal" / "w", "w", trail.clock, 0, segment_bytes=1)
    for i in range(3):
        journal.append("decision", decision(f"{i}" * 24, "agent-7", "s"))
    drain(indexer)
    place = index.decision("1" * 24)[0].place
    erase(trail.state / "journal" / "w", [place[1]])
    indexer.rebuild()
    drain(indexer)
    assert [row.decision[0] for row in index.actions(Query()).rows] == ["2", "0"]
    journal.close()


def test_records_of_a_retired_segment_are_forgotten(trail: Trail, indexer: Indexer, index: Index) -> None:
    """A segment that is gone takes its rows along, with the next record."""
    journal = FileJournal(trail.state / "journal" / "w", "w", trail.clock, 0, segment_bytes=1)
    for i in range(3):
        journal.append("decision", decision(f"{i}" * 24, "agent-7", "s"))
    drain(indexer)
    with Folder(trail.state / "journal" / "w") as folder:
        kept = next(b for b in reversed(folder.bases()) if b <= index.decision("2" * 24)[0].place[1])
        for base in folder.bases():
            if base < kept:
                folder.file(base).unlink()
    journal.append("decision", decision("3" * 24, "agent-7", "s"))
    drain(indexer)
    assert [row.decision[0] for row in index.actions(Query()).rows] == ["3", "2"]
    journal.close()


FILTERS: list[tuple[dict[str, Any], list[str]]] = [
    ({}, ["c1", "b1", "a3", "a2", "a1"]),
    ({"principal": "agent-7"}, ["c1", "a3", "a2", "a1"]),
    ({"principal": "https://id.example agent-7", "target": "crm"}, ["a3", "a1"]),
    ({"principal": "https://elsewhere agent-7"}, []),
    ({"principal": DIRTY}, ["b1"]),
    ({"effect": "allow"}, ["c1", "a3", "a1"]),
    ({"effect": "mask"}, ["a2"]),
    ({"effect": "block"}, ["b1"]),
    ({"effect": "hold"}, ["a3"]),
    ({"policy": "llm.pii"}, ["a2"]),
    ({"policy": "llm"}, []),
    ({"trace": TRACE}, ["a3"]),
    ({"trace": TRACE.upper()}, ["a3"]),
    ({"hold": "f" * 16}, ["a3"]),
    ({"decision": "a"}, ["a3", "a2", "a1"]),
    ({"decision": "a2"}, ["a2"]),
    ({"decision": "%"}, []),
    ({"since": "2027-01-15T08:00:30Z"}, ["c1", "b1", "a3"]),
    ({"until": "2027-01-15T08:00:30Z"}, ["a2", "a1"]),
    ({"since": "2027-01-15T08:00:02Z", "until": "2027-01-15T08:00:30Z", "target": "openai"}, ["a2"]),
    ({"words": ("invoices",)}, ["a1"]),
    ({"words": ("INVOICES", "muller")}, ["a1"]),
    ({"words": ("invoic",)}, []),
    ({"words": ("invoic*",)}, ["a1"]),
    ({"words": ("needs a ticket",)}, ["c1", "a3", "a2", "a1"]),
    ({"words": ("ticket a needs",)}, []),
    ({"words": ("/customers/7",)}, ["a3"]),
    ({"words": ("zebra",)}, ["a2"]),
    ({"words": ("names",)}, []),
    ({"words": ("zebra", "invoices")}, []),
    ({"words": ('"', "*", "  ", "--")}, ["c1", "b1", "a3", "a2", "a1"]),
    ({"words": ('zebra" OR "invoices',)}, []),
    ({"words": ("NOT", "NEAR(x)")}, []),
    ({"words": ("\ue000u0",)}, []),
    ({"words": ("unbounded",), "effect": "block", "policy": "http.writes", "principal": DIRTY}, ["b1"]),
]


@pytest.mark.parametrize(("asked", "wanted"), FILTERS)
def test_what_fits_is_found_newest_first(
    filled: Trail, indexer: Indexer, index: Index, asked: dict[str, Any], wanted: list[str]
) -> None:
    """By who, what, when, what was said, and words; whole, and a page of one at a time."""
    drain(indexer)
    assert [row.decision[:2] for row in index.actions(Query(**asked)).rows] == wanted
    paged, before = [], None
    for _ in range(len(wanted) + 1):
        page = index.actions(Query(**asked, limit=1, before=before))
        paged += [row.decision[:2] for row in page.rows]
        before = page.next
        if before is None:
            break
    assert paged == wanted


def test_every_session_is_listed_once(filled: Trail, indexer: Indexer, index: Index) -> None:
    """Newest first by the newest action that fits, on whatever page; with what it consists of."""
    drain(indexer)
    filled.ask("a4", text="invoices")
    filled.ask("c2", session="s-3")
    drain(indexer)
    for asked, wanted in (
        ({}, ["s-3", "s-1", "s-2"]),
        ({"words": ("a ticket",)}, ["s-3", "s-1"]),
        ({"target": "x"}, []),
    ):
        assert [row.name for row in index.sessions(Query(**asked)).rows] == wanted
        rows: list[SessionRow] = []
        before = None
        while True:
            page = index.sessions(Query(**asked, limit=1, before=before))
            rows += page.rows
            before = page.next
            if before is None:
                break
        assert [row.name for row in rows] == wanted
    (one,) = index.sessions(Query(policy="llm.pii")).rows
    assert (one.counts, one.targets, one.source, one.closed) == ((3, 1, 0, 0), ("crm", "openai"), "127.0.0.1", None)
    assert one.key == session_key(common("agent-7", "s-1"))
    assert one.newest is not None
    assert one.newest.decision.startswith("a2")


def test_a_session_is_closed_until_something_comes_after(trail: Trail, indexer: Indexer, index: Index) -> None:
    """Each worker tells of its own part, so one that goes on is open."""
    trail["worker-0"].append("session", {**common("agent-7", "s"), "what": "opened"})
    trail["worker-0"].append("session", {**common("agent-7", "s"), "what": "closed"})
    drain(indexer)
    assert index.sessions(Query()).rows[0].closed is not None
    trail.ask("a1", session="s")
    drain(indexer)
    assert index.sessions(Query()).rows[0].closed is None


def test_a_row_is_its_record_s_time(filled: Trail) -> None:
    """So that time ranges and newest first are the database's own order."""
    record = filled.records("decision")[0]
    assert row_id(record) // 256 / 1e6 == pytest.approx(START, abs=1)


def test_the_index_is_its_owner_s(filled: Trail, indexer: Indexer) -> None:
    """It holds what agents wrote."""
    drain(indexer)
    assert (filled.state / "index.db").stat().st_mode & 0o077 == 0


def test_damage_that_only_a_reader_sees_ends_the_index_too(filled: Trail, indexer: Indexer, index: Index) -> None:
    """The writer may never touch the page: who finds it damaged deletes the file, and the writer makes it again."""
    drain(indexer)
    indexer.close()
    path = filled.state / "index.db"
    assert len(index.actions(Query()).rows) == 5
    index.close()
    db = sqlite3.connect(path)
    (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'action'").fetchone()
    db.close()
    data = bytearray(path.read_bytes())
    data[(page - 1) * 4096 : page * 4096] = b"\xff" * 4096
    path.write_bytes(data)
    with pytest.raises(IndexUnusable):
        index.actions(Query())
    drain(indexer)
    assert len(index.actions(Query()).rows) == 5


def test_another_stream_is_taken_up_beside_a_damaged_one(filled: Trail, indexer: Indexer, index: Index) -> None:
    """A fault that stays keeps nothing else from being made anew."""
    filled.close()
    (segment,) = (filled.state / "journal" / "worker-0").glob("*.segment")
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)
    with pytest.raises(Unreadable):
        drain(indexer)
    for i in range(2):
        (filled.state / "journal" / "worker-1").rename(filled.state / "journal" / f"worker-1.{i}")
        filled.ask(f"d{i}", worker="worker-1")
        filled.close()
        with pytest.raises(Unreadable):
            drain(indexer)
        assert [row.decision[:2] for row in index.actions(Query(decision="d")).rows] == [f"d{i}"]


def test_many_read_while_one_writes(trail: Trail, indexer: Indexer, index: Index) -> None:
    """Threads share one reader; what they find only grows."""
    trail.ask("000")
    drain(indexer)

    def look(_: int) -> list[int]:
        return [len(index.actions(Query(words=("ticket",))).rows) for _ in range(20)]

    with ThreadPoolExecutor(4) as pool:
        looking = pool.map(look, range(4))
        for i in range(1, 30):
            trail.ask(f"{i:03x}")
            indexer.step()
        for counts in looking:
            assert counts == sorted(counts)
            assert counts[0] >= 1
    assert look(0)[-1] == 30
