"""Where legal holds, purges and retention are asked for: of a running gateway, or of the files of one that does not
run. Both give the documents of the API (see extproc/console/retention.py)."""

import argparse
import getpass
import os
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote, urlencode

from extproc.cli._common import CommandError, load_settings
from extproc.cli._control_client import Client, administrator
from extproc.cli._sessions_source import STREAM, catch_up, folder

if TYPE_CHECKING:
    from extproc.config import Settings

LOOK_SECONDS = 0.3
Document = dict[str, Any]
Progress = Callable[[int], None]


class Source(Protocol):
    """Whom retention is asked of. Every method raises CommandError."""

    def place(self, selects: Mapping[str, str], reason: str) -> Document:
        """Place a legal hold."""
        ...

    def lift(self, hold_id: str, reason: str) -> Document:
        """Lift one."""
        ...

    def holds(self) -> list[Document]:
        """Those that are placed."""
        ...

    def search(self, query: Document) -> Document:
        """What a purge would do."""
        ...

    def purge(self, query: Document, reason: str) -> Document:
        """Begin one."""
        ...

    def receipt(self, purge_id: str, progress: Progress) -> Document:
        """Wait until it is done. `progress` is told how many bodies are left."""
        ...

    def report(self) -> Document:
        """What is kept, and what goes next."""
        ...


class Gateway:
    """A running gateway."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def place(self, selects: Mapping[str, str], reason: str) -> Document:
        """See Source."""
        return self._client.call("POST", "/v1/legal-holds", {**selects, "reason": reason})

    def lift(self, hold_id: str, reason: str) -> Document:
        """See Source."""
        return self._client.call("DELETE", f"/v1/legal-holds/{_part(hold_id)}?{urlencode({'reason': reason})}")

    def holds(self) -> list[Document]:
        """See Source."""
        found: list[Document] = self._client.call("GET", "/v1/legal-holds")["legal_holds"]
        return found

    def search(self, query: Document) -> Document:
        """See Source."""
        return self._client.call("POST", "/v1/purges", {"query": query, "dry_run": True})

    def purge(self, query: Document, reason: str) -> Document:
        """See Source."""
        return self._client.call("POST", "/v1/purges", {"query": query, "reason": reason})

    def receipt(self, purge_id: str, progress: Progress) -> Document:
        """See Source."""
        while True:
            found = self._client.call("GET", f"/v1/purges/{_part(purge_id)}")
            if found["receipt"] is not None:
                receipt: Document = found["receipt"]
                return receipt
            progress(found["left"])
            time.sleep(LOOK_SECONDS)

    def report(self) -> Document:
        """See Source."""
        return self._client.call("GET", "/v1/retention")


class Files:
    """A state folder that no gateway runs on. What is done is recorded in its stream `operator`."""

    def __init__(self, settings: "Settings", state: Path, end: ExitStack) -> None:
        from extproc.app.knowledge import Known
        from extproc.app.layout import Layout
        from extproc.app.redaction import redact_record
        from extproc.app.stores import object_store
        from extproc.audit.bodies.folder import BodyFolder
        from extproc.audit.bodies.places import Bodies
        from extproc.audit.index import BodyTexts, Indexer
        from extproc.audit.journal import FileJournal
        from extproc.audit.keys import Signer
        from extproc.audit.retention.announce import Announcer
        from extproc.audit.retention.deletion import Deletion
        from extproc.audit.retention.store import RetentionStore
        from extproc.domain.principal import Kind, Principal

        self._settings, self._state = settings, state
        layout = Layout(state)
        end.callback(os.close, layout.lock())
        catch_up(state)
        self._by = Principal(f"unix:{socket.gethostname()}", getpass.getuser(), Kind.HUMAN, credential="unix")
        self._store = RetentionStore(layout.retention)
        end.callback(self._store.close)
        signer = Signer.load(layout.audit_key)
        # What a gateway that ran here knew as credentials is not written, though somebody types it.
        known = Known(layout) if (layout.config / "fingerprints.json").exists() else None
        self._journal = FileJournal(
            layout.journal_of(STREAM),
            STREAM,
            sync_seconds=0,
            redact=lambda record: record if known is None else redact_record(record, known.now),
            signer=signer,
        )
        end.callback(self._journal.close)
        objects = settings.audit.objects
        bodies = Bodies(BodyFolder(layout.bodies), None if objects is None else object_store(objects))
        indexer = Indexer(state, BodyTexts(bodies))
        end.callback(indexer.close)
        announcer = Announcer(self._journal, layout.journal_of(STREAM), signer)
        self._deletion, self._indexer = Deletion(self._store, announcer, bodies, indexer, signer), indexer

    def place(self, selects: Mapping[str, str], reason: str) -> Document:
        """See Source."""
        from extproc.audit.retention.legal import place
        from extproc.audit.retention.rules import Selects

        return place(self._store, self._journal, self._by, reason, Selects.parse(dict(selects))).document()

    def lift(self, hold_id: str, reason: str) -> Document:
        """See Source."""
        from extproc.audit.retention.legal import lift

        return lift(self._store, self._journal, self._by, reason, hold_id).document()

    def holds(self) -> list[Document]:
        """See Source."""
        return [hold.document() for hold in self._store.holds()[1]]

    def search(self, query: Document) -> Document:
        """See Source."""
        from extproc.audit.retention.purge import query_of, search

        self._catch_up()
        return search(self._state, self._store, query_of(query))[0].document()

    def purge(self, query: Document, reason: str) -> Document:
        """See Source."""
        from extproc.audit.retention.purge import purge, query_of

        self._catch_up()
        noted = purge(self._state, self._store, self._by, reason, query_of(query))
        return {"id": noted.id, "decisions": noted.decisions, "bodies": noted.bodies, "kept": noted.kept}

    def receipt(self, purge_id: str, progress: Progress) -> Document:
        """See Source."""
        while True:
            found = self._store.find_purge(purge_id)
            if found is None:
                raise CommandError(f"no such purge: {purge_id}")
            if found.receipt is not None:
                # What was forgotten is gone from the index's file, too.
                self._catch_up()
                return dict(found.receipt)
            progress(self._store.left(purge_id))
            self._deletion.step()

    def report(self) -> Document:
        """See Source."""
        from extproc.app.archivist import rules
        from extproc.audit.retention.report import report

        return dict(report(self._state, self._store, rules(self._settings), time.time()))

    def _catch_up(self) -> None:
        """Have the index know what was written here, too."""
        while self._indexer.step():
            pass


@contextmanager
def source(arguments: argparse.Namespace) -> Iterator[Source]:
    """What the arguments name. Raises CommandError."""
    if arguments.state is None:
        yield Gateway(administrator(arguments))
        return
    # Says where bodies were moved to, without which a purge would leave them there.
    settings = load_settings(arguments, files=False)
    state = folder(arguments.state)
    with _told(state), ExitStack() as end:
        yield Files(settings, state, end)


@contextmanager
def _told(state: Path) -> Iterator[None]:
    """What goes wrong with files, for people."""
    from extproc.app.layout import StateUnusable
    from extproc.audit.keys import KeyUnusable
    from extproc.audit.objects import ObjectStoreError
    from extproc.audit.reader import JournalFault
    from extproc.audit.retention.purge import NothingAsked
    from extproc.audit.retention.rules import NotSelects
    from extproc.audit.retention.store import UnknownHold
    from extproc.audit.retention.uses import IndexBehind
    from extproc.domain.ports import JournalUnwritable

    try:
        yield
    except StateUnusable as error:
        raise CommandError(f"{error} (without --state the running gateway is asked)") from None
    except UnknownHold as error:
        raise CommandError(f"no such legal hold: {error}; `holdpoint audit legal-hold list` shows them") from None
    except (KeyUnusable, NothingAsked, NotSelects, ObjectStoreError, JournalUnwritable) as error:
        raise CommandError(str(error)) from error
    except (IndexBehind, JournalFault) as error:
        raise CommandError(f"nothing was done: {error}; `holdpoint audit verify` says more") from error
    except (OSError, sqlite3.Error) as error:
        raise CommandError(f"{state}: {error}") from error


def _part(text: str) -> str:
    """Text as one part of a path."""
    return quote(text, safe="").replace(".", "%2E") or "-"
