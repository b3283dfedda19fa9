"""`holdpoint sessions export`: a session as a file."""

import argparse
import getpass
import io
import os
import re
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote

from extproc.cli._common import OK, PROBLEMS, CommandError, Subparsers, add_command
from extproc.cli._control_client import add_access, administrator, print_json
from extproc.cli._sessions_source import STREAM, catch_up, folder, gateway_or_files

if TYPE_CHECKING:
    from extproc.audit.export.bundle import Source
    from extproc.audit.export.gathered import Gathered

SUFFIXES = {"bundle": ".zip", "har": ".har", "jsonl": ".jsonl"}
_TELL_SECONDS = 0.2
_ID = re.compile(r"[0-9a-f]{1,64}")


def register_export(verbs: Subparsers) -> None:
    """Add `export`."""
    export = add_command(
        verbs,
        "export",
        "write a session to a file: evidence bundle, HAR or JSON Lines",
        _export,
        about="Write a session, or one decision, to a file. A `bundle` is evidence: records, bodies, the chain to a\n"
        "signed head, a report to print, and verify.py, which checks it with Python alone. Who exported it is\n"
        "recorded first. Needs the role `export`; with --state it reads the files of that folder.",
        examples=(
            "holdpoint sessions export c2f1a7d0",
            "holdpoint sessions export c2f1a7d0 --format har -o crm-bot.har",
            "holdpoint sessions export c2f1a7d0 --format jsonl -o - | jq .kind",
        ),
    )
    export.add_argument("id", metavar="ID", help="the start of a session's key, or of a decision's id")
    export.add_argument("--format", choices=tuple(SUFFIXES), default="bundle", help="default: bundle")
    export.add_argument("-o", "--output", metavar="FILE", help="default: holdpoint-ID and its suffix; - for stdout")
    export.add_argument("--force", action="store_true", help="replace FILE where there is one")
    export.add_argument("--state", metavar="DIR", type=Path, help="read this state folder instead of asking a gateway")
    add_access(export)


def _export(arguments: argparse.Namespace) -> int:
    if not _ID.fullmatch(arguments.id):
        raise CommandError(f"{arguments.id!a}: expected the start of a session's key or of a decision's id, in hex")
    if arguments.output == "-":
        if arguments.format == "bundle" and sys.stdout.isatty():
            raise CommandError("-o -: a bundle is a zip, which no terminal shows; name a file, or a pipe")
        with _pieces(arguments) as pieces:
            reader_left = _print(pieces)
        if reader_left is not None:
            raise reader_left
        return OK
    path = Path(arguments.output or f"holdpoint-{arguments.id}{SUFFIXES[arguments.format]}")
    if path.exists() and not arguments.force:
        # Said before anything is recorded as exported.
        raise CommandError(f"{path}: exists; --force replaces it")
    with _pieces(arguments) as pieces:
        size = save(path, pieces, force=arguments.force)
    verified = _verified(path) if arguments.format == "bundle" else None
    if arguments.json:
        print_json({"file": str(path), "bytes": size, "verified": verified[0] if verified else None})
    else:
        print(f"{path}: {size:,} bytes" + (f"\n{verified[1].rstrip()}" if verified else ""))
    return PROBLEMS if verified is not None and not verified[0] else OK


def _print(pieces: Iterator[bytes]) -> BrokenPipeError | None:
    """To stdout. That its reader left is no fault of where the pieces come from."""
    for piece in pieces:
        try:
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
        except BrokenPipeError as error:
            return error
    return None


def save(path: Path, pieces: Iterator[bytes], *, force: bool = False) -> int:
    """Write a new file, whole or not at all, for its owner alone; returns its bytes. Raises CommandError, and whatever
    `pieces` raises; nothing is left behind then."""
    if path.exists() and not force:
        raise CommandError(f"{path}: exists; --force replaces it")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as out:
            size = _copy(pieces, out, path.name)
            out.flush()
            os.fsync(out.fileno())
        if force:
            os.replace(part, path)
        else:
            # Linked, not renamed: a file that came there meanwhile is not ours to replace.
            os.link(part, path)
    except FileExistsError:
        raise CommandError(f"{path}: exists; --force replaces it") from None
    except OSError as error:
        raise CommandError(f"{path}: nothing was written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            part.unlink()
    return size


def _copy(pieces: Iterator[bytes], out: IO[bytes], name: str) -> int:
    size, told, terminal = 0, 0.0, sys.stderr.isatty()
    for piece in pieces:
        out.write(piece)
        size += len(piece)
        if terminal and time.monotonic() - told > _TELL_SECONDS:
            told = time.monotonic()
            print(f"\r{name}: {size / 1e6:,.1f} MB", end="", file=sys.stderr, flush=True)
    if terminal and told:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    return size


@contextmanager
def _pieces(arguments: argparse.Namespace) -> Iterator[Iterator[bytes]]:
    """The export's content. Raises CommandError."""
    if arguments.state is None:
        path = f"/v1/sessions/{quote(arguments.id, safe='')}/export?format={arguments.format}"
        with gateway_or_files(arguments), administrator(arguments).open(path) as content:
            yield content
        return
    from extproc.audit.export.formats import FAILURES, FORMATS
    from extproc.audit.export.gathered import NoSession, gather
    from extproc.audit.index.search import Index

    state = folder(arguments.state)
    catch_up(state)
    index = Index(state)
    try:
        found = gather(state, index, arguments.id)
        _record(state, arguments.format, found)
        yield FORMATS[arguments.format].make(found.session, source_of(state))
    except NoSession as error:
        raise CommandError(str(error)) from None
    except FAILURES as error:
        raise CommandError(f"{error}; `holdpoint audit verify` says more") from error
    finally:
        index.close()


def source_of(state: Path) -> "Source":
    """Where exports from a state folder are made from. Without its private key bundles are not signed as a whole.
    Raises CommandError."""
    from extproc.audit.bodies.folder import BodyFolder
    from extproc.audit.bodies.places import Bodies
    from extproc.audit.export.bundle import Source
    from extproc.audit.export.recorded import Recorded
    from extproc.audit.export.verifier import Wrong, key_of
    from extproc.audit.keys import KeyUnusable, Signer

    keys: dict[str, bytes] = {}
    try:
        for path in sorted((state / "keys").glob("audit*.pub")):
            keys[key_of(path.read_bytes(), str(path))[0]] = path.read_bytes()
    except (OSError, ValueError, Wrong) as error:
        raise CommandError(f"{state / 'keys'}: {error}") from None
    signer = None
    with suppress(OSError, KeyUnusable):
        signer = Signer.load(state / "keys" / "audit.key")
    return Source(state / "journal", Recorded(Bodies(BodyFolder(state / "bodies"))), keys, signer)


def _record(state: Path, form: str, found: "Gathered") -> None:
    """Write who exports what into the operators' stream, before it is done. Raises CommandError."""
    from extproc.audit.journal import FileJournal
    from extproc.audit.keys import KeyUnusable, Signer
    from extproc.domain.ports import JournalUnwritable

    by: dict[str, Any] = {"issuer": f"unix:{socket.gethostname()}", "subject": getpass.getuser(), "kind": "human"}
    at = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    try:
        signer = Signer.load(state / "keys" / "audit.key")
    except (OSError, KeyUnusable):
        signer = None
    try:
        journal = FileJournal(state / "journal" / STREAM, STREAM, sync_seconds=0, signer=signer)
        try:
            journal.append("export", {"at": at, "what": form, "by": by, "session": found.key})
        finally:
            journal.close()
    except JournalUnwritable as error:
        raise CommandError(f"not exported, for it can't be recorded: {error}") from error


def _verified(path: Path) -> tuple[bool, str]:
    """What the bundle's own verifier says of it, as whoever gets it will hear."""
    from extproc.audit.export.verifier import main

    said = io.StringIO()
    with redirect_stdout(said):
        code = main([str(path)])
    return code == 0, said.getvalue()
