"""Legal holds: what they keep does not age, and is not purged. The database has those that are in force; the journal
says who placed and lifted them, and it is what the database is held against."""

import secrets
import time
from collections.abc import Callable
from pathlib import Path

from extproc.audit.frame import Fault, Record
from extproc.audit.reader import JournalFault, record_at
from extproc.audit.retention.announce import Announcer
from extproc.audit.retention.rules import LegalHold, Selects, hold_of, rfc3339
from extproc.audit.retention.store import RetentionStore, UnknownHold
from extproc.audit.retention.uses import Reading
from extproc.domain.json import Document
from extproc.domain.ports import Journal
from extproc.domain.principal import Principal

KIND = "legal-hold"


def place(
    store: RetentionStore,
    journal: Journal,
    by: Principal,
    reason: str,
    selects: Selects,
    clock: Callable[[], float] = time.time,
) -> LegalHold:
    """Place one. Where only the record could be written, it comes into force with the next pass of retention. Raises
    JournalUnwritable, sqlite3.Error and OSError."""
    hold = LegalHold(secrets.token_hex(8), rfc3339(clock()), by.document(), reason, selects)
    journal.append(KIND, {"what": "placed", **hold.document()})
    store.place(hold)
    return hold


def lift(
    store: RetentionStore,
    journal: Journal,
    by: Principal,
    reason: str,
    hold_id: str,
    clock: Callable[[], float] = time.time,
) -> LegalHold:
    """Lift the one of that id; the hold as it was. Raises UnknownHold, JournalUnwritable, sqlite3.Error and OSError."""
    hold = next((hold for hold in store.holds()[1] if hold.id == hold_id), None)
    if hold is None:
        raise UnknownHold(hold_id)
    said: Document = {"at": rfc3339(clock()), "what": "lifted", "id": hold.id, "by": by.document(), "reason": reason}
    journal.append(KIND, {**said, **hold.selected()})
    return store.lift(hold_id)


def reinstate(
    state: Path,
    store: RetentionStore,
    index: Reading,
    announcer: Announcer,
    before: float,
    clock: Callable[[], float] = time.time,
) -> list[LegalHold]:
    """Place anew what the journal says is placed and the database has not, and say so; those that were. Records that
    are not older than `before` (seconds since the epoch) are not asked: their writer may not be done. Raises
    JournalFault, JournalUnwritable, sqlite3.Error and OSError."""
    placed, lifted = dict[str, LegalHold](), set[object]()
    for stream, offset in index.events(KIND):
        record = _record(state / "journal" / stream, offset)
        if record is None:
            continue
        hold = hold_of(record.body)
        if record.body.get("what") == "lifted":
            lifted.add(record.body.get("id"))
        elif hold is not None and record.at < rfc3339(before):
            placed[hold.id] = hold
    there = {hold.id for hold in store.holds()[1]}
    missing = [hold for hold_id, hold in placed.items() if hold_id not in there | lifted]
    for hold in missing:
        message = "the database of legal holds had lost it; it is in force again"
        body = {"at": rfc3339(clock()), "code": "legal-hold-reinstated", "id": hold.id, "message": message}
        announcer.say("alarm", body)
        announcer.sync()
        store.place(hold)
    return missing


def _record(folder: Path, offset: int) -> Record | None:
    try:
        return record_at(folder, offset)
    except JournalFault as error:
        if error.fault in (Fault.ERASED, Fault.RETIRED):
            return None
        raise
