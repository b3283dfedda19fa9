"""Deletes what is noted in a state folder, and is killed before the first body goes: dies.py STATE NOW."""

import os
import signal
import sys
from pathlib import Path

from extproc.audit.bodies.folder import BodyFolder
from extproc.audit.bodies.places import Bodies
from extproc.audit.index.indexer import Indexer
from extproc.audit.journal import FileJournal
from extproc.audit.keys import Signer
from extproc.audit.retention.announce import Announcer
from extproc.audit.retention.deletion import Deletion
from extproc.audit.retention.store import FILE, RetentionStore


class Deadly(Bodies):
    """The first deletion is the last."""

    def delete(self, address: str, unless_since: float | None = None) -> bool:
        """Die."""
        os.kill(os.getpid(), signal.SIGKILL)
        return False


state, now = Path(sys.argv[1]), float(sys.argv[2])
signer = Signer.load(state / "keys" / "audit.key")
folder = state / "journal" / "archivist"
journal = FileJournal(folder, "archivist", lambda: now, 60.0, segment_seconds=86400.0, signer=signer)
Deletion(
    RetentionStore(state / FILE),
    Announcer(journal, folder, signer),
    Deadly(BodyFolder(state / "bodies")),
    Indexer(state),
    signer,
    lambda: now,
).step()
