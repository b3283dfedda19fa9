"""Where `holdpoint sessions`, `audit` and `policy` read: from a running gateway, or from the files of a state folder.
Both give the documents of the API (see extproc/console/sessions.py)."""

import argparse
import getpass
import shlex
import socket
import sqlite3
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote, urlencode

from extproc.cli._common import CommandError
from extproc.cli._control_client import Client, NoGateway, administrator
from extproc.cli._in_force import settings_in_force

if TYPE_CHECKING:
    from extproc.audit.index import Indexer
    from extproc.audit.index import Query as Asked
    from extproc.domain.json import Document

STREAM = "operator"
"""The stream of what people do with the files alone."""
DEFAULT_JAEGER = "http://127.0.0.1:16686"
Query = Mapping[str, str | int | Sequence[str]]


class Source(Protocol):
    """The trail. Every method raises CommandError."""

    def sessions(self, query: Query) -> dict[str, Any]:
        """A page of sessions; the query's members are those of the API."""
        ...

    def session(self, start: str) -> tuple[dict[str, Any], Iterator[dict[str, Any]]]:
        """The session whose id starts so, and its exchanges, oldest first."""
        ...

    def decision(self, start: str) -> dict[str, Any]:
        """The exchange of the decision whose id starts so."""
        ...

    def decisions(self, query: Query) -> dict[str, Any]:
        """A page of exchanges; the query's members are those of the API."""
        ...

    def events(self, query: Query) -> dict[str, Any]:
        """A page of other records, likewise."""
        ...

    def body(self, decision: str, address: str) -> Iterator[bytes]:
        """The content of a recorded body, in pieces."""
        ...


class Gateway:
    """A running gateway."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def sessions(self, query: Query) -> dict[str, Any]:
        """See Source."""
        return self._client.call("GET", f"/v1/sessions?{urlencode(query, doseq=True)}")

    def session(self, start: str) -> tuple[dict[str, Any], Iterator[dict[str, Any]]]:
        """See Source."""
        path = f"/v1/sessions/{quote(start, safe='') or '-'}"
        page = self._client.call("GET", path)
        return page["session"], self._exchanges(page)

    def _exchanges(self, page: dict[str, Any]) -> Iterator[dict[str, Any]]:
        path = f"/v1/sessions/{page['session']['id']}"
        while True:
            yield from page["exchanges"]
            if page["next"] is None:
                return
            page = self._client.call("GET", f"{path}?after={page['next']}")

    def decision(self, start: str) -> dict[str, Any]:
        """See Source."""
        return self._client.call("GET", f"/v1/decisions/{quote(start, safe='') or '-'}")

    def decisions(self, query: Query) -> dict[str, Any]:
        """See Source."""
        return self._client.call("GET", f"/v1/decisions?{urlencode(query, doseq=True)}")

    def events(self, query: Query) -> dict[str, Any]:
        """See Source."""
        return self._client.call("GET", f"/v1/events?{urlencode(query, doseq=True)}")

    def body(self, decision: str, address: str) -> Iterator[bytes]:
        """See Source."""
        path = f"/v1/bodies/{quote(address, safe='')}?decision={quote(decision, safe='')}"
        with self._client.open(path) as pieces:
            yield from pieces


class Files:
    """A state folder. What is read of bodies is recorded in its stream `operator`."""

    def __init__(self, state: Path) -> None:
        from extproc.audit.bodies.folder import BodyFolder
        from extproc.audit.bodies.places import Bodies
        from extproc.audit.index import Index
        from extproc.audit.library import EVERY_ROLE, Library, Reader
        from extproc.domain.principal import Kind, Principal

        self._journal = _Operator(state)
        self._index = Index(state)
        self._library = Library(state, self._index, Bodies(BodyFolder(state / "bodies")), self._journal)
        who = Principal(f"unix:{socket.gethostname()}", getpass.getuser(), Kind.HUMAN, credential="unix")
        self._reader = Reader(who, EVERY_ROLE)

    def sessions(self, query: Query) -> dict[str, Any]:
        """See Source."""
        from extproc.audit.library import session_document

        with _told():
            page = self._library.sessions(self._reader, _asked(query))
            rows = [session_document(row) for row in page.rows]
            return {"sessions": rows, "next": page.next, "behind": self._library.behind()}

    def session(self, start: str) -> tuple[dict[str, Any], Iterator[dict[str, Any]]]:
        """See Source."""
        from extproc.audit.library import session_document

        with _told():
            row = self._library.session(self._reader, start)
        return session_document(row), self._exchanges(row.key)

    def _exchanges(self, key: str) -> Iterator[dict[str, Any]]:
        with _told():
            for exchange in self._library.all_exchanges(self._reader, key):
                yield exchange.document()

    def decision(self, start: str) -> dict[str, Any]:
        """See Source."""
        with _told():
            return self._library.exchange(self._reader, start).document()

    def decisions(self, query: Query) -> dict[str, Any]:
        """See Source."""
        with _told():
            page = self._library.decisions(self._reader, _asked(query))
            rows = [exchange.document() for exchange in page.rows]
            return {"decisions": rows, "next": page.next, "behind": self._library.behind()}

    def events(self, query: Query) -> dict[str, Any]:
        """See Source."""
        from extproc.audit.index import Events
        from extproc.audit.library import event_document

        asked: dict[str, Any] = {name: value for name, value in query.items() if name != "kind"}
        with _told():
            page = self._library.events(self._reader, Events(tuple(_texts(query.get("kind"))), **asked))
            rows = [event_document(record) for record in page.rows]
            return {"events": rows, "next": page.next, "behind": self._library.behind()}

    def body(self, decision: str, address: str) -> Iterator[bytes]:
        """See Source."""
        with _told():
            yield from self._library.body(self._reader, decision, address)

    def close(self) -> None:
        """Let go of the files."""
        self._index.close()
        self._journal.close()


@contextmanager
def source(arguments: argparse.Namespace) -> Iterator[Source]:
    """What the arguments name. Raises CommandError."""
    if arguments.state is None:
        with gateway_or_files(arguments):
            yield Gateway(administrator(arguments))
        return
    state = folder(arguments.state)
    catch_up(state)
    files = Files(state)
    try:
        yield files
    finally:
        files.close()


@contextmanager
def gateway_or_files(arguments: argparse.Namespace) -> Iterator[None]:
    """Where no gateway answers, say how its files are read without one."""
    try:
        yield
    except NoGateway as error:
        state, there = "DIR", True
        with suppress(CommandError):
            found = settings_in_force(arguments).state
            state, there = shlex.quote(str(found)), _has_journal(found)
        hint = f"\nits files are read without it, by its user: --state {state}" if there else ""
        raise CommandError(f"{error}{hint}") from None


def _has_journal(state: Path) -> bool:
    """False where there certainly is none: it may be another user's."""
    try:
        (state / "journal").stat()
    except OSError as error:
        return not isinstance(error, FileNotFoundError)
    return True


def folder(state: Path) -> Path:
    """The folder, where it is a state folder. Raises CommandError."""
    if not (state / "journal").is_dir():
        raise CommandError(f"--state {state}: no journal there")
    return state


def catch_up(state: Path, *, rebuild: bool = False) -> int:
    """Have the index know all of the journal; returns how many bytes it learned of. Says how far it is on a terminal.
    Raises CommandError where that can't be; a stream that can't be read on is said, and left out."""
    from extproc.audit.bodies.folder import BodyFolder
    from extproc.audit.bodies.places import Bodies
    from extproc.audit.index import BodyTexts, Indexer
    from extproc.audit.index.indexer import Unreadable

    indexer = Indexer(state, BodyTexts(Bodies(BodyFolder(state / "bodies"))))
    try:
        if rebuild:
            indexer.rebuild()
        return _steps(state, indexer)
    except Unreadable as error:
        print(f"{error}; `holdpoint audit verify` says more", file=sys.stderr)
        return 0
    except (OSError, sqlite3.Error) as error:
        raise CommandError(f"{state / 'index.db'}: can't be brought up to date: {error}") from error
    finally:
        indexer.close()


def _steps(state: Path, indexer: "Indexer") -> int:
    from extproc.audit.reader import size, streams

    total, terminal, more, shown = sum(map(size, streams(state))), sys.stderr.isatty(), True, False
    before = indexer.known()
    while more:
        more = indexer.step()
        if terminal and more:
            shown = True
            print(f"\rindexing: {indexer.known() * 100 // max(total, 1)} %", end="", file=sys.stderr, flush=True)
    if shown:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    return indexer.known() - before


def jaeger(arguments: argparse.Namespace) -> str | None:
    """The base of Jaeger's page, where traces are sent anywhere that is known."""
    if arguments.state is not None:
        return DEFAULT_JAEGER
    with suppress(CommandError):
        settings = settings_in_force(arguments)
        if settings.audit.jaeger is not None and settings.audit.otlp is not None:
            return str(settings.audit.jaeger)
    return None


class _Operator:
    """The operators' stream, opened when something is to be recorded."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._opened: Any = None

    def append(self, kind: str, body: "Document") -> int:
        """See domain.ports.Journal."""
        from extproc.audit.journal import FileJournal
        from extproc.audit.keys import KeyUnusable, Signer

        if self._opened is None:
            signer = None
            with suppress(OSError, KeyUnusable):
                signer = Signer.load(self._state / "keys" / "audit.key")
            self._opened = FileJournal(self._state / "journal" / STREAM, STREAM, sync_seconds=0, signer=signer)
        return int(self._opened.append(kind, body))

    def close(self) -> None:
        """Let the stream go, if it was had."""
        if self._opened is not None:
            self._opened.close()


@contextmanager
def _told() -> Iterator[None]:
    """What the library raises, for people."""
    from extproc.audit.index import IndexUnusable
    from extproc.audit.library import UNREADABLE, NotAllowed, NotFound
    from extproc.audit.reader import JournalFault
    from extproc.domain.ports import JournalUnwritable

    try:
        yield
    except (NotFound, NotAllowed, IndexUnusable) as error:
        raise CommandError(str(error)) from None
    except JournalUnwritable as error:
        raise CommandError(f"not shown, for that it is read can't be recorded: {error}") from error
    except (JournalFault, sqlite3.Error) as error:
        raise CommandError(f"{error}; `holdpoint audit verify` says more") from error
    except UNREADABLE as error:
        raise CommandError(f"the body can't be read: {error}") from error


def _asked(query: Query) -> "Asked":
    from extproc.audit.index import Query as Asked

    asked: dict[str, Any] = {name: value for name, value in query.items() if name != "word"}
    return Asked(**asked, words=tuple(_texts(query.get("word"))))


def _texts(value: str | int | Sequence[str] | None) -> list[str]:
    return list(value) if isinstance(value, list | tuple) else []
