"""Bodies: each that a record names is there and is what was recorded, or its deletion was announced."""

from collections.abc import Callable, Iterator
from pathlib import Path

from extproc.audit.bodies.folder import BodyDamaged, BodyFolder, BodyMissing
from extproc.audit.bodies.places import Bodies
from extproc.audit.objects import ObjectStore
from extproc.audit.verify.facts import Facts
from extproc.audit.verify.faults import Fault, Wrong
from extproc.audit.verify.report import Report

_BATCH = 1000
_EXAMPLES = 3


def note_stored(state: Path, facts: Facts) -> None:
    """Remember which files there are. Before records are read: a body is stored before the record that names it."""
    batch = []
    for address in BodyFolder(state / "bodies").list():
        batch.append(("stored", address))
        if len(batch) == _BATCH:
            facts.add(batch)
            batch.clear()
    facts.add(batch)


def check(
    state: Path, store: ObjectStore | None, facts: Facts, report: Report, progress: Callable[[int, int], None]
) -> None:
    """Read each body that is named, once. `progress` is told how many are done, of how many. Raises OSError and
    ObjectStoreError."""
    bodies = Bodies(BodyFolder(state / "bodies"), store)
    total = (facts.one("SELECT count(DISTINCT address) FROM body") or (0,))[0]
    facts.db.execute("CREATE INDEX body_address ON body (address)")
    for done, (address, stream, seq) in enumerate(_named(facts), 1):
        path = state / "bodies" / address[:2] / f"{address}.zst"
        try:
            for piece in bodies.open(address):
                report.body_bytes += len(piece)
            report.bodies += 1
        except BodyMissing:
            if facts.one("SELECT 1 FROM deleted WHERE address = ?", address) is None:
                where = "neither in the state folder nor in the object store" if store is not None else "not there"
                message = f"body {address} is {where}, and no record announces that it was deleted"
                report.faults.add(Fault(Wrong.BODY_MISSING, message, stream, path, None, seq))
        except (BodyDamaged, ValueError) as error:
            report.faults.add(Fault(Wrong.BODY_CHANGED, str(error), stream, path, None, seq))
        progress(done, total)


def _named(facts: Facts) -> Iterator[tuple[str, str, int]]:
    """Each address that a record names, with the first record that does."""
    rows = facts.ask("SELECT address, stream, min(seq) FROM body GROUP BY address")
    return ((address, stream, seq) for address, stream, seq in rows)


def note_unnamed(state: Path, facts: Facts, report: Report) -> None:
    """Files that no record names: of an exchange that a crash ended, or put there by somebody."""
    query = """
        SELECT address, count(*) OVER () FROM stored WHERE NOT EXISTS
            (SELECT 1 FROM body WHERE body.address = stored.address) LIMIT ?
    """
    rows = list(facts.ask(query, _EXAMPLES))
    if rows:
        few = ", ".join(row[0] for row in rows)
        more = " and so on" if rows[0][1] > len(rows) else ""
        report.notes.append(f"{state / 'bodies'}: {rows[0][1]} files that no record names: {few}{more}")
