"""The forms that a session is exported in."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from extproc.audit.bodies.folder import BodyUnreadable
from extproc.audit.checkpoint import BadCheckpoint
from extproc.audit.export.bundle import Source, bundle
from extproc.audit.export.exchange import BodyGone, Session
from extproc.audit.export.har import har
from extproc.audit.export.lines import lines
from extproc.audit.export.proof import Unprovable
from extproc.audit.frame import FrameError
from extproc.audit.index.search import IndexUnusable
from extproc.audit.reader import JournalFault

FAILURES = (JournalFault, FrameError, BadCheckpoint, Unprovable, IndexUnusable, BodyGone, BodyUnreadable, OSError)
"""What an export may raise, before its first byte or in the middle: what was given until then is not whole."""


@dataclass(frozen=True, slots=True)
class Format:
    """One form: how its files end, its media type, and what makes it."""

    suffix: str
    media_type: str
    make: Callable[[Session, Source], Iterator[bytes]]
    help: str


FORMATS = {
    "bundle": Format(
        ".zip",
        "application/zip",
        bundle,
        "records, bodies, the chain to a signed head, a report to print, and what verifies all of it",
    ),
    "har": Format(
        ".har",
        "application/json",
        lambda session, source: har(session, source.bodies),
        "HAR 1.2, for developer tools",
    ),
    "jsonl": Format(
        ".jsonl", "application/jsonl", lambda session, source: lines(session), "every record of it, one a line"
    ),
}
