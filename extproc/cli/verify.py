"""`holdpoint audit verify`: is everything still as it was written?"""

import argparse
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from extproc.cli._common import OK, PROBLEMS, CommandError, Subparsers, add_command, add_config
from extproc.cli._in_force import settings_in_force
from extproc.cli._times import record_time

if TYPE_CHECKING:
    from extproc.audit.keys import PublicKeys
    from extproc.audit.verify import Kept, Report
    from extproc.cli._verify_view import ProgressLine
    from extproc.config import Settings

_ABOUT = """Verify the journal: every frame, number and hash; the seals and checkpoints that were signed; what witnesses
keep of them; the bodies; and Envoy's access log. Reads files only: it needs no running gateway, and not the
private key. What a witness keeps is what proves that nobody with the key wrote all of it anew."""


def register(verbs: Subparsers) -> None:
    """Add `verify`."""
    parser = add_command(
        verbs,
        "verify",
        "verify that everything is still as it was written",
        _verify,
        about=_ABOUT,
        examples=(
            "holdpoint audit verify",
            "holdpoint audit verify --since 1d --json",
            "holdpoint audit verify --state /evidence/state --key audit.pub --witness /mnt/witness/checkpoints.jsonl",
            "holdpoint audit verify --head worker-0:4711:9f86d081...",
        ),
    )
    parser.add_argument(
        "--key", metavar="PEM", type=Path, action="append", default=[],
        help="a public key, in place of the state folder's own (keys/audit.pub); again for each that was ever used",
    )  # fmt: skip
    parser.add_argument(
        "--witness", metavar="WHERE", action="append", default=[],
        help="checkpoints that were kept elsewhere: a file, a folder, or s3://BUCKET of the configuration (default: "
        "those of the configuration)",
    )  # fmt: skip
    parser.add_argument(
        "--head", metavar="STREAM:SEQ:HASH", action="append", default=[], help="a record that must still be there"
    )
    parser.add_argument(
        "--since", metavar="WHEN",
        help="only what comes after the last signed head before this time (RFC 3339) or age (90s, 6h, 2d)",
    )  # fmt: skip
    parser.add_argument("--against-jaeger", metavar="URL", help="also compare with the spans that this Jaeger holds")
    add_config(parser)
    parser.add_argument(
        "--state",
        metavar="DIR",
        type=Path,
        help="the state folder (default: the configuration's). With --config too, the object stores that it names",
    )
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


def _verify(arguments: argparse.Namespace) -> int:
    from extproc.app.stores import object_store
    from extproc.audit.objects import ObjectStoreError
    from extproc.audit.verify import verify
    from extproc.cli._verify_view import ProgressLine, show

    # A copy of a state folder needs no configuration, but for what lies in object stores.
    named = arguments.state is None or arguments.config_named
    settings = settings_in_force(arguments) if named else None
    state = arguments.state if settings is None or arguments.state is not None else settings.state
    if not (state / "journal").is_dir():
        raise CommandError(f"no journal in {state / 'journal'}: nothing to verify")
    earliest = "" if arguments.since is None else record_time("--since", arguments.since)
    keys, whence = _keys(arguments.key, state)
    progress = ProgressLine()
    try:
        report = verify(
            state,
            keys=keys,
            witnesses=list(_witnesses(arguments.witness, settings)),
            heads=_heads(arguments.head),
            since=earliest,
            store=None if settings is None or settings.audit.objects is None else object_store(settings.audit.objects),
            progress=progress,
        )
        if arguments.against_jaeger is not None:
            _compare(report, state, arguments.against_jaeger, earliest, progress)
    except (OSError, ObjectStoreError, sqlite3.Error) as error:
        raise CommandError(f"not verified: {error}") from error
    finally:
        progress.end()
    if not report.streams:
        raise CommandError(f"no journal in {state / 'journal'}: nothing to verify")
    if arguments.json:
        print(json.dumps(report.document() | {"keys_from": whence}))
    else:
        show(report, whence)
    return OK if report.ok else PROBLEMS


def _compare(report: "Report", state: Path, url: str, since: str, progress: "ProgressLine") -> None:
    """Add what Jaeger lacks, or holds otherwise than it was sent."""
    from contextlib import closing

    from extproc.adapters.jaeger import Jaeger
    from extproc.audit.compare import Altered, Compared, Missing, StoreUnreachable, Unexpected, compare
    from extproc.audit.placement import nanoseconds
    from extproc.audit.reader import JournalFault
    from extproc.audit.replay import ReplayFault
    from extproc.audit.verify import Fault, Wrong

    try:
        with closing(Jaeger(url)) as jaeger:
            for found in compare(state, jaeger.spans, nanoseconds(since) if since else 0, progress):
                match found:
                    case Missing(told):
                        what = f"span {told.span.id} of trace {told.span.trace_id} is not in Jaeger"
                        report.faults.add(Fault(Wrong.SPAN_MISSING, what, told.stream, None, None, told.seq))
                    case Altered(told, changes):
                        what = f"span {told.span.id} of trace {told.span.trace_id} is another in Jaeger: "
                        what += "; ".join(changes)
                        report.faults.add(Fault(Wrong.SPAN_CHANGED, what, told.stream, None, None, told.seq))
                    case Unexpected(stored) if not found.harmless:
                        what = f"span {stored.id} of trace {stored.trace_id} is in Jaeger, and no record tells of it"
                        report.faults.add(Fault(Wrong.SPAN_UNEXPECTED, what))
                    case Compared(spans):
                        report.spans = spans
    except (StoreUnreachable, JournalFault, ReplayFault) as error:
        raise CommandError(f"not compared: {error}") from error
    if not report.spans:
        report.notes.append("nothing was shipped, so nothing was compared with Jaeger (audit.otlp says where to)")


def _keys(given: list[Path], state: Path) -> "tuple[PublicKeys | None, str]":
    """The public keys, and where they are from."""
    from extproc.audit.keys import KeyUnusable, PublicKeys

    own = state / "keys" / "audit.pub"
    paths = given or ([own] if own.exists() else [])
    if not paths:
        return None, ""
    try:
        return PublicKeys.load(paths), ", ".join(str(path) for path in paths)
    except (OSError, KeyUnusable) as error:
        raise CommandError(f"--key: {error}") from error


def _heads(texts: list[str]) -> list[tuple[str, int, str]]:
    heads = []
    for text in texts:
        stream, _, rest = text.partition(":")
        seq, _, digest = rest.partition(":")
        if not stream or not seq.isdecimal() or len(seq) > 18 or len(digest) != 64:
            raise CommandError(f"--head {text}: expected STREAM:SEQ:HASH as `verify` prints it, the hash 64 hex digits")
        heads.append((stream, int(seq), digest.lower()))
    return heads


def _witnesses(given: list[str], settings: "Settings | None") -> "Iterator[Kept]":
    """Those that are named, else those of the configuration that can be read back."""
    from extproc.app.stores import object_store
    from extproc.audit.verify import KeptInFile, KeptInStore

    configured = [] if settings is None else [w.objects for w in settings.audit.witnesses if w.objects is not None]
    files = [] if settings is None else [w.file for w in settings.audit.witnesses if w.file is not None]
    for text in given:
        if not text.startswith("s3://"):
            path = Path(text)
            if not path.exists():
                raise CommandError(f"--witness {text}: no such file or folder")
            yield KeptInFile(path)
            continue
        bucket = text.removeprefix("s3://").partition("/")[0]
        found = next((objects for objects in configured if objects.bucket == bucket), None)
        if found is None:
            raise CommandError(f"--witness {text}: no witness of the configuration (audit.witnesses) has this bucket")
        yield KeptInStore(object_store(found), f"s3://{bucket}")
    if not given:
        yield from (KeptInFile(path) for path in files)
        yield from (KeptInStore(object_store(objects), f"s3://{objects.bucket}") for objects in configured)
